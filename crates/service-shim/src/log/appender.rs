//! Writes a log from records that somebody else keeps, such as a container engine, and sends again from any time on.
//!
//! Owns: which records were taken, and what could not be written yet. Holds no output between calls. Never asks for
//! records: who does, asks from [`LogAppender::resume_point`] on and leaves out what [`super::Resume`] knows.
//!
//! Invariant: bytes are stored before their record, and only what has a record is there. So a writer that is killed
//! between the two has taken nothing, and opening the log again cuts the bytes off.

use std::io;

use super::format::{Header, Kind, RECORD_LEN, Record, Stream};
use super::recall::{carried, recall, speaker_before};
use super::resume::{ResumePoint, Tail};
use super::segments::{Ends, Segments};
use super::writer::LogWriter;
use crate::policy::{LogMode, LogPolicy, OnFull};

/// The one writer of a log directory, for records.
#[derive(Debug)]
pub struct LogAppender {
    segments: Segments,
    on_full: OnFull,
    attempt: u64,
    stage: Stage,
    /// Where each stream ends, counted since the log began.
    stored: [u64; 2],
    tail: Tail,
    /// The latest time of any record.
    latest_ns: u64,
    owed: Owed,
    /// The bytes of one stream on their way; empty between calls.
    bytes: Vec<u8>,
}

/// One piece of output, as its keeper has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputRecord<'a> {
    /// Where it was written.
    pub stream: Stream,
    /// When, by the clock of its keeper, in nanoseconds since 1970.
    pub at_ns: u64,
    /// What was written, its newline included.
    pub bytes: &'a [u8],
}

/// Why records were not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The disk is full and the policy is to wait: the caller repeats all but the first `taken` later.
    #[error("no room for output on the disk")]
    Full {
        /// How many of the records are in the log.
        taken: usize,
    },
    /// A record is longer than the format can say. Nothing but the first `taken` is in the log.
    #[error("a piece of output is longer than 4 GiB")]
    TooLong {
        /// How many of the records are in the log; the next one is it.
        taken: usize,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// No record of the attempt is there.
    Fresh,
    Begun,
    Ended,
}

/// What is to be recorded before anything else, once there is room.
#[derive(Debug, Clone, Copy, Default)]
struct Owed {
    begin: Option<u64>,
    dropped: [u64; 2],
    gap: Gap,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Gap {
    #[default]
    None,
    Owed,
    /// Recorded, and nothing since.
    Told,
}

impl LogAppender {
    /// Goes on where the log ends. Bytes that this attempt stored without a record are cut off: they are sent again.
    /// Those of an earlier attempt are recorded as [`LogWriter`] does.
    ///
    /// # Errors
    /// The directory cannot be made, read or written, or the policy is to let the service write its files itself.
    pub fn open(policy: &LogPolicy, attempt: u64) -> io::Result<LogAppender> {
        if policy.mode == LogMode::File {
            let message = "output that comes as records cannot be written by the service itself";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let mut segments = Segments::open(policy, attempt)?;
        let mut ends = segments.find_ends()?;
        if ends.attempt != attempt && has_unrecorded(&segments, &ends)? {
            drop(LogWriter::open(policy, attempt)?);
            segments = Segments::open(policy, attempt)?;
            ends = segments.find_ends()?;
        }
        for stream in Stream::ALL {
            let end = ends.indexed[stream.index()];
            if segments.data_end(stream)? > end {
                segments.cut(stream, end)?;
            }
        }
        let tail = recall(&segments, attempt)?;
        let last = ends.last.filter(|last| last.attempt == attempt);
        let is_gap = last.is_some_and(|last| last.kind == Kind::Dropped && last.length == 0);
        let gap = if is_gap { Gap::Told } else { Gap::None };
        Ok(LogAppender {
            on_full: policy.on_full,
            attempt,
            stage: stage(&ends, attempt),
            stored: ends.indexed,
            tail,
            latest_ns: latest(&segments.header, ends.last),
            owed: Owed {
                gap,
                ..Owed::default()
            },
            bytes: Vec::new(),
            segments,
        })
    }

    /// Records that the attempt begins, unless that is recorded. On a full disk that is done with what comes next.
    pub fn begin(&mut self, at_ns: u64) {
        if self.stage == Stage::Fresh {
            self.owed.begin = Some(at_ns);
            self.settle();
        }
    }

    /// Stores records, in the order in which they are given.
    ///
    /// One write for the bytes of each stream and one for all records, as long as they are at most 1 MiB and of one
    /// segment. A record is never cut: a segment may be larger than its cap by one that alone is larger.
    ///
    /// # Errors
    /// See [`AppendError`]. With [`OnFull::Drop`] a full disk is none: what did not fit is counted, and a record says so
    /// once there is room.
    pub fn append(&mut self, records: &[OutputRecord<'_>]) -> Result<(), AppendError> {
        let mut taken = 0;
        while let Some(next) = records.get(taken) {
            if u32::try_from(next.bytes.len()).is_err() {
                return Err(AppendError::TooLong { taken });
            }
            let stored = self.store(&records[taken..]);
            taken += stored;
            if stored > 0 {
                continue;
            }
            if self.on_full == OnFull::Block {
                return Err(AppendError::Full { taken });
            }
            for lost in &records[taken..] {
                self.owed.dropped[lost.stream.index()] += lost.bytes.len() as u64;
            }
            return Ok(());
        }
        Ok(())
    }

    /// From now on a full disk is waited for no more, whatever the policy: what does not fit is dropped and counted. For the
    /// last of what was said, once nobody is left who could wait.
    pub fn wait_no_more(&mut self) {
        self.on_full = OnFull::Drop;
    }

    /// Records that output is missing here, nobody knows how much. Said once, until something else is stored.
    pub fn gap(&mut self) {
        if self.owed.gap == Gap::None {
            self.owed.gap = Gap::Owed;
            self.settle();
        }
    }

    /// Records that the attempt has ended, after its last record, unless that is recorded.
    ///
    /// # Errors
    /// [`AppendError::Full`], when the policy is to wait.
    pub fn end(&mut self, at_ns: u64) -> Result<(), AppendError> {
        if self.stage == Stage::Ended {
            return Ok(());
        }
        let end = self.record(Kind::End, Stream::Stdout, 0, at_ns);
        if self.settle() && self.segments.append(&[end]) == 1 {
            self.stage = Stage::Ended;
        } else if self.on_full == OnFull::Block {
            return Err(AppendError::Full { taken: 0 });
        }
        Ok(())
    }

    /// Whether the end of the attempt is recorded: nothing of it is missing.
    pub fn is_ended(&self) -> bool {
        self.stage == Stage::Ended
    }

    /// From where on records are to be sent; none when nothing of this attempt is here.
    pub fn resume_point(&self) -> Option<ResumePoint> {
        ResumePoint::new(&self.tail)
    }

    /// Where the output of the attempts before this one ends, should their keeper have more of it; none when they said
    /// nothing.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn earlier_point(&self) -> io::Result<Option<ResumePoint>> {
        let Some(earlier) = speaker_before(&self.segments, self.attempt)? else {
            return Ok(None);
        };
        Ok(ResumePoint::new(&recall(&self.segments, earlier)?))
    }

    /// Stores the first of the records, as many as go in one write, and says how many. None when there is no room.
    fn store(&mut self, records: &[OutputRecord<'_>]) -> usize {
        if !self.settle() {
            return 0;
        }
        self.make_room(records[0].bytes.len() as u64);
        let batch = &records[..self.extent(records)];
        let written = Stream::ALL.map(|stream| self.write_bytes(batch, stream));
        let index = self.describe(batch, written);
        let count = match index.is_empty() {
            true => 0,
            false => self.segments.append(&index),
        };
        for (record, described) in batch.iter().zip(&index[..count]) {
            self.stored[record.stream.index()] = described.end();
            self.tail
                .push(record.stream, record.at_ns, is_whole(record.bytes));
            self.latest_ns = self.latest_ns.max(record.at_ns);
            self.segments.share.spend(record.bytes.len() as u64);
            self.owed.gap = Gap::None;
        }
        if count < batch.len() {
            for stream in Stream::ALL {
                // What cannot be cut off now is written over, or cut off when the log is opened again.
                if written[stream.index()] > 0 {
                    let _ = self.segments.cut(stream, self.stored[stream.index()]);
                }
            }
        }
        count
    }

    /// Keeps to the caps that are shared with others, then to the size of a segment.
    fn make_room(&mut self, length: u64) {
        if self.segments.must_go(self.stored) {
            self.rotate();
            self.segments.remove_oldest(1);
        }
        let is_empty = self.stored == self.segments.header.base;
        if !is_empty && length > self.segments.room(self.stored) {
            self.rotate();
        }
    }

    /// Begins the next segment, with what stands last in this one.
    fn rotate(&mut self) {
        let header = Header {
            base: self.stored,
            created_ns: self.latest_ns,
            attempt: self.attempt,
            run: self.tail.run(),
        };
        let carried = carried(&self.tail, self.attempt, self.stored);
        self.segments.enter_next(header, &carried);
    }

    /// How many of the records go together: at least one, and no more than the segment and the shared caps have room for.
    fn extent(&self, records: &[OutputRecord<'_>]) -> usize {
        let room = self.segments.room(self.stored).min(MAX_WRITE);
        let credit = self.segments.share.credit();
        let (mut bytes, mut cost) = (0, 0);
        let fitting = records.iter().take_while(|record| {
            bytes += record.bytes.len() as u64;
            cost += (record.bytes.len() + RECORD_LEN) as u64;
            bytes <= room && cost <= credit
        });
        fitting.count().max(1)
    }

    /// Writes the bytes of one stream behind what is stored, and says how many found room.
    fn write_bytes(&mut self, batch: &[OutputRecord<'_>], stream: Stream) -> u64 {
        let mut own = batch.iter().filter(|record| record.stream == stream);
        let mut held = std::mem::take(&mut self.bytes);
        let bytes = match (own.next(), own.next()) {
            (None, _) => &[],
            // Most often that is how they come: no reason to copy.
            (Some(single), None) => single.bytes,
            (Some(first), Some(second)) => {
                held.extend_from_slice(first.bytes);
                held.extend_from_slice(second.bytes);
                own.for_each(|record| held.extend_from_slice(record.bytes));
                &held[..]
            }
        };
        let written = self.write_at_end(stream, bytes).unwrap_or(0);
        held.clear();
        held.shrink_to(MAX_KEPT);
        self.bytes = held;
        written
    }

    fn write_at_end(&mut self, stream: Stream, bytes: &[u8]) -> rustix::io::Result<u64> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let at = stream.index();
        let position = self.stored[at] - self.segments.header.base[at];
        let file = self.segments.data(stream)?;
        Ok(rustix::io::pwrite(file, bytes, position)? as u64)
    }

    /// The index records of the first of the batch, as far as their bytes were written.
    fn describe(&self, batch: &[OutputRecord<'_>], written: [u64; 2]) -> Vec<Record> {
        let mut index = Vec::with_capacity(batch.len());
        let mut ends = self.stored;
        let mut before: [Option<u64>; 2] = [None, None];
        for record in batch {
            let at = record.stream.index();
            let length = u32::try_from(record.bytes.len()).unwrap_or(u32::MAX);
            let offset = ends[at];
            ends[at] += u64::from(length);
            if ends[at] - self.stored[at] > written[at] || length == u32::MAX {
                break;
            }
            let same_time = match before[at].replace(record.at_ns) {
                Some(before) => before == record.at_ns,
                None => self.tail.is_same_time(record.stream, record.at_ns),
            };
            index.push(Record {
                offset,
                same_time,
                is_open: !is_whole(record.bytes),
                ..self.record(Kind::Data, record.stream, length, record.at_ns)
            });
        }
        index
    }

    /// Records what is owed. False when there is no room for it.
    fn settle(&mut self) -> bool {
        if let Some(at_ns) = self.owed.begin {
            if !self.note(Kind::Begin, Stream::Stdout, 0, at_ns) {
                return false;
            }
            self.owed.begin = None;
            self.stage = Stage::Begun;
            self.latest_ns = self.latest_ns.max(at_ns);
        }
        for stream in Stream::ALL {
            let at = stream.index();
            while self.owed.dropped[at] > 0 {
                let length = u32::try_from(self.owed.dropped[at]).unwrap_or(u32::MAX);
                if !self.note(Kind::Dropped, stream, length, self.latest_ns) {
                    return false;
                }
                self.owed.dropped[at] -= u64::from(length);
            }
        }
        if self.owed.gap == Gap::Owed {
            if !self.note(Kind::Dropped, Stream::Stdout, 0, self.latest_ns) {
                return false;
            }
            self.owed.gap = Gap::Told;
        }
        true
    }

    fn note(&mut self, kind: Kind, stream: Stream, length: u32, at_ns: u64) -> bool {
        let record = self.record(kind, stream, length, at_ns);
        self.segments.append(&[record]) == 1
    }

    fn record(&self, kind: Kind, stream: Stream, length: u32, at_ns: u64) -> Record {
        Record {
            kind,
            stream,
            direct: false,
            same_time: false,
            is_open: false,
            length,
            offset: self.stored[stream.index()],
            attempt: self.attempt,
            at_ns,
        }
    }
}

/// Whether nothing more of the last line can come.
fn is_whole(bytes: &[u8]) -> bool {
    bytes.last() == Some(&b'\n')
}

fn has_unrecorded(segments: &Segments, ends: &Ends) -> io::Result<bool> {
    for stream in Stream::ALL {
        if segments.data_end(stream)? > ends.indexed[stream.index()] {
            return Ok(true);
        }
    }
    Ok(false)
}

fn stage(ends: &Ends, attempt: u64) -> Stage {
    match ends.last.filter(|last| last.attempt == attempt) {
        Some(last) if last.kind == Kind::End => Stage::Ended,
        Some(_) => Stage::Begun,
        None => Stage::Fresh,
    }
}

/// The latest time that the log is known to have; of a log that is new, none.
fn latest(header: &Header, last: Option<Record>) -> u64 {
    let begun = (header.base != [0, 0]).then_some(header.created_ns);
    begun.max(last.map(|last| last.at_ns)).unwrap_or(0)
}

const MAX_WRITE: u64 = 1024 * 1024;
// What a reader of an engine's stream takes at once is about as much; a larger batch gives its memory back.
const MAX_KEPT: usize = 64 * 1024;
