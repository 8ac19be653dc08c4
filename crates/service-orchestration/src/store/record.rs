//! What is kept of each unit, and the batch that one turn writes.
//!
//! Owns: the journal's shapes. They are read back by later versions: fields are only added, with a default.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use service_registry::InstanceKey;
use service_registry::journal::{SavedLoopback, SavedStanding};

use super::DefinitionKey;
use crate::model::{Cause, End, LaunchFailure, State};
use crate::report::{Event, ExitInfo};
use crate::spec::{SecretValues, ServiceSpec, StackName, StackSpec, UnitId, exposed};

/// What is kept of one stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackRecord {
    /// Its definition.
    pub spec: StackSpec,
    /// The loopback addresses of its services, when it has a network that gives them out.
    #[serde(default)]
    pub loopback: Option<SavedLoopback>,
    /// The values of its secrets. A store on disk seals the whole record.
    #[serde(
        default,
        with = "exposed",
        skip_serializing_if = "SecretValues::is_empty"
    )]
    pub secrets: SecretValues,
}

/// What is kept of one unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitRecord {
    /// Whose.
    pub id: UnitId,
    /// Whether it shall run.
    pub wanted: bool,
    /// Whether its gates do not hold it back.
    #[serde(default)]
    pub gateless: bool,
    /// Whether the operator keeps it down.
    #[serde(default)]
    pub held: bool,
    /// The model's state.
    pub state: StoredState,
    /// The last attempt; 0 when it never ran.
    pub attempt: u64,
    /// Automatic restarts since it was last asked for.
    pub restarts: u32,
    /// Ends in a row that nobody asked for.
    #[serde(default)]
    pub failures: u32,
    /// Some attempt was launched since somebody asked for it.
    #[serde(default)]
    pub launched: bool,
    /// Its readiness was lost.
    #[serde(default)]
    pub unhealthy: bool,
    /// The running attempt was to be followed by a new one.
    #[serde(default)]
    pub renew: bool,
    /// Its end was ordered by force.
    #[serde(default)]
    pub forced: bool,
    /// Its end was ordered because of this failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<StoredCause>,
    /// Its latest failure since somebody asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<StoredCause>,
    /// It was called a crash loop and has not been ready for long enough since.
    #[serde(default, skip_serializing_if = "is_false")]
    pub looping: bool,
    /// Its latest wait between two attempts, in nanoseconds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub last_wait_ns: u64,
    /// When its timers are due and its latest restarts were, when there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<StoredTimes>,
    /// Which attempts of what it needs the running attempt was launched upon.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bases: Vec<(UnitId, u64)>,
    /// Instead of its own grace, for the stop that was asked for last, in nanoseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_ns: Option<u64>,
    /// The last attempt's identity, which names its run directory.
    pub instance_id: Option<String>,
    /// When that attempt was launched.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub stopped_at: Option<DateTime<Utc>>,
    /// How it ended.
    pub exit: Option<ExitInfo>,
    /// Why it could not be launched, or what was wrong with its end.
    #[serde(default)]
    pub reason: Option<String>,
    /// The process, while it is only observed: nothing but this number and its start time is known of it.
    #[serde(default)]
    pub attached: Option<serde_json::Value>,
    /// Ports that were chosen for it, by position in its specification.
    #[serde(default)]
    pub chosen_ports: BTreeMap<u32, u16>,
    /// The hash of the definition that the last attempt was launched with.
    #[serde(default)]
    pub launched_hash: Option<String>,
    /// That definition, while the attempt may be alive and the unit has another one by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launched_spec: Option<Box<ServiceSpec>>,
}

/// Points in time, by the monotonic clock of one boot: every process of the machine reads it alike, nobody can set it,
/// and after another boot it says nothing. They are nanoseconds since that boot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredTimes {
    /// Which boot.
    pub boot_id: String,
    /// When its wait, its startup timeout, its run timeout or the grace of its stop is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_ns: Option<u64>,
    /// When its latest automatic restarts were, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restarts_ns: Vec<u64>,
}

/// A failure, as it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoredCause {
    /// [`Cause::Exited`] with [`End::Success`].
    Ended,
    /// [`Cause::Exited`] with [`End::Failure`].
    Exited,
    /// [`Cause::NotLaunched`], which may work the next time.
    NotLaunched,
    /// [`Cause::NotLaunched`], which will not.
    NotLaunchable,
    /// See [`Cause::Unhealthy`].
    Unhealthy,
    /// See [`Cause::Dead`].
    Dead,
    /// See [`Cause::StartupTimeout`].
    StartupTimeout,
    /// See [`Cause::RunTimeout`].
    RunTimeout,
    /// See [`Cause::SetupFailed`].
    SetupFailed,
}

macro_rules! same_causes {
    ($($stored:ident = $cause:pat => $made:expr,)*) => {
        impl From<Cause> for StoredCause {
            fn from(cause: Cause) -> Self {
                match cause { $($cause => Self::$stored,)* }
            }
        }
        impl From<StoredCause> for Cause {
            fn from(stored: StoredCause) -> Self {
                match stored { $(StoredCause::$stored => $made,)* }
            }
        }
    };
}
same_causes! {
    Ended = Cause::Exited(End::Success) => Cause::Exited(End::Success),
    Exited = Cause::Exited(End::Failure) => Cause::Exited(End::Failure),
    NotLaunched = Cause::NotLaunched(LaunchFailure::Transient) => Cause::NotLaunched(LaunchFailure::Transient),
    NotLaunchable = Cause::NotLaunched(LaunchFailure::Permanent) => Cause::NotLaunched(LaunchFailure::Permanent),
    Unhealthy = Cause::Unhealthy => Cause::Unhealthy,
    Dead = Cause::Dead => Cause::Dead,
    StartupTimeout = Cause::StartupTimeout => Cause::StartupTimeout,
    RunTimeout = Cause::RunTimeout => Cause::RunTimeout,
    SetupFailed = Cause::SetupFailed => Cause::SetupFailed,
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// The model's state, as it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoredState {
    /// See [`State::Idle`].
    Idle,
    /// See [`State::Starting`].
    Starting,
    /// See [`State::Settling`].
    Settling,
    /// See [`State::SetupRequired`].
    SetupRequired,
    /// See [`State::SettingUp`].
    SettingUp,
    /// See [`State::Ready`].
    Ready,
    /// See [`State::Stopping`].
    Stopping,
    /// See [`State::Backoff`].
    Backoff,
    /// See [`State::CrashLoop`].
    CrashLoop,
    /// See [`State::Done`].
    Done,
    /// See [`State::Failed`].
    Failed,
    /// See [`State::Lost`].
    Lost,
    /// See [`State::Held`].
    Held,
}

macro_rules! same_names {
    ($($name:ident)*) => {
        impl From<State> for StoredState {
            fn from(state: State) -> Self {
                match state { $(State::$name => Self::$name,)* }
            }
        }
        impl From<StoredState> for State {
            fn from(state: StoredState) -> Self {
                match state { $(StoredState::$name => Self::$name,)* }
            }
        }
    };
}
same_names!(Idle Starting Settling SetupRequired SettingUp Ready Stopping Backoff CrashLoop Done Failed Lost Held);

/// Everything that was kept.
#[derive(Debug, Default)]
pub struct Kept {
    /// The stacks.
    pub stacks: Vec<StackRecord>,
    /// The units.
    pub units: Vec<UnitRecord>,
    /// The latest events, in order.
    pub events: Vec<Event>,
    /// What others have registered, and what is remembered of that.
    pub standings: Vec<SavedStanding>,
    /// The key of this installation.
    pub key: DefinitionKey,
}

/// What one turn changes. A later entry for the same key replaces an earlier one.
#[derive(Debug, Default)]
pub struct Batch {
    /// Stacks defined, or forgotten (`None`).
    pub stacks: BTreeMap<StackName, Option<StackRecord>>,
    /// Units changed, or forgotten (`None`).
    pub units: BTreeMap<UnitId, Option<UnitRecord>>,
    /// Events, in order.
    pub events: Vec<Arc<Event>>,
    /// What others have registered, withdrawn or let go of (`None`: nothing is known of it any more).
    pub standings: BTreeMap<InstanceKey, Option<SavedStanding>>,
}

impl Batch {
    /// Whether there is nothing to keep.
    pub fn is_empty(&self) -> bool {
        self.stacks.is_empty()
            && self.units.is_empty()
            && self.events.is_empty()
            && self.standings.is_empty()
    }

    /// Adds what came later.
    pub fn merge(&mut self, later: Batch) {
        self.stacks.extend(later.stacks);
        self.units.extend(later.units);
        self.events.extend(later.events);
        self.standings.extend(later.standings);
    }
}
