//! What goes on behind a stream: the form that all of it has.
//!
//! Owns: what came and was not taken yet. Never waits: a step does what can be done now.

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::process::Child;
use std::time::Instant;

use rustix::event::PollFlags;

use super::mux::Mux;
use super::protocol::{Answer, Failure};

/// What goes on behind a stream.
pub(super) trait Work: Send {
    /// What it waits for. `has_input` and `has_room` say whether there is something for it, and room for something of it.
    fn waits_for<'a>(
        &'a self,
        has_input: bool,
        has_room: bool,
        fds: &mut Vec<(BorrowedFd<'a>, PollFlags)>,
    );

    /// Does what can be done.
    fn step(&mut self, inbox: &mut Inbox, port: &mut Port<'_>) -> Result<Step, Failure>;

    /// When it is to be called although nothing has happened.
    fn deadline(&self) -> Option<Instant> {
        None
    }
}

/// What a step came to.
pub(super) enum Step {
    Goes,
    /// It is done, and has said its end.
    Over,
    /// It ends with something that takes long.
    Last(Job),
}

/// What is done on a thread of its own, for it may take long.
pub(super) type Job = Box<dyn FnOnce() -> Result<Opened, Failure> + Send>;

/// What a job has led to.
#[derive(Default)]
pub(super) struct Opened {
    pub(super) answer: Option<Answer>,
    /// What goes on behind the stream; without it, it ends.
    pub(super) work: Option<Box<dyn Work>>,
    /// A shim to be waited for.
    pub(super) child: Option<Child>,
}

/// What came on a stream.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    pieces: VecDeque<Vec<u8>>,
    /// How much of the first was taken.
    at: usize,
    has_ended: bool,
}

/// The way out of a stream.
pub(super) struct Port<'a> {
    pub(super) mux: &'a mut Mux,
    pub(super) stream: u32,
}

impl Inbox {
    pub(super) fn push(&mut self, bytes: Vec<u8>) {
        self.pieces.push_back(bytes);
    }

    pub(super) fn end(&mut self) {
        self.has_ended = true;
    }

    pub(super) fn has_news(&self) -> bool {
        !self.pieces.is_empty()
    }

    /// All was taken, and no more will come.
    pub(super) fn is_over(&self) -> bool {
        self.has_ended && self.pieces.is_empty()
    }

    /// The next bytes.
    pub(super) fn front(&self) -> Option<&[u8]> {
        self.pieces.front().map(|piece| &piece[self.at..])
    }

    /// So many of them were taken.
    pub(super) fn take(&mut self, bytes: usize, port: &mut Port<'_>) {
        self.at += bytes;
        if let Some(piece) = self.pieces.front()
            && self.at >= piece.len()
        {
            self.pieces.pop_front();
            self.at = 0;
        }
        port.mux.taken(port.stream, bytes);
    }

    /// Throws away what is there.
    pub(super) fn discard(&mut self, port: &mut Port<'_>) {
        while let Some(bytes) = self.front().map(<[u8]>::len) {
            self.take(bytes, port);
        }
    }
}

impl Port<'_> {
    /// How many bytes may be sent. None while too many wait for the connection.
    pub(super) fn room(&mut self) -> usize {
        if self.mux.output().len() >= MOST_WAITING {
            return 0;
        }
        self.mux.room(self.stream)
    }

    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.mux.send(self.stream, bytes);
    }

    pub(super) fn end(&mut self) {
        self.mux.end(self.stream);
    }
}

/// How many bytes may wait for the connection before streams have to.
pub(super) const MOST_WAITING: usize = 512 * 1024;
