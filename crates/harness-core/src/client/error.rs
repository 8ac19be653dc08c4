//! What can go wrong between a client and its daemon, with the exit codes that programs give up with.

use std::path::PathBuf;
use std::sync::Arc;

use harness_wire::{CallError, LinkError, PkiError, SubscriptionError, VersionRange};

use super::LaunchError;
use crate::files::EndpointError;
use crate::protocol::ApiError;

/// Why there is no connection to a daemon.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// No daemon runs.
    #[error("no daemon is running (state directory {})", state.display())]
    NotRunning {
        /// Whose daemon.
        state: PathBuf,
    },
    /// A daemon owns the state directory but does not answer (yet).
    #[error("the daemon of {} does not answer", state.display())]
    NoAnswer {
        /// Whose daemon.
        state: PathBuf,
        /// What was tried last; `None` when it does not say where it listens.
        #[source]
        source: Option<Box<harness_wire::ConnectError>>,
    },
    /// The daemon and this client do not accept each other's certificates.
    #[error("the daemon at {address} refused this client, or this client the daemon")]
    Refused {
        /// Where it listens.
        address: String,
        /// Who objects, and to what.
        #[source]
        source: Box<harness_wire::ConnectError>,
    },
    /// This client's certificates cannot be used.
    #[error("the certificates of this client cannot be used")]
    Certificates(#[source] PkiError),
    /// The daemon speaks another protocol.
    #[error(
        "the daemon at {address} speaks protocol version {theirs}, this program {ours}: end it by `daemon stop --keep` of its own version, or by `kill -9`; services go on either way"
    )]
    Version {
        /// Where it listens.
        address: String,
        /// What this program speaks.
        ours: VersionRange,
        /// What the daemon speaks.
        theirs: VersionRange,
    },
    /// The state directory cannot be read, or what it says of the daemon.
    #[error("cannot find out where the daemon is")]
    Unreadable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl ConnectError {
    /// What a program that gives up over it exits with: 5 when there is no daemon to talk to, 6 when there is one that
    /// does not let us.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NotRunning { .. }
            | Self::NoAnswer { .. }
            | Self::Version { .. }
            | Self::Unreadable(_) => 5,
            Self::Refused { .. } | Self::Certificates(_) => 6,
        }
    }

    /// Whether a daemon may be started to repair it.
    pub fn is_not_running(&self) -> bool {
        matches!(self, Self::NotRunning { .. })
    }

    /// Whether there is no daemon to speak to at this moment, so that the next moment may bring one.
    pub(super) fn is_absence(&self) -> bool {
        self.is_not_running() || self.is_passing()
    }

    /// Whether the daemon is on its way in or out: its directory is owned, and nobody is there who could be spoken to.
    /// One that was killed a moment ago has connections broken before the system lets go of its locks.
    pub(super) fn is_passing(&self) -> bool {
        use harness_wire::ConnectError as Wire;
        let Self::NoAnswer { source, .. } = self else {
            return false;
        };
        let error = source.as_deref();
        error.is_none_or(|error| matches!(error, Wire::Unreachable { .. } | Wire::Lost { .. }))
    }
}

impl From<EndpointError> for ConnectError {
    fn from(error: EndpointError) -> Self {
        Self::Unreadable(Box::new(error))
    }
}

/// Why a call brought no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// There is no daemon to ask.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The daemon was killed, and the next one did not come up.
    #[error(transparent)]
    Launch(Box<LaunchError>),
    /// The daemon refused, or failed.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The connection ended before the answer came. Whether the daemon acted is unknown.
    #[error("the connection to the daemon was lost during `{method}`")]
    Lost {
        /// What was called.
        method: String,
        /// How it ended.
        #[source]
        end: Arc<LinkError>,
    },
    /// The two sides do not understand each other.
    #[error("the daemon's answer to `{method}` cannot be read")]
    Unreadable {
        /// What was called.
        method: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// The parameters cannot be sent; nothing was.
    #[error("`{method}` cannot be sent: {reason}")]
    Unsendable {
        /// What was called.
        method: String,
        /// Why.
        reason: String,
    },
}

impl ClientError {
    /// What a program that gives up over it exits with.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Connect(error) => error.exit_code(),
            Self::Launch(error) => error.exit_code(),
            Self::Api(error) => error.exit_code,
            Self::Lost { .. } => 5,
            Self::Unreadable { .. } => 70,
            // A stack too large for one message is the user's to change.
            Self::Unsendable { .. } => 78,
        }
    }

    /// The daemon's refusal, when it is one.
    pub fn as_api(&self) -> Option<&ApiError> {
        match self {
            Self::Api(error) => Some(error),
            Self::Connect(_)
            | Self::Launch(_)
            | Self::Lost { .. }
            | Self::Unreadable { .. }
            | Self::Unsendable { .. } => None,
        }
    }

    pub(super) fn of_call(error: CallError, method: &str) -> Self {
        let method = method.to_owned();
        match error {
            CallError::Remote { error, .. } => Self::Api(error.into()),
            CallError::Lost { end, .. } => Self::Lost { method, end },
            CallError::Unreadable { source, .. } => Self::Unreadable { method, source },
            CallError::Unsendable { reason, .. } => Self::Unsendable { method, reason },
            // The library's enum, open to more: whatever else there may be, nothing came back.
            _ => Self::Lost {
                method,
                end: Arc::new(LinkError::Abandoned),
            },
        }
    }

    pub(super) fn of_subscription(error: SubscriptionError, method: &str) -> Self {
        let method = method.to_owned();
        match error {
            SubscriptionError::Remote { error, .. } => Self::Api(error.into()),
            SubscriptionError::Lost { end, .. } => Self::Lost { method, end },
            SubscriptionError::Unreadable { source, .. } => Self::Unreadable { method, source },
            _ => Self::Lost {
                method,
                end: Arc::new(LinkError::Abandoned),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no_answer(source: Option<harness_wire::ConnectError>) -> ConnectError {
        ConnectError::NoAnswer {
            state: PathBuf::from("/state"),
            source: source.map(Box::new),
        }
    }

    #[test]
    fn only_a_daemon_that_nobody_can_speak_to_is_passing() {
        let address = "127.0.0.1:1".to_owned();
        let refused = harness_wire::ConnectError::Unreachable {
            address: address.clone(),
            source: std::io::ErrorKind::ConnectionRefused.into(),
        };
        assert!(no_answer(None).is_passing());
        assert!(no_answer(Some(refused)).is_passing());
        let wrong = harness_wire::ConnectError::Address { address };
        assert!(!no_answer(Some(wrong)).is_passing());
        let state = PathBuf::from("/state");
        assert!(!ConnectError::NotRunning { state }.is_passing());
    }
}
