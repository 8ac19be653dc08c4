//! The contract every executor keeps.
//!
//! Owns: what is ordered, what is reported, and how a running attempt is controlled. Runs nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use async_trait::async_trait;
use command_executor::event::ProcessEventStream;
use serde::{Deserialize, Serialize};
use service_shim::LogTotal;

use super::RunningService;
use crate::config::ServiceConfig;
use crate::report::ExitInfo;
use crate::spec::{Log, Stop, StopScope, TargetKind, TargetSpec, UnitId};

/// One attempt to be launched, everything in it resolved.
#[derive(Clone)]
pub struct LaunchOrder {
    /// Of which unit.
    pub unit: UnitId,
    /// Which run of it.
    pub attempt: u64,
    /// The identity of this run: 12 hexadecimal digits, in no other run of any unit.
    pub instance_id: String,
    /// Where it runs; every template in it is a literal.
    pub target: TargetSpec,
    /// Program and arguments, resolved; empty where the target has none.
    pub command: Vec<String>,
    /// Its whole environment.
    pub env: BTreeMap<String, String>,
    /// Its working directory.
    pub working_dir: PathBuf,
    /// What happens to its output.
    pub log: Log,
    /// Where its output is kept.
    pub log_dir: PathBuf,
    /// The caps that its output shares with that of others.
    pub log_totals: Vec<LogTotal>,
    /// How it will be stopped, should nobody say otherwise.
    pub stop: Stop,
    /// Whether it tells its readiness by the sd_notify protocol.
    pub notify: bool,
}

/// Without the environment, which may hold secrets.
impl fmt::Debug for LaunchOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LaunchOrder")
            .field("unit", &self.unit)
            .field("attempt", &self.attempt)
            .field("instance_id", &self.instance_id)
            .field("target", &self.target.kind())
            .finish_non_exhaustive()
    }
}

/// Enough to find an attempt again after a restart of the daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// Whose.
    pub unit: UnitId,
    /// Which run.
    pub attempt: u64,
    /// Its identity.
    pub instance_id: String,
    /// What the executor added in [`AttemptFacts::ticket`].
    pub details: Option<serde_json::Value>,
}

/// What is known of an attempt once it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttemptFacts {
    /// The process of the service itself.
    pub pid: Option<u32>,
    /// The container, when it is one.
    pub container_id: Option<String>,
    /// What must be kept to find it again, beyond its identity.
    pub ticket: Option<serde_json::Value>,
}

/// What happens to a running attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptEvent {
    /// It said something by the sd_notify protocol.
    Notified {
        /// `READY=1`.
        ready: bool,
        /// `STATUS=…`.
        status: Option<String>,
    },
    /// It ended, and no process of it is left.
    Exited(ExitInfo),
}

/// An attempt that runs. Dropping it lets go of it: it runs on.
#[async_trait]
pub trait RunningAttempt: Send {
    /// What is known of it.
    fn facts(&self) -> AttemptFacts;

    /// The handle by which it is controlled.
    fn control(&self) -> std::sync::Arc<dyn AttemptControl>;

    /// What happens next. After `Exited` nothing does.
    ///
    /// # Cancellation
    /// Dropping the future loses no event.
    async fn next(&mut self) -> AttemptEvent;
}

/// How a running attempt is controlled.
#[async_trait]
pub trait AttemptControl: Send + Sync + fmt::Debug {
    /// Asks it to end, then insists; the end is told by [`AttemptEvent::Exited`].
    ///
    /// # Errors
    /// [`ControlError`] when the order could not be given: the attempt must be treated as alive.
    async fn stop(&self, stop: &StopOrder) -> Result<(), ControlError>;

    /// Ends all of it by force; the end is told by [`AttemptEvent::Exited`].
    ///
    /// # Errors
    /// As [`AttemptControl::stop`].
    async fn kill(&self) -> Result<(), ControlError>;

    /// Sends one signal to its main process, and nothing else.
    ///
    /// # Errors
    /// [`ControlError::Unsignalled`] where the target knows no signals; else as [`AttemptControl::stop`].
    async fn signal(&self, _number: i32) -> Result<(), ControlError> {
        Err(ControlError::Unsignalled)
    }
}

/// How to ask an attempt to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopOrder {
    /// The signal's number; `None`: something else asks it to end, and only the time counts.
    pub signal: Option<i32>,
    /// How long it may take.
    pub grace: std::time::Duration,
    /// Whom the signal goes to.
    pub scope: StopScope,
}

/// What became of an attempt while no daemon watched.
pub enum Adoption {
    /// It runs.
    Alive(Box<dyn RunningAttempt>),
    /// It ended. `exit_unknown` when nobody saw how; so too when it never came to run.
    Ended(ExitInfo),
}

impl fmt::Debug for Adoption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alive(_) => f.write_str("Alive"),
            Self::Ended(exit) => f.debug_tuple("Ended").field(exit).finish(),
        }
    }
}

/// Runs attempts of one type of target.
#[async_trait]
pub trait ServiceExecutor: Send + Sync + fmt::Debug {
    /// The type of target it runs.
    fn kind(&self) -> TargetKind;

    /// Launches one attempt.
    ///
    /// # Errors
    /// [`LaunchError`]; no process of the attempt exists then, unless it says otherwise.
    ///
    /// # Cancellation
    /// Dropping the future may leave a running attempt that [`ServiceExecutor::adopt`] finds.
    async fn launch(&self, order: LaunchOrder) -> Result<Box<dyn RunningAttempt>, LaunchError>;

    /// Finds an attempt again that an earlier daemon launched.
    ///
    /// # Errors
    /// [`AdoptError`] when nobody can say whether it lives: it must be treated as alive.
    async fn adopt(&self, ticket: Ticket) -> Result<Adoption, AdoptError>;

    /// Forgets what is kept of an attempt that has ended and whose end was recorded. Finding nothing is no error.
    async fn forget(&self, instance_id: &str);

    /// The identities of all attempts of which something is kept on this machine.
    async fn known(&self) -> std::collections::BTreeSet<String>;

    /// Starts a service by itself, outside any stack: nobody restarts it, nobody probes it.
    ///
    /// # Errors
    /// As [`ServiceExecutor::launch`].
    async fn start(&self, config: ServiceConfig) -> Result<RunningService, LaunchError>;

    /// Stops a service that [`ServiceExecutor::start`] started, and returns when no process of it is left.
    ///
    /// # Errors
    /// [`ControlError`] when no death was seen.
    async fn stop(&self, service: &RunningService) -> Result<ExitInfo, ControlError>;

    /// Everything that a service has said and will say, from its first byte, and its end. Any number of readers may
    /// ask, at any time.
    ///
    /// # Errors
    /// [`LaunchError::Log`] when its output cannot be read.
    async fn stream_events(
        &self,
        service: &RunningService,
    ) -> Result<ProcessEventStream, LaunchError>;
}

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
    /// The user or group is unknown, or we may not become it.
    #[error("cannot run `{program}` as asked: {reason}")]
    NotPermitted {
        /// The program.
        program: String,
        /// What is not permitted.
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
    /// The order could not be given, or its outcome was not seen.
    #[error("the order did not reach it")]
    Unreached(#[source] Box<dyn std::error::Error + Send + Sync>),
}
