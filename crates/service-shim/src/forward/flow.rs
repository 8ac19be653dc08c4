//! One direction of a carried connection.
//!
//! Owns: the bytes on their way, which lie in a pipe of the kernel and never in our memory. Invariant: a pipe is
//! filled only when it is empty, so a socket that gives nothing has nothing, and what a flow holds has a bound.

use rustix::io::Errno;
use rustix::net::Shutdown;
use rustix::pipe::{SpliceFlags, splice};

use super::pool::{PIPE_BYTES, Pipe, Pool};
use super::side::Side;

/// Where a direction stands.
#[derive(Debug)]
pub(super) enum Flow {
    /// Nothing is on its way.
    Empty,
    /// So many bytes wait for room in the sink.
    Holds(Pipe, usize),
    /// The end was passed on, or there is nobody to pass anything on to.
    Done,
}

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// More may be done at once.
    Moved,
    /// Nothing can be done before there is news of a socket.
    Waits,
}

impl Flow {
    pub(super) fn is_done(&self) -> bool {
        matches!(self, Flow::Done)
    }

    /// Does one thing, if one can be done.
    ///
    /// # Errors
    /// There is no pipe to be had: the connection cannot go on.
    pub(super) fn step(
        &mut self,
        source: &mut Side,
        sink: &mut Side,
        pool: &mut Pool,
    ) -> std::io::Result<Step> {
        if sink.is_broken {
            *self = Flow::Done;
        }
        match std::mem::replace(self, Flow::Done) {
            Flow::Empty if source.is_readable => {
                let pipe = pool.take()?;
                Ok(self.fill(pipe, source, sink, pool))
            }
            Flow::Holds(pipe, held) if sink.is_writable => Ok(self.drain(pipe, held, sink, pool)),
            as_before @ (Flow::Empty | Flow::Holds(..) | Flow::Done) => {
                *self = as_before;
                Ok(Step::Waits)
            }
        }
    }

    fn fill(&mut self, pipe: Pipe, source: &mut Side, sink: &Side, pool: &mut Pool) -> Step {
        match splice(
            &source,
            None,
            &pipe.writer,
            None,
            PIPE_BYTES,
            SpliceFlags::NONBLOCK,
        ) {
            Ok(0) => {
                // What is read of a peer that broke off is no end that it said: the link passes the break on instead.
                if !source.is_broken {
                    // Fails when the peer is gone, of which there is other news.
                    let _ = rustix::net::shutdown(sink, Shutdown::Write);
                }
                pool.give(pipe);
                *self = Flow::Done;
                Step::Waits
            }
            Ok(moved) => {
                *self = Flow::Holds(pipe, moved);
                Step::Moved
            }
            Err(Errno::AGAIN) => {
                source.is_readable = false;
                pool.give(pipe);
                *self = Flow::Empty;
                Step::Waits
            }
            Err(Errno::INTR) => {
                pool.give(pipe);
                *self = Flow::Empty;
                Step::Moved
            }
            Err(_) => {
                source.broke();
                pool.give(pipe);
                *self = Flow::Done;
                // The other direction ends with it.
                Step::Moved
            }
        }
    }

    fn drain(&mut self, pipe: Pipe, held: usize, sink: &mut Side, pool: &mut Pool) -> Step {
        // Not more than there is: the kernel would wait for the rest before it sends the last part.
        match splice(&pipe.reader, None, &sink, None, held, SpliceFlags::NONBLOCK) {
            Ok(moved) if moved >= held => {
                pool.give(pipe);
                *self = Flow::Empty;
                Step::Moved
            }
            Ok(moved) => {
                *self = Flow::Holds(pipe, held - moved);
                Step::Moved
            }
            Err(Errno::AGAIN) => {
                sink.is_writable = false;
                *self = Flow::Holds(pipe, held);
                Step::Waits
            }
            Err(Errno::INTR) => {
                *self = Flow::Holds(pipe, held);
                Step::Moved
            }
            Err(_) => {
                sink.broke();
                *self = Flow::Done;
                Step::Moved
            }
        }
    }
}
