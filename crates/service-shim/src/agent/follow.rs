//! A stream of the records of a log.
//!
//! Owns: a cursor. What was read and not sent has a bound: one record.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use rustix::event::PollFlags;

use super::protocol::{Failure, FailureKind};
use super::record::Record;
use super::work::{Inbox, Port, Step, Work};
use crate::log::{Entry, LogReader, LogWatch, ReadError, Start};

/// A log that is told.
pub(super) struct Follow {
    reader: LogReader,
    /// Where it goes on with what is written later.
    watch: Option<LogWatch>,
    least_attempt: u64,
    /// What is to be sent.
    bytes: Vec<u8>,
    at: usize,
}

impl Follow {
    pub(super) fn open(
        dir: &Path,
        attempt: u64,
        since_ns: Option<u64>,
        follow: bool,
    ) -> Result<Follow, Failure> {
        let failed = |error| Failure::system(&format!("cannot watch {}", dir.display()), &error);
        // Before the first read, or what is written in between goes unseen.
        let watch = follow.then(|| LogWatch::open(dir)).transpose();
        let watch = watch.map_err(failed)?;
        let start = since_ns.map_or(Start::Attempt(attempt), Start::Time);
        let reader = LogReader::open(dir, start).map_err(unreadable)?;
        Ok(Follow {
            reader: reader.with_max_data(MAX_PIECE),
            watch,
            least_attempt: attempt,
            bytes: Vec::new(),
            at: 0,
        })
    }

    /// Whether a record is there to be sent.
    fn fill(&mut self) -> Result<bool, Failure> {
        while self.at == self.bytes.len() {
            let Some(entry) = self.reader.next_entry().map_err(unreadable)? else {
                return Ok(false);
            };
            self.bytes.clear();
            self.at = 0;
            if self.is_wanted(&entry) {
                Record::of(entry).encode(&mut self.bytes);
            }
        }
        Ok(true)
    }

    fn is_wanted(&self, entry: &Entry) -> bool {
        match entry {
            Entry::Begin { attempt, .. }
            | Entry::Data { attempt, .. }
            | Entry::End { attempt, .. } => *attempt >= self.least_attempt,
            Entry::Gap { .. } => true,
        }
    }
}

impl Work for Follow {
    fn waits_for<'a>(
        &'a self,
        _has_input: bool,
        has_room: bool,
        fds: &mut Vec<(BorrowedFd<'a>, PollFlags)>,
    ) {
        if let Some(watch) = self.watch.as_ref().filter(|_| has_room) {
            fds.push((watch.as_fd(), PollFlags::IN));
        }
    }

    fn step(&mut self, inbox: &mut Inbox, port: &mut Port<'_>) -> Result<Step, Failure> {
        inbox.discard(port);
        if let Some(watch) = &self.watch {
            watch.drain();
        }
        loop {
            let room = port.room();
            if room == 0 {
                return Ok(Step::Goes);
            }
            if !self.fill()? {
                break;
            }
            let rest = &self.bytes[self.at..];
            let piece = &rest[..rest.len().min(room)];
            port.send(piece);
            self.at += piece.len();
        }
        if self.watch.is_some() {
            return Ok(Step::Goes);
        }
        port.end();
        Ok(Step::Over)
    }
}

fn unreadable(error: ReadError) -> Failure {
    let (kind, source) = match &error {
        ReadError::Open { source, .. } | ReadError::Read { source, .. } => (source.kind(), source),
    };
    let kind = match kind {
        std::io::ErrorKind::NotFound => FailureKind::NotFound,
        std::io::ErrorKind::PermissionDenied => FailureKind::Permission,
        _ => FailureKind::System,
    };
    Failure::new(kind, format!("{error}: {source}"))
}

const MAX_PIECE: usize = 64 * 1024;
