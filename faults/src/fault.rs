//! Why a row of the matrix does not hold.
//!
//! Owns: the one error type of this program. A fault names what was tried or promised and what was found instead.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a row does not hold, or could not be tried.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// A promise is broken.
    #[error("{promise}; found: {found}")]
    Broken { promise: String, found: String },
    /// Something that had to happen did not, in time.
    #[error("not within {waited:?}: {what}; last: {last}")]
    Late {
        what: String,
        waited: Duration,
        last: String,
    },
    /// A program that must succeed did not.
    #[error("`{line}` ended with {code}: {said}")]
    Ended {
        line: String,
        code: i32,
        said: String,
    },
    /// A program, or a right, that the row needs is not there. Never a reason to skip it.
    #[error("needs {what}: {advice}")]
    Missing { what: String, advice: &'static str },
    /// The machine refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// What a program printed cannot be read.
    #[error("cannot read {what}: {text}")]
    Unreadable { what: &'static str, text: String },
    /// The same, with where it happened.
    #[error("{place}: {fault}")]
    At { place: String, fault: Box<Fault> },
}

impl Fault {
    /// A promise that does not hold.
    pub(crate) fn broken(promise: impl Into<String>, found: impl Into<String>) -> Self {
        Self::Broken {
            promise: promise.into(),
            found: found.into(),
        }
    }

    /// For `map_err` on what touches a file.
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }

    /// The same fault, with where it happened in front.
    pub(crate) fn at(self, place: impl Into<String>) -> Self {
        Self::At {
            place: place.into(),
            fault: Box::new(self),
        }
    }
}

/// Says no unless the promise holds.
pub(crate) fn promise(
    holds: bool,
    promise: &str,
    found: impl FnOnce() -> String,
) -> Result<(), Fault> {
    if holds {
        Ok(())
    } else {
        Err(Fault::broken(promise, found()))
    }
}
