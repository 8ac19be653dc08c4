//! A host that is served by its own `sh`.
//!
//! Owns: how the session of a shell begins, and what it says of the host. Nothing of ours needs to run there, and no file needs
//! to be executable.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use async_io::Async;
use async_trait::async_trait;
use futures_lite::AsyncReadExt;
use service_shim::agent::protocol::{AGENT_VERSION, Hello};
use service_shim::agent::sha256;

use super::beside::Sessions;
use super::bridge::{self, Bridge};
use super::reply::Reply;
use super::shell::{RUNNER, Shell, ShellError};
use super::watch::Watch;
use super::way::{ShellWords, Way};
use crate::agent::connect::{AgentPipes, Connector, StartedAgent, complaint, start};
use crate::agent::error::ConnectError;
use crate::agent::forward::HostForward;
use crate::agent::link::AgentLink;
use crate::agent::ssh;
use crate::driver;
use crate::ssh::{SshConnection, SshError};

/// The way to a host that its own shell serves.
#[derive(Debug, Clone)]
pub struct ShAgent {
    way: Way,
    words: ShellWords,
    /// Why no shim serves there, where that is to be told.
    reason: Option<String>,
}

impl ShAgent {
    /// Over this connection.
    pub fn new(connection: SshConnection) -> ShAgent {
        ShAgent {
            way: Way::Ssh(connection),
            words: ShellWords::default(),
            reason: None,
        }
    }

    /// A shell of this machine, with this directory as its home: what it does is what it would do on a host.
    pub fn here(home: impl Into<OsString>) -> ShAgent {
        ShAgent {
            way: Way::Here { home: home.into() },
            words: ShellWords::default(),
            reason: None,
        }
    }

    /// With other words for the shell than `sh`: none of them needs quoting.
    #[must_use]
    pub fn with_shell(mut self, words: &[&str]) -> ShAgent {
        self.words = ShellWords(words.iter().map(|word| (*word).to_owned()).collect());
        self
    }

    /// The same, which tells why no shim serves there.
    pub(in crate::agent) fn because(&self, reason: String) -> ShAgent {
        ShAgent {
            reason: Some(reason),
            ..self.clone()
        }
    }

    /// Whether anything is on the host that a shell keeps. The connection is open.
    pub(in crate::agent) async fn keeps_any(&self) -> Result<bool, ConnectError> {
        let command = self.way.doing(&self.words, KEEPS_ANY, &[])?;
        let started = start(command).await;
        let StartedAgent { mut pipes, stderr } =
            started.map_err(|source| self.no_program(source))?;
        let mut said = Vec::new();
        // What cannot be read is not there: the client tells why.
        drop(pipes.reader.read_to_end(&mut said).await);
        let text = String::from_utf8_lossy(&said);
        let told = text.lines().find_map(|line| line.strip_prefix("@keeps@ "));
        match told {
            Some(answer) => Ok(answer == "some"),
            None => Err(self.explain(&complaint(stderr).await)),
        }
    }

    /// What the client says when it cannot connect, or a shell that cannot begin.
    fn explain(&self, said: &[u8]) -> ConnectError {
        match &self.way {
            Way::Ssh(connection) => SshError::explain(connection.host(), said).into(),
            Way::Here { .. } => ConnectError::Runner {
                said: String::from_utf8_lossy(said).trim().to_owned(),
            },
        }
    }

    fn no_program(&self, source: std::io::Error) -> ConnectError {
        let program = match &self.way {
            Way::Ssh(connection) => connection.program().to_owned(),
            Way::Here { .. } => PathBuf::from(&self.words.0[0]),
        };
        ConnectError::Program { program, source }
    }

    async fn link(&self) -> Result<AgentLink, ConnectError> {
        let started = start(self.way.reading(&self.words)).await;
        let StartedAgent { pipes, stderr } = started.map_err(|source| self.no_program(source))?;
        let shell = Shell::new(pipes, &self.words);
        let hash = sha256(RUNNER.as_bytes());
        let begun = match shell.ask("begin", [&hash]).await {
            Ok(begun) => begun,
            Err(ShellError::Refused(refusal)) => {
                let said = refusal.message;
                return Err(ConnectError::Runner { said });
            }
            Err(ShellError::Lost) => return Err(self.explain(&complaint(stderr).await)),
        };
        // It has said that nothing more comes by it.
        drop(stderr);
        let hello = hello(&begun, self.reason.as_deref()).ok_or_else(|| ConnectError::Runner {
            said: "it does not say what it is".to_owned(),
        })?;
        let bridge = Arc::new(Bridge {
            watch: Watch::new(),
            way: self.way.clone(),
            words: self.words.clone(),
            tie: begun.one("tie").unwrap_or_default().into(),
            sessions: Sessions::new(),
            shell,
        });
        let here = |source| ConnectError::Program {
            program: "a pair of sockets".into(),
            source,
        };
        let (near, far) = std::os::unix::net::UnixStream::pair().map_err(here)?;
        let (far, asking) = AgentLink::serve(pipes_of(far).map_err(here)?, hello);
        driver::run(bridge::serve(bridge, far, asking));
        Ok(AgentLink::open(pipes_of(near).map_err(here)?).await?)
    }
}

#[async_trait]
impl Connector for ShAgent {
    fn name(&self) -> &str {
        match &self.way {
            Way::Ssh(connection) => connection.host().name(),
            Way::Here { .. } => "this machine",
        }
    }

    async fn connect(&self) -> Result<AgentLink, ConnectError> {
        if let Way::Ssh(connection) = &self.way {
            connection.open().await?;
        }
        self.link().await
    }

    async fn forward(&self, way: &HostForward) -> Result<(), ConnectError> {
        match &self.way {
            Way::Ssh(connection) => ssh::forward(connection, way).await,
            Way::Here { .. } => Err(ConnectError::NoForward),
        }
    }

    async fn forward_no_more(&self, way: &HostForward) -> Result<(), ConnectError> {
        match &self.way {
            Way::Ssh(connection) => ssh::forward_no_more(connection, way).await,
            Way::Here { .. } => Ok(()),
        }
    }

    async fn give_up(&self) {
        if let Way::Ssh(connection) = &self.way {
            ssh::give_up(connection).await;
        }
    }
}

fn pipes_of(socket: std::os::unix::net::UnixStream) -> std::io::Result<AgentPipes> {
    let (reader, writer) = futures_lite::io::split(Async::new(socket)?);
    Ok(AgentPipes {
        reader: Box::new(reader),
        writer: Box::new(writer),
        hold: Box::new(()),
    })
}

/// The greeting of an agent, in which a shell there says who it is.
fn hello(begun: &Reply, reason: Option<&str>) -> Option<Hello> {
    let hundredths = |name: &str| begun.number(name);
    Some(Hello {
        v: AGENT_VERSION,
        shim: env!("CARGO_PKG_VERSION").to_owned(),
        pid: u32::try_from(begun.number("pid")?).ok()?,
        boot_id: begun.one("boot")?,
        uid: u32::try_from(begun.number("uid")?).ok()?,
        home: begun.one("home")?.into(),
        arch: begun.one("machine")?,
        os: begun.one("system")?.to_lowercase(),
        boot_ns: hundredths("uptime")?.saturating_mul(10_000_000),
        real_ns: begun.number("day")?,
        program: Vec::new(),
        base: Some(begun.one("base")?.into()),
        weaker: reason
            .into_iter()
            .chain(WEAKER)
            .map(str::to_owned)
            .collect(),
    })
}

/// Whether a run directory of ours is there, wherever `do_begin` may have it.
const KEEPS_ANY: &str = r#"
uid=$(id -u) found=none
for place in "${HOME%/}" "/var/tmp/harness-$uid" "/tmp/harness-$uid" "/dev/shm/harness-$uid"; do
	for kept in "$place"/.local/state/harness/*/run/*.sh; do [ ! -d "$kept" ] || found=some; done
done
echo "@keeps@ $found"
"#;

/// What is weaker with a shell than with a shim, as `status` tells it.
const WEAKER: [&str; 4] = [
    "no cgroup: its processes are found by session and mark",
    "times of output are those of when it was taken",
    "its output is not rotated on the host while it runs",
    "a code of 128 and more is told as a signal",
];
