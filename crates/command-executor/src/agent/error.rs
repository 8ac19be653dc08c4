//! What can go wrong between us and an agent.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use service_shim::agent::mux::Violation;
use service_shim::agent::protocol::Failure;

use crate::ssh::SshError;

/// Why a connection to an agent has ended, or never began.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// It ended: the agent has, or what carries it.
    #[error("the connection to the agent has ended")]
    Ended,
    /// Nobody answered for so long.
    #[error("no answer from the agent for {0:?}")]
    Silent(Duration),
    /// What carries it failed.
    #[error("the connection to the agent broke")]
    Broken(#[source] Arc<io::Error>),
    /// What answers is no agent, or one that is out of its mind.
    #[error("the agent cannot be understood")]
    Violation(#[from] Violation),
    /// It is of another version.
    #[error("the agent speaks version {theirs} of its protocol, and we speak {ours}")]
    Version {
        /// Its version.
        theirs: u32,
        /// Ours.
        ours: u32,
    },
    /// We have ended it.
    #[error("the connection to the agent was closed")]
    Closed,
}

/// Why a request was not carried out.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The host cannot be reached now. Of something that was asked before, nothing is known.
    #[error("{host} cannot be reached")]
    Unreachable {
        /// Which.
        host: String,
        /// Why, as far as that is known.
        #[source]
        source: Option<Arc<ConnectError>>,
    },
    /// The agent says why not.
    #[error(transparent)]
    Refused(Failure),
    /// The agent answered something that is no answer to what was asked.
    #[error("the agent of {host} gave no answer to what it was asked")]
    Senseless {
        /// Whose.
        host: String,
    },
}

/// Why a host is not connected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The way to it is closed.
    #[error(transparent)]
    Ssh(#[from] SshError),
    /// The agent did not begin, or was lost.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The agent's program cannot be started.
    #[error("cannot start {}", program.display())]
    Program {
        /// Which.
        program: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The shim's program cannot be brought there.
    #[error("cannot bring the program {} to the host: {said}", program.display())]
    Upload {
        /// Which.
        program: PathBuf,
        /// What went wrong there.
        said: String,
    },
    /// Our program does not run there.
    #[error("the host is {theirs}, and the program that is here is for {ours}")]
    Machine {
        /// `uname -sm` there.
        theirs: String,
        /// And here.
        ours: String,
    },
    /// There is no program that could be brought there.
    #[error("there is no program `harness-shim` here that could be brought to the host")]
    NoShim,
    /// The sh runner cannot serve there either.
    #[error("the sh runner cannot serve there: {said}")]
    Runner {
        /// What it lacks.
        said: String,
    },
    /// It took too long.
    #[error("not connected within {0:?}")]
    Late(Duration),
    /// Such a connection carries nothing for others.
    #[error("nothing can be carried over this connection")]
    NoForward,
    /// No attempt has been made yet, or one is being made.
    #[error("it is being connected")]
    Connecting,
}

impl ConnectError {
    /// Whether it may succeed later without anybody's doing.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Ssh(error) => error.is_unreachable(),
            Self::Link(LinkError::Version { .. }) | Self::Machine { .. } => false,
            Self::Link(_) | Self::Late(_) | Self::Connecting => true,
            Self::Program { .. }
            | Self::Upload { .. }
            | Self::Runner { .. }
            | Self::NoShim
            | Self::NoForward => false,
        }
    }

    /// What can be done about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Ssh(error) => error.hint(),
            Self::Machine { .. } => {
                Some("name a `harness-shim` that was built for that machine".to_owned())
            }
            Self::NoShim => Some("name it in HARNESS_SHIM".to_owned()),
            Self::Link(_)
            | Self::Program { .. }
            | Self::Upload { .. }
            | Self::Runner { .. }
            | Self::Late(_)
            | Self::NoForward
            | Self::Connecting => None,
        }
    }
}
