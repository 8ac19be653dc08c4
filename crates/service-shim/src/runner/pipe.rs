//! The service's ends of communication: two outputs that are drained, one input that is fed.
//!
//! Owns: when an output is looked at next, and what waits for the input. Never holds output.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::io::Errno;

use crate::log::{Drained, Stream};

/// One output of the service.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) stream: Stream,
    pub(super) fifo: OwnedFd,
    /// Left alone until then.
    pub(super) hold_until: Option<Instant>,
    drained_at: Option<Instant>,
    /// How long the next wait for room on the disk is.
    patience: Duration,
}

impl Pipe {
    pub(super) fn new(stream: Stream, fifo: OwnedFd) -> Pipe {
        Pipe {
            stream,
            fifo,
            hold_until: None,
            drained_at: None,
            patience: SHORTEST_PATIENCE,
        }
    }

    /// Decides when to look again: wakeups and half-empty pipe pages cost more than the moving itself, so a pipe
    /// that is being written to is left to fill for a moment. A line that comes alone is moved at once.
    pub(super) fn drained(&mut self, drained: Drained, now: Instant) {
        if drained.blocked {
            self.hold_until = Some(now + self.patience);
            self.patience = (self.patience * 2).min(LONGEST_PATIENCE);
            return;
        }
        self.patience = SHORTEST_PATIENCE;
        let is_busy = self
            .drained_at
            .is_some_and(|at| now.duration_since(at) < BUSY);
        if drained.bytes > 0 {
            self.drained_at = Some(now);
        }
        let has_room = drained.bytes < FULL_ENOUGH && !drained.more;
        self.hold_until = (is_busy && has_room && drained.bytes > 0).then(|| now + HOLD);
    }
}

/// The input of the service.
#[derive(Debug)]
pub(super) struct StdinPipe {
    writer: Option<OwnedFd>,
    queue: Vec<u8>,
    close_when_empty: bool,
}

/// The service does not read its input any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InputClosed;

impl StdinPipe {
    pub(super) fn new(writer: OwnedFd) -> StdinPipe {
        StdinPipe {
            writer: Some(writer),
            queue: Vec::new(),
            close_when_empty: false,
        }
    }

    /// Takes bytes and writes what fits; true when everything did.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<bool, InputClosed> {
        if self.writer.is_none() || self.close_when_empty {
            return Err(InputClosed);
        }
        self.queue.extend_from_slice(bytes);
        self.flush()
    }

    /// Closes it once everything that was taken is written.
    pub(super) fn close(&mut self) {
        self.close_when_empty = true;
        if self.queue.is_empty() {
            self.writer = None;
        }
    }

    pub(super) fn flush(&mut self) -> Result<bool, InputClosed> {
        while !self.queue.is_empty() {
            let Some(writer) = &self.writer else {
                return Err(InputClosed);
            };
            match rustix::io::write(writer, &self.queue) {
                Ok(written) => drop(self.queue.drain(..written)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(false),
                Err(_) => {
                    self.queue.clear();
                    self.writer = None;
                    return Err(InputClosed);
                }
            }
        }
        if self.close_when_empty {
            self.writer = None;
        }
        Ok(true)
    }

    /// What must become writable before anything more can be written.
    pub(super) fn waits_for(&self) -> Option<BorrowedFd<'_>> {
        if self.queue.is_empty() {
            None
        } else {
            self.writer.as_ref().map(AsFd::as_fd)
        }
    }
}

// A second write so soon after the first means that more will come.
const BUSY: Duration = Duration::from_millis(2);
// Measured by examples/measure.rs: 200-byte writes pass 1.5 times as fast as without a hold, for a third of the CPU;
// longer holds fill the 256 KiB of a pipe and make 64 KiB writers wait.
const HOLD: Duration = Duration::from_micros(100);
// So much in one go means large writes, which gain nothing from a hold.
const FULL_ENOUGH: u64 = 16 * 1024;
// Nothing tells when a disk has room again; while output is blocked, and only then, we look from time to time.
const SHORTEST_PATIENCE: Duration = Duration::from_millis(50);
const LONGEST_PATIENCE: Duration = Duration::from_secs(1);
