//! The places where a running process can be observed.
//!
//! Invariant: nothing reached through this module ever signals or changes the process it observes.

use std::fmt::{self, Debug};
use std::io;

use async_trait::async_trait;

use crate::event::ProcessEventStream;
use crate::{Exit, ProcessIdentity, Target, WaitError};

/// A place where running processes can be observed.
#[async_trait]
pub trait Attacher: Debug + Send + Sync {
    /// The observer of one process.
    type Handle: AttachedHandle + 'static;

    /// Finds the process `target` names and observes it from now on.
    ///
    /// The stream tells that it was attached (`System`) and its end (`Exit`).
    ///
    /// # Errors
    /// [`AttachError`] when there is no such process, or more than one.
    async fn attach(
        &self,
        target: &Target,
    ) -> Result<(ProcessEventStream, Self::Handle), AttachError>;
}

/// Sight of a process that somebody else started.
#[async_trait]
pub trait AttachedHandle: Debug + Send + Sync {
    /// Which process it is; enough to attach to the very same one later.
    fn identity(&self) -> &ProcessIdentity;

    /// Whether it runs now.
    ///
    /// # Errors
    /// [`WaitError`] when the operating system refuses to tell.
    async fn status(&self) -> Result<AttachedStatus, WaitError>;

    /// Waits for its end. Its exit code is usually known to its parent alone: [`Exit::Unknown`].
    ///
    /// # Errors
    /// [`WaitError`] when the operating system refuses to tell.
    ///
    /// # Cancellation
    /// Dropping the future loses nothing; call again.
    async fn wait(&self) -> Result<Exit, WaitError>;
}

/// What is known of an attached process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttachedStatus {
    /// It runs.
    Running,
    /// It has ended.
    Ended(Exit),
}

/// One of several processes of the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessMatch {
    /// Its PID.
    pub pid: u32,
    /// Its command line, shortened.
    pub command: String,
}

impl fmt::Display for ProcessMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.pid, self.command)
    }
}

/// Why a process could not be attached to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// No process has this PID.
    #[error("no process has the PID {pid}")]
    NoSuchProcess {
        /// The PID asked for.
        pid: u32,
    },
    /// No process has this name.
    #[error("no process is named `{name}`")]
    NoSuchName {
        /// The name asked for.
        name: String,
    },
    /// Several processes have this name; attach by PID instead.
    #[error("`{name}` names {} processes: {}", matches.len(), list(matches))]
    Ambiguous {
        /// The name asked for.
        name: String,
        /// All that have it, by ascending PID.
        matches: Vec<ProcessMatch>,
    },
    /// The process that was identified has ended; another one may have its PID now.
    #[error("process {} started at tick {} has ended", identity.pid, identity.start_ticks)]
    Ended {
        /// The process asked for.
        identity: Box<ProcessIdentity>,
    },
    /// The process exists but could not be identified.
    #[error("cannot identify process {pid}")]
    Unidentified {
        /// The PID found.
        pid: u32,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The list of processes could not be read.
    #[error("cannot list the processes of this host")]
    NoList {
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// This attacher does not observe such targets.
    #[error("{attacher} cannot attach to {target:?}")]
    Unsupported {
        /// Which attacher.
        attacher: &'static str,
        /// What was asked.
        target: Box<Target>,
    },
}

fn list(matches: &[ProcessMatch]) -> String {
    let shown: Vec<String> = matches.iter().map(ToString::to_string).collect();
    shown.join(", ")
}
