//! One of the two sockets of a carried connection.
//!
//! Owns: what the last news about it was. Sockets are watched edge-triggered, once for their whole life: what was told
//! is true until a call says otherwise.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::epoll::EventFlags;
use rustix::net::sockopt;

/// A connected socket, or one that is being connected.
#[derive(Debug)]
pub(super) struct Side {
    socket: OwnedFd,
    /// Reading may give something: bytes, the end, or an error.
    pub(super) is_readable: bool,
    /// Writing may be possible.
    pub(super) is_writable: bool,
    /// Its peer has broken it off, or is gone: nothing can be said to it any more. What it said before may still be there.
    pub(super) is_broken: bool,
}

impl Side {
    pub(super) fn new(socket: OwnedFd) -> Side {
        Side {
            socket,
            is_readable: false,
            is_writable: false,
            is_broken: false,
        }
    }

    /// Takes news in.
    pub(super) fn told(&mut self, news: EventFlags) {
        let is_over = news.intersects(EventFlags::ERR | EventFlags::HUP);
        self.is_readable |= is_over || news.contains(EventFlags::IN);
        self.is_writable |= is_over || news.contains(EventFlags::OUT);
        self.is_broken |= news.contains(EventFlags::ERR);
    }

    pub(super) fn broke(&mut self) {
        self.is_broken = true;
        // So that what it said before is looked for.
        self.is_readable = true;
    }

    /// Closing it is then told as a reset, not as an orderly end.
    pub(super) fn reset_at_close(&self) {
        // Fails for no socket that is open; then the peer sees an orderly end too early.
        let _ = sockopt::set_socket_linger(&self.socket, Some(Duration::ZERO));
    }
}

impl AsFd for Side {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
