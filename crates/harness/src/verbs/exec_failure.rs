//! Why a command was not run in a container.
//!
//! Owns: the words, the exit codes and the hints.

use std::io;

use command_executor::{LaunchError, LayerError, WaitError};
use container_engine::EngineError;

/// Why `exec` did not end well.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExecFailure {
    /// There is no inside.
    #[error("`{unit}` does not run in a container: its target is {target}")]
    NotAContainer { unit: String, target: String },
    /// On hosts the login is the user.
    #[error("`{unit}` runs on another host, where commands are run as who logs in")]
    NotThatUser { unit: String },
    /// There is no container, or it has ended.
    #[error("`{unit}` does not run")]
    NotRunning { unit: String },
    /// The daemon says that it runs, and the engine does not know it.
    #[error("the container of `{unit}` is not on the engine at {engine}")]
    NotThere { unit: String, engine: String },
    /// A variable that shall be passed on, and is not there.
    #[error("the variable `{name}` is not set here")]
    NoSuchVariable { name: String },
    /// The engine does not answer, or there is none.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The engine's command line could not be run.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// Its end could not be awaited.
    #[error(transparent)]
    Wait(#[from] WaitError),
    /// Signals cannot be listened to.
    #[error("cannot listen to signals")]
    Signals(#[source] io::Error),
    /// The command has ended so, and has said why itself.
    #[error("it ended with exit code {0}")]
    Ended(u8),
}

impl ExecFailure {
    /// What the program exits with.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::NotAContainer { .. } | Self::NotThatUser { .. } | Self::NoSuchVariable { .. } => {
                2
            }
            Self::Launch(LaunchError::Layer { .. }) => 2,
            Self::NotRunning { .. }
            | Self::NotThere { .. }
            | Self::Engine(_)
            | Self::Launch(_)
            | Self::Wait(_)
            | Self::Signals(_) => 1,
            Self::Ended(code) => *code,
        }
    }

    /// What can be done about it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::NotAContainer { .. } => Some(
                "a process has no inside: run the command in a shell, or as a task with `harness run`"
                    .to_owned(),
            ),
            Self::NotRunning { unit } => Some(format!("`harness start {unit}`, `harness why {unit}`")),
            Self::NotThere { .. } => Some(
                "the daemon may use another engine: set DOCKER_HOST here as it was when the daemon was started"
                    .to_owned(),
            ),
            Self::NoSuchVariable { name } => Some(format!("`-e {name}=VALUE` sets it")),
            Self::Launch(LaunchError::NotRunnable { program, .. }) => {
                Some(format!("exec uses the command line of the engine: install {program}"))
            }
            Self::Launch(LaunchError::Layer {
                source: LayerError::Inexpressible { part, .. },
                ..
            }) if part.starts_with("the variable") => {
                Some("`-- env NAME=VALUE CMD` sets it inside".to_owned())
            }
            Self::NotThatUser { .. } => {
                Some("`harness host add --user` names another".to_owned())
            }
            Self::Engine(_) | Self::Launch(_) | Self::Wait(_) | Self::Signals(_) => None,
            Self::Ended(_) => None,
        }
    }
}
