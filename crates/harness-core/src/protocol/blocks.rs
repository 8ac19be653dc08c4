//! Logs on the wire as they lie in the store: bytes, and marks that say what they are.
//!
//! Owns: the items of `logs.read-blocks` and `logs.follow-blocks`, and their conversion from and to pieces. Each item
//! comes in one binary message with the bytes of all its pieces, one behind the other. Lines are found by the reader,
//! with a [`LineJoiner`](service_orchestration::logs::LineJoiner) for each unit.
//!
//! A reader filters by `since` and `until` itself, because these are about the time of a line's end.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use service_orchestration::logs::{LogCursor, LogPiece, LogPlace, LogSpan, LogStream, Piece};

/// The optional ability, in the daemon's `hello`, to send logs in blocks. One without it has `logs.read` and
/// `logs.follow`.
pub const BLOCKS: &str = "log-blocks";

/// A block has about this many bytes of output at most.
pub const MAX_BLOCK_BYTES: usize = 256 * 1024;

/// An item: what the bytes are that came with it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LogBlock {
    /// The pieces, in order: by time as far as they are known together.
    pub marks: Vec<LogMark>,
}

/// A piece of a unit's log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogMark {
    /// The unit, as status names it.
    pub unit: String,
    /// The segment of the log it was found in.
    pub segment: u64,
    /// The record there.
    pub record: u64,
    /// What it is.
    #[serde(flatten)]
    pub kind: MarkKind,
}

/// What a piece is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum MarkKind {
    /// Reading of this unit begins here.
    Opened {
        /// Here.
        cursor: LogCursor,
    },
    /// An attempt begins or has ended: a line that is unfinished now stays so.
    Border {
        /// Which.
        attempt: u64,
        /// When.
        time: DateTime<Utc>,
    },
    /// The next `length` bytes.
    Data {
        /// Where they were written.
        stream: LogStream,
        /// By which attempt.
        attempt: u64,
        /// When they were moved to the log.
        time: DateTime<Utc>,
        /// Where they stand in their stream, since the log began.
        offset: u64,
        /// How many they are.
        length: u64,
    },
    /// Bytes that were not asked for.
    Skipped {
        /// Where they were written.
        stream: LogStream,
        /// Where they stand in their stream, since the log began.
        offset: u64,
        /// How many they are.
        length: u64,
    },
    /// Bytes that are missing: removed to keep the log small, or dropped on a full disk.
    Gap {
        /// Of which stream.
        stream: LogStream,
        /// How many.
        length: u64,
        /// When what was last before them was written.
        time: DateTime<Utc>,
        /// Segment and record where reading goes on, if they were never stored and so not counted in offsets.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        uncounted: Option<(u64, u64)>,
    },
    /// What follows of this unit was written after the subscription began.
    Now,
}

impl LogMark {
    /// The mark of a piece; its bytes are appended to `bytes`.
    pub fn new(unit: &str, piece: LogPiece, bytes: &mut Vec<u8>) -> Self {
        let kind = match piece.what {
            Piece::Opened { cursor } => MarkKind::Opened { cursor },
            Piece::Border { attempt, time } => MarkKind::Border { attempt, time },
            Piece::Data {
                stream,
                attempt,
                time,
                offset,
                bytes: data,
            } => {
                let length = data.len() as u64;
                match bytes.is_empty() {
                    true => *bytes = data,
                    false => bytes.extend_from_slice(&data),
                }
                MarkKind::Data {
                    stream,
                    attempt,
                    time,
                    offset,
                    length,
                }
            }
            Piece::Skipped {
                stream,
                offset,
                length,
            } => MarkKind::Skipped {
                stream,
                offset,
                length,
            },
            Piece::Gap {
                stream,
                bytes,
                time,
                uncounted,
            } => MarkKind::Gap {
                stream,
                length: bytes,
                time,
                uncounted: uncounted.map(|place| (place.segment, place.record)),
            },
            Piece::Now => MarkKind::Now,
        };
        Self {
            unit: unit.to_owned(),
            segment: piece.place.segment,
            record: piece.place.record,
            kind,
        }
    }

    /// Where reading of the unit begins, if the mark says so.
    pub fn opened(&self) -> Option<LogCursor> {
        match &self.kind {
            MarkKind::Opened { cursor } => Some(*cursor),
            MarkKind::Border { .. }
            | MarkKind::Data { .. }
            | MarkKind::Skipped { .. }
            | MarkKind::Gap { .. }
            | MarkKind::Now => None,
        }
    }

    /// What the mark says. Data are taken from the front of `bytes`; none when there are not so many.
    pub fn read<'b>(&self, bytes: &mut &'b [u8]) -> Option<Marked<'b>> {
        let place = LogPlace {
            segment: self.segment,
            record: self.record,
        };
        let what = match &self.kind {
            MarkKind::Data {
                stream,
                attempt,
                time,
                offset,
                length,
            } => {
                let length = usize::try_from(*length).ok()?;
                let (data, rest) = bytes.split_at_checked(length)?;
                *bytes = rest;
                let span = LogSpan {
                    stream: *stream,
                    attempt: *attempt,
                    time: *time,
                    offset: *offset,
                };
                return Some(Marked::Data(place, span, data));
            }
            MarkKind::Opened { cursor } => Piece::Opened { cursor: *cursor },
            MarkKind::Border { attempt, time } => Piece::Border {
                attempt: *attempt,
                time: *time,
            },
            MarkKind::Skipped {
                stream,
                offset,
                length,
            } => Piece::Skipped {
                stream: *stream,
                offset: *offset,
                length: *length,
            },
            MarkKind::Gap {
                stream,
                length,
                time,
                uncounted,
            } => Piece::Gap {
                stream: *stream,
                bytes: *length,
                time: *time,
                uncounted: uncounted.map(|(segment, record)| LogPlace { segment, record }),
            },
            MarkKind::Now => Piece::Now,
        };
        Some(Marked::Piece(LogPiece { place, what }))
    }
}

/// A piece that was read: data stay where they are.
#[derive(Debug)]
pub enum Marked<'b> {
    /// Bytes of a unit.
    Data(LogPlace, LogSpan, &'b [u8]),
    /// Anything else.
    Piece(LogPiece),
}
