//! One carried connection: two sockets and the two directions between them.
//!
//! Owns: when it is over and how each side is told. An end in one direction is passed on and leaves the other one
//! open. When a side breaks off, what it said before is still delivered, and then the other side is broken off too.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::epoll::EventFlags;
use rustix::net::sockopt;

use super::flow::{Flow, Step};
use super::pool::Pool;
use super::side::Side;

/// Which of the two sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Who has connected to us.
    Client,
    /// Whom we have connected to.
    Target,
}

/// What is to be done with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Wait for news.
    Wait,
    /// Go on soon: others were to have their turn.
    GoOn,
    /// Drop it.
    Over,
}

/// A connection that is carried.
#[derive(Debug)]
pub(super) struct Link {
    client: Side,
    target: Side,
    up: Flow,
    down: Flow,
    is_connecting: bool,
}

impl Link {
    /// Two sockets that do not block; the target's may still be connecting.
    pub(super) fn new(client: OwnedFd, target: OwnedFd, is_connecting: bool) -> Link {
        Link {
            client: Side::new(client),
            target: Side::new(target),
            up: Flow::Empty,
            down: Flow::Empty,
            is_connecting,
        }
    }

    /// Both, to be watched.
    pub(super) fn sockets(&self) -> [(End, impl AsFd + '_); 2] {
        [
            (End::Client, self.client.as_fd()),
            (End::Target, self.target.as_fd()),
        ]
    }

    /// Takes news in, and moves what can be moved.
    pub(super) fn told(&mut self, end: End, news: EventFlags, pool: &mut Pool) -> Next {
        if self.is_connecting && !self.connected(end, news) {
            return self.refuse();
        }
        match end {
            End::Client => self.client.told(news),
            End::Target => self.target.told(news),
        }
        if self.is_connecting {
            return Next::Wait;
        }
        self.go_on(pool)
    }

    /// Moves what can be moved, for one turn.
    pub(super) fn go_on(&mut self, pool: &mut Pool) -> Next {
        match self.turn(pool) {
            Ok(next) => next,
            // Nothing else is left to do for it: bytes that lie in no pipe cannot go anywhere.
            Err(_) => self.refuse(),
        }
    }

    /// As the system would have answered, had the client come to the target itself.
    pub(super) fn refuse(&self) -> Next {
        self.client.reset_at_close();
        self.target.reset_at_close();
        Next::Over
    }

    fn turn(&mut self, pool: &mut Pool) -> io::Result<Next> {
        for _ in 0..STEPS_OF_A_TURN {
            let up = self.up.step(&mut self.client, &mut self.target, pool)?;
            let down = self.down.step(&mut self.target, &mut self.client, pool)?;
            if self.up.is_done() && self.down.is_done() {
                self.pass_break_on();
                return Ok(Next::Over);
            }
            if up == Step::Waits && down == Step::Waits {
                return Ok(Next::Wait);
            }
        }
        Ok(Next::GoOn)
    }

    /// Whether it may still come about. Ends the time of connecting when the target has answered.
    fn connected(&mut self, end: End, news: EventFlags) -> bool {
        let is_over = news.intersects(EventFlags::ERR | EventFlags::HUP);
        match end {
            End::Client => !is_over,
            End::Target if !is_over && !news.contains(EventFlags::OUT) => true,
            End::Target => {
                self.is_connecting = false;
                !is_over && matches!(sockopt::socket_error(&self.target), Ok(Ok(())))
            }
        }
    }

    fn pass_break_on(&self) {
        match (self.client.is_broken, self.target.is_broken) {
            (true, false) => self.target.reset_at_close(),
            (false, true) => self.client.reset_at_close(),
            (true, true) | (false, false) => {}
        }
    }
}

// With 256 KiB a step, a turn is some milliseconds at most.
const STEPS_OF_A_TURN: usize = 16;
