//! A piece of a log as it lies there.
//!
//! Owns: the shapes in which a log travels before anybody has looked for lines.

use chrono::{DateTime, Utc};

use super::{LogCursor, LogStream};

/// A piece of a log, and where it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPiece {
    /// Where it was found.
    pub place: LogPlace,
    /// What it is.
    pub what: Piece,
}

/// A record of a log. Later ones compare greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogPlace {
    /// The segment it is in.
    pub segment: u64,
    /// Its number there.
    pub record: u64,
}

/// What a piece of a log is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Reading begins here; always the first.
    Opened {
        /// Here.
        cursor: LogCursor,
    },
    /// An attempt begins, or has ended: a line that is unfinished now stays so.
    Border {
        /// Which.
        attempt: u64,
        /// When.
        time: DateTime<Utc>,
    },
    /// Bytes that were written, not cut at any boundary that means something.
    Data {
        /// Where they were written.
        stream: LogStream,
        /// By which attempt.
        attempt: u64,
        /// When they were moved to the log.
        time: DateTime<Utc>,
        /// Where they stand in their stream, since the log began.
        offset: u64,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Bytes that were not asked for.
    Skipped {
        /// Where they were written.
        stream: LogStream,
        /// Where they stand in their stream, since the log began.
        offset: u64,
        /// How many.
        length: u64,
    },
    /// Bytes that were written and are not there.
    Gap {
        /// Of which stream.
        stream: LogStream,
        /// How many; 0 where nobody knows.
        bytes: u64,
        /// When what was last before them was written; of what follows them, where nothing did.
        time: DateTime<Utc>,
        /// Where reading goes on, if they were never stored and so never counted: the disk was full, or nobody
        /// had them any more.
        uncounted: Option<LogPlace>,
    },
    /// What follows was written after the log was opened. Told once.
    Now,
}

impl LogPiece {
    /// When it was written, where that is known.
    pub fn time(&self) -> Option<DateTime<Utc>> {
        match self.what {
            Piece::Border { time, .. } | Piece::Data { time, .. } | Piece::Gap { time, .. } => {
                Some(time)
            }
            Piece::Opened { .. } | Piece::Skipped { .. } | Piece::Now => None,
        }
    }

    /// Whether what follows was written after the log was opened.
    pub fn is_now(&self) -> bool {
        self.what == Piece::Now
    }

    /// How many bytes of output it holds.
    pub fn len(&self) -> usize {
        match &self.what {
            Piece::Data { bytes, .. } => bytes.len(),
            Piece::Opened { .. }
            | Piece::Border { .. }
            | Piece::Skipped { .. }
            | Piece::Gap { .. }
            | Piece::Now => 0,
        }
    }

    /// Whether it holds no output.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
