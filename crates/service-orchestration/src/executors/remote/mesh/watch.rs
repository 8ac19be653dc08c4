//! Hosts that come back.
//!
//! Owns: who is waited for. What is done about one that is back is the keeper's.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;

use command_executor::agent::{HostLink, HostState};
use futures::stream::FuturesUnordered;
use futures_lite::{StreamExt, future};
use service_registry::HostId;

type Back = Pin<Box<dyn Future<Output = HostId> + Send>>;

/// Those that are waited for.
#[derive(Default)]
pub(super) struct Watch {
    hosts: BTreeSet<HostId>,
    waiting: FuturesUnordered<Back>,
}

impl Watch {
    /// Waits for this host to be back, unless it is waited for. One that was missed is back as soon as it is reached; any other
    /// has to be lost first.
    pub(super) fn add(&mut self, host: &HostId, link: HostLink, was_reached: bool) {
        if !self.hosts.insert(host.clone()) {
            return;
        }
        let host = host.clone();
        self.waiting.push(Box::pin(async move {
            let changes = link.subscribe();
            let mut was_lost = !was_reached;
            loop {
                match changes.recv().await {
                    Ok(HostState::Reached(_)) if was_lost => return host,
                    Ok(HostState::Reached(_)) => {}
                    Ok(_) => was_lost = true,
                    // It is let go: nobody comes back.
                    Err(async_channel::RecvError) => future::pending().await,
                }
            }
        }));
    }

    /// The next that is back; it is not waited for any more.
    pub(super) async fn next(&mut self) -> HostId {
        match self.waiting.next().await {
            Some(host) => {
                self.hosts.remove(&host);
                host
            }
            None => future::pending().await,
        }
    }
}
