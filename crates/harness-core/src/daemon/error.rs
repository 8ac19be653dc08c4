//! Why a daemon did not come up, or could not go on.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use harness_wire::PkiError;
use service_orchestration::ManagerError;
use service_orchestration::store::StoreError;

use crate::dirs::DirsError;
use crate::files::{EndpointError, LockError};

/// Why a daemon did not come up, or could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DaemonError {
    /// Another daemon owns the state directory.
    #[error("a daemon is already running for {}{}", state.display(), holder_pid.map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    AlreadyRunning {
        /// The state directory.
        state: PathBuf,
        /// The other daemon, when it has said which process it is.
        holder_pid: Option<u32>,
    },
    /// There is no place for its files.
    #[error(transparent)]
    Dirs(#[from] DirsError),
    /// One of its files cannot be used.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// It cannot leave the terminal it was started from.
    #[error("cannot leave the terminal")]
    Detach(#[source] io::Error),
    /// Keys or certificates cannot be used.
    #[error("the keys and certificates cannot be used")]
    Certificates(#[from] PkiError),
    /// Other machines could reach the address, and nobody asked for that.
    #[error(
        "{address} can be reached from other machines: pass --allow-remote if that is meant (clients need a certificate in any case)"
    )]
    NotLoopback {
        /// The address.
        address: SocketAddr,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The supervisor did not come up.
    #[error("the services cannot be taken over")]
    Manager(#[source] ManagerError),
}

impl DaemonError {
    /// What a program that gives up over it exits with.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Certificates(_) | Self::NotLoopback { .. } => 6,
            Self::AlreadyRunning { .. }
            | Self::Dirs(_)
            | Self::File { .. }
            | Self::Detach(_)
            | Self::Listen { .. }
            | Self::Manager(_) => 1,
        }
    }

    pub(super) fn of_lock(error: LockError, state: PathBuf) -> Self {
        match error {
            LockError::Held { holder_pid } => Self::AlreadyRunning { state, holder_pid },
            LockError::Io { path, source } => Self::File {
                action: "lock",
                path,
                source,
            },
        }
    }

    pub(super) fn of_manager(error: ManagerError, state: PathBuf) -> Self {
        match error {
            ManagerError::Store(StoreError::Held { holder, .. }) => Self::AlreadyRunning {
                state,
                holder_pid: holder.parse().ok(),
            },
            error => Self::Manager(error),
        }
    }

    pub(super) fn of_endpoint(error: EndpointError) -> Self {
        match error {
            EndpointError::Io {
                action,
                path,
                source,
            } => Self::File {
                action,
                path,
                source,
            },
            EndpointError::Damaged { path, source } => Self::File {
                action: "read",
                path,
                source: source.into(),
            },
        }
    }
}
