//! What is kept of each unit, and the batch that one turn writes.
//!
//! Owns: the journal's shapes. They are read back by later versions: fields are only added, with a default.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use service_registry::journal::SavedLoopback;

use crate::model::State;
use crate::report::{Event, ExitInfo};
use crate::spec::{StackName, StackSpec, UnitId};

/// What is kept of one stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackRecord {
    /// Its definition.
    pub spec: StackSpec,
    /// The loopback addresses of its services, when it has a network that gives them out.
    #[serde(default)]
    pub loopback: Option<SavedLoopback>,
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
}

impl Batch {
    /// Whether there is nothing to keep.
    pub fn is_empty(&self) -> bool {
        self.stacks.is_empty() && self.units.is_empty() && self.events.is_empty()
    }

    /// Adds what came later.
    pub fn merge(&mut self, later: Batch) {
        self.stacks.extend(later.stacks);
        self.units.extend(later.units);
        self.events.extend(later.events);
    }
}
