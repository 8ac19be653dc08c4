//! The subscription to events.
//!
//! Owns: one reader's place in the sequence of events. A reader that falls behind is served from what the supervisor
//! keeps; only when that is gone too it learns that it lagged.

use std::sync::Arc;

use harness_wire::{PublishError, Publisher, Responder};
use service_orchestration::report::Event;
use service_orchestration::spec::StackName;
use service_orchestration::supervisor::Subscribed;

use super::shared::Shared;
use crate::protocol::{ApiError, ErrorCode, SubscribeParams, Subscription};

/// Serves one subscription until nobody reads any more.
pub(super) async fn subscribe(shared: &Shared, params: SubscribeParams, responder: Responder) {
    let SubscribeParams {
        since,
        stack,
        until_now,
    } = params;
    let Subscribed { missed, events } = shared
        .manager
        .subscribe(Some(since.unwrap_or(FIRST)), CAPACITY)
        .await;
    // What has happened already is in the channel when it is handed out.
    let past: Vec<Arc<Event>> = std::iter::from_fn(|| events.try_recv().ok()).collect();
    let mut next = past
        .last()
        .map_or(since.unwrap_or(FIRST), |event| event.seq + 1);
    let missed = if since.is_some() { missed } else { 0 };
    let mut reader = Reader {
        publisher: responder.subscribe(&Subscription { missed, next }),
        stack,
    };
    if since.is_some() {
        for event in &past {
            if reader.tell(event).await.is_err() {
                return;
            }
        }
    }
    if until_now {
        return;
    }
    let mut events = events;
    loop {
        let begin = next;
        while let Ok(event) = events.recv().await {
            next = event.seq + 1;
            if reader.tell(&event).await.is_err() {
                return;
            }
        }
        // Let go by the supervisor: for being slow, which is made up for here, or because it ends.
        let again = shared.manager.subscribe(Some(next), CAPACITY).await;
        if again.missed > 0 {
            let message = format!(
                "{} events were no longer kept when they could be sent",
                again.missed
            );
            return reader
                .publisher
                .fail(&ApiError::new(ErrorCode::Lagged, message).into());
        }
        if next == begin && again.events.is_closed() && again.events.is_empty() {
            return;
        }
        events = again.events;
    }
}

struct Reader {
    publisher: Publisher,
    stack: Option<StackName>,
}

impl Reader {
    async fn tell(&mut self, event: &Event) -> Result<(), PublishError> {
        match &self.stack {
            Some(stack) if event.stack.as_ref() != Some(stack) => Ok(()),
            Some(_) | None => self.publisher.send(event).await,
        }
    }
}

/// The first event of a state directory.
const FIRST: u64 = 1;
/// Events that may wait for a reader before the supervisor lets go of it: it is then served from what is kept.
const CAPACITY: usize = 256;
