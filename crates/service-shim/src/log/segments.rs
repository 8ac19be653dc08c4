//! The segments of a log as its one writer holds them: the newest is open, the oldest go when there are too many.
//!
//! Owns: the files, their names and numbers, and where the next record stands. Never decides what is written when,
//! and knows nothing of where data comes from: [`super::LogWriter`] and [`super::LogAppender`] do.
//!
//! Invariant: one writer per directory.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::backwards::Backwards;
use super::format::{self, Header, Kind, RECORD_LEN, Record, Stream};
use super::total::{self, Share};
use crate::policy::LogPolicy;

/// The open end of a log.
#[derive(Debug)]
pub(super) struct Segments {
    dir: OwnedFd,
    max_bytes: u64,
    max_count: u64,
    oldest: u64,
    newest: u64,
    /// Of the newest.
    pub(super) header: Header,
    index: OwnedFd,
    records: u64,
    data: [Option<OwnedFd>; 2],
    /// What may be written under caps that are shared with other logs.
    pub(super) share: Share,
}

/// Where the records of a log end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    /// One past the last recorded byte of each stream, counted since the log began.
    pub(super) indexed: [u64; 2],
    /// The attempt of the last record.
    pub(super) attempt: u64,
    /// What the last record says; none in a segment that has none yet.
    pub(super) last: Option<Record>,
}

impl Segments {
    /// Opens the newest segment, or makes the first.
    pub(super) fn open(policy: &LogPolicy, attempt: u64) -> io::Result<Segments> {
        let dir = open_dir(&policy.dir)?;
        let mut numbers = format::segments(&dir)?;
        let (oldest, newest, header, index) = loop {
            let Some(newest) = numbers.pop() else {
                let header = Header {
                    created_ns: now_ns(),
                    attempt,
                    ..Header::default()
                };
                break (1, 1, header, new_index(&dir, 1, &header, &[])?);
            };
            let index = format::open_in(&dir, &format::index_name(newest), OFlags::RDWR)?;
            if let Some(header) = format::read_header(&index)? {
                let oldest = numbers.first().copied().unwrap_or(newest);
                break (oldest, newest, header, index);
            }
            // Killed between making the file and writing its header: no data can be there yet.
            unlink(&dir, &format::index_name(newest));
        };
        let records = format::records_in(format::size(&index)?);
        Ok(Segments {
            dir,
            max_bytes: policy.max_segment_bytes.max(1),
            max_count: u64::from(policy.max_segments.max(1)),
            oldest,
            newest,
            header,
            index,
            records,
            data: [None, None],
            share: Share::new(&policy.totals),
        })
    }

    /// Finds out where the records of the newest segment end; what is no record there is written over.
    pub(super) fn find_ends(&mut self) -> io::Result<Ends> {
        let mut ends = Ends {
            indexed: self.header.base,
            attempt: self.header.attempt,
            last: None,
        };
        let mut found = [false, false];
        let mut whole = self.records;
        let mut back = Backwards::new(&self.index, self.records);
        while let Some((number, record)) = back.next()? {
            let Some(record) = record else {
                // Zeros that a power cut left at the end.
                whole = whole.min(number);
                continue;
            };
            if ends.last.is_none() {
                ends.attempt = record.attempt;
                ends.last = Some(record);
            }
            let at = record.stream.index();
            if matches!(record.kind, Kind::Data | Kind::Carried) && !found[at] {
                found[at] = true;
                ends.indexed[at] = record.end();
            }
            if found == [true, true] {
                break;
            }
        }
        self.records = whole;
        Ok(ends)
    }

    /// Writes records behind those that are there, and says how many are whole now. At a fixed position, so that a
    /// piece of one is simply written over.
    pub(super) fn append(&mut self, records: &[Record]) -> usize {
        let bytes = encode(records);
        let written = rustix::io::pwrite(&self.index, &bytes, format::position(self.records));
        let whole = written.unwrap_or(0) / RECORD_LEN;
        self.records += whole as u64;
        whole
    }

    /// Begins the next segment, with these records, and removes what is too old. Where there is no room for it, the old
    /// one goes on.
    pub(super) fn enter_next(&mut self, header: Header, records: &[Record]) {
        let number = self.newest + 1;
        let Ok(index) = new_index(&self.dir, number, &header, records) else {
            return;
        };
        self.index = index;
        self.records = records.len() as u64;
        self.header = header;
        self.data = [None, None];
        self.newest = number;
        // As many bytes as its own policy says, where segments are smaller for the sake of others.
        let segment_bytes = self.max_bytes.min(self.share.max_segment_bytes()).max(1);
        let keep = self.max_bytes.saturating_mul(self.max_count) / segment_bytes;
        self.remove_oldest(keep.max(self.max_count));
    }

    /// Removes the oldest segments, so that at most so many stay.
    pub(super) fn remove_oldest(&mut self, keep: u64) {
        while self.newest - self.oldest >= keep {
            total::remove(&self.dir, self.oldest);
            self.oldest += 1;
        }
    }

    /// Keeps to the caps that are shared with others, once what may be written under them is used up. True when only
    /// newest segments are left, which nobody but their own writers may touch: then ours has to be closed and go.
    pub(super) fn must_go(&mut self, stored: [u64; 2]) -> bool {
        self.share.credit() == 0 && self.share.look() && stored != self.header.base
    }

    /// How many more bytes the newest segment takes, when the streams end there.
    pub(super) fn room(&self, stored: [u64; 2]) -> u64 {
        let held: u64 = (0..2).map(|at| stored[at] - self.header.base[at]).sum();
        let cap = self.max_bytes.min(self.share.max_segment_bytes());
        cap.saturating_sub(held)
    }

    /// The data file of a stream, if it has been opened.
    pub(super) fn opened(&self, stream: Stream) -> Option<&OwnedFd> {
        self.data[stream.index()].as_ref()
    }

    /// The data file of a stream, made when missing. Not for appending, which splice refuses: the position is ours
    /// alone.
    pub(super) fn data(&mut self, stream: Stream) -> rustix::io::Result<&OwnedFd> {
        let held = &mut self.data[stream.index()];
        if held.is_none() {
            let name = format::data_name(self.newest, stream);
            let file = format::open_in(&self.dir, &name, OFlags::WRONLY | OFlags::CREATE)?;
            *held = Some(file);
        }
        Ok(held.as_ref().expect("opened above"))
    }

    /// A data file that somebody else appends to.
    pub(super) fn direct_file(&self, stream: Stream) -> io::Result<OwnedFd> {
        let name = format::data_name(self.newest, stream);
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE;
        Ok(format::open_in(&self.dir, &name, flags)?)
    }

    /// Where the bytes of a stream end on disk, whether they are recorded or not.
    pub(super) fn data_end(&self, stream: Stream) -> io::Result<u64> {
        let name = format::data_name(self.newest, stream);
        let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
        let size = match rustix::fs::statat(&self.dir, name.as_str(), flags) {
            Ok(stat) => u64::try_from(stat.st_size).unwrap_or(0),
            Err(Errno::NOENT) => 0,
            Err(error) => return Err(error.into()),
        };
        Ok(self.header.base[stream.index()] + size)
    }

    /// Cuts off what stands in the data file of a stream behind `end`.
    pub(super) fn cut(&mut self, stream: Stream, end: u64) -> rustix::io::Result<()> {
        let size = end - self.header.base[stream.index()];
        rustix::fs::ftruncate(self.data(stream)?, size)
    }

    /// The open index, and how many records it has.
    pub(super) fn index(&self) -> (&OwnedFd, u64) {
        (&self.index, self.records)
    }
}

fn open_dir(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match rustix::fs::open(path, flags, rustix::fs::Mode::empty()) {
        Err(Errno::NOENT) => {
            std::fs::create_dir_all(path)?;
            Ok(rustix::fs::open(path, flags, rustix::fs::Mode::empty())?)
        }
        other => Ok(other?),
    }
}

/// Makes the index of a new segment; leaves nothing behind when there is no room for it.
fn new_index(
    dir: &OwnedFd,
    number: u64,
    header: &Header,
    records: &[Record],
) -> io::Result<OwnedFd> {
    let name = format::index_name(number);
    let index = format::open_in(dir, &name, OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC)?;
    // In one write, within a page: a kill leaves all of it or nothing.
    let bytes = [&header.encode()[..], &encode(records)].concat();
    match rustix::io::pwrite(index.as_fd(), &bytes, 0) {
        Ok(written) if written == bytes.len() => Ok(index),
        other => {
            unlink(dir, &name);
            other?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        }
    }
}

fn encode(records: &[Record]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(records.len() * RECORD_LEN);
    for record in records {
        bytes.extend_from_slice(&record.encode());
    }
    bytes
}

fn unlink(dir: &OwnedFd, name: &str) {
    // What cannot be removed now is over the cap until the next rotation; nothing depends on it.
    let _ = rustix::fs::unlinkat(dir, name, rustix::fs::AtFlags::empty());
}

/// Nanoseconds since 1970.
pub(crate) fn now_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}
