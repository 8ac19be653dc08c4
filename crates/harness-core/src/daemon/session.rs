//! The way in: connections, and the sessions they become.
//!
//! Owns: how many there may be, and the certificates they are met with. Each session is one task; dropping it drops what
//! it was doing for its client.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use async_io::Timer;
use async_net::{TcpListener, TcpStream};
use harness_wire::{Acceptor, Pki};

use super::serve::serve;
use super::shared::Shared;

/// Where connections come in.
#[derive(Debug)]
pub(super) struct Door {
    listener: TcpListener,
    acceptor: Acceptor,
    pki: Pki,
    certificates_checked: Instant,
    count: Arc<Count>,
}

/// A connection that was let in and has not shown yet who it is.
#[derive(Debug)]
pub(super) struct Guest {
    stream: TcpStream,
    acceptor: Acceptor,
    count: Arc<Count>,
}

#[derive(Debug, Default)]
struct Count {
    connections: AtomicUsize,
    strangers: AtomicUsize,
}

impl Door {
    pub(super) fn new(listener: TcpListener, acceptor: Acceptor, pki: Pki) -> Self {
        Self {
            listener,
            acceptor,
            pki,
            certificates_checked: Instant::now(),
            count: Arc::default(),
        }
    }

    /// The next connection that there is room for.
    ///
    /// # Cancellation
    /// Dropping the future drops no connection.
    pub(super) async fn next(&mut self) -> Guest {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) if self.count.has_room() => {
                    self.renew();
                    return Guest::new(stream, &self.acceptor, &self.count);
                }
                Ok((_, address)) => {
                    tracing::warn!(%address, "too many connections: one was turned away")
                }
                Err(error) => {
                    // No descriptor left, mostly: those who hold one need a moment.
                    tracing::warn!(%error, "cannot accept a connection");
                    Timer::after(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Renews the certificates when they are due. Asked when somebody comes, so that an idle daemon never wakes for it.
    fn renew(&mut self) {
        if self.certificates_checked.elapsed() < CERTIFICATE_CHECK {
            return;
        }
        self.certificates_checked = Instant::now();
        let now = SystemTime::now();
        let renewed =
            self.pki
                .client_config(crate::client::LOCAL_CLIENT, harness_wire::Role::Admin, now);
        match renewed.and_then(|_| self.pki.server_config(now)) {
            Ok(tls) => self.acceptor = self.acceptor.clone().with_tls(tls),
            Err(error) => tracing::warn!(%error, "the certificates cannot be renewed"),
        }
    }
}

impl Guest {
    fn new(stream: TcpStream, acceptor: &Acceptor, count: &Arc<Count>) -> Self {
        count.connections.fetch_add(1, Ordering::Relaxed);
        count.strangers.fetch_add(1, Ordering::Relaxed);
        Self {
            stream,
            acceptor: acceptor.clone(),
            count: Arc::clone(count),
        }
    }

    /// Finds out who it is and serves it until it leaves, or until `stop`.
    pub(super) async fn serve_until(self, stop: impl Future<Output = ()>, shared: Arc<Shared>) {
        let Self {
            stream,
            acceptor,
            count,
        } = self;
        let stranger = Leave(Arc::clone(&count), |count| &count.strangers);
        let _connection = Leave(count, |count| &count.connections);
        let (session, client) = match acceptor.accept_tcp(stream).await {
            Ok(accepted) => accepted,
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::debug!(%error, cause, "a connection was not let in");
                return;
            }
        };
        drop(stranger);
        tracing::debug!(client = %client.name, role = %client.role, "a client came");
        let end = session
            .serve_until(stop, |request| serve(&shared, &client, request))
            .await;
        tracing::debug!(client = %client.name, %end, "a client left");
    }
}

impl Count {
    fn has_room(&self) -> bool {
        self.connections.load(Ordering::Relaxed) < MAX_CONNECTIONS
            && self.strangers.load(Ordering::Relaxed) < MAX_STRANGERS
    }
}

/// Counts one less when it is dropped.
struct Leave(Arc<Count>, fn(&Count) -> &AtomicUsize);

impl Drop for Leave {
    fn drop(&mut self) {
        (self.1)(&self.0).fetch_sub(1, Ordering::Relaxed);
    }
}

const MAX_CONNECTIONS: usize = 1024;
/// Connections that have not shown yet who they are. Each has ten seconds to do so.
const MAX_STRANGERS: usize = 64;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const CERTIFICATE_CHECK: Duration = Duration::from_secs(24 * 60 * 60);
