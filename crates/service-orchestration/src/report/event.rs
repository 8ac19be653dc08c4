//! What happened, as programs read it.
//!
//! Owns: the catalogue of events. Bridges to other systems only project these.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::spec::StackName;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The version of this shape.
    pub schema_version: u32,
    /// Its place in the order of all events of this daemon's state directory; never reused.
    pub seq: u64,
    /// When.
    pub timestamp: DateTime<Utc>,
    /// What.
    pub event_type: EventKind,
    /// Who says so.
    pub source: String,
    /// In which stack; null for the daemon itself.
    pub stack: Option<StackName>,
    /// The rest: an object whose keys belong to the kind. Every event of a unit has `service_name`, `instance_id`
    /// and `state`.
    pub event_data: serde_json::Value,
}

/// The kinds of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    /// A stack was defined or redefined.
    StackDefined,
    /// A stack was forgotten.
    StackForgotten,
    /// A launch was ordered. Told once more with `unreachable`, the reason, while nobody can be asked for it.
    ServiceStarting,
    /// What it stands on is being made. `activity` (`pulling`, `building`), `reason`, `output`: the lines since the last such
    /// event.
    ServicePreparing,
    /// It runs. `dependencies`, `pid`.
    ServiceStarted,
    /// It is ready. `address`.
    ServiceReady,
    /// Its readiness is lost. `health_status`, `health_reason`.
    ServiceUnhealthy,
    /// Its readiness is back. `health_status`.
    ServiceHealthy,
    /// Its setup is to be performed.
    ServiceSetupRequired,
    /// Its setup is being performed.
    ServiceSettingUp,
    /// Its setup is complete.
    ServiceSetupComplete,
    /// Its end was ordered.
    ServiceStopping,
    /// It is gone. `exit_code`, `signal`, `stop`.
    ServiceStopped,
    /// It ended by itself, with success. `exit_code`.
    ServiceCompleted,
    /// It ended and will be started again. `exit_code`, `signal`, `restarts`, `delay_ms`.
    ServiceRestarting,
    /// An automatic restart runs. `restarts`, `pid`.
    ServiceRestarted,
    /// It ends again and again. `exit_code`, `signal`, `last_output`.
    ServiceCrashLoop,
    /// It has failed for good. `reason`, `exit_code`, `signal`, `last_output`.
    ServiceFailed,
    /// Its end could not be confirmed.
    ServiceLost,
    /// The operator keeps it down.
    ServiceHeld,
    /// As the service's events, for a task.
    TaskStarting,
    /// It runs.
    TaskStarted,
    /// It ended with success. `exit_code`.
    TaskCompleted,
    /// It failed and will be tried again.
    TaskRestarting,
    /// It has failed for good. `reason`, `exit_code`, `last_output`.
    TaskFailed,
    /// Its end was ordered.
    TaskStopping,
    /// It was stopped before it completed.
    TaskStopped,
    /// A unit that survived the daemon before this one was taken over. `pid`.
    ServiceAdopted,
    /// What a one-off run stands on is being made. `one_off`, `unit`, `pid` of whoever asked; `activity`, `reason`, `output`.
    OneOffPreparing,
    /// A one-off run is there. `one_off`, `unit`, `pid`.
    OneOffStarted,
    /// A one-off run is over, and nothing of it is left. `one_off`, `unit`, `pid`.
    OneOffEnded,
    /// The state store cannot be written: nothing new is started until it can.
    StorageFailed,
    /// The state store can be written again.
    StorageRecovered,
}

impl EventKind {
    /// As it is written: lower-case snake.
    pub fn name(self) -> String {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::String(name)) => name,
            Ok(_) | Err(_) => unreachable!("a unit variant is a string in JSON"),
        }
    }
}
