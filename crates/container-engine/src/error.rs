//! What can go wrong when an engine is asked for something.
//!
//! Owns: the words, and which errors mean that nothing is known. Never holds the value of an environment variable.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use harness_http::{HttpError, StatusCode};

use crate::id::ContainerId;

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Object {
    /// The engine itself, or a list of what it has.
    Engine,
    /// A container.
    Container(ContainerId),
    /// An image, by name or id.
    Image(String),
    /// A network, by name or id.
    Network(String),
    /// A volume, by name.
    Volume(String),
    /// A program that was run inside a container, by the id of that run.
    Exec(String),
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Engine => f.write_str("the engine"),
            Self::Container(id) => write!(f, "container `{id}`"),
            Self::Image(name) => write!(f, "image `{name}`"),
            Self::Network(name) => write!(f, "network `{name}`"),
            Self::Volume(name) => write!(f, "volume `{name}`"),
            Self::Exec(id) => write!(f, "exec `{id}`"),
        }
    }
}

/// Why an engine did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// No engine is configured, and none of the usual sockets is there. Nothing was asked.
    #[error(
        "no container engine found at {}: start docker or podman, or set DOCKER_HOST=unix:///path/of/its.sock", Paths(.tried)
    )]
    NoEngine {
        /// Where one was looked for, in order.
        tried: Vec<PathBuf>,
    },
    /// The address of the engine cannot be used. It has to be changed where `origin` says.
    #[error("cannot use the engine address `{address}` of {origin}: {reason}")]
    Address {
        /// The address, without user and password.
        address: String,
        /// What named it.
        origin: String,
        /// What is wrong, and what would do.
        reason: &'static str,
    },
    /// The docker context that is chosen cannot be read. Choose another by `docker context use`, or set DOCKER_HOST.
    #[error(
        "cannot use docker context `{context}` of {origin}: {reason}; choose another with `docker context use`, or set DOCKER_HOST"
    )]
    Context {
        /// Its name.
        context: String,
        /// What chose it.
        origin: String,
        /// What is wrong.
        reason: String,
    },
    /// Nobody answers at the engine's address. Nothing was done; try again when it is back.
    #[error("cannot reach the container engine at {address}: {hint}")]
    Unreachable {
        /// Where.
        address: String,
        /// What to do.
        hint: &'static str,
        /// What the system said.
        #[source]
        source: Box<HttpError>,
    },
    /// The engine went away before it had answered. Whether it did what it was asked for is unknown: ask again.
    #[error(
        "lost the container engine at {address} while it was asked about {object}; what it did is unknown until it is asked again"
    )]
    Lost {
        /// Where.
        address: String,
        /// What the request was about.
        object: Object,
        /// How the connection ended.
        #[source]
        source: Box<HttpError>,
    },
    /// The engine was too slow. Whether it did what it was asked for is unknown: ask again.
    #[error(
        "the container engine did not answer about {object} within {within:?}; look at the engine's own log"
    )]
    TimedOut {
        /// What the request was about.
        object: Object,
        /// The bound.
        within: Duration,
    },
    /// What answers is no engine of the kind that this library speaks with, or sends more than is sensible.
    #[error("the answer of {address} about {object} cannot be used: {reason}")]
    Malformed {
        /// Where.
        address: String,
        /// What the request was about.
        object: Object,
        /// What is wrong with it.
        reason: String,
    },
    /// The engine has no such thing.
    #[error("the engine has no {object}")]
    NotFound {
        /// What was looked for.
        object: Object,
    },
    /// The image is not on the engine. Pull or build it.
    #[error("image `{image}` is not on the engine: pull or build it first")]
    NoSuchImage {
        /// Its name.
        image: String,
    },
    /// Something else bears the name. Remove or rename that, or choose another name.
    #[error("the name of {object} is taken{}: remove or rename that, or choose another name", By(.by))]
    NameTaken {
        /// What was to get the name.
        object: Object,
        /// The id of what bears it, where the engine tells.
        by: Option<String>,
    },
    /// A host port that was to be published is in use. Free it or choose another.
    #[error("{object} cannot be published{}: {message}", AtPort(.port))]
    PortTaken {
        /// The container.
        object: Object,
        /// The port, where the engine tells.
        port: Option<u16>,
        /// The engine's words.
        message: String,
    },
    /// The container's command is not in its image, or cannot be executed. Change the command, or the image.
    #[error("the command of {object} cannot be run inside its image: {message}")]
    NotRunnable {
        /// The container or exec.
        object: Object,
        /// The engine's words.
        message: String,
    },
    /// The container does not run, so that there is nothing to signal or to run in.
    #[error("{object} is not running")]
    NotRunning {
        /// The container.
        object: Object,
    },
    /// The container is being removed already. It will be gone soon.
    #[error("{object} is being removed already")]
    BeingRemoved {
        /// The container.
        object: Object,
    },
    /// Something still uses it. Remove the users first.
    #[error("{object} is in use: {message}")]
    InUse {
        /// The network or volume.
        object: Object,
        /// The engine's words.
        message: String,
    },
    /// The state of the thing does not allow it.
    #[error("{object} is in a state that does not allow it: {message}")]
    Conflict {
        /// What the request was about.
        object: Object,
        /// The engine's words.
        message: String,
    },
    /// The engine refuses for another reason.
    #[error("the engine refuses about {object} ({status}): {message}")]
    Refused {
        /// What the request was about.
        object: Object,
        /// The status of its answer.
        status: StatusCode,
        /// The engine's words.
        message: String,
    },
}

impl EngineError {
    /// Whether the engine gave no answer, so that this says nothing about the container: not reached, lost, or too slow.
    #[must_use]
    pub fn is_no_answer(&self) -> bool {
        matches!(
            self,
            Self::NoEngine { .. }
                | Self::Unreachable { .. }
                | Self::Lost { .. }
                | Self::TimedOut { .. }
        )
    }

    /// Whether the engine says that what was asked about does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. } | Self::NoSuchImage { .. })
    }

    /// The same with another wording of what the engine said.
    pub(crate) fn with_message(mut self, word: impl Fn(String) -> String) -> Self {
        if let Self::PortTaken { message, .. }
        | Self::NotRunnable { message, .. }
        | Self::InUse { message, .. }
        | Self::Conflict { message, .. }
        | Self::Refused { message, .. } = &mut self
        {
            *message = word(std::mem::take(message));
        }
        self
    }
}

struct Paths<'a>(&'a [PathBuf]);

impl fmt::Display for Paths<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, path) in self.0.iter().enumerate() {
            let separator = if number == 0 { "" } else { ", " };
            write!(f, "{separator}{}", path.display())?;
        }
        Ok(())
    }
}

struct By<'a>(&'a Option<String>);

impl fmt::Display for By<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |by| write!(f, " by `{by}`"))
    }
}

struct AtPort<'a>(&'a Option<u16>);

impl fmt::Display for AtPort<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |port| {
            write!(f, " at host port {port}, which is in use")
        })
    }
}
