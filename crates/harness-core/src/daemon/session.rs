//! The way in: connections, and the sessions they become.
//!
//! Owns: how many there may be, and whom a newcomer displaces. Each session is one task; dropping it drops what it was
//! doing for its client. Who may come in, [`crate::access`] decides.
//!
//! Invariant: those who have not shown who they are never keep out those who will: when there are too many, the one that
//! has hesitated longest goes, of the host that sent the most. Each has a moment in which it cannot be displaced, so that
//! a burst of strangers does not displace who came among them; meanwhile others wait to be accepted, in order. The moment
//! is short for who has said nothing, or not a whole greeting: whoever means it does so at once.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use async_io::Timer;
use async_net::{TcpListener, TcpStream};
use futures_lite::future;
use harness_wire::{AcceptError, Acceptor, Arrival, Limits, PeerIdentity, Session, Visitor};

use super::enrol::enrol;
use super::serve::{Caller, serve};
use super::shared::Shared;
use crate::access::{Access, Pass, limits_of};

/// Where connections come in.
#[derive(Debug)]
pub(super) struct Door {
    listener: TcpListener,
    acceptor: Acceptor,
    access: Arc<Access>,
    count: Arc<Count>,
}

/// A connection that has not shown yet who it is.
#[derive(Debug)]
pub(super) struct Guest {
    stream: TcpStream,
    from: SocketAddr,
    acceptor: Acceptor,
    count: Arc<Count>,
    stranger: Stranger,
}

#[derive(Debug)]
struct Count {
    connections: AtomicUsize,
    // A lock, because guests leave on whatever thread runs them. It is held for a look.
    strangers: Mutex<Strangers>,
    /// Told when a stranger leaves, for the door that waits for room.
    left: (Sender<()>, Receiver<()>),
}

#[derive(Debug, Default)]
struct Strangers {
    next: u64,
    all: BTreeMap<u64, Came>,
}

#[derive(Debug)]
struct Came {
    ip: IpAddr,
    at: Instant,
    /// When it had said what somebody says who wants to come in.
    greeted: Option<Instant>,
    /// Dropped to send it away.
    _stay: Sender<Infallible>,
}

/// One of the strangers, until it is dropped.
#[derive(Debug)]
struct Stranger {
    count: Arc<Count>,
    number: u64,
    displaced: Receiver<Infallible>,
}

impl Door {
    pub(super) fn new(listener: TcpListener, acceptor: Acceptor, access: Arc<Access>) -> Self {
        Self {
            listener,
            acceptor,
            access,
            count: Arc::default(),
        }
    }

    /// The next connection that there is room for. Renews certificates meanwhile, as they come due.
    ///
    /// # Cancellation
    /// Dropping the future drops no connection.
    pub(super) async fn next(&mut self) -> Guest {
        loop {
            let came = async {
                self.count.room().await;
                Some(self.listener.accept().await)
            };
            let renewal = async {
                Timer::after(self.access.until_due().clamp(SOONEST, LATEST)).await;
                None
            };
            match future::or(came, renewal).await {
                Some(Ok((stream, from))) if self.count.has_room() => {
                    let acceptor = self
                        .acceptor
                        .clone()
                        .with_tls(self.access.tls())
                        .admitting_applicants(self.access.expects_somebody());
                    return Guest::new(stream, from, acceptor, &self.count);
                }
                Some(Ok((_, address))) => {
                    tracing::warn!(%address, "too many connections: one was turned away")
                }
                Some(Err(error)) => {
                    // No descriptor left, mostly: those who hold one need a moment.
                    tracing::warn!(%error, "cannot accept a connection");
                    Timer::after(ACCEPT_PAUSE).await;
                }
                None => drop(self.access.tls()),
            }
        }
    }
}

impl Guest {
    fn new(stream: TcpStream, from: SocketAddr, acceptor: Acceptor, count: &Arc<Count>) -> Self {
        count.connections.fetch_add(1, Ordering::Relaxed);
        Self {
            stream,
            from,
            acceptor,
            count: Arc::clone(count),
            stranger: Stranger::new(from.ip().to_canonical(), count),
        }
    }

    /// Finds out who it is and serves it until it leaves, is shut out, or until `stop`.
    pub(super) async fn serve_until(self, stop: impl Future<Output = ()>, shared: Arc<Shared>) {
        let Self {
            stream,
            from,
            acceptor,
            count,
            stranger,
        } = self;
        let _connection = Leave(count);
        let entering = enter(stream, from, &acceptor, &shared, || stranger.has_greeted());
        let displaced = async {
            let Err(async_channel::RecvError) = stranger.displaced.recv().await;
            tracing::debug!(%from, "a stranger made room for others");
            Ok(None)
        };
        let entered = future::or(displaced, entering).await;
        drop(stranger);
        let (session, client, pass) = match entered {
            Ok(Some(entered)) => entered,
            Ok(None) => return,
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::debug!(%error, cause, %from, "a connection was not let in");
                return;
            }
        };
        tracing::debug!(client = %client.name, role = %client.role, %from, "a client came");
        let caller = Caller {
            identity: client,
            from,
        };
        let stop = future::or(stop, pass.revoked());
        let end = session
            .serve_until(stop, |request| serve(&shared, &caller, request))
            .await;
        tracing::debug!(client = %caller.identity.name, %end, "a client left");
    }
}

/// The way of a connection to a session; `None` when it did not want, or may not have, one.
async fn enter(
    stream: TcpStream,
    from: SocketAddr,
    acceptor: &Acceptor,
    shared: &Arc<Shared>,
    has_greeted: impl FnOnce() + Send,
) -> Result<Option<(Session, PeerIdentity, Pass)>, AcceptError> {
    stream.set_nodelay(true).map_err(AcceptError::Tls)?;
    match acceptor.receive(stream, has_greeted).await? {
        Arrival::Applicant(applicant) => {
            enrol(shared, applicant, from).await?;
            Ok(None)
        }
        Arrival::Client(visitor) => admit(visitor, shared).await,
    }
}

async fn admit(
    visitor: Visitor,
    shared: &Shared,
) -> Result<Option<(Session, PeerIdentity, Pass)>, AcceptError> {
    match shared.access.enter(visitor.identity()) {
        Ok((identity, pass)) => {
            let limits = Limits {
                account: Some(pass.account()),
                ..limits_of(identity.role)
            };
            let session = visitor.admit(identity.clone(), limits).await?;
            Ok(Some((session, identity, pass)))
        }
        Err(error) => {
            tracing::debug!(client = %visitor.identity().name, %error, "a client was turned away");
            visitor.refuse(error).await?;
            Ok(None)
        }
    }
}

impl Stranger {
    fn new(ip: IpAddr, count: &Arc<Count>) -> Self {
        let (stay, displaced) = async_channel::bounded(1);
        let mut strangers = count.strangers();
        if strangers.all.len() >= MAX_STRANGERS {
            strangers.displace();
        }
        let number = strangers.next;
        strangers.next += 1;
        let came = Came {
            ip,
            at: Instant::now(),
            greeted: None,
            _stay: stay,
        };
        strangers.all.insert(number, came);
        drop(strangers);
        Self {
            count: Arc::clone(count),
            number,
            displaced,
        }
    }
}

impl Stranger {
    /// It said what somebody says who wants to come in.
    fn has_greeted(&self) {
        if let Some(came) = self.count.strangers().all.get_mut(&self.number) {
            came.greeted = Some(Instant::now());
        }
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.count.strangers().all.remove(&self.number);
        // One word is enough for however many leave.
        let _told = self.count.left.0.try_send(());
    }
}

impl Strangers {
    /// Sends away the one that has hesitated longest, of the host that sent the most.
    fn displace(&mut self) {
        if let Some(oldest) = self.most_hesitant() {
            self.all.remove(&oldest.0);
        }
    }

    /// Which that is, and from when on it can be displaced.
    fn most_hesitant(&self) -> Option<(u64, Instant)> {
        let mut of_host = BTreeMap::<IpAddr, usize>::new();
        for came in self.all.values() {
            *of_host.entry(came.ip).or_default() += 1;
        }
        let (most, count) = of_host.into_iter().max_by_key(|(_, count)| *count)?;
        let is_crowd = count > MAX_STRANGERS / 4;
        let of_most = self.all.iter().filter(|(_, came)| came.ip == most);
        of_most
            .map(|(number, came)| (*number, came.until(is_crowd)))
            .min_by_key(|(number, until)| (*until, *number))
    }

    /// When one more may come: at once, or when somebody can be displaced.
    fn room(&self) -> Duration {
        if self.all.len() < MAX_STRANGERS {
            return Duration::ZERO;
        }
        self.most_hesitant().map_or(Duration::ZERO, |(_, until)| {
            until.saturating_duration_since(Instant::now())
        })
    }
}

impl Came {
    /// From when on it can be displaced, one of many of its host or not.
    fn until(&self, is_crowd: bool) -> Instant {
        match self.greeted {
            None => self.at + SILENT,
            Some(greeted) if is_crowd => greeted + CROWDED,
            Some(greeted) => greeted + UNDISTURBED,
        }
    }
}

impl Default for Count {
    fn default() -> Self {
        Self {
            connections: AtomicUsize::default(),
            strangers: Mutex::default(),
            left: async_channel::bounded(1),
        }
    }
}

impl Count {
    /// Waits until one more stranger may come.
    async fn room(&self) {
        loop {
            let wait = self.strangers().room();
            if wait.is_zero() {
                return;
            }
            let left = async {
                let _told = self.left.1.recv().await;
            };
            let in_time = async {
                Timer::after(wait).await;
            };
            future::or(left, in_time).await;
        }
    }

    fn has_room(&self) -> bool {
        self.connections.load(Ordering::Relaxed) < MAX_CONNECTIONS
    }

    fn strangers(&self) -> MutexGuard<'_, Strangers> {
        self.strangers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts one connection less when it is dropped.
struct Leave(Arc<Count>);

impl Drop for Leave {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

const MAX_CONNECTIONS: usize = 1024;
/// Connections that have not shown yet who they are. Each has ten seconds to do so.
const MAX_STRANGERS: usize = 256;
/// Long enough for those who mean it, on a busy machine: a handshake takes a few milliseconds.
const UNDISTURBED: Duration = Duration::from_millis(300);
/// Of a host that has more than a quarter of the places.
const CROWDED: Duration = Duration::from_millis(100);
/// The greeting comes with the connection itself, or right after.
const SILENT: Duration = Duration::from_millis(50);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Bounds of the wait for certificates to come due: of a clock that is set, the daemon hears nothing.
const SOONEST: Duration = Duration::from_secs(60);
const LATEST: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_that_sent_most_makes_room() {
        let count = Arc::<Count>::default();
        let ip = |last| IpAddr::from([10, 0, 0, last]);
        let patient = Stranger::new(ip(1), &count);
        let flood: Vec<Stranger> = (1..MAX_STRANGERS)
            .map(|_| Stranger::new(ip(2), &count))
            .collect();
        let newcomer = Stranger::new(ip(3), &count);
        assert!(!patient.displaced.is_closed() && !newcomer.displaced.is_closed());
        let displaced = flood.iter().filter(|one| one.displaced.is_closed()).count();
        assert_eq!(displaced, 1);
        assert!(flood[0].displaced.is_closed(), "the one that came first");
        drop((patient, flood, newcomer));
        assert!(count.strangers().all.is_empty());
    }
}
