//! Why a benchmark could not be carried out.

use std::io;
use std::process::Output;
use std::time::Duration;

/// Why a benchmark could not be carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The machine refused something that the benchmark needs.
    #[error("cannot {attempt}: {source}")]
    Io {
        /// What was tried, on what.
        attempt: String,
        /// What the system said.
        source: io::Error,
    },
    /// A contender's command failed.
    #[error("`{line}` failed: {said}")]
    Command {
        /// The command.
        line: String,
        /// Its exit and what it wrote to standard error.
        said: String,
    },
    /// What should have happened did not.
    #[error("no {awaited} within {waited:?}")]
    Late {
        /// What was waited for.
        awaited: String,
        /// How long.
        waited: Duration,
    },
    /// A contender did something else than it should.
    #[error("{0}")]
    Wrong(String),
}

impl Failure {
    /// Says what was tried when the system refused it.
    pub fn io(attempt: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let attempt = attempt.into();
        move |source| Self::Io { attempt, source }
    }

    /// A command that ended without success.
    #[must_use]
    pub fn of_output(line: &str, output: &Output) -> Self {
        let said = String::from_utf8_lossy(&output.stderr);
        Self::Command {
            line: line.to_owned(),
            said: format!("{}: {}", output.status, said.trim_end()),
        }
    }
}
