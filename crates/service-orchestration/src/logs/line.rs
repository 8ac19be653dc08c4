//! One line of output, and where it stands.
//!
//! Owns: the shapes that readers get. They are the wire form too.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use service_shim::log::{Cursor, Stream};

/// A line that a unit wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When its end was moved to the log.
    pub time: DateTime<Utc>,
    /// Where it was written.
    pub stream: LogStream,
    /// By which attempt.
    pub attempt: u64,
    /// Its bytes, without the newline. Not necessarily text.
    pub bytes: Vec<u8>,
    /// Whether it has no newline (yet): the next one of this stream goes on where it ends.
    pub partial: bool,
    /// Bytes that are missing here, instead of a line: removed to keep the log small, or dropped on a full disk.
    pub gap: Option<u64>,
    /// Where reading goes on behind it.
    pub cursor: LogCursor,
}

/// Where a unit writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl From<Stream> for LogStream {
    fn from(stream: Stream) -> Self {
        match stream {
            Stream::Stdout => Self::Stdout,
            Stream::Stderr => Self::Stderr,
        }
    }
}

/// A place in a unit's log, good for as long as the log lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LogCursor(pub(super) Cursor);
