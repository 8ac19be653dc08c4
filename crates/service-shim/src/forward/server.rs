//! The loop: one thread that waits for the listener and for every carried connection.
//!
//! Owns: the connections and their limit. Never wakes up without news, except for as long as the system has no
//! descriptor to give. Invariant: what a connection may ever need is counted before it is accepted.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::link::{End, Link, Next};
use super::pool::Pool;
use crate::runner::timespec;

/// Carries connections from a listener to an address.
#[derive(Debug)]
pub(super) struct Server {
    listener: TcpListener,
    to: SocketAddr,
    epoll: OwnedFd,
    pool: Pool,
    links: Vec<Option<Link>>,
    /// Places in `links` that can be used again.
    free: Vec<usize>,
    /// Those that have more to do than one turn.
    busy: Vec<usize>,
    limit: usize,
    /// The next connection's socket to the target: had before the client is accepted, so that one who was let in is served.
    spare: Option<OwnedFd>,
    door: Door,
}

/// Whether connections are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    Open,
    /// There are as many as there may be.
    Full,
    /// The system has no means for another one; it is asked again then.
    Starved(Instant),
}

impl Server {
    /// Waits for nothing yet.
    pub(super) fn new(listener: TcpListener, to: SocketAddr) -> io::Result<Server> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(
            &epoll,
            &listener,
            EventData::new_u64(LISTENER),
            EventFlags::IN,
        )?;
        Ok(Server {
            listener,
            to,
            epoll,
            pool: Pool::new()?,
            links: Vec::new(),
            free: Vec::new(),
            busy: Vec::new(),
            limit: most_links(descriptor_limit()),
            // At once, so that a machine without this kind of address is no surprise to the first caller.
            spare: Some(target_socket(to)?),
            door: Door::Open,
        })
    }

    /// Carries connections for as long as the process lives.
    ///
    /// # Errors
    /// The poll set fails, which no sound kernel lets happen.
    pub(super) fn serve(&mut self) -> io::Result<Infallible> {
        let mut events = Vec::with_capacity(EVENTS_AT_ONCE);
        loop {
            events.clear();
            let timeout = self.timeout().map(timespec);
            match epoll::wait(
                &self.epoll,
                rustix::buffer::spare_capacity(&mut events),
                timeout.as_ref(),
            ) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            self.round(&events)?;
        }
    }

    fn timeout(&self) -> Option<Duration> {
        if !self.busy.is_empty() {
            return Some(Duration::ZERO);
        }
        match self.door {
            Door::Open | Door::Full => None,
            Door::Starved(until) => Some(until.saturating_duration_since(Instant::now())),
        }
    }

    fn round(&mut self, events: &[Event]) -> io::Result<()> {
        let mut has_callers = false;
        let mut over = Vec::new();
        for place in std::mem::take(&mut self.busy) {
            if let Some(link) = &mut self.links[place] {
                let next = link.go_on(&mut self.pool);
                self.settle(place, next, &mut over);
            }
        }
        for event in events {
            let data = event.data.u64();
            if data == LISTENER {
                has_callers = true;
                continue;
            }
            let (place, end) = unpack(data);
            // Its other socket may have had the news that ended it.
            if let Some(link) = self.links.get_mut(place).and_then(Option::as_mut) {
                let next = link.told(end, event.flags, &mut self.pool);
                self.settle(place, next, &mut over);
            }
        }
        self.busy.sort_unstable();
        self.busy.dedup();
        self.busy.retain(|place| self.links[*place].is_some());
        // Only now: news that were read with the others must not be taken for news of whoever comes to the same place.
        let is_roomier = !over.is_empty();
        self.free.append(&mut over);
        self.reopen(is_roomier)?;
        if has_callers && self.door == Door::Open {
            self.accept()?;
        }
        Ok(())
    }

    fn settle(&mut self, place: usize, next: Next, over: &mut Vec<usize>) {
        match next {
            Next::Wait => {}
            Next::GoOn => self.busy.push(place),
            Next::Over => {
                self.links[place] = None;
                over.push(place);
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        for _ in 0..ACCEPTED_AT_ONCE {
            if self.links.len() - self.free.len() >= self.limit {
                return self.shut(Door::Full);
            }
            match self.accept_one() {
                Ok(()) => {}
                Err(Errno::AGAIN) => break,
                // Of a connection that ended before it was accepted, or errors of its network: the next one may be well.
                Err(
                    Errno::INTR
                    | Errno::CONNABORTED
                    | Errno::PROTO
                    | Errno::NETDOWN
                    | Errno::NOPROTOOPT
                    | Errno::HOSTDOWN
                    | Errno::NONET
                    | Errno::HOSTUNREACH
                    | Errno::OPNOTSUPP
                    | Errno::NETUNREACH
                    | Errno::PERM,
                ) => {}
                // No descriptor, no memory: whatever it is, asking again at once would not help.
                Err(_) => return self.shut(Door::Starved(Instant::now() + STARVED)),
            }
        }
        Ok(())
    }

    fn accept_one(&mut self) -> Result<(), Errno> {
        let target = match self.spare.take() {
            Some(socket) => socket,
            None => target_socket(self.to)?,
        };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let client = match rustix::net::accept_with(&self.listener, flags) {
            Ok(client) => client,
            Err(error) => {
                self.spare = Some(target);
                return Err(error);
            }
        };
        let is_connecting = match rustix::net::connect(&target, &self.to) {
            Ok(()) => false,
            Err(Errno::INPROGRESS) => true,
            Err(_) => {
                Link::new(client, target, true).refuse();
                return Ok(());
            }
        };
        let link = Link::new(client, target, is_connecting);
        let place = self.free.pop().unwrap_or(self.links.len());
        for (end, socket) in link.sockets() {
            // Told at once of what is already there.
            let wanted = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
            let data = EventData::new_u64(pack(place, end));
            if let Err(error) = epoll::add(&self.epoll, socket, data, wanted) {
                link.refuse();
                if place < self.links.len() {
                    self.free.push(place);
                }
                return Err(error);
            }
        }
        if place == self.links.len() {
            self.links.push(Some(link));
        } else {
            self.links[place] = Some(link);
        }
        Ok(())
    }

    /// Callers wait in the listener's queue, and wake nobody.
    fn shut(&mut self, door: Door) -> io::Result<()> {
        self.door = door;
        self.watch_listener(EventFlags::empty())
    }

    fn reopen(&mut self, is_roomier: bool) -> io::Result<()> {
        let may_open = match self.door {
            Door::Open => false,
            Door::Full => is_roomier,
            Door::Starved(until) => is_roomier || Instant::now() >= until,
        };
        if may_open {
            self.door = Door::Open;
            self.watch_listener(EventFlags::IN)?;
        }
        Ok(())
    }

    fn watch_listener(&self, wanted: EventFlags) -> io::Result<()> {
        let data = EventData::new_u64(LISTENER);
        Ok(epoll::modify(
            &self.epoll,
            self.listener.as_fd(),
            data,
            wanted,
        )?)
    }
}

fn target_socket(to: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = match to {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    Ok(socket)
}

/// How many descriptors this process may have, once it has asked for as many as it can get.
fn descriptor_limit() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => maximum.unwrap_or(u64::MAX),
        Err(_) => current.unwrap_or(u64::MAX),
    }
}

fn most_links(descriptors: u64) -> usize {
    let fitting = descriptors.saturating_sub(RESERVED) / PER_LINK;
    usize::try_from(fitting).map_or(MOST_LINKS, |fitting| fitting.clamp(1, MOST_LINKS))
}

fn pack(place: usize, end: End) -> u64 {
    let end = match end {
        End::Client => 0,
        End::Target => 1,
    };
    (place as u64) << 1 | end
}

fn unpack(data: u64) -> (usize, End) {
    let end = if data & 1 == 0 {
        End::Client
    } else {
        End::Target
    };
    ((data >> 1) as usize, end)
}

const LISTENER: u64 = u64::MAX;
const EVENTS_AT_ONCE: usize = 64;
// Those that are carried have their turn in between.
const ACCEPTED_AT_ONCE: usize = 64;
const STARVED: Duration = Duration::from_millis(200);
const MOST_LINKS: usize = 4096;
// Two sockets, and a pipe for each direction while its sink does not keep up.
const PER_LINK: u64 = 6;
// Standard streams, lock, listener, poll set, the spare socket, the spare pipes, and what was inherited.
const RESERVED: u64 = 32;

#[cfg(test)]
mod tests {
    use super::{End, most_links, pack, unpack};

    #[test]
    fn never_more_links_than_descriptors_for_them() {
        for (descriptors, links) in [
            (0, 1),
            (64, 5),
            (1024, 165),
            (20_000, 3328),
            (u64::MAX, 4096),
        ] {
            assert_eq!(most_links(descriptors), links, "{descriptors}");
        }
    }

    #[test]
    fn news_find_the_socket_they_are_about() {
        for place in [0, 1, 4095] {
            for end in [End::Client, End::Target] {
                assert_eq!(unpack(pack(place, end)), (place, end));
            }
        }
    }
}
