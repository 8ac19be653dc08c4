//! Which part of a log somebody wants.
//!
//! Owns: the question, and what of a line decides whether it is an answer.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{LogCursor, LogLine, LogStream};

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
    /// The last one in the log.
    Last,
    /// The one before it.
    Previous,
    /// The one of this number.
    Number(u64),
}

impl LogQuery {
    /// Whether this line is wanted, given the number of the attempt that is. A gap always is.
    pub(super) fn wants(&self, line: &LogLine, attempt: Option<u64>) -> bool {
        line.gap.is_some()
            || (self.stream.is_none_or(|stream| stream == line.stream)
                && attempt.is_none_or(|attempt| attempt == line.attempt)
                && self.since.is_none_or(|since| line.time >= since)
                && self.until.is_none_or(|until| line.time <= until))
    }
}
