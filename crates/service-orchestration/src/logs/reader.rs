//! Pieces, one after the other, as the files hold them.
//!
//! Owns: the place of the next piece, and which are not asked for. Reads files: to be called where that may block.

use std::collections::VecDeque;
use std::path::Path;

use chrono::{DateTime, Utc};
use service_shim::log::{Cursor, Entry, GapCause, LogReader, Start};

use super::{LogCursor, LogError, LogPiece, LogPlace, LogSpan, LogStream, Piece};

/// Reads the pieces of one log.
pub(super) struct PieceReader {
    reader: LogReader,
    /// Where the entry that comes next was found.
    at: Cursor,
    stream: Option<LogStream>,
    attempt: Wanted,
    /// When what came last was written.
    last: Option<DateTime<Utc>>,
    /// Gaps that stand before everything whose time is known.
    gaps: Vec<Missing>,
    ready: VecDeque<LogPiece>,
}

/// Bytes that are missing at a place, and where reading goes on if they were never counted.
struct Missing {
    place: LogPlace,
    stream: LogStream,
    bytes: u64,
    uncounted: Option<LogPlace>,
}

/// Which attempts are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    All,
    Only(u64),
    /// None has been there yet.
    FirstToCome,
}

impl PieceReader {
    /// Pieces have at most `max_bytes` each.
    pub(super) fn open(
        directory: &Path,
        start: Start,
        stream: Option<LogStream>,
        attempt: Wanted,
        max_bytes: usize,
    ) -> Result<Self, LogError> {
        let reader = LogReader::open(directory, start)?.with_max_data(max_bytes);
        let at = reader.cursor();
        let opened = LogPiece {
            place: place(at),
            what: Piece::Opened {
                cursor: LogCursor(at),
            },
        };
        Ok(Self {
            reader,
            at,
            stream,
            attempt,
            last: None,
            gaps: Vec::new(),
            ready: [opened].into(),
        })
    }

    /// Where it stands: everything before it has been handed out.
    pub(super) fn place(&self) -> LogPlace {
        place(self.at)
    }

    /// The next piece; none when there is nothing more for now.
    pub(super) fn next(&mut self) -> Result<Option<LogPiece>, LogError> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Ok(Some(piece));
            }
            let Some(entry) = self.reader.next_entry()? else {
                // Nobody knows when what is missing was written, nor what is around it.
                self.date_gaps(Utc::now());
                return Ok(self.ready.pop_front());
            };
            let here = place(self.at);
            let behind = self.reader.cursor();
            let (time, what) = match entry {
                Entry::Gap {
                    stream,
                    bytes,
                    cause,
                } => {
                    let is_uncounted = match cause {
                        GapCause::DiskFull | GapCause::NotKept => true,
                        GapCause::Rotated | GapCause::Lost => false,
                    };
                    // What follows a gap was found at the same place as the gap, unless that is a record itself.
                    if is_uncounted {
                        self.at = behind;
                    }
                    self.gaps.push(Missing {
                        place: here,
                        stream: stream.into(),
                        bytes,
                        uncounted: is_uncounted.then_some(place(behind)),
                    });
                    if let Some(last) = self.last {
                        self.date_gaps(last);
                    }
                    continue;
                }
                Entry::Begin { attempt, at_ns } | Entry::End { attempt, at_ns } => {
                    let time = time(at_ns);
                    (time, Piece::Border { attempt, time })
                }
                Entry::Data {
                    stream,
                    attempt,
                    at_ns,
                    offset,
                    bytes,
                } => {
                    let span = LogSpan {
                        stream: stream.into(),
                        attempt,
                        time: time(at_ns),
                        offset,
                    };
                    (span.time, self.data(span, bytes))
                }
            };
            self.at = behind;
            self.date_gaps(time);
            self.last = Some(time);
            self.ready.push_back(LogPiece { place: here, what });
        }
    }

    fn data(&mut self, span: LogSpan, bytes: Vec<u8>) -> Piece {
        let LogSpan {
            stream,
            attempt,
            time,
            offset,
        } = span;
        if self.attempt == Wanted::FirstToCome {
            self.attempt = Wanted::Only(attempt);
        }
        let is_wanted = self.stream.is_none_or(|wanted| wanted == stream)
            && (self.attempt == Wanted::All || self.attempt == Wanted::Only(attempt));
        match is_wanted {
            true => Piece::Data {
                stream,
                attempt,
                time,
                offset,
                bytes,
            },
            false => Piece::Skipped {
                stream,
                offset,
                length: bytes.len() as u64,
            },
        }
    }

    fn date_gaps(&mut self, time: DateTime<Utc>) {
        for missing in self.gaps.drain(..) {
            let what = Piece::Gap {
                stream: missing.stream,
                bytes: missing.bytes,
                time,
                uncounted: missing.uncounted,
            };
            self.ready.push_back(LogPiece {
                place: missing.place,
                what,
            });
        }
    }
}

fn place(cursor: Cursor) -> LogPlace {
    LogPlace {
        segment: cursor.segment,
        record: cursor.record,
    }
}

fn time(at_ns: u64) -> DateTime<Utc> {
    DateTime::from_timestamp_nanos(i64::try_from(at_ns).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests;
