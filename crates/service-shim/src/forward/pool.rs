//! Empty pipes, to move bytes through.
//!
//! Owns: pipes between two uses. A flow borrows one while bytes are in it, so that idle connections have none.

use std::io;
use std::os::fd::OwnedFd;

use rustix::pipe::{PipeFlags, pipe_with};

/// A pipe with nothing in it, or what a flow holds.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) reader: OwnedFd,
    pub(super) writer: OwnedFd,
}

/// A few empty pipes.
#[derive(Debug)]
pub(super) struct Pool {
    spare: Vec<Pipe>,
}

impl Pool {
    /// With one pipe in it: as long as every flow is quick, no other is needed.
    pub(super) fn new() -> io::Result<Pool> {
        let spare = vec![make()?];
        Ok(Pool { spare })
    }

    pub(super) fn take(&mut self) -> io::Result<Pipe> {
        match self.spare.pop() {
            Some(pipe) => Ok(pipe),
            None => make(),
        }
    }

    /// Takes an empty pipe back.
    pub(super) fn give(&mut self, pipe: Pipe) {
        if self.spare.len() < KEPT {
            self.spare.push(pipe);
        }
    }
}

fn make() -> io::Result<Pipe> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    // Refused to a user who has many large pipes; then more steps are needed.
    let _ = rustix::pipe::fcntl_setpipe_size(&writer, PIPE_BYTES);
    Ok(Pipe { reader, writer })
}

/// The most that a flow holds.
// As the pipes of a service's output. An eighth less CPU for the same bytes than with the 64 KiB of a new pipe.
pub(super) const PIPE_BYTES: usize = 256 * 1024;
// Made anew costs four system calls, kept costs two descriptors.
const KEPT: usize = 8;
