//! Why `registry` and `resolve` did not do what was asked.
//!
//! Owns: the words and the exit codes.

use harness_core::client::RegistrationError;
use harness_core::protocol::RegistryNameError;

/// Why something was not registered or found.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegistryFailure {
    /// The name is none.
    #[error(transparent)]
    Name(#[from] RegistryNameError),
    /// It could not be registered, or is not any longer.
    #[error(transparent)]
    Registration(#[from] RegistrationError),
    /// What was to run while it is registered did not start.
    #[error("cannot run `{program}`")]
    Command {
        program: String,
        #[source]
        source: std::io::Error,
    },
}

impl RegistryFailure {
    /// What the program exits with.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Name(_) => 2,
            Self::Registration(RegistrationError::Client(error)) => error.exit_code(),
            Self::Registration(_) => 1,
            Self::Command { source, .. } if source.kind() == std::io::ErrorKind::NotFound => 127,
            Self::Command { .. } => 126,
        }
    }
}
