//! Tells that a stack may have got new units.
//!
//! Owns: a place in the sequence of events. Never knows which units there are: whoever is told looks.

use std::sync::Arc;

use async_channel::Receiver;
use futures_lite::future;
use service_orchestration::report::{Event, EventKind};
use service_orchestration::spec::StackName;
use service_orchestration::supervisor::Subscribed;

use super::shared::Shared;

/// The redefinitions of one stack, as they come.
pub(super) struct Arrivals<'a> {
    shared: &'a Shared,
    stack: &'a StackName,
    events: Receiver<Arc<Event>>,
    next: Option<u64>,
}

impl<'a> Arrivals<'a> {
    /// From now on.
    pub(super) async fn new(shared: &'a Shared, stack: &'a StackName) -> Self {
        let Subscribed { events, .. } = shared.manager.subscribe(None, CAPACITY).await;
        Self {
            shared,
            stack,
            events,
            next: None,
        }
    }

    /// Returns after the next redefinition, or when one may have been missed.
    ///
    /// # Cancellation
    /// Dropping the future loses nothing that was not looked at.
    pub(super) async fn next(&mut self) {
        loop {
            match self.events.recv().await {
                Ok(event) => {
                    self.next = Some(event.seq + 1);
                    if event.event_type == EventKind::StackDefined
                        && event.stack.as_ref() == Some(self.stack)
                    {
                        return;
                    }
                }
                // Let go by the supervisor: for being slow, or because it ends, and the session with it.
                Err(_) => {
                    let again = self.shared.manager.subscribe(self.next, CAPACITY).await;
                    self.events = again.events;
                    if self.events.is_closed() && self.events.is_empty() {
                        future::pending::<()>().await;
                    }
                    return;
                }
            }
        }
    }
}

/// Events that may wait before the supervisor lets go of this subscription: units are looked up then all the same.
const CAPACITY: usize = 256;
