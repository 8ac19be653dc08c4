//! The places that can start a command.

use std::fmt::Debug;
use std::io;
use std::path::PathBuf;

use async_trait::async_trait;

use crate::event::ProcessEventStream;
use crate::{Command, LayerError, ProcessHandle, Target};

/// A place that starts commands and gives full control over them.
#[async_trait]
pub trait Launcher: Debug + Send + Sync {
    /// Control over what was launched.
    type Handle: ProcessHandle + 'static;

    /// Starts `command` as `target` says; returns once the program has been executed.
    ///
    /// The program's captured output comes through the stream, and only as fast as the stream is read.
    ///
    /// # Errors
    /// [`LaunchError`]; nothing runs then.
    ///
    /// # Cancellation
    /// Dropping the future ends what may have been started, as dropping the handle would.
    async fn launch(
        &self,
        target: &Target,
        command: Command,
    ) -> Result<(ProcessEventStream, Self::Handle), LaunchError>;
}

/// Why a command could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// The program is missing or not executable.
    #[error("cannot run `{program}`")]
    NotRunnable {
        /// The program as it was given.
        program: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The directory it should run in is missing or closed to us.
    #[error("cannot run `{program}` in {}", directory.display())]
    WorkingDirectory {
        /// The program as it was given.
        program: String,
        /// The directory as it was given.
        directory: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It was started, could not be held, and was killed again: out of descriptors, or a kernel without pidfd.
    #[error("cannot keep hold of `{program}`")]
    NotHeld {
        /// The program as it was given.
        program: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A layer could not express the command.
    #[error("cannot bring `{program}` to where it should run")]
    Layer {
        /// The program as it was given.
        program: String,
        /// The layer's complaint.
        #[source]
        source: LayerError,
    },
    /// This launcher does not launch such targets.
    #[error("{launcher} cannot launch {target:?}")]
    Unsupported {
        /// Which launcher.
        launcher: &'static str,
        /// What was asked.
        target: Box<Target>,
    },
}
