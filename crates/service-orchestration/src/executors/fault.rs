//! What can go wrong with an attempt.
//!
//! Owns: the errors of the contract, one enum per operation.

use crate::spec::{StackName, TargetKind, UnitId};

/// Why an attempt could not be launched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// The program is missing, or not executable.
    #[error("cannot run `{program}`: {reason}")]
    NotRunnable {
        /// The program.
        program: String,
        /// Why not.
        reason: String,
    },
    /// Its image is not there, and could not be built or fetched.
    #[error("no image for `{unit}`: {reason}")]
    NoImage {
        /// The unit.
        unit: String,
        /// What went wrong, at which step, and what was said last.
        reason: String,
    },
    /// The user or group is unknown, or we may not become it.
    #[error("cannot run `{program}` as asked: {reason}")]
    NotPermitted {
        /// The program.
        program: String,
        /// What is not permitted.
        reason: String,
    },
    /// A port that it publishes is taken by somebody else.
    #[error("cannot publish the ports of `{unit}`: {reason}")]
    PortTaken {
        /// The unit.
        unit: String,
        /// The port, at this machine.
        port: u16,
        /// Who has it, and what can be done.
        reason: String,
    },
    /// No way leads to what it needs, and none can be made.
    #[error("connections from {from} to {target} of {to} cannot be carried by SSH: {reason}")]
    NotCarried {
        /// Where it would run.
        from: String,
        /// Whose the address is.
        to: String,
        /// The address.
        target: std::net::SocketAddr,
        /// Why.
        reason: String,
    },
    /// The environment or an argument names a unit that has no address yet.
    #[error("`{reference}` has no value: {reason}")]
    Unresolved {
        /// As it stands in the file.
        reference: String,
        /// Why.
        reason: String,
    },
    /// No value of a secret is known: none was ever sent, or the definition that needs it came without it.
    #[error("the secret `{secret}` has no value here: `harness start` reads and sends it")]
    NoSecret {
        /// Its name.
        secret: String,
    },
    /// The service is described in a way that none can be.
    #[error("the service cannot be launched as it is described")]
    Config(#[from] crate::config::ConfigError),
    /// The target is not one that this executor runs.
    #[error("{executor} does not run targets of type `{target}`")]
    WrongTarget {
        /// The executor.
        executor: &'static str,
        /// The target's type.
        target: TargetKind,
    },
    /// No process to attach to, or more than one.
    #[error("{0}")]
    NoSuchProcess(String),
    /// Its output cannot be kept or read.
    #[error("the output of `{unit}` cannot be read")]
    Log {
        /// Whose.
        unit: String,
        /// Why.
        #[source]
        source: crate::logs::LogError,
    },
    /// Whoever is to run it gives no answer. Nothing of it runs; it may be asked for once more, as often as one likes.
    #[error("`{unit}` cannot be launched yet")]
    Unreachable {
        /// The unit.
        unit: String,
        /// Why there is no answer.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Nobody can say whether it runs: it must be treated as alive, and looked for.
    #[error("it is not known whether it was launched")]
    Unclear(#[source] AdoptError),
    /// The machine did not let us: no process, no descriptor, no room. It may work the next time.
    #[error("cannot launch `{program}`")]
    Machine {
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl LaunchError {
    /// Whether it will be the same the next time, whatever the attempt before was like.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::NotRunnable { .. }
            | Self::NoImage { .. }
            | Self::NotPermitted { .. }
            | Self::NoSecret { .. }
            | Self::Config(_)
            | Self::WrongTarget { .. } => true,
            Self::PortTaken { .. }
            | Self::Unresolved { .. }
            | Self::NoSuchProcess(_)
            | Self::Log { .. }
            | Self::Unclear(_)
            | Self::NotCarried { .. }
            | Self::Unreachable { .. }
            | Self::Machine { .. } => false,
        }
    }
}

/// Why an attempt could not be found again.
#[derive(Debug, thiserror::Error)]
#[error("cannot tell whether attempt {instance_id} of {unit} lives")]
pub struct AdoptError {
    /// Whose.
    pub unit: UnitId,
    /// Which.
    pub instance_id: String,
    /// Why.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// Why something that was kept for a stack is left.
#[derive(Debug, thiserror::Error)]
#[error("something is left of `{stack}`")]
pub struct LeftoverError {
    /// The stack.
    pub stack: StackName,
    /// Why.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// Why a one-off run could not be ended, or not be looked for.
#[derive(Debug, thiserror::Error)]
#[error("cannot see to one-off runs")]
pub struct OneOffError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Why an order to a running attempt failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// It is only observed: it is never signalled.
    #[error("it is only observed, and never signalled or stopped")]
    Attached,
    /// There is no way to send it one signal.
    #[error("targets of its type take no signals")]
    Unsignalled,
    /// There is no way to its standard input.
    #[error("it takes no input")]
    Unfed,
    /// It runs nowhere apart from this machine.
    #[error("commands are run inside of containers only")]
    NotInside,
    /// The order could not be given, or its outcome was not seen.
    #[error("the order did not reach it")]
    Unreached(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Whatever went wrong, for callers who only pass it on.
#[derive(Debug)]
pub(super) struct Failure(pub(super) Box<dyn std::error::Error + Send + Sync>);

impl<E: Into<Box<dyn std::error::Error + Send + Sync>>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}
