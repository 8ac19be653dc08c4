//! One line of output, and where it stands.
//!
//! Owns: the shapes that readers get. They are the wire form too.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use service_shim::log::{Cursor, Stream};

use super::LogPlace;

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
    /// Bytes that are missing here, instead of a line: removed to keep the log small, or dropped on a full disk. 0 where
    /// nobody knows how many: a container engine did not keep them until they were fetched.
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

impl LogStream {
    pub(super) fn index(self) -> usize {
        match self {
            Self::Stdout => 0,
            Self::Stderr => 1,
        }
    }
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

impl LogCursor {
    pub(super) fn new(place: LogPlace, delivered: [Option<u64>; 2]) -> Self {
        Self(Cursor {
            segment: place.segment,
            record: place.record,
            delivered,
        })
    }

    /// How far a stream was handed out, in bytes since the log began; none before its first byte was.
    pub fn offset(&self, stream: LogStream) -> Option<u64> {
        self.0.delivered[stream.index()]
    }

    /// The same with this stream handed out so far, within the record in which it stands.
    pub(super) fn with_offset(mut self, stream: LogStream, offset: u64) -> Self {
        self.0.delivered[stream.index()] = Some(offset);
        self
    }

    pub(super) fn place(&self) -> LogPlace {
        LogPlace {
            segment: self.0.segment,
            record: self.0.record,
        }
    }
}
