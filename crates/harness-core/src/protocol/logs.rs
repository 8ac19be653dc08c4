//! The subscriptions to log lines.
//!
//! Owns: their parameters and items, and how bytes that are not UTF-8 survive JSON. A line of a log is never changed
//! or cut here: what the service wrote arrives byte for byte. Blocks, in which logs travel to whoever can read them,
//! are in [`super::blocks`].

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use service_orchestration::logs::{AttemptFilter, LogCursor, LogLine, LogStream};
use service_orchestration::spec::StackName;

use super::base64;

/// Parameters of `logs.read` and `logs.read-blocks` (which end at the end of the logs), `logs.follow` and
/// `logs.follow-blocks` (which go on, with units that are added to the stack later too, where all are meant).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogParams {
    /// The stack.
    pub stack: StackName,
    /// The units, as status names them: `api`, `api/2`. A replicated service's own name means all replicas; empty
    /// means all units of the stack.
    #[serde(default)]
    pub units: Vec<String>,
    /// Only the last so many lines of each unit; null: all.
    #[serde(default)]
    pub tail: Option<u64>,
    /// Nothing older.
    #[serde(default)]
    pub since: Option<DateTime<Utc>>,
    /// Nothing newer.
    #[serde(default)]
    pub until: Option<DateTime<Utc>>,
    /// Only this stream.
    #[serde(default)]
    pub stream: Option<LogStream>,
    /// Only this run of each unit; null: all that are kept.
    #[serde(default)]
    pub attempt: Option<AttemptFilter>,
    /// Where to go on after an interruption: the cursor of the last line seen of each unit. Overrides `tail` and
    /// `since` for the units in it.
    #[serde(default)]
    pub after: BTreeMap<String, LogCursor>,
}

impl LogParams {
    /// Everything that is kept of all units of a stack.
    pub fn all(stack: StackName) -> Self {
        Self {
            stack,
            units: Vec::new(),
            tail: None,
            since: None,
            until: None,
            stream: None,
            attempt: None,
            after: BTreeMap::new(),
        }
    }
}

/// An item of `logs.read` and `logs.follow`: some lines, by time as far as they are known together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LogBatch {
    /// The lines.
    pub lines: Vec<LogRecord>,
}

/// A line of a unit's log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogRecord {
    /// The unit, as status names it.
    pub unit: String,
    /// When its end was moved to the log.
    pub time: DateTime<Utc>,
    /// Where the unit wrote it.
    pub stream: LogStream,
    /// The run of the unit that wrote it.
    pub attempt: u64,
    /// Its bytes without the newline.
    #[serde(flatten, with = "payload")]
    pub bytes: Vec<u8>,
    /// Whether it has no newline (yet): the next one of this stream goes on where it ends.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// Bytes that are missing here, instead of a line: removed to keep the log small, or dropped on a full disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<u64>,
    /// Where reading goes on behind it.
    pub cursor: LogCursor,
}

impl LogRecord {
    /// A line of this unit.
    pub fn new(unit: impl Into<String>, line: LogLine) -> Self {
        let LogLine {
            time,
            stream,
            attempt,
            bytes,
            partial,
            gap,
            cursor,
        } = line;
        Self {
            unit: unit.into(),
            time,
            stream,
            attempt,
            bytes,
            partial,
            gap,
            cursor,
        }
    }

    /// The line as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }
}

/// Bytes in JSON: a member `text` when they are UTF-8, else a member `base64`.
mod payload {
    use std::borrow::Cow;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Payload<'a> {
        Text(Cow<'a, str>),
        Base64(Cow<'a, str>),
    }

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        let payload = match std::str::from_utf8(bytes) {
            Ok(text) => Payload::Text(text.into()),
            Err(_) => Payload::Base64(super::base64::encode(bytes).into()),
        };
        payload.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        match Payload::deserialize(deserializer)? {
            Payload::Text(text) => Ok(text.into_owned().into_bytes()),
            Payload::Base64(text) => {
                super::base64::decode(&text).ok_or_else(|| serde::de::Error::custom("not base64"))
            }
        }
    }
}

/// A batch holds about this many bytes of output at most; a single longer line stands alone.
pub const MAX_BATCH_BYTES: usize = 64 * 1024;
