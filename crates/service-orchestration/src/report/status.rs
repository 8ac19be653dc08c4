//! How a stack and its units stand.
//!
//! Owns: the shape of `status -o json`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Phase;
use crate::spec::{StackName, UnitKind};

/// The version of every shape in [`crate::report`].
pub const SCHEMA_VERSION: u32 = 1;

/// How one stack stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackStatus {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The stack.
    pub stack: StackName,
    /// `storage-full` or `storage-error` while the state cannot be kept: nothing new is launched meanwhile.
    pub storage: Option<String>,
    /// Its units, by name and replica.
    pub items: Vec<UnitStatus>,
    /// What is run by their definitions and is none of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub one_offs: Vec<OneOffStatus>,
}

/// A run by a unit's definition that is not the unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OneOffStatus {
    /// Its identity.
    pub id: String,
    /// By whose definition.
    pub unit: String,
    /// The process at whose terminal it is; of a process, it itself.
    pub pid: u32,
    /// Since when it is there, as far as this daemon knows.
    pub since: DateTime<Utc>,
}

/// How a host is logged in to, as far as the file of a stack says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostLogin {
    /// Who does.
    pub user: Option<String>,
    /// The port of its sshd.
    pub port: Option<u16>,
    /// The private key.
    pub ssh_key: Option<PathBuf>,
}

/// How one unit stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitStatus {
    /// Its name: `api`, or `api/2` for a replica.
    pub name: String,
    /// Service or task.
    pub kind: UnitKind,
    /// The type of its target.
    pub target: String,
    /// The host that it runs on, when that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// How that is logged in to, where its file says otherwise than the list of hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<HostLogin>,
    /// The model's state, lower-case kebab.
    pub state: String,
    /// The same in the older vocabulary.
    pub phase: Phase,
    /// Whether its gate `ready` (for a task: `completed`) is open.
    pub ready: bool,
    /// What its probes say.
    pub health: Health,
    /// Why, when they say something bad.
    pub health_reason: Option<String>,
    /// When they last said something.
    pub last_checked: Option<DateTime<Utc>>,
    /// The process of the service itself.
    pub pid: Option<u32>,
    /// The container, when it is one.
    pub container_id: Option<String>,
    /// Automatic restarts since it was last asked for.
    pub restarts: u32,
    /// The code it last exited with; null after a signal, and until it has ended.
    pub exit_code: Option<i32>,
    /// The signal that last ended it.
    pub signal: Option<i32>,
    /// Whether it ended and nobody saw how.
    pub exit_unknown: bool,
    /// When its last attempt was launched.
    pub started_at: Option<DateTime<Utc>>,
    /// When its last attempt ended.
    pub stopped_at: Option<DateTime<Utc>>,
    /// Where it can be reached from this machine: `ip:port`.
    pub address: Option<String>,
    /// Its ports by name; an unnamed one under its number.
    pub ports: BTreeMap<String, u16>,
    /// What it waits for before it can move.
    pub waiting_for: Vec<WaitingFor>,
    /// The units that need it.
    pub required_by: Vec<String>,
    /// The current or last attempt's identity.
    pub instance_id: Option<String>,
    /// Its version, when its target has one.
    pub version: Option<String>,
    /// Why it could not be launched, or what was wrong with its last end.
    pub reason: Option<String>,
    /// How its last stop went, also when it runs again.
    pub stop: Option<StopInfo>,
    /// When the attempt ended that ended last, also when it runs again.
    #[serde(default)]
    pub ended_at: Option<DateTime<Utc>>,
}

impl UnitStatus {
    /// Whether it is a container, ours or somebody else's.
    pub fn is_container(&self) -> bool {
        self.target.starts_with("docker")
    }
}

/// What the probes of a unit say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// It has no probe, or does not run.
    #[default]
    None,
    /// No verdict yet.
    Starting,
    /// Good.
    Healthy,
    /// Bad, as often as its probe's `retries` say.
    Unhealthy,
    /// The probe itself cannot be run.
    Unknown,
}

impl Health {
    /// As it is written: lower-case kebab.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Unknown => "unknown",
        }
    }
}

/// Something a unit waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingFor {
    /// The unit waited for; null when it waits for a time.
    pub unit: Option<String>,
    /// What is missing, as a sentence: `db is starting (needs ready)`.
    pub reason: String,
}

/// How an attempt ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitInfo {
    /// The exit code; null after a signal, or when nobody saw it.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Whether it ended and nobody saw how.
    pub exit_unknown: bool,
    /// How its stop went, when it was stopped or left something behind.
    pub stop: Option<StopInfo>,
    /// When it ended, where that was recorded: it may have been before the daemon came up.
    #[serde(default)]
    pub ended_at: Option<DateTime<Utc>>,
    /// What else is known of why it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// How a stop went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopInfo {
    /// How far it had to go: `none`, `tree-term`, `killed`.
    pub escalation: String,
    /// The names of the first few processes that were left of the tree when the main process had gone, or the grace.
    pub leftovers: Vec<String>,
    /// How many there were.
    pub leftover_count: u32,
    /// Milliseconds that it took, by a clock that does not jump; null where that was not recorded.
    #[serde(default)]
    pub took_ms: Option<u64>,
}

/// Why a unit is where it is, down to the causes.
///
/// A tree, as a list with depths: a chain of a thousand units is a thousand entries, and no reader of JSON has to nest
/// that deeply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// In reading order: the first is the unit that was asked about, and each is held up by those right below it that
    /// are one deeper.
    pub reasons: Vec<WhyReason>,
}

/// One unit's part in a [`Why`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyReason {
    /// The unit.
    pub name: String,
    /// How far down; 0 for the unit that was asked about.
    pub depth: u32,
    /// Its state.
    pub state: String,
    /// Why it is there, as a sentence.
    pub reason: String,
    /// It was explained further above: what holds it up stands there.
    pub repeated: bool,
}

/// A unit that can never come as far as somebody waits for it to come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocked {
    /// The unit waited for.
    pub name: String,
    /// The unit that failed: itself, or one it needs.
    pub culprit: String,
    /// What happened to that one, as a sentence.
    pub reason: String,
    /// Whether the culprit runs, but is unhealthy.
    pub unhealthy: bool,
    /// Whether somebody waited for its end, and another order has started it again.
    #[serde(default)]
    pub started_again: bool,
}
