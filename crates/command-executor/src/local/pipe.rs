//! The reading end of one captured output.
//!
//! Invariant: read on demand only, so a full pipe holds up the writer and not our memory.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::task::{Context, Poll, ready};

use async_io::Async;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, ioctl_fionread, read};

use crate::event::{EventData, LineEnd, ProcessEvent};
use crate::local::lines::LineCutter;

/// One of the two outputs.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Source {
    Stdout,
    Stderr,
}

#[derive(Debug)]
pub(crate) struct Pipe {
    descriptor: Async<OwnedFd>,
    source: Source,
    lines: LineCutter,
    chunk: Box<[u8]>,
    /// How much is still to be read.
    left: Left,
}

#[derive(Debug, Clone, Copy)]
enum Left {
    UntilEnd,
    Bytes(u64),
    Nothing,
}

impl Pipe {
    pub(crate) fn new(
        descriptor: OwnedFd,
        source: Source,
        max_line_bytes: usize,
    ) -> io::Result<Self> {
        Ok(Self {
            descriptor: Async::new(descriptor)?,
            source,
            lines: LineCutter::new(max_line_bytes),
            chunk: vec![0; READ_BYTES].into_boxed_slice(),
            left: Left::UntilEnd,
        })
    }

    /// The next line; `None` when there will be none.
    pub(crate) fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<ProcessEvent>> {
        loop {
            if let Some((data, end)) = self.lines.next() {
                return Poll::Ready(Some(self.event(data, end)));
            }
            let result = match self.left {
                Left::Nothing => {
                    return Poll::Ready(
                        self.lines.finish().map(|(data, end)| self.event(data, end)),
                    );
                }
                Left::Bytes(0) => {
                    self.left = Left::Nothing;
                    continue;
                }
                Left::Bytes(left) => self.read_up_to(usize::try_from(left).unwrap_or(READ_BYTES)),
                Left::UntilEnd => self.read_up_to(READ_BYTES),
            };
            match result {
                Ok(0) => self.left = Left::Nothing,
                Ok(length) => {
                    self.lines.push(&self.chunk[..length]);
                    if let Left::Bytes(left) = &mut self.left {
                        *left -= length as u64;
                    }
                }
                Err(Errno::AGAIN) => match ready!(self.descriptor.poll_readable(context)) {
                    Ok(()) => {}
                    Err(error) => return self.give_up(&error),
                },
                Err(Errno::INTR) => {}
                Err(error) => return self.give_up(&error.into()),
            }
        }
    }

    /// The main process has ended: all it wrote is in the pipe now, and only that is still read.
    pub(crate) fn limit_to_what_is_there(&mut self) {
        if let Left::UntilEnd = self.left {
            self.left = Left::Bytes(ioctl_fionread(self.descriptor.as_fd()).unwrap_or(0));
        }
    }

    /// Whether some process could still write to it.
    pub(crate) fn is_held_open(&self) -> bool {
        let mut descriptors = [PollFd::new(&self.descriptor, PollFlags::IN)];
        match poll(
            &mut descriptors,
            Some(&Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            }),
        ) {
            Ok(_) => !descriptors[0].revents().contains(PollFlags::HUP),
            Err(_) => false,
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self.source {
            Source::Stdout => "stdout",
            Source::Stderr => "stderr",
        }
    }

    fn read_up_to(&mut self, limit: usize) -> Result<usize, Errno> {
        let length = limit.min(self.chunk.len());
        read(self.descriptor.as_fd(), &mut self.chunk[..length])
    }

    fn give_up(&mut self, error: &io::Error) -> Poll<Option<ProcessEvent>> {
        self.left = Left::Nothing;
        Poll::Ready(Some(ProcessEvent::system(format!(
            "cannot read its {}: {error}",
            self.name()
        ))))
    }

    fn event(&self, data: EventData, end: LineEnd) -> ProcessEvent {
        match self.source {
            Source::Stdout => ProcessEvent::stdout(data, end),
            Source::Stderr => ProcessEvent::stderr(data, end),
        }
    }
}

/// The kernel's default pipe size: one read empties it.
const READ_BYTES: usize = 64 * 1024;
