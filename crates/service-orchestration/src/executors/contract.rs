//! The contract every executor keeps.
//!
//! Owns: what is reported, and how a running attempt is controlled. Runs nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use async_channel::Receiver;
use async_trait::async_trait;
use command_executor::event::ProcessEventStream;
use service_registry::{Attachment, HostId, HostNet};

use super::RunningService;
use super::carrier::Carrier;
use super::fault::{AdoptError, ControlError, LaunchError, LeftoverError, OneOffError};
use super::input::Input;
use super::one_off::{KnownOneOff, OneOffOrder, OneOffPlace};
use super::order::{
    Ground, GroundOrder, InsideCommand, InsideEnd, LaunchOrder, OwnCheck, OwnHealth, StopOrder,
    Ticket,
};
use crate::config::ServiceConfig;
use crate::report::ExitInfo;
use crate::spec::{PortSpec, StackName, TargetKind, TargetSpec, UnitId};

/// What is known of an attempt once it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttemptFacts {
    /// The process of the service itself.
    pub pid: Option<u32>,
    /// The container, when it is one.
    pub container_id: Option<String>,
    /// What must be kept to find it again, beyond its identity.
    pub ticket: Option<serde_json::Value>,
    /// The networks of its own that it is on.
    pub networks: BTreeMap<String, Attachment>,
    /// Of a container: its ports, and where they are published, as its engine tells.
    pub ports: Vec<PortSpec>,
    /// Of a container: whether it has the machine's own network.
    pub is_on_host: bool,
    /// Of a container: how the check is had that it has of its own; absent where it has none.
    pub own_check: Option<OwnCheck>,
    /// Whether it goes on in what an earlier attempt left: its container was started again.
    pub is_again: bool,
    /// Whether it runs because somebody else has started its container.
    pub is_by_somebody_else: bool,
    /// The machine that it is on, when that is another one.
    pub host: Option<Box<HostFacts>>,
    /// What people should know of it.
    pub note: Option<String>,
}

/// Something of a unit was started where it runs, by us or by somebody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// Whose it is.
    pub unit: UnitId,
    /// When, in nanoseconds since 1970 by the clock of whoever runs it; absent where it was found running.
    pub at_ns: Option<u64>,
}

/// Another machine, as far as its network is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostFacts {
    /// Its name.
    pub host: HostId,
    /// Where this machine reaches it, when it does without another one's help.
    pub address: Option<IpAddr>,
    /// What was found on it.
    pub net: HostNet,
    /// What was found on this machine at the same time.
    pub here: HostNet,
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
    /// Whoever runs it cannot be reached: that is no end of it, and what it does meanwhile is not known.
    Unreachable(String),
    /// It can be reached again, and runs.
    Reached,
    /// It was frozen by somebody else, and answers nobody until [`AttemptEvent::Resumed`].
    Paused,
    /// It goes on.
    Resumed,
    /// The check of its own says something else than before; see [`AttemptControl::own_health`].
    Checked,
    /// Somebody else has connected it to a network, or taken it off one.
    Networks {
        /// Those that it is on now.
        networks: BTreeMap<String, Attachment>,
        /// The one that it was made for, when it is not on it.
        missing: Option<String>,
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
    fn control(&self) -> Arc<dyn AttemptControl>;

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

    /// Carries what comes to its standard input, to its end, which it is told, too. It must have been launched with an input.
    ///
    /// # Errors
    /// [`ControlError::Unfed`] where the target takes none; else as [`AttemptControl::stop`], also when it takes no more.
    ///
    /// # Cancellation
    /// Dropping the future may leave a part written, and the input open.
    async fn feed(&self, _input: &Input) -> Result<(), ControlError> {
        Err(ControlError::Unfed)
    }

    /// Runs a command where the attempt runs, to its end or for as long as it may take.
    ///
    /// # Errors
    /// [`ControlError::NotInside`] where there is no such place apart from this machine; else as
    /// [`AttemptControl::stop`].
    ///
    /// # Cancellation
    /// Dropping the future ends the command where that can be done.
    async fn run_inside(&self, _command: InsideCommand) -> Result<InsideEnd, ControlError> {
        Err(ControlError::NotInside)
    }

    /// A connection to an address as the machine of the attempt reaches it, where that is another one; inside the result, what
    /// came of connecting there.
    ///
    /// # Errors
    /// As [`AttemptControl::run_inside`].
    async fn dial(&self, _to: SocketAddr) -> Result<io::Result<UnixStream>, ControlError> {
        Err(ControlError::NotInside)
    }

    /// What its own check says of it; absent where it has none. It is only asked where nobody else does so.
    ///
    /// # Errors
    /// As [`AttemptControl::run_inside`].
    async fn own_health(&self) -> Result<Option<OwnHealth>, ControlError> {
        Ok(None)
    }
}

/// The handle of an attempt that is over: it is as anybody may order it to be.
#[derive(Debug)]
pub(super) struct NoControl;

#[async_trait]
impl AttemptControl for NoControl {
    async fn stop(&self, _stop: &StopOrder) -> Result<(), ControlError> {
        Ok(())
    }

    async fn kill(&self) -> Result<(), ControlError> {
        Ok(())
    }

    async fn signal(&self, _number: i32) -> Result<(), ControlError> {
        Ok(())
    }
}

/// What became of an attempt while no daemon watched.
pub enum Adoption {
    /// It runs.
    Alive(Box<dyn RunningAttempt>),
    /// It ended. `exit_unknown` when nobody saw how; so too when it may never have come to run.
    Ended(ExitInfo),
    /// It never came to run, and nothing of it ever will: whoever was to launch it died before.
    NeverBegan,
}

impl fmt::Debug for Adoption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alive(_) => f.write_str("Alive"),
            Self::Ended(exit) => f.debug_tuple("Ended").field(exit).finish(),
            Self::NeverBegan => f.write_str("NeverBegan"),
        }
    }
}

/// Runs attempts of one type of target.
#[async_trait]
pub trait ServiceExecutor: Send + Sync + fmt::Debug {
    /// The type of target it runs.
    fn kind(&self) -> TargetKind;

    /// Whether [`ServiceExecutor::prepare`] must be asked before a launch.
    fn needs_ground(&self, _target: &TargetSpec) -> bool {
        false
    }

    /// Makes what an attempt will stand on, where it is not there yet.
    ///
    /// # Errors
    /// As [`ServiceExecutor::launch`]; nothing of the attempt runs then.
    ///
    /// # Cancellation
    /// Dropping the future may leave what it made; that is found and used the next time.
    async fn prepare(&self, _order: GroundOrder) -> Result<Ground, LaunchError> {
        Ok(Ground::default())
    }

    /// Forgets what is kept for a stack as a whole, none of whose attempts run. Its volumes only when it is said so: the
    /// names of those that were removed.
    ///
    /// # Errors
    /// Why something is left.
    async fn forget_stack(
        &self,
        _stack: &StackName,
        _volumes: bool,
    ) -> Result<Vec<String>, LeftoverError> {
        Ok(Vec::new())
    }

    /// The names of volumes that somebody else made under a stack's name, as far as they can be named.
    async fn volumes_of_others(&self, _stack: &StackName) -> Vec<String> {
        Vec::new()
    }

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
    async fn known(&self) -> BTreeSet<String>;

    /// Forgets what is kept for a unit beyond its attempts: it is gone, and none of it runs.
    async fn forget_unit(&self, _unit: &UnitId) {}

    /// The same of every unit but these. Asked before anything is launched.
    async fn forget_units_except(&self, _known: &BTreeSet<UnitId>) {}

    /// Returns when what a launch did not find there may have come, where somebody tells that. Never, by default.
    ///
    /// # Cancellation
    /// Dropping the future ends the listening.
    async fn until_it_comes(&self, _target: &TargetSpec) {
        std::future::pending().await
    }

    /// What is started of units from now on, and what [`ServiceExecutor::known`] finds running, where others can start it, too.
    /// There is one listener: whoever asks again replaces it.
    fn starts(&self) -> Option<Receiver<Started>> {
        None
    }

    /// Whoever reaches other hosts for what is launched, where this does.
    fn carrier(&self) -> Option<Arc<dyn Carrier>> {
        None
    }

    /// Whether something of a unit runs, whoever has started it.
    async fn runs(&self, _unit: &UnitId) -> bool {
        false
    }

    /// Brings what an attempt will be made of to where it will run, before its turn has come; [`ServiceExecutor::prepare`] finds
    /// it then, or waits for it. By default there is nothing to bring.
    ///
    /// # Errors
    /// As [`ServiceExecutor::prepare`].
    ///
    /// # Cancellation
    /// Dropping the future ends what is under way.
    async fn provide(&self, _order: GroundOrder) -> Result<(), LaunchError> {
        Ok(())
    }

    /// Makes ready what somebody begins himself, by the definition of a unit and beside it: it is no attempt, and nothing
    /// here takes it for one.
    ///
    /// # Errors
    /// As [`ServiceExecutor::launch`].
    ///
    /// # Cancellation
    /// Dropping the future may leave what it made: [`ServiceExecutor::end_one_off`] removes it.
    async fn make_one_off(&self, order: OneOffOrder) -> Result<OneOffPlace, LaunchError> {
        Err(LaunchError::NotRunnable {
            program: order.launch.unit.local_name(),
            reason: format!(
                "nothing can be run by a definition of type `{}`",
                order.launch.target.kind()
            ),
        })
    }

    /// Ends a one-off run: asks, insists, and removes what is left of it. Finding nothing is no error.
    ///
    /// # Errors
    /// [`OneOffError`]; something of it may be left then.
    async fn end_one_off(&self, _id: &str) -> Result<(), OneOffError> {
        Ok(())
    }

    /// The one-off runs of which something is there.
    ///
    /// # Errors
    /// [`OneOffError`] when nobody can say.
    async fn one_offs(&self) -> Result<Vec<KnownOneOff>, OneOffError> {
        Ok(Vec::new())
    }

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
