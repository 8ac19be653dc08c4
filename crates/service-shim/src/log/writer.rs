//! Moves the output of a service from its pipes into segments, and indexes it.
//!
//! Owns: what was moved and what of it is recorded. Never holds a byte of output in memory: data goes
//! from pipe to file by `splice(2)`, so that killing the writer at any instant loses and doubles nothing. What was
//! moved but not yet indexed is indexed by whoever opens the directory next.
//!
//! Invariant: one writer per directory, which the lock of the run directory guarantees.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::pipe::SpliceFlags;

use super::format::{Header, Kind, Record, Stream};
use super::segments::{Segments, now_ns};
use crate::policy::{LogMode, LogPolicy, OnFull};

/// The one writer of a log directory.
#[derive(Debug)]
pub struct LogWriter {
    segments: Segments,
    on_full: OnFull,
    mode: LogMode,
    attempt: u64,
    /// Where the data of each stream ends, counted since the log began.
    stored: [u64; 2],
    /// Where the records of each stream end. Behind `stored` while the disk is too full for a record.
    indexed: [u64; 2],
    /// Bytes thrown away that no record tells of yet.
    dropped: [u64; 2],
    void: Option<OwnedFd>,
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
        let mut segments = Segments::open(policy, attempt)?;
        let ends = segments.find_ends()?;
        let mut writer = LogWriter {
            segments,
            on_full: policy.on_full,
            mode: policy.mode,
            attempt: ends.attempt,
            stored: ends.indexed,
            indexed: ends.indexed,
            dropped: [0, 0],
            void: None,
        };
        for stream in Stream::ALL {
            writer.find_stored(stream)?;
            writer.write_index(stream, now_ns());
        }
        writer.attempt = attempt;
        Ok(writer)
    }

    /// Records that the attempt begins.
    pub fn begin(&mut self) {
        let direct = self.mode == LogMode::File;
        if direct && self.stored != self.segments.header.base {
            // So that what stands in the files belongs to this attempt alone.
            self.close_segment();
        }
        self.mark(Kind::Begin, direct);
    }

    /// Records that the attempt has ended, after its last byte.
    pub fn end(&mut self) {
        if self.mode == LogMode::File {
            // What the service wrote itself: seen only now.
            for stream in Stream::ALL {
                // A file whose size is not to be had has told all it had to tell.
                let _ = self.find_stored(stream);
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
        if self.mode == LogMode::Capture {
            self.close_segment();
        }
    }

    fn close_segment(&mut self) {
        let header = Header {
            base: self.stored,
            created_ns: now_ns(),
            attempt: self.attempt,
            ..Header::default()
        };
        for stream in Stream::ALL {
            self.write_index(stream, header.created_ns);
        }
        // Records that found no room must be written before anything after them.
        if self.indexed == self.stored {
            self.segments.enter_next(header, &[]);
        }
    }

    /// A data file the service may write by itself.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn direct_file(&self, stream: Stream) -> io::Result<OwnedFd> {
        self.segments.direct_file(stream)
    }

    /// Moves what is in the pipe to the log, without waiting for more. The pipe must be non-blocking.
    ///
    /// # Errors
    /// The pipe itself fails. A disk that fails is no error: see [`OnFull`].
    pub fn drain(&mut self, stream: Stream, pipe: BorrowedFd<'_>) -> io::Result<Drained> {
        let at = stream.index();
        let mut total = Drained::default();
        while total.bytes < MAX_DRAIN {
            if self.room() == 0 || self.segments.share.credit() == 0 {
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
            let room = room.min(self.segments.share.credit());
            let length = usize::try_from(room).unwrap_or(MAX_SPLICE).min(MAX_SPLICE);
            match self.splice_to_file(stream, pipe, length) {
                Ok(0) | Err(Errno::AGAIN) => return Ok(self.finish(stream, total)),
                Ok(moved) => {
                    self.stored[at] += moved;
                    self.segments.share.spend(moved);
                    total.bytes += moved;
                }
                Err(Errno::INTR) => {}
                Err(Errno::BADF | Errno::NOTCONN | Errno::PIPE) => {
                    return Err(io::Error::other("the pipe is gone"));
                }
                Err(_) if self.on_full == OnFull::Block => {
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
        self.on_full = OnFull::Drop;
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
        if self.segments.must_go(self.stored) {
            self.rotate();
            self.segments.remove_oldest(1);
        }
        if self.room() == 0 {
            self.rotate();
        }
    }

    fn room(&self) -> u64 {
        self.segments.room(self.stored)
    }

    /// Looks how much of a stream there is, recorded or not.
    fn find_stored(&mut self, stream: Stream) -> io::Result<()> {
        let end = self.segments.data_end(stream)?;
        let stored = &mut self.stored[stream.index()];
        *stored = end.max(*stored);
        Ok(())
    }

    fn splice_to_file(
        &mut self,
        stream: Stream,
        pipe: BorrowedFd<'_>,
        length: usize,
    ) -> rustix::io::Result<u64> {
        // Many services never write to one of the streams: no file for those.
        if self.segments.opened(stream).is_none() && rustix::io::ioctl_fionread(pipe)? == 0 {
            return Err(Errno::AGAIN);
        }
        let at = stream.index();
        let mut position = self.stored[at] - self.segments.header.base[at];
        let file = self.segments.data(stream)?;
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
            same_time: false,
            is_open: false,
            length: 0,
            offset,
            attempt: self.attempt,
            at_ns,
        }
    }

    /// Whether the record is in the index now.
    fn append(&mut self, record: Record) -> bool {
        self.segments.append(&[record]) == 1
    }
}

// As much as a pipe can hold (pipe-max-size): one call empties it.
const MAX_SPLICE: usize = 1024 * 1024;
// When no new segment can be made, the old one goes on in pieces of this size.
const MIN_SPLICE: u64 = 64 * 1024;
// After this much the other stream and the control connections get their turn.
const MAX_DRAIN: u64 = 4 * 1024 * 1024;
