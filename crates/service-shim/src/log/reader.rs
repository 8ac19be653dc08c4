//! Reads a log from any point on, while it is being written and rotated.
//!
//! Owns: a cursor. Never writes, never waits, never interprets the bytes. What was removed before it could be read
//! is reported as a gap of a known size, never skipped in silence.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::entry::{Entry, GapCause};
use super::format::{self, Header, Kind, RECORD_LEN, Record, Stream};
use super::seek::Start;
use super::segments::now_ns;

/// Where a reader stands. May be stored and used again, also after the log has been rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cursor {
    /// The segment; zero is before the first.
    pub segment: u64,
    /// The record in it that comes next.
    pub record: u64,
    /// How far each stream was handed out, since the log began; none before its first byte was.
    pub delivered: [Option<u64>; 2],
}

/// Why a log cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The directory is missing or may not be read.
    #[error("cannot open the log directory {}", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file in it cannot be read.
    #[error("cannot read the log in {}", path.display())]
    Read {
        /// Where.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Reads one log directory.
#[derive(Debug)]
pub struct LogReader {
    path: PathBuf,
    dir: OwnedFd,
    cursor: Cursor,
    open: Option<Segment>,
    waiting: VecDeque<Entry>,
    max_data: usize,
}

/// An open segment. Its files stay readable when they are removed meanwhile.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) header: Header,
    pub(super) index: OwnedFd,
    data: [Option<OwnedFd>; 2],
    ahead: VecDeque<(u64, Record)>,
    /// The attempt that writes the data files itself, while it does.
    direct: Option<u64>,
}

impl LogReader {
    /// Opens a log at a starting point.
    ///
    /// # Errors
    /// [`ReadError`] when the directory is missing or may not be read.
    pub fn open(dir: &Path, start: Start) -> Result<LogReader, ReadError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let path = dir.to_owned();
        let dir = rustix::fs::open(dir, flags, rustix::fs::Mode::empty()).map_err(|source| {
            ReadError::Open {
                path: path.clone(),
                source: source.into(),
            }
        })?;
        let cursor = super::seek::find(&dir, start).map_err(|source| ReadError::Read {
            path: path.clone(),
            source,
        })?;
        Ok(LogReader {
            path,
            dir,
            cursor,
            open: None,
            waiting: VecDeque::new(),
            max_data: MAX_READ,
        })
    }

    /// The same, with at most so many bytes in an entry; never more than 256 KiB.
    #[must_use]
    pub fn with_max_data(mut self, bytes: usize) -> LogReader {
        self.max_data = bytes.clamp(1, MAX_READ);
        self
    }

    /// Where the next entry stands.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// The next entry; none when there is nothing more for now.
    ///
    /// # Errors
    /// [`ReadError`] when a file cannot be read. Calling again is allowed.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, ReadError> {
        self.advance().map_err(|source| ReadError::Read {
            path: self.path.clone(),
            source,
        })
    }

    fn advance(&mut self) -> io::Result<Option<Entry>> {
        loop {
            if let Some(entry) = self.waiting.pop_front() {
                return Ok(Some(entry));
            }
            let Some(mut segment) = self.open.take() else {
                if self.enter(false)? {
                    continue;
                }
                return Ok(None);
            };
            let record = segment.record(self.cursor.record)?;
            let step = match record {
                Some(record) => self.take(&mut segment, record)?,
                None => self.take_direct(&mut segment)?,
            };
            let number = segment.number;
            self.open = Some(segment);
            match step {
                Step::Entry(entry) => return Ok(Some(entry)),
                Step::Again => {}
                Step::Dry => {
                    // The writer ends a segment before it makes the next: seen in this order, nothing is skipped.
                    if !format::segments(&self.dir)?
                        .into_iter()
                        .any(|other| other > number)
                    {
                        return Ok(None);
                    }
                    let late = self
                        .open
                        .as_mut()
                        .expect("just put back")
                        .record(self.cursor.record)?;
                    if late.is_none() && !self.enter(true)? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Opens the segment of the cursor, or the first one after it.
    fn enter(&mut self, next: bool) -> io::Result<bool> {
        let least = self.cursor.segment.saturating_add(u64::from(next));
        for number in format::segments(&self.dir)? {
            if number < least {
                continue;
            }
            // Removed since it was listed, or not yet complete: the one after it is as good.
            let Some(segment) = Segment::open(&self.dir, number)? else {
                continue;
            };
            if number != self.cursor.segment {
                self.cursor.segment = number;
                self.cursor.record = 0;
            }
            for stream in Stream::ALL {
                self.skip_to(
                    stream,
                    segment.header.base[stream.index()],
                    GapCause::Rotated,
                );
            }
            self.open = Some(segment);
            return Ok(true);
        }
        Ok(false)
    }

    /// Notes that everything before `offset` is not to be had.
    fn skip_to(&mut self, stream: Stream, offset: u64, cause: GapCause) {
        let delivered = &mut self.cursor.delivered[stream.index()];
        match *delivered {
            Some(done) if done < offset => {
                self.waiting.push_back(Entry::Gap {
                    stream,
                    bytes: offset - done,
                    cause,
                });
                *delivered = Some(offset);
            }
            _ => {}
        }
    }

    fn take(&mut self, segment: &mut Segment, record: Record) -> io::Result<Step> {
        let Record {
            attempt,
            at_ns,
            stream,
            ..
        } = record;
        let entry = match record.kind {
            Kind::Data => return self.take_data(segment, record),
            Kind::Carried => {
                self.cursor.record += 1;
                return Ok(Step::Again);
            }
            Kind::Begin => {
                segment.direct = record.direct.then_some(attempt);
                Entry::Begin { attempt, at_ns }
            }
            Kind::End => {
                segment.direct = None;
                Entry::End { attempt, at_ns }
            }
            Kind::Dropped => Entry::Gap {
                stream,
                bytes: u64::from(record.length),
                cause: match record.length {
                    0 => GapCause::NotKept,
                    _ => GapCause::DiskFull,
                },
            },
        };
        self.cursor.record += 1;
        Ok(Step::Entry(entry))
    }

    fn take_data(&mut self, segment: &mut Segment, record: Record) -> io::Result<Step> {
        let Record {
            attempt,
            at_ns,
            stream,
            ..
        } = record;
        let at = stream.index();
        let end = record.end();
        let from = self.cursor.delivered[at]
            .unwrap_or(record.offset)
            .max(record.offset);
        if from >= end {
            self.cursor.record += 1;
            return Ok(Step::Again);
        }
        self.skip_to(stream, from, GapCause::Lost);
        let bytes = segment.read(
            &self.dir,
            stream,
            from,
            (end - from).min(self.max_data as u64),
        )?;
        if bytes.is_empty() {
            self.cursor.delivered[at] = Some(from);
            self.skip_to(stream, end, segment.missing(&self.dir));
            self.cursor.record += 1;
            return Ok(Step::Again);
        }
        let done = from.saturating_add(bytes.len() as u64);
        self.cursor.delivered[at] = Some(done);
        self.cursor.record += u64::from(done == end);
        let entry = Entry::Data {
            stream,
            attempt,
            at_ns,
            offset: from,
            bytes,
        };
        // A gap that was found on the way comes first.
        self.waiting.push_back(entry);
        Ok(Step::Again)
    }

    /// Reads on in files that the service writes itself.
    fn take_direct(&mut self, segment: &mut Segment) -> io::Result<Step> {
        let Some(attempt) = segment.direct_attempt(self.cursor.record)? else {
            return Ok(Step::Dry);
        };
        for stream in Stream::ALL {
            let at = stream.index();
            let from = self.cursor.delivered[at].unwrap_or(segment.header.base[at]);
            let bytes = segment.read(&self.dir, stream, from, self.max_data as u64)?;
            if !bytes.is_empty() {
                self.cursor.delivered[at] = Some(from.saturating_add(bytes.len() as u64));
                let at_ns = now_ns();
                return Ok(Step::Entry(Entry::Data {
                    stream,
                    attempt,
                    at_ns,
                    offset: from,
                    bytes,
                }));
            }
        }
        Ok(Step::Dry)
    }
}

enum Step {
    Entry(Entry),
    Again,
    Dry,
}

impl Segment {
    /// None when it has been removed, or is being made.
    pub(super) fn open(dir: &OwnedFd, number: u64) -> io::Result<Option<Segment>> {
        let index = match format::open_in(dir, &format::index_name(number), OFlags::RDONLY) {
            Ok(index) => index,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let Some(header) = format::read_header(&index)? else {
            return Ok(None);
        };
        let mut segment = Segment {
            number,
            header,
            index,
            data: [None, None],
            ahead: VecDeque::new(),
            direct: None,
        };
        for stream in Stream::ALL {
            segment.open_data(dir, stream)?;
        }
        Ok(Some(segment))
    }

    fn open_data(&mut self, dir: &OwnedFd, stream: Stream) -> io::Result<()> {
        match format::open_in(dir, &format::data_name(self.number, stream), OFlags::RDONLY) {
            Ok(file) => self.data[stream.index()] = Some(file),
            Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// How many whole records it has now.
    pub(super) fn records(&self) -> io::Result<u64> {
        Ok(format::records_in(format::size(&self.index)?))
    }

    /// Record number `number`; none when it is not written yet.
    pub(super) fn record(&mut self, number: u64) -> io::Result<Option<Record>> {
        if self.ahead.front().is_none_or(|(first, _)| *first > number) {
            self.ahead.clear();
        }
        while self.ahead.front().is_some_and(|(first, _)| *first < number) {
            self.ahead.pop_front();
        }
        if self.ahead.is_empty() {
            let mut bytes = [0u8; RECORD_LEN * READ_AHEAD];
            let read = rustix::io::pread(&self.index, &mut bytes, format::position(number))?;
            let whole = bytes[..read]
                .chunks_exact(RECORD_LEN)
                .map_while(Record::decode);
            self.ahead.extend((number..).zip(whole));
        }
        Ok(self.ahead.front().map(|(_, record)| *record))
    }

    /// Up to `length` bytes of a stream from `offset` on; none when they are not there.
    pub(super) fn read(
        &mut self,
        dir: &OwnedFd,
        stream: Stream,
        offset: u64,
        length: u64,
    ) -> io::Result<Vec<u8>> {
        let at = stream.index();
        if self.data[at].is_none() {
            self.open_data(dir, stream)?;
        }
        let (Some(file), Some(position)) =
            (&self.data[at], offset.checked_sub(self.header.base[at]))
        else {
            return Ok(Vec::new());
        };
        // A reader that polls a file the service writes itself mostly finds nothing: look before allocating.
        let there = format::size(file)?.saturating_sub(position);
        let wanted = usize::try_from(length.min(there))
            .unwrap_or(MAX_READ)
            .min(MAX_READ);
        let mut bytes = Vec::with_capacity(wanted);
        if wanted > 0 {
            rustix::io::pread(file, rustix::buffer::spare_capacity(&mut bytes), position)?;
            bytes.truncate(wanted);
        }
        Ok(bytes)
    }

    /// How many bytes of a stream it holds.
    pub(super) fn data_size(&self, stream: Stream) -> io::Result<u64> {
        self.data[stream.index()]
            .as_ref()
            .map_or(Ok(0), format::size)
    }

    /// Why data with a record is not there.
    fn missing(&self, dir: &OwnedFd) -> GapCause {
        match format::open_in(dir, &format::index_name(self.number), OFlags::RDONLY) {
            Ok(_) => GapCause::Lost,
            Err(_) => GapCause::Rotated,
        }
    }

    /// The attempt that writes this segment itself, as far as the records before `number` tell.
    fn direct_attempt(&mut self, number: u64) -> io::Result<Option<u64>> {
        if self.direct.is_none() && number > 0 {
            // A reader that resumed behind the `begin` looks back for it; such a segment has few records.
            for earlier in (0..number).rev() {
                match self.record(earlier)? {
                    Some(Record {
                        kind: Kind::Begin,
                        direct,
                        attempt,
                        ..
                    }) => {
                        self.direct = direct.then_some(attempt);
                        break;
                    }
                    Some(Record {
                        kind: Kind::End, ..
                    })
                    | None => break,
                    Some(_) if number - earlier > MAX_LOOK_BACK => break,
                    Some(_) => {}
                }
            }
        }
        Ok(self.direct)
    }
}

const MAX_READ: usize = 256 * 1024;
const READ_AHEAD: usize = 64;
const MAX_LOOK_BACK: u64 = 64;
