//! A stream that leads to a socket: of a shim, or to a TCP address.
//!
//! Owns: the socket. Never looks at what it carries.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::Shutdown;

use super::protocol::Failure;
use super::work::{Inbox, Port, Step, Work};

/// A carried socket.
pub(super) struct Carry {
    socket: OwnedFd,
    /// What must not be lost while somebody is at the other end of the stream.
    _hold: Vec<OwnedFd>,
    /// Its own end has come.
    has_ended: bool,
    /// It takes no more, or was told that no more comes.
    is_shut: bool,
}

impl Carry {
    pub(super) fn new(socket: OwnedFd, hold: Vec<OwnedFd>) -> std::io::Result<Carry> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(Carry {
            socket,
            _hold: hold,
            has_ended: false,
            is_shut: false,
        })
    }

    fn write(&mut self, inbox: &mut Inbox, port: &mut Port<'_>) {
        while let Some(bytes) = inbox.front() {
            if self.is_shut {
                inbox.discard(port);
                return;
            }
            match rustix::io::write(&self.socket, bytes) {
                Ok(written) => inbox.take(written, port),
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR) => {}
                Err(_) => self.is_shut = true,
            }
        }
        if inbox.is_over() && !self.is_shut {
            self.is_shut = true;
            // Fails when it is gone, which is read too.
            let _ = rustix::net::shutdown(&self.socket, Shutdown::Write);
        }
    }

    fn read(&mut self, port: &mut Port<'_>) {
        let mut buffer = [0; 16 * 1024];
        while !self.has_ended {
            let room = port.room().min(buffer.len());
            if room == 0 {
                return;
            }
            match rustix::io::read(&self.socket, &mut buffer[..room]) {
                Ok(0) => self.end(port),
                Ok(read) => port.send(&buffer[..read]),
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR) => {}
                Err(_) => self.end(port),
            }
        }
    }

    fn end(&mut self, port: &mut Port<'_>) {
        self.has_ended = true;
        port.end();
    }
}

impl Work for Carry {
    fn waits_for<'a>(
        &'a self,
        has_input: bool,
        has_room: bool,
        fds: &mut Vec<(BorrowedFd<'a>, PollFlags)>,
    ) {
        let mut flags = PollFlags::empty();
        if has_room && !self.has_ended {
            flags |= PollFlags::IN;
        }
        if has_input && !self.is_shut {
            flags |= PollFlags::OUT;
        }
        // With nothing to wait for it would still tell of a broken socket, again and again.
        if !flags.is_empty() {
            fds.push((self.socket.as_fd(), flags));
        }
    }

    fn step(&mut self, inbox: &mut Inbox, port: &mut Port<'_>) -> Result<Step, Failure> {
        self.write(inbox, port);
        self.read(port);
        Ok(match self.has_ended && self.is_shut {
            true => Step::Over,
            false => Step::Goes,
        })
    }
}
