//! From raw pieces to lines, each with the place behind it.
//!
//! Owns: the lines that are not finished yet. A place behind a line is such that nothing unfinished is lost by going on
//! from there: it is where the oldest unfinished line begins.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use service_shim::log::{Cursor, Entry, GapCause, LineSplitter, Stream};

use super::{LogCursor, LogLine};

/// A longer line comes in pieces: 64 KiB, so that no line can fill the memory of a reader.
const MAX_LINE: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct Assembler {
    splitter: LineSplitter,
    /// Where each stream's unfinished line begins.
    unfinished: [Option<Place>; 2],
    /// Where the next line of each stream begins.
    next: [Option<u64>; 2],
    attempt: u64,
    ready: VecDeque<LogLine>,
}

/// The record in which a line begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    segment: u64,
    record: u64,
}

impl Assembler {
    pub(super) fn new(start: Cursor) -> Self {
        Self {
            splitter: LineSplitter::new(MAX_LINE),
            unfinished: [None; 2],
            next: start.delivered,
            attempt: 0,
            ready: VecDeque::new(),
        }
    }

    /// The next finished line.
    pub(super) fn pop(&mut self) -> Option<LogLine> {
        self.ready.pop_front()
    }

    /// Takes in an entry that a reader found at `at`, and behind which it is now at `behind`.
    pub(super) fn push(&mut self, entry: Entry, at: Cursor, behind: Cursor) {
        let here = Place {
            segment: at.segment,
            record: at.record,
        };
        match entry {
            Entry::Begin { attempt, .. } | Entry::End { attempt, .. } => {
                self.flush(here);
                self.attempt = attempt;
            }
            Entry::Data {
                stream,
                attempt,
                at_ns,
                offset,
                bytes,
            } => {
                self.attempt = attempt;
                let index = position(stream);
                self.next[index].get_or_insert(offset);
                let mut finished = Vec::new();
                self.splitter.push(stream, at_ns, &bytes, |line| {
                    finished.push((line.bytes.to_vec(), line.complete));
                });
                for (bytes, complete) in finished {
                    self.unfinished[index] = None;
                    self.finish(stream, at_ns, bytes, complete, here);
                }
                let end = offset + bytes.len() as u64;
                if self.next[index].is_some_and(|next| next < end) {
                    self.unfinished[index].get_or_insert(here);
                }
            }
            Entry::Gap {
                stream,
                bytes,
                cause,
            } => {
                self.flush(here);
                let place = match (cause, &mut self.next[position(stream)]) {
                    // Never stored, so never counted: what follows stands where they would have stood.
                    (GapCause::DiskFull, _) => Place {
                        segment: behind.segment,
                        record: behind.record,
                    },
                    (GapCause::Rotated | GapCause::Lost, Some(next)) => {
                        *next += bytes;
                        here
                    }
                    (GapCause::Rotated | GapCause::Lost, None) => here,
                };
                let cursor = self.cursor(place);
                self.ready.push_back(LogLine {
                    time: Utc::now(),
                    stream: stream.into(),
                    attempt: self.attempt,
                    bytes: Vec::new(),
                    partial: false,
                    gap: Some(bytes),
                    cursor,
                });
            }
        }
    }

    /// What is unfinished, as it is: the reader will not go on from `at`.
    pub(super) fn finish_all(&mut self, at: Cursor) {
        self.flush(Place {
            segment: at.segment,
            record: at.record,
        });
    }

    /// What is unfinished, as it is: it will never be finished.
    fn flush(&mut self, here: Place) {
        let mut held = Vec::new();
        self.splitter
            .flush(|line| held.push((line.stream, line.at_ns, line.bytes.to_vec())));
        for (stream, at_ns, bytes) in held {
            self.unfinished[position(stream)] = None;
            self.finish(stream, at_ns, bytes, false, here);
        }
    }

    fn finish(&mut self, stream: Stream, at_ns: u64, bytes: Vec<u8>, complete: bool, here: Place) {
        let length = bytes.len() as u64 + u64::from(complete);
        if let Some(next) = &mut self.next[position(stream)] {
            *next += length;
        }
        let cursor = self.cursor(here);
        self.ready.push_back(LogLine {
            time: time(at_ns),
            stream: stream.into(),
            attempt: self.attempt,
            bytes,
            partial: !complete,
            gap: None,
            cursor,
        });
    }

    /// The place behind the last finished line.
    fn cursor(&self, here: Place) -> LogCursor {
        let oldest = self
            .unfinished
            .iter()
            .flatten()
            .copied()
            .fold(here, Place::min);
        LogCursor(Cursor {
            segment: oldest.segment,
            record: oldest.record,
            delivered: self.next,
        })
    }
}

fn position(stream: Stream) -> usize {
    match stream {
        Stream::Stdout => 0,
        Stream::Stderr => 1,
    }
}

fn time(at_ns: u64) -> DateTime<Utc> {
    DateTime::from_timestamp_nanos(i64::try_from(at_ns).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(record: u64) -> Cursor {
        Cursor {
            segment: 1,
            record,
            delivered: [Some(0), Some(0)],
        }
    }

    fn said(offset: u64, text: &str) -> Entry {
        Entry::Data {
            stream: Stream::Stdout,
            attempt: 1,
            at_ns: 0,
            offset,
            bytes: text.into(),
        }
    }

    #[test]
    fn whoever_goes_on_behind_a_full_disk_misses_nothing_and_is_told_of_it_once() {
        let mut assembler = Assembler::new(at(0));
        assembler.push(said(0, "one\n"), at(0), at(1));
        let lost = Entry::Gap {
            stream: Stream::Stdout,
            bytes: 100,
            cause: GapCause::DiskFull,
        };
        assembler.push(lost, at(1), at(2));
        assembler.push(said(4, "two\nth"), at(2), at(3));
        assembler.push(said(10, "ree\n"), at(3), at(4));
        let lines = std::iter::from_fn(|| assembler.pop());
        let places: Vec<_> = lines
            .map(|line| (line.bytes, line.cursor.0.record, line.cursor.0.delivered[0]))
            .collect();
        assert_eq!(
            places,
            [
                (b"one".to_vec(), 0, Some(4)),
                (vec![], 2, Some(4)),
                (b"two".to_vec(), 2, Some(8)),
                (b"three".to_vec(), 3, Some(14)),
            ]
        );
    }
}
