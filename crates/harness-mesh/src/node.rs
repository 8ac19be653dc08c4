//! One host of a mesh.
//!
//! Owns: what is run there, and what its answers mean. Keeps nothing: what there is is asked of the host.

use std::num::NonZeroU16;
use std::path::PathBuf;

use command_executor::agent::HostLink;
use service_registry::HostId;
use service_registry::mesh::{InterfacePlan, PublicKey};
use service_shim::agent::record::CommandExit;

use crate::config;
use crate::error::{self, Lack, NodeError};
use crate::name::InterfaceName;
use crate::run::{LIMIT, Runner};
use crate::script;
use crate::secret::MeshSecret;
use crate::status::{self, Implementation, InterfaceStatus};

/// A host that is, or can be, part of a mesh. Cheap to clone.
#[derive(Clone, Debug)]
pub struct MeshNode {
    host: HostId,
    runner: Runner,
    interface: InterfaceName,
    directory: PathBuf,
}

impl MeshNode {
    /// The host behind this connection; what it keeps there lies in `directory`, which is its own (an absolute path there).
    pub fn new(
        host: HostId,
        link: HostLink,
        interface: InterfaceName,
        directory: impl Into<PathBuf>,
    ) -> Self {
        Self {
            host,
            runner: Runner::Agent(link),
            interface,
            directory: directory.into(),
        }
    }

    /// This machine, which no agent serves: its scripts are run by a shell here, as the user that this process is.
    pub fn here(interface: InterfaceName, directory: impl Into<PathBuf>) -> Self {
        Self {
            host: HostId::local(),
            runner: Runner::Here,
            interface,
            directory: directory.into(),
        }
    }

    /// Which host.
    pub fn host(&self) -> &HostId {
        &self.host
    }

    /// What its interface is called.
    pub fn interface(&self) -> &InterfaceName {
        &self.interface
    }

    /// The public key of the host. Its private one is made there when there is none yet.
    ///
    /// # Errors
    /// [`NodeError`].
    ///
    /// # Cancellation
    /// What was begun there is killed; a key is there whole or not at all.
    pub async fn public_key(&self) -> Result<PublicKey, NodeError> {
        self.key("key").await
    }

    /// The public key that the host is going to use: it is made there, beside the one in use. [`MeshNode::apply`] with a plan
    /// that has it puts it into force.
    ///
    /// # Errors
    /// [`NodeError`].
    ///
    /// # Cancellation
    /// As [`MeshNode::public_key`].
    pub async fn next_public_key(&self) -> Result<PublicKey, NodeError> {
        self.key("next").await
    }

    /// A UDP port of the host for its interface: nobody listens on it there, and it is none of these.
    ///
    /// # Errors
    /// [`NodeError`].
    ///
    /// # Cancellation
    /// Safe.
    pub async fn free_port(&self, taken: &[NonZeroU16]) -> Result<NonZeroU16, NodeError> {
        let doing = "find a free port";
        let taken: Vec<String> = taken.iter().map(NonZeroU16::to_string).collect();
        let said = self
            .run(doing, script::PORT, &[taken.join(" ")], &[])
            .await?;
        said.trim().parse().map_err(|_| self.failed(doing, &said))
    }

    /// Makes the interface what is planned, whatever it was before; peers that stay keep their tunnels.
    ///
    /// # Errors
    /// [`NodeError`]. Some of it may be done: apply it again.
    ///
    /// # Cancellation
    /// As after an error.
    pub async fn apply(
        &self,
        plan: &InterfacePlan,
        secret: &MeshSecret,
    ) -> Result<Implementation, NodeError> {
        let doing = "make its interface";
        let words = [
            self.interface.to_string(),
            self.directory_word(),
            plan.key.to_string(),
            plan.address.to_string(),
            plan.port.to_string(),
            MTU.to_string(),
            config::routes(plan),
            config::carried(plan),
        ];
        let peers = config::peers(&self.host, plan, secret);
        let said = self
            .run(doing, script::APPLY, &words, peers.as_bytes())
            .await?;
        status::implementation(&said).ok_or_else(|| self.failed(doing, &said))
    }

    /// What the interface says of itself; `None` when there is none.
    ///
    /// # Errors
    /// [`NodeError`].
    ///
    /// # Cancellation
    /// Safe.
    pub async fn status(&self) -> Result<Option<InterfaceStatus>, NodeError> {
        let doing = "ask its interface";
        let words = [self.interface.to_string()];
        let said = self.run(doing, script::STATUS, &words, &[]).await?;
        if said.is_empty() {
            return Ok(None);
        }
        let status = status::parse(&said);
        status.map(Some).ok_or_else(|| self.failed(doing, &said))
    }

    /// Forgets what it has agreed on with these, so that the next [`MeshNode::apply`] has it talk to them anew. For peers that have
    /// lost their side of it: WireGuard by itself may take two minutes to find that out.
    ///
    /// # Errors
    /// [`NodeError`].
    ///
    /// # Cancellation
    /// As after an error: they are not talked to before the next [`MeshNode::apply`].
    pub async fn forget<'a>(
        &self,
        peers: impl IntoIterator<Item = &'a PublicKey>,
    ) -> Result<(), NodeError> {
        let keys: Vec<String> = peers.into_iter().map(PublicKey::to_string).collect();
        if keys.is_empty() {
            return Ok(());
        }
        let words = [self.interface.to_string(), keys.join(" ")];
        let said = self.run("forget peers", script::FORGET, &words, &[]);
        said.await.map(drop)
    }

    /// Removes the interface, what it let pass, and the key. What is gone already is no error.
    ///
    /// # Errors
    /// [`NodeError`]. Some of it may be done: remove it again.
    ///
    /// # Cancellation
    /// As after an error.
    pub async fn remove(&self) -> Result<(), NodeError> {
        let words = [self.interface.to_string(), self.directory_word()];
        let said = self.run("remove its interface", script::REMOVE, &words, &[]);
        said.await.map(drop)
    }

    async fn key(&self, name: &str) -> Result<PublicKey, NodeError> {
        let doing = "make a key";
        let words = [self.directory_word(), name.to_owned()];
        let said = self.run(doing, script::KEY, &words, &[]).await?;
        said.trim().parse().map_err(|_| self.failed(doing, &said))
    }

    fn directory_word(&self) -> String {
        self.directory.to_string_lossy().into_owned()
    }

    /// Runs a script there; answers with what it says.
    async fn run(
        &self,
        doing: &'static str,
        body: &str,
        words: &[String],
        stdin: &[u8],
    ) -> Result<String, NodeError> {
        let whole = format!("{}{body}", script::PROLOGUE);
        let told = self.runner.run(&self.host, &whole, words, stdin).await;
        let ([stdout, stderr], exit) = told?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        let said = text(&stderr);
        match exit {
            CommandExit::Code(0) => Ok(text(&stdout)),
            CommandExit::Code(script::LACKS) => Err(match lack(&said) {
                Some(lack) => NodeError::Lacks {
                    host: error::named(&self.host),
                    lack,
                },
                None => self.failed(doing, &said),
            }),
            CommandExit::Code(code) if said.is_empty() => {
                Err(self.failed(doing, &format!("exit code {code}")))
            }
            CommandExit::Code(_) => Err(self.failed(doing, &said)),
            CommandExit::Signal(signal) => Err(self.failed(doing, &format!("signal {signal}"))),
            CommandExit::TimedOut => {
                Err(self.failed(doing, &format!("not done within {} s", LIMIT.as_secs())))
            }
        }
    }

    fn failed(&self, doing: &'static str, said: &str) -> NodeError {
        NodeError::Failed {
            host: error::named(&self.host),
            doing,
            said: said.to_owned(),
        }
    }
}

/// What a script has said to lack.
fn lack(said: &str) -> Option<Lack> {
    match said.lines().last()?.strip_prefix("lack ")? {
        "root" => Some(Lack::Root),
        "ip" => Some(Lack::Ip),
        "wg" => Some(Lack::Wg),
        "wireguard" => Some(Lack::WireGuard),
        "iptables" => Some(Lack::Iptables),
        "ipv6-forwarding" => Some(Lack::Ipv6Forwarding),
        _ => None,
    }
}

/// What is left of 1500 bytes for a packet inside, also where IPv6 carries it: what `wg-quick` takes.
const MTU: u16 = 1420;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lack_that_a_script_tells_is_known() {
        let scripts = [
            script::PROLOGUE,
            script::KEY,
            script::PORT,
            script::APPLY,
            script::STATUS,
            script::FORGET,
            script::REMOVE,
        ];
        let words = scripts
            .iter()
            .flat_map(|script| script.split("lack ").skip(1));
        let words: Vec<&str> = words
            .map(|rest| {
                rest.split(|c: char| !(c.is_alphanumeric() || c == '-'))
                    .next()
                    .expect("one")
            })
            .filter(|word| !word.is_empty())
            .collect();
        assert!(words.len() > 5, "{words:?}");
        for word in words {
            assert!(lack(&format!("noise\nlack {word}")).is_some(), "{word}");
        }
        assert_eq!(lack("lack of sleep"), None);
    }
}
