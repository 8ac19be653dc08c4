//! An agent at the other end of ssh.
//!
//! Owns: the one line that starts it, and what its failures mean. The program is brought there first, once for each version
//! of it.

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures_lite::FutureExt;

use super::connect::{Connector, StartedAgent, complaint, start};
use super::error::{ConnectError, LinkError};
use super::forward::HostForward;
use super::link::AgentLink;
use super::upload::{self, Binary};
use crate::quote;
use crate::ssh::{Direction, SshConnection, SshError, SshForward};

/// The way to the agent of a host by ssh.
#[derive(Debug)]
pub struct SshAgent {
    connection: SshConnection,
    program: PathBuf,
    // A lock because connecting may be given up and begun again; held to look and to set.
    binary: Mutex<Option<Arc<Binary>>>,
}

impl SshAgent {
    /// Over this connection. `program` is the `harness-shim` that is brought to the host.
    pub fn new(connection: SshConnection, program: impl Into<PathBuf>) -> SshAgent {
        SshAgent {
            connection,
            program: program.into(),
            binary: Mutex::new(None),
        }
    }

    /// The program as it was when it was first needed: a newer one is for whoever comes after us.
    async fn binary(&self) -> Result<Arc<Binary>, ConnectError> {
        let known = || self.binary.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(binary) = &*known() {
            return Ok(Arc::clone(binary));
        }
        let binary = Arc::new(Binary::read(self.program.clone()).await?);
        *known() = Some(Arc::clone(&binary));
        Ok(binary)
    }

    /// The client, with a script for a POSIX shell there.
    fn client(&self, script: &str) -> Result<Command, ConnectError> {
        let word = quote::word(script).map_err(|_| {
            let program = self.program.clone();
            let said = "the script for it cannot be quoted".to_owned();
            ConnectError::Upload { program, said }
        })?;
        let mut command = Command::new(self.connection.program());
        command.arg("-F").arg(self.connection.config());
        command
            .args(["-T", "--"])
            .arg(self.connection.host().name());
        command.arg("sh").arg("-c").arg(word);
        Ok(command)
    }

    async fn begin(&self, binary: &Binary) -> Result<AgentLink, Begin> {
        let script = format!(
            "p=\"$HOME/{}\"; test -x \"$p\" || exit {MISSING}; exec \"$p\" agent",
            binary.place()
        );
        let started = start(self.client(&script)?).await;
        let StartedAgent { pipes, stderr } = started.map_err(|source| self.no_client(source))?;
        match AgentLink::open(pipes).await {
            Ok(link) => Ok(link),
            // Its pipes are closed with it, so what it has to say is whole.
            Err(LinkError::Ended) => {
                let said = complaint(stderr).await;
                Err(self.explain(&said))
            }
            Err(error) => Err(Begin::Failed(error.into())),
        }
    }

    fn no_client(&self, source: std::io::Error) -> ConnectError {
        let program = self.connection.program().to_owned();
        ConnectError::Program { program, source }
    }

    fn explain(&self, said: &[u8]) -> Begin {
        // The line that looks for the program says nothing when there is none.
        match said.trim_ascii().is_empty() {
            true => Begin::Missing,
            false => Begin::Failed(SshError::explain(self.connection.host(), said).into()),
        }
    }
}

/// Why an agent has not begun.
enum Begin {
    /// Perhaps it is not there.
    Missing,
    Failed(ConnectError),
}

impl From<ConnectError> for Begin {
    fn from(error: ConnectError) -> Begin {
        Begin::Failed(error)
    }
}

#[async_trait]
impl Connector for SshAgent {
    fn name(&self) -> &str {
        self.connection.host().name()
    }

    async fn connect(&self) -> Result<AgentLink, ConnectError> {
        let binary = &*self.binary().await?;
        self.connection.open().await?;
        match self.begin(binary).await {
            Ok(link) => return Ok(link),
            Err(Begin::Failed(error)) => return Err(error),
            Err(Begin::Missing) => {}
        }
        upload::bring(&self.connection, binary, |script| self.client(script)).await?;
        match self.begin(binary).await {
            Ok(link) => Ok(link),
            Err(Begin::Failed(error)) => Err(error),
            Err(Begin::Missing) => Err(LinkError::Ended.into()),
        }
    }

    async fn forward(&self, way: &HostForward) -> Result<(), ConnectError> {
        forward(&self.connection, way).await
    }

    async fn forward_no_more(&self, way: &HostForward) -> Result<(), ConnectError> {
        forward_no_more(&self.connection, way).await
    }

    async fn give_up(&self) {
        give_up(&self.connection).await;
    }
}

/// Has a connection carry others.
pub(super) async fn forward(
    connection: &SshConnection,
    way: &HostForward,
) -> Result<(), ConnectError> {
    let (direction, forward) = spelled(way)?;
    Ok(connection.forward(direction, &forward).await?)
}

/// Has it carry them no more.
pub(super) async fn forward_no_more(
    connection: &SshConnection,
    way: &HostForward,
) -> Result<(), ConnectError> {
    let (direction, forward) = spelled(way)?;
    Ok(connection.cancel(direction, &forward).await?)
}

/// Closes a connection that may be as dead as what went over it, and would hold the next one up. What hangs is left behind.
pub(super) async fn give_up(connection: &SshConnection) {
    let closed = async { drop(connection.close().await) };
    let late = async {
        async_io::Timer::after(CLOSE_PATIENCE).await;
    };
    closed.or(late).await;
}

/// In the words of the client.
fn spelled(way: &HostForward) -> Result<(Direction, SshForward), ConnectError> {
    let (direction, listen, target) = match way {
        HostForward::ToThere { listen, target } => (Direction::Local, listen, target),
        HostForward::FromThere { listen, target } => (Direction::Remote, listen, target),
    };
    let forward = SshForward::new(*listen, target.ip().to_string(), target.port());
    Ok((direction, forward.map_err(SshError::from)?))
}

/// The exit code that says that there is no program.
const MISSING: i32 = 127;

/// The client asks its own other process, on this machine.
const CLOSE_PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);
