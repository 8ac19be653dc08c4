//! What can go wrong between a program and the shim of an attempt.

use std::io;
use std::path::PathBuf;

use service_shim::{ExitRecord, StartFailureKind};

use crate::agent::RequestError;

/// Why an attempt was not launched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// The run directory cannot be made: it exists already, or there is no room or permission.
    #[error("cannot make the run directory {}", path.display())]
    RunDirectory {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The shim itself cannot be started.
    #[error("cannot start the shim {}", program.display())]
    Shim {
        /// Its program.
        program: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The host cannot be reached. Nothing was asked of it.
    #[error(transparent)]
    Unreachable(RequestError),
    /// The shim has not started the service, and says why. Nothing runs.
    #[error("{message}")]
    Refused {
        /// What a caller can do differently.
        kind: StartFailureKind,
        /// What was tried, and what the system said.
        message: String,
    },
    /// The shim died while starting. The service was not started, or ended before anybody could look.
    #[error("the shim died while starting the service")]
    ShimDied {
        /// What was found out about the service.
        exit: Box<ExitRecord>,
    },
    /// The shim died while starting, or the connection to its host was lost, and whether the service runs is not known: adopt
    /// its run directory later.
    #[error("the way to the service was lost while it was starting")]
    Unclear(#[source] AdoptError),
}

/// Why it is not known what became of an attempt. It must be counted as alive.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdoptError {
    /// Its run directory cannot be read.
    #[error("cannot read the run directory {}", path.display())]
    RunDirectory {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Its host cannot be reached, or does not tell.
    #[error(transparent)]
    Host(#[from] RequestError),
    /// A shim to take it over cannot be started.
    #[error("cannot start the shim {}", program.display())]
    Shim {
        /// Its program.
        program: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The shim cannot take it over, and says why.
    #[error("{message}")]
    Refused {
        /// What it said.
        message: String,
    },
    /// Somebody serves it and does not answer.
    #[error("the shim in {} does not answer", path.display())]
    Silent {
        /// Its run directory.
        path: PathBuf,
    },
}

/// Why run directories were not looked at, or not removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShoreError {
    /// What the system said, here.
    #[error("cannot use the run directory {}", path.display())]
    Local {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// What came of it on another host.
    #[error(transparent)]
    Host(#[from] RequestError),
}

/// Why a request to a shim was not carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The attempt is over.
    #[error("the process has ended")]
    Ended(Box<ExitRecord>),
    /// The shim is gone, and no other could take over.
    #[error("cannot reach the process")]
    Unreachable(#[source] AdoptError),
    /// The connection broke; the request may or may not have been carried out.
    #[error("the connection to the shim broke")]
    Broken(#[source] io::Error),
    /// The shim does not answer; the request may yet be carried out.
    #[error("the shim does not answer")]
    Silent,
    /// The shim says why not.
    #[error("{message}")]
    Refused {
        /// What it said.
        message: String,
    },
}
