//! How output is kept and how a service is ended: the two policies an attempt is launched with.
//!
//! Owns: plain values that travel in the launch order and stay in `launch.json` for a successor of the shim.
//! Never holds anything secret.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::signal::Signal;

/// Where the output of a unit goes, and how much of it stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPolicy {
    /// The unit's log directory; it continues across attempts. Made when missing.
    pub dir: PathBuf,
    /// A segment that holds this many bytes of both streams together is closed and the next one begun.
    pub max_segment_bytes: u64,
    /// How many segments stay, the one being written included. At least 1.
    pub max_segments: u32,
    /// What happens to output when the disk is full.
    pub on_full: OnFull,
    /// Whether output passes through the shim.
    pub mode: LogMode,
    /// Caps that this log shares with others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub totals: Vec<LogTotal>,
}

/// How much all logs below a directory may hold together, their indexes included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogTotal {
    /// The directory of the logs, or of directories of them.
    pub dir: PathBuf,
    /// How much. No log is brought below 4 KiB by it.
    pub max_bytes: u64,
}

impl LogPolicy {
    /// The defaults of the stack file: five segments of 10 MiB, drop with a record when the disk is full.
    pub fn new(dir: impl Into<PathBuf>) -> LogPolicy {
        LogPolicy {
            dir: dir.into(),
            max_segment_bytes: 10 * 1024 * 1024,
            max_segments: 5,
            on_full: OnFull::Drop,
            mode: LogMode::Capture,
            totals: Vec::new(),
        }
    }
}

/// What happens to output that the disk has no room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFull {
    /// It is thrown away and counted; a `dropped` record says how much once there is room again.
    Drop,
    /// It stays in the pipe, and the service waits when the pipe is full.
    Block,
}

/// Whether output passes through the shim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogMode {
    /// Through a FIFO, with times, rotation and a cap.
    Capture,
    /// The service writes the data files itself: as fast as a plain file, without times inside an attempt,
    /// without rotation and without a cap.
    File,
}

/// How a service is asked to end, and how long it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopPolicy {
    /// What is sent first.
    pub signal: Signal,
    /// How long the service may take before the whole tree is ended.
    #[serde(rename = "grace_ms", with = "milliseconds")]
    pub grace: Duration,
    /// Who receives `signal`.
    pub scope: StopScope,
}

impl Default for StopPolicy {
    fn default() -> StopPolicy {
        StopPolicy {
            signal: Signal::TERM,
            grace: Duration::from_secs(10),
            scope: StopScope::Main,
        }
    }
}

/// Who receives the stop signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopScope {
    /// The main process, which is trusted to end its children.
    #[default]
    Main,
    /// Every process of the tree.
    Group,
}

mod milliseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Duration, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_u64(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Duration, D::Error> {
        Ok(Duration::from_millis(u64::deserialize(input)?))
    }
}
