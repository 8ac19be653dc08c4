//! Connections that a host and this machine carry for each other.
//!
//! Owns: which are wanted, and that every connection to the host is told so when it comes up. What carries them is the
//! [`Connector`]'s.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use async_channel::{Receiver, Sender};
use async_io::Timer;
use futures_lite::{FutureExt, future};

use super::connect::Connector;
use super::error::ConnectError;
use super::host::{HostLink, Inner};

/// From where to where connections are carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostForward {
    /// Those to an address of this machine, to one that the host reaches.
    ToThere {
        /// Where this machine listens.
        listen: SocketAddr,
        /// Where the host connects to.
        target: SocketAddr,
    },
    /// Those to an address of the host, to one that this machine reaches.
    FromThere {
        /// Where the host listens.
        listen: SocketAddr,
        /// Where this machine connects to.
        target: SocketAddr,
    },
}

/// Connections are carried for as long as this lives, whenever the host is connected.
pub struct Forwarding {
    host: HostLink,
    wanted: Arc<Wanted>,
    /// Closes when it was tried for the first time.
    tried: Receiver<Infallible>,
}

/// One that is wanted.
pub(super) struct Wanted {
    way: HostForward,
    // A lock because anybody may ask; held to look and to set.
    outcome: Mutex<Outcome>,
}

struct Outcome {
    last: Option<Result<(), Arc<ConnectError>>>,
    trying: Option<Sender<Infallible>>,
}

impl HostLink {
    /// Has connections carried from now on, over this connection and every one that comes after it.
    pub fn forward(&self, way: HostForward) -> Forwarding {
        let (trying, tried) = async_channel::bounded(1);
        let wanted = Arc::new(Wanted {
            way,
            outcome: Mutex::new(Outcome {
                last: None,
                trying: Some(trying),
            }),
        });
        self.want(Arc::clone(&wanted));
        Forwarding {
            host: self.clone(),
            wanted,
            tried,
        }
    }
}

impl Forwarding {
    /// Waits until it was tried, and tells what came of it last. What fails is tried again.
    ///
    /// # Errors
    /// [`ConnectError`]: it is not carried now.
    pub async fn carried(&self) -> Result<(), Arc<ConnectError>> {
        let Err(async_channel::RecvError) = self.tried.recv().await;
        let last = self.wanted.outcome().last.clone();
        last.expect("it is set before the channel closes")
    }
}

impl Drop for Forwarding {
    fn drop(&mut self) {
        self.host.want_no_more(&self.wanted);
    }
}

impl fmt::Debug for Forwarding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Forwarding").field(&self.wanted.way).finish()
    }
}

impl Wanted {
    fn outcome(&self) -> MutexGuard<'_, Outcome> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, last: Result<(), Arc<ConnectError>>) {
        let mut outcome = self.outcome();
        outcome.last = Some(last);
        outcome.trying = None;
    }
}

/// Has the host carry what is wanted, for as long as it is connected.
pub(super) async fn carry(
    host: &Weak<Inner>,
    connector: &impl Connector,
    errands: &Receiver<()>,
) -> Infallible {
    let mut carried: Vec<HostForward> = Vec::new();
    loop {
        let Some(wanted) = host.upgrade().map(|host| host.wanted()) else {
            return future::pending().await;
        };
        for gone in carried.extract_if(.., |way| !wanted.iter().any(|one| one.way == *way)) {
            // Where that fails, the connection is as good as lost, and what it carries with it.
            drop(connector.forward_no_more(&gone).await);
        }
        let mut has_failed = false;
        for one in wanted {
            if !carried.contains(&one.way) {
                let outcome = connector.forward(&one.way).await;
                match &outcome {
                    Ok(()) => carried.push(one.way),
                    Err(_) => has_failed = true,
                }
                one.tell(outcome.map_err(Arc::new));
            }
        }
        let again = async {
            match has_failed {
                true => drop(Timer::after(AGAIN).await),
                false => future::pending().await,
            }
        };
        let errand = async {
            if errands.recv().await.is_err() {
                future::pending::<()>().await;
            }
        };
        errand.or(again).await;
    }
}

/// What a host has lost with an earlier connection, it may hold for a while: a port there is free when its sshd has seen it.
const AGAIN: Duration = Duration::from_secs(1);
