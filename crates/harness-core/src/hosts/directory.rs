//! The hosts of the list, as executors ask for them.
//!
//! Owns: the one connection of this daemon to each. A host that was changed in the list is connected to anew by whoever asks
//! next; what runs there goes on over the connection that it has.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use command_executor::agent::{HostAgent, HostLink, Runner};
use command_executor::ssh::{self, SshConnection, SshHost};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use service_orchestration::executors::{HostCall, HostDirectory, HostRefusal, KnownHost};
use service_orchestration::{ShimProgram, blocking, error_chain};

use super::{HostBook, HostBookError, HostEntry, HostRunner};
use crate::Dirs;

/// See the module.
#[derive(Debug)]
pub(crate) struct BookDirectory {
    dirs: Dirs,
    /// What is brought to hosts.
    shim: Option<PathBuf>,
    // A lock because any task may ask; held to look and to set.
    known: Mutex<Known>,
}

/// The hosts that were asked for, by how that was done.
type Known = BTreeMap<HostCall, (Way, KnownHost)>;

/// How a host is logged in to, and what serves it.
type Way = (SshHost, Runner);

/// The host that this way leads to, however it was asked for.
fn by_way(known: &Known, way: &Way) -> Option<KnownHost> {
    let found = known.values().find(|(known, _)| known == way);
    found.map(|(_, host)| host.clone())
}

impl BookDirectory {
    pub(crate) fn new(dirs: Dirs) -> Self {
        Self {
            dirs,
            shim: ShimProgram::find().program(),
            known: Mutex::default(),
        }
    }

    /// The host as it is written down, with what the call says otherwise.
    async fn look_up(&self, call: &HostCall) -> Result<(HostEntry, SshHost), HostRefusal> {
        let dirs = self.dirs.clone();
        let book = blocking::unblock(move || HostBook::load(&dirs)).await;
        let book = book.map_err(|error| refusal(&error))?;
        let entry = book
            .called(call)
            .map_err(|error| unknown(&call.name, &error))?;
        let way = book.way(&entry).map_err(|error| refusal(&error))?;
        Ok((entry, way))
    }

    /// Where all files of the client lie.
    fn root(&self) -> PathBuf {
        self.dirs.run().join("hosts")
    }

    /// Where those of one way lie: they are named by the host, to which several ways may lead. The next daemon finds what
    /// this one leaves open, if it goes the same way.
    fn directory(&self, way: &SshHost) -> PathBuf {
        directory_of(&self.root(), way)
    }

    /// Ends every connection; also those that a daemon before this one has left open.
    pub(crate) async fn close(&self) {
        let known = std::mem::take(&mut *self.known());
        let closing: FuturesUnordered<_> = known
            .values()
            .map(|(_, known)| known.link.close())
            .collect();
        closing.collect::<Vec<()>>().await;
        ssh::close_below(self.root()).await;
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl HostDirectory for BookDirectory {
    async fn find(&self, call: &HostCall) -> Result<KnownHost, HostRefusal> {
        let (entry, host) = self.look_up(call).await?;
        let way: Way = (host, entry.runner.into());
        {
            let mut known = self.known();
            if let Some(found) = by_way(&known, &way) {
                known.insert(call.clone(), (way, found.clone()));
                return Ok(found);
            }
        }
        if self.shim.is_none() && entry.runner == HostRunner::Shim {
            return Err(HostRefusal {
                reason: "there is no program `harness-shim` here that could be brought to hosts: name it in HARNESS_SHIM".into(),
            });
        }
        let address = address(&entry).await;
        let known_hosts = HostBook::known_hosts(&self.dirs);
        let prepared =
            SshConnection::prepare(way.0.clone(), self.directory(&way.0), known_hosts).await;
        let connection = prepared.map_err(|error| refusal(&error))?;
        // Who asked at the same time may have been quicker.
        let mut known = self.known();
        let found = by_way(&known, &way).unwrap_or_else(|| KnownHost {
            link: HostLink::new(HostAgent::new(connection, self.shim.clone(), way.1)),
            address,
            port: entry.port,
            jump: entry.jump,
        });
        known.insert(call.clone(), (way, found.clone()));
        Ok(found)
    }
}

/// Where the files of the client lie for one way to a host: they are named by it, and several ways may lead there.
pub(super) fn directory_of(root: &Path, way: &SshHost) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    way.hash(&mut hasher);
    // Short, for the path of a socket is.
    root.join(format!("{:08x}", hasher.finish() as u32))
}

/// Where others reach a host: not through another one, and not on this machine alone.
async fn address(entry: &HostEntry) -> Option<IpAddr> {
    if entry.jump.is_some() {
        return None;
    }
    let found = match entry.address.parse() {
        Ok(address) => Some(address),
        Err(_) => {
            let resolved = async_net::resolve((entry.address.as_str(), entry.port)).await;
            resolved.ok()?.first().map(std::net::SocketAddr::ip)
        }
    };
    found.filter(|address| !address.is_loopback() && !address.is_unspecified())
}

fn refusal(error: &(dyn std::error::Error + 'static)) -> HostRefusal {
    HostRefusal {
        reason: error_chain(error),
    }
}

/// What to do about a host that is not known.
fn unknown(name: &str, error: &HostBookError) -> HostRefusal {
    HostRefusal {
        reason: format!("{error}: `harness host add {name} --address ADDRESS` adds it"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn call(name: &str, user: Option<&str>) -> HostCall {
        HostCall {
            name: name.to_owned(),
            user: user.map(str::to_owned),
            port: None,
            key: None,
        }
    }

    #[test]
    fn each_way_to_a_host_is_connected_once_and_an_unknown_one_says_what_to_do() {
        let home = testkit::temp_dir();
        let dirs = Dirs::under(home.path().join("home"));
        dirs.create().expect("made");
        let entry = HostEntry {
            name: "build".to_owned(),
            address: "192.0.2.7".to_owned(),
            port: 22,
            user: None,
            key: None,
            jump: None,
            runner: HostRunner::default(),
            host_keys: vec!["ssh-ed25519 AAAA".to_owned()],
            fingerprints: vec!["SHA256:x".to_owned()],
        };
        HostBook::add(&dirs, entry).expect("added");
        let directory = BookDirectory {
            shim: Some(PathBuf::from("/usr/bin/harness-shim")),
            ..BookDirectory::new(dirs)
        };
        async_io::block_on(async {
            let refused = directory.find(&call("bild", None)).await;
            let reason = refused.expect_err("not known").reason;
            assert_eq!(
                reason,
                "there is no host `bild`: `harness host add bild --address ADDRESS` adds it"
            );
            let found = directory.find(&call("build", None)).await.expect("known");
            assert_eq!(found.address, Some([192, 0, 2, 7].into()));
            directory
                .find(&call("192.0.2.7", None))
                .await
                .expect("by its address");
            directory.find(&call("build", None)).await.expect("known");
            directory
                .find(&call("build", Some("me")))
                .await
                .expect("known");
            let ways: BTreeSet<_> = directory
                .known()
                .values()
                .map(|((way, _), _)| directory.directory(way))
                .collect();
            assert_eq!((directory.known().len(), ways.len()), (3, 2));
        });
    }
}
