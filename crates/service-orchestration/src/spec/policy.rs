//! How a unit is stopped and logged.
//!
//! Owns: the policies and their defaults, each with its source.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How a unit is asked to end, and how long it may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// The signal's number, sent to the main process (or to all, by `scope`). PostgreSQL wants SIGINT.
    pub signal: i32,
    /// How long it may take before it is ended by force.
    pub grace: Duration,
    /// Run instead of sending the signal, as `program, arguments…`.
    pub command: Option<Vec<super::Template>>,
    /// Whom the signal goes to.
    pub scope: StopScope,
}

impl Default for Stop {
    /// SIGTERM and ten seconds, as Docker has it.
    fn default() -> Self {
        Self {
            signal: 15,
            grace: Duration::from_secs(10),
            command: None,
            scope: StopScope::Main,
        }
    }
}

/// Whom the stop signal goes to. Whatever is left afterwards is ended in either case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopScope {
    /// The main process.
    #[default]
    Main,
    /// Every process of the unit.
    Group,
}

/// What happens to a unit's output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// Captured with times and streams, or handed over as a plain file.
    pub mode: LogMode,
    /// The size of one segment, in bytes.
    pub max_size: u64,
    /// How many segments are kept.
    pub max_files: u32,
    /// What happens when the disk is full.
    pub on_full: OnFull,
}

impl Default for Log {
    /// Five segments of 10 MiB.
    fn default() -> Self {
        Self {
            mode: LogMode::Capture,
            max_size: 10 << 20,
            max_files: 5,
            on_full: OnFull::Drop,
        }
    }
}

/// Captured with times and streams, or handed over as a plain file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogMode {
    /// Through the shim: times, streams, rotation, follow.
    #[default]
    Capture,
    /// The program writes to a file itself: as fast as a file, without times, streams or rotation.
    File,
}

/// What happens to output that finds the disk full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFull {
    /// It is dropped, and a record says how much.
    #[default]
    Drop,
    /// The service waits until there is room.
    Block,
}
