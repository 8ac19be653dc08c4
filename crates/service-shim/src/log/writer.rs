//! Moves the output of a service from its pipes into segments, and indexes it.
//!
//! Owns: the newest segment, and the removal of the oldest ones. Never holds a byte of output in memory: data goes
//! from pipe to file by `splice(2)`, so that killing the writer at any instant loses and doubles nothing. What was
//! moved but not yet indexed is indexed by whoever opens the directory next.
//!
//! Invariant: one writer per directory, which the lock of the run directory guarantees.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::pipe::SpliceFlags;

use super::format::{self, HEADER_LEN, Header, Kind, RECORD_LEN, Record, Stream};
use super::total::{self, Share};
use crate::policy::{LogMode, LogPolicy, OnFull};

/// The one writer of a log directory.
#[derive(Debug)]
pub struct LogWriter {
    dir: OwnedFd,
    limits: Limits,
    attempt: u64,
    /// The oldest and the newest segment.
    segments: (u64, u64),
    base: [u64; 2],
    /// Where the data of each stream ends, counted since the log began.
    stored: [u64; 2],
    /// Where the records of each stream end. Behind `stored` while the disk is too full for a record.
    indexed: [u64; 2],
    /// Bytes thrown away that no record tells of yet.
    dropped: [u64; 2],
    index: OwnedFd,
    records: u64,
    data: [Option<OwnedFd>; 2],
    void: Option<OwnedFd>,
    /// What it may write under caps that it shares with other logs.
    share: Share,
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    max_segment_bytes: u64,
    max_segments: u64,
    on_full: OnFull,
    mode: LogMode,
}

/// What one call of [`LogWriter::drain`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Drained {
    /// Bytes taken out of the pipe, whether kept or thrown away.
    pub bytes: u64,
    /// The pipe was not emptied: the call moved as much as it may at once.
    pub more: bool,
    /// The disk is full and the bytes stay in the pipe: try again later.
    pub blocked: bool,
}

impl LogWriter {
    /// Goes on where the log ends, and indexes what a killed predecessor has moved without indexing it.
    ///
    /// # Errors
    /// The directory cannot be made, read or written.
    pub fn open(policy: &LogPolicy, attempt: u64) -> io::Result<LogWriter> {
        let dir = open_dir(&policy.dir)?;
        let limits = Limits {
            max_segment_bytes: policy.max_segment_bytes.max(1),
            max_segments: u64::from(policy.max_segments.max(1)),
            on_full: policy.on_full,
            mode: policy.mode,
        };
        let mut numbers = format::segments(&dir)?;
        while let Some(newest) = numbers.pop() {
            let index = format::open_in(&dir, &format::index_name(newest), OFlags::RDWR)?;
            let Some(header) = format::read_header(&index)? else {
                // Killed between making the file and writing its header: no data can be there yet.
                unlink(&dir, &format::index_name(newest));
                continue;
            };
            let oldest = numbers.first().copied().unwrap_or(newest);
            let mut writer = LogWriter::at(dir, limits, attempt, (oldest, newest), header, index);
            writer.share = Share::new(&policy.totals);
            writer.recover(&header)?;
            return Ok(writer);
        }
        let header = Header {
            base: [0, 0],
            created_ns: now_ns(),
            attempt,
        };
        let index = new_index(&dir, 1, &header)?;
        let mut writer = LogWriter::at(dir, limits, attempt, (1, 1), header, index);
        writer.share = Share::new(&policy.totals);
        Ok(writer)
    }

    fn at(
        dir: OwnedFd,
        limits: Limits,
        attempt: u64,
        segments: (u64, u64),
        header: Header,
        index: OwnedFd,
    ) -> Self {
        let base = header.base;
        LogWriter {
            dir,
            limits,
            attempt,
            segments,
            base,
            stored: base,
            indexed: base,
            dropped: [0, 0],
            index,
            records: 0,
            data: [None, None],
            void: None,
            share: Share::new(&[]),
        }
    }

    /// Records that the attempt begins.
    pub fn begin(&mut self) {
        let direct = self.limits.mode == LogMode::File;
        if direct && self.stored != self.base {
            // So that what stands in the files belongs to this attempt alone.
            self.close_segment();
        }
        self.mark(Kind::Begin, direct);
    }

    /// Records that the attempt has ended, after its last byte.
    pub fn end(&mut self) {
        if self.limits.mode == LogMode::File {
            // What the service wrote itself: seen only now.
            for stream in Stream::ALL {
                if let Ok(size) = self.data_size(stream) {
                    let at = stream.index();
                    self.stored[at] = self.stored[at].max(self.base[at] + size);
                }
            }
        }
        for stream in Stream::ALL {
            self.write_index(stream, now_ns());
        }
        self.mark(Kind::End, false);
    }

    /// Closes the segment and begins the next one. Keeps writing to the old one when there is no room for a new.
    /// Does nothing while the service writes its files itself.
    pub fn rotate(&mut self) {
        if self.limits.mode == LogMode::Capture {
            self.close_segment();
        }
    }

    fn close_segment(&mut self) {
        let header = Header {
            base: self.stored,
            created_ns: now_ns(),
            attempt: self.attempt,
        };
        for stream in Stream::ALL {
            self.write_index(stream, header.created_ns);
        }
        // Records that found no room must be written before anything after them.
        if self.indexed == self.stored {
            self.enter(self.segments.1 + 1, &header);
        }
    }

    /// A data file the service may write by itself.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn direct_file(&self, stream: Stream) -> io::Result<OwnedFd> {
        let name = format::data_name(self.segments.1, stream);
        Ok(format::open_in(
            &self.dir,
            &name,
            OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE,
        )?)
    }

    /// Moves what is in the pipe to the log, without waiting for more. The pipe must be non-blocking.
    ///
    /// # Errors
    /// The pipe itself fails. A disk that fails is no error: see [`OnFull`].
    pub fn drain(&mut self, stream: Stream, pipe: BorrowedFd<'_>) -> io::Result<Drained> {
        let at = stream.index();
        let mut total = Drained::default();
        while total.bytes < MAX_DRAIN {
            if self.room() == 0 || self.share.credit() == 0 {
                // A new segment costs the oldest one: only for bytes that are there.
                if rustix::io::ioctl_fionread(pipe)? == 0 {
                    return Ok(self.finish(stream, total));
                }
                self.make_room();
            }
            let room = match self.room() {
                0 => MIN_SPLICE,
                room => room,
            };
            let room = room.min(self.share.credit());
            let length = usize::try_from(room).unwrap_or(MAX_SPLICE).min(MAX_SPLICE);
            match self.splice_to_file(stream, pipe, length) {
                Ok(0) | Err(Errno::AGAIN) => return Ok(self.finish(stream, total)),
                Ok(moved) => {
                    self.stored[at] += moved;
                    self.share.spend(moved);
                    total.bytes += moved;
                }
                Err(Errno::INTR) => {}
                Err(Errno::BADF | Errno::NOTCONN | Errno::PIPE) => {
                    return Err(io::Error::other("the pipe is gone"));
                }
                Err(_) if self.limits.on_full == OnFull::Block => {
                    total.blocked = true;
                    return Ok(self.finish(stream, total));
                }
                Err(_) => match self.throw_away(pipe) {
                    Ok(0) | Err(Errno::AGAIN) => return Ok(self.finish(stream, total)),
                    Ok(lost) => {
                        self.dropped[at] += lost;
                        total.bytes += lost;
                    }
                    Err(Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                },
            }
        }
        total.more = true;
        Ok(self.finish(stream, total))
    }

    /// Moves everything that is left once nobody writes any more. On a full disk the rest is thrown away and counted,
    /// whatever the policy: there is nobody left who could wait.
    pub fn drain_last(&mut self, stream: Stream, pipe: BorrowedFd<'_>) {
        self.limits.on_full = OnFull::Drop;
        while let Ok(Drained { bytes: 1.., .. }) = self.drain(stream, pipe) {}
    }

    fn finish(&mut self, stream: Stream, total: Drained) -> Drained {
        if total.bytes > 0 {
            self.write_index(stream, now_ns());
        }
        total
    }

    /// Keeps to the caps that are shared with others, then to the size of a segment.
    fn make_room(&mut self) {
        let is_empty = self.stored == self.base;
        if self.share.credit() == 0 && self.share.look() && !is_empty {
            // All the rest is in newest segments, which only their own writers may touch: ours goes.
            self.rotate();
            self.remove_oldest(1);
        }
        if self.room() == 0 {
            self.rotate();
        }
    }

    fn room(&self) -> u64 {
        let held: u64 = (0..2).map(|at| self.stored[at] - self.base[at]).sum();
        let own = self.limits.max_segment_bytes;
        own.min(self.share.max_segment_bytes()).saturating_sub(held)
    }

    fn splice_to_file(
        &mut self,
        stream: Stream,
        pipe: BorrowedFd<'_>,
        length: usize,
    ) -> rustix::io::Result<u64> {
        let at = stream.index();
        if self.data[at].is_none() {
            // Many services never write to one of the streams: no file for those.
            if rustix::io::ioctl_fionread(pipe)? == 0 {
                return Err(Errno::AGAIN);
            }
            let name = format::data_name(self.segments.1, stream);
            // Not for appending, which splice refuses: the position is ours alone.
            self.data[at] = Some(format::open_in(
                &self.dir,
                &name,
                OFlags::WRONLY | OFlags::CREATE,
            )?);
        }
        let mut position = self.stored[at] - self.base[at];
        let file = self.data[at].as_ref().expect("opened above");
        let moved = rustix::pipe::splice(
            pipe,
            None,
            file,
            Some(&mut position),
            length,
            SpliceFlags::NONBLOCK,
        )?;
        Ok(moved as u64)
    }

    fn throw_away(&mut self, pipe: BorrowedFd<'_>) -> rustix::io::Result<u64> {
        if self.void.is_none() {
            let flags = OFlags::WRONLY | OFlags::CLOEXEC;
            self.void = Some(rustix::fs::open(
                c"/dev/null",
                flags,
                rustix::fs::Mode::empty(),
            )?);
        }
        let void = self.void.as_ref().expect("opened above");
        Ok(rustix::pipe::splice(pipe, None, void, None, MAX_SPLICE, SpliceFlags::NONBLOCK)? as u64)
    }

    /// Writes what is known of a stream and not yet recorded. What does not fit on the disk waits for the next time.
    fn write_index(&mut self, stream: Stream, at_ns: u64) {
        let at = stream.index();
        while self.dropped[at] > 0 {
            let length = u32::try_from(self.dropped[at]).unwrap_or(u32::MAX);
            if !self.append(Record {
                length,
                ..self.record(Kind::Dropped, stream, at_ns)
            }) {
                return;
            }
            self.dropped[at] -= u64::from(length);
        }
        while self.indexed[at] < self.stored[at] {
            let length = u32::try_from(self.stored[at] - self.indexed[at]).unwrap_or(u32::MAX);
            if !self.append(Record {
                length,
                ..self.record(Kind::Data, stream, at_ns)
            }) {
                return;
            }
            self.indexed[at] += u64::from(length);
        }
    }

    fn mark(&mut self, kind: Kind, direct: bool) {
        let record = self.record(kind, Stream::Stdout, now_ns());
        self.append(Record { direct, ..record });
    }

    fn record(&self, kind: Kind, stream: Stream, at_ns: u64) -> Record {
        let offset = self.indexed[stream.index()];
        Record {
            kind,
            stream,
            direct: false,
            length: 0,
            offset,
            attempt: self.attempt,
            at_ns,
        }
    }

    /// Whether the record is in the index now. At a fixed position, so that a piece of one is simply overwritten.
    fn append(&mut self, record: Record) -> bool {
        let bytes = record.encode();
        let written = rustix::io::pwrite(&self.index, &bytes, format::position(self.records));
        let whole = written == Ok(RECORD_LEN);
        self.records += u64::from(whole);
        whole
    }

    fn enter(&mut self, number: u64, header: &Header) {
        let Ok(index) = new_index(&self.dir, number, header) else {
            return;
        };
        self.index = index;
        self.records = 0;
        self.base = header.base;
        self.data = [None, None];
        self.segments.1 = number;
        // As many bytes as its own policy says, where segments are smaller for the sake of others.
        let Limits {
            max_segment_bytes: own,
            max_segments: count,
            ..
        } = self.limits;
        let keep = own.saturating_mul(count) / own.min(self.share.max_segment_bytes()).max(1);
        self.remove_oldest(keep.max(count));
    }

    /// Removes the oldest segments, so that at most so many stay.
    fn remove_oldest(&mut self, keep: u64) {
        while self.segments.1 - self.segments.0 >= keep {
            total::remove(&self.dir, self.segments.0);
            self.segments.0 += 1;
        }
    }

    /// Finds out where data and records of the newest segment end, and records what is not.
    fn recover(&mut self, header: &Header) -> io::Result<()> {
        let current = self.attempt;
        self.attempt = header.attempt;
        self.records = format::records_in(format::size(&self.index)?);
        let mut found = [false, false];
        let mut last_known = false;
        for number in (0..self.records).rev() {
            let Some(record) = self.read_record(number)? else {
                // Zeros that a power cut left at the end.
                self.records = self.records.min(number);
                continue;
            };
            if !last_known {
                self.attempt = record.attempt;
                last_known = true;
            }
            let at = record.stream.index();
            if record.kind == Kind::Data && !found[at] {
                found[at] = true;
                self.indexed[at] = record.offset + u64::from(record.length);
            }
            if found.iter().all(|found| *found) {
                break;
            }
        }
        for stream in Stream::ALL {
            let at = stream.index();
            let size = self.data_size(stream)?;
            self.stored[at] = self.indexed[at].max(self.base[at] + size);
            self.write_index(stream, now_ns());
        }
        self.attempt = current;
        Ok(())
    }

    fn read_record(&self, number: u64) -> io::Result<Option<Record>> {
        let mut bytes = [0u8; RECORD_LEN];
        let read = rustix::io::pread(&self.index, &mut bytes, format::position(number))?;
        Ok(if read == RECORD_LEN {
            Record::decode(&bytes)
        } else {
            None
        })
    }

    fn data_size(&self, stream: Stream) -> io::Result<u64> {
        let name = format::data_name(self.segments.1, stream);
        match rustix::fs::statat(
            &self.dir,
            name.as_str(),
            rustix::fs::AtFlags::SYMLINK_NOFOLLOW,
        ) {
            Ok(stat) => Ok(u64::try_from(stat.st_size).unwrap_or(0)),
            Err(Errno::NOENT) => Ok(0),
            Err(error) => Err(error.into()),
        }
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
fn new_index(dir: &OwnedFd, number: u64, header: &Header) -> io::Result<OwnedFd> {
    let name = format::index_name(number);
    let index = format::open_in(dir, &name, OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC)?;
    match rustix::io::pwrite(index.as_fd(), &header.encode(), 0) {
        Ok(HEADER_LEN) => Ok(index),
        other => {
            unlink(dir, &name);
            other?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        }
    }
}

fn unlink(dir: &OwnedFd, name: &str) {
    // What cannot be removed now is over the cap until the next rotation; nothing depends on it.
    let _ = rustix::fs::unlinkat(dir, name, rustix::fs::AtFlags::empty());
}

pub(crate) fn now_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

// As much as a pipe can hold (pipe-max-size): one call empties it.
const MAX_SPLICE: usize = 1024 * 1024;
// When no new segment can be made, the old one goes on in pieces of this size.
const MIN_SPLICE: u64 = 64 * 1024;
// After this much the other stream and the control connections get their turn.
const MAX_DRAIN: u64 = 4 * 1024 * 1024;
