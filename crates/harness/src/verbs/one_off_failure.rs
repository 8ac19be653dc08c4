//! Why a one-off run did not end well.
//!
//! Owns: the words, the exit codes and the hints.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use super::exec_failure::ExecFailure;

/// Why `run UNIT CMD` did not end well.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OneOffFailure {
    /// Engines and the daemon take text only.
    #[error("`{}` is no text", word.to_string_lossy())]
    NotText { word: OsString },
    /// The daemon has made the container, and it is not on the engine that answers here.
    #[error("the container of the run is not on the engine at {engine}")]
    NotThere { engine: String },
    /// What is to be run cannot be read.
    #[error("cannot read what is to be run in {}", file.display())]
    Unreadable {
        file: PathBuf,
        #[source]
        source: io::Error,
    },
    /// This program could not become the other one.
    #[error("cannot run `{}`", program.display())]
    Program {
        program: PathBuf,
        #[source]
        source: io::Error,
    },
    /// As for any command that is run by the engine's command line.
    #[error(transparent)]
    Engine(#[from] ExecFailure),
    /// The command has ended so, and has said why itself.
    #[error("it ended with exit code {0}")]
    Ended(u8),
}

impl OneOffFailure {
    /// What the program exits with.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::NotText { .. } => 2,
            Self::NotThere { .. } | Self::Unreadable { .. } | Self::Engine(_) => COULD_NOT_RUN,
            Self::Program { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => 127,
                _ => 126,
            },
            Self::Ended(code) => *code,
        }
    }

    /// What can be done about it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::NotThere { .. } => Some(
                "the daemon may use another engine: set DOCKER_HOST here as it was when the daemon was started"
                    .to_owned(),
            ),
            Self::Unreadable { .. } => {
                Some("only the user whose daemon it is can run a process so".to_owned())
            }
            Self::Engine(error) => error.hint(),
            Self::NotText { .. } | Self::Program { .. } | Self::Ended(_) => None,
        }
    }
}

const COULD_NOT_RUN: u8 = 125;
