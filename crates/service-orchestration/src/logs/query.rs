//! Which part of a log somebody wants.
//!
//! Owns: the question, and what of a line decides whether it is an answer.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{LogCursor, LogStream};

/// Which part of a log is wanted; everything by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// The last so many lines of what the rest of the question leaves.
    pub tail: Option<usize>,
    /// Not before.
    pub since: Option<DateTime<Utc>>,
    /// Not after.
    pub until: Option<DateTime<Utc>>,
    /// Only this stream.
    pub stream: Option<LogStream>,
    /// Only this attempt.
    pub attempt: Option<AttemptFilter>,
    /// Only behind this place; it goes before `since` and `tail`.
    pub cursor: Option<LogCursor>,
}

/// Which attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttemptFilter {
    /// The last one in the log; where there is none, the first that comes.
    Last,
    /// The one before it.
    Previous,
    /// The one of this number.
    Number(u64),
}

impl LogQuery {
    /// Whether lines of this time are wanted. A gap always is. Stream and attempt are a matter of pieces.
    pub fn wants(&self, time: DateTime<Utc>, is_gap: bool) -> bool {
        is_gap
            || (self.since.is_none_or(|since| time >= since)
                && self.until.is_none_or(|until| time <= until))
    }
}
