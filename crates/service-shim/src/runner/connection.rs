//! One control connection: requests in, notices out, neither without a bound.
//!
//! Owns: the buffers of one client. Never waits for it: a client that does not read is dropped, and may come back.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use serde::Serialize;

use crate::protocol::{self, LineBuffer};

/// A client of the shim.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: UnixStream,
    input: LineBuffer,
    output: Vec<u8>,
    pub(super) is_subscribed: bool,
    /// Its last request waits for the service to read its standard input; nothing more is read from it meanwhile.
    pub(super) awaits_stdin: bool,
    is_closed: bool,
}

impl Connection {
    /// Takes a connected socket over; `input` is what was read from it before.
    pub(crate) fn new(stream: UnixStream, input: LineBuffer, is_subscribed: bool) -> Connection {
        // A stream that cannot be made non-blocking would stall everything else.
        let is_closed = stream.set_nonblocking(true).is_err();
        Connection {
            stream,
            input,
            output: Vec::new(),
            is_subscribed,
            awaits_stdin: false,
            is_closed,
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed
    }

    pub(crate) fn wants_to_write(&self) -> bool {
        !self.output.is_empty()
    }

    pub(crate) fn close(&mut self) {
        self.is_closed = true;
    }

    /// Reads what is there.
    pub(crate) fn fill(&mut self) {
        let mut buffer = [0u8; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return self.close(),
                Ok(read) => self.input.push(&buffer[..read]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => return self.close(),
            }
            if self.input.pending() > MAX_REQUEST {
                return self.close();
            }
        }
    }

    pub(crate) fn next_request(&mut self) -> Option<Vec<u8>> {
        // Also from a client that is gone: it may have asked and left.
        if self.awaits_stdin {
            None
        } else {
            self.input.next_line()
        }
    }

    /// Says something with the next [`Connection::flush`]: what belongs together goes out, and wakes the client, at once.
    pub(crate) fn send<T: Serialize>(&mut self, notice: T) {
        if self.is_closed {
            return;
        }
        self.output.extend(protocol::encode(notice));
        if self.output.len() > MAX_UNREAD {
            self.flush();
        }
        if self.output.len() > MAX_UNREAD {
            self.close();
        }
    }

    /// Hands over what was said, as far as the client has room for it.
    pub(crate) fn flush(&mut self) {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(written) => drop(self.output.drain(..written)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => return self.close(),
            }
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

// A request to write to standard input carries up to 64 KiB, in JSON at most four times that.
const MAX_REQUEST: usize = 512 * 1024;
const MAX_UNREAD: usize = 256 * 1024;
