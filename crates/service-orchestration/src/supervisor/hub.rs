//! Events to whoever listens.
//!
//! Owns: the sequence of events, the latest of them, and the listeners. A listener that does not keep up is let go: it
//! comes back with the sequence number it has seen. Nobody who listens can slow the supervisor.

use std::collections::VecDeque;
use std::sync::Arc;

use async_channel::{Receiver, Sender, TrySendError};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::request::Subscribed;
use crate::report::{Event, EventKind, SCHEMA_VERSION};
use crate::spec::StackName;

/// Events kept in memory for listeners that come (back) late. 4,096 of some 300 bytes are 1.2 MB at most; unpacked, with
/// their maps and strings, each would have five times as much.
const KEPT: usize = 4096;

/// Events that a listener may fall behind by at the most. Room for all of them is made at once.
const MAX_CAPACITY: usize = 4096;

#[derive(Debug)]
pub(crate) struct EventHub {
    source: String,
    next_seq: u64,
    /// The last one that was told: one that is kept late is not told again. (What was told and never kept gives its
    /// numbers to other events when the daemon dies before the store works again.)
    published: u64,
    latest: VecDeque<Packed>,
    listeners: Vec<Sender<Arc<Event>>>,
}

/// An event as JSON.
#[derive(Debug)]
struct Packed {
    seq: u64,
    text: Box<[u8]>,
}

impl Packed {
    fn new(event: &Event) -> Self {
        let text = serde_json::to_vec(event).expect("events have string keys");
        Self {
            seq: event.seq,
            text: text.into(),
        }
    }

    fn unpack(&self) -> Arc<Event> {
        Arc::new(serde_json::from_slice(&self.text).expect("an event that was packed"))
    }
}

impl EventHub {
    /// A hub that goes on after these events.
    pub(crate) fn new(source: String, kept: Vec<Event>) -> Self {
        let next_seq = kept.last().map_or(1, |event| event.seq + 1);
        let skip = kept.len().saturating_sub(KEPT);
        Self {
            source,
            next_seq,
            published: next_seq - 1,
            latest: kept.iter().skip(skip).map(Packed::new).collect(),
            listeners: Vec::new(),
        }
    }

    /// A new event, not yet told to anybody: it must be kept first.
    pub(crate) fn make(
        &mut self,
        kind: EventKind,
        stack: Option<StackName>,
        data: Map<String, Value>,
        now: DateTime<Utc>,
    ) -> Arc<Event> {
        let seq = self.next_seq;
        self.next_seq += 1;
        Arc::new(Event {
            schema_version: SCHEMA_VERSION,
            seq,
            timestamp: now,
            event_type: kind,
            source: self.source.clone(),
            stack,
            event_data: Value::Object(data),
        })
    }

    /// Tells everybody who has not been told.
    pub(crate) fn publish(&mut self, event: &Arc<Event>) {
        if event.seq <= self.published {
            return;
        }
        self.published = event.seq;
        if self.latest.len() == KEPT {
            self.latest.pop_front();
        }
        self.latest.push_back(Packed::new(event));
        self.listeners
            .retain(|listener| match listener.try_send(Arc::clone(event)) {
                Ok(()) => true,
                Err(TrySendError::Full(_) | TrySendError::Closed(_)) => false,
            });
    }

    /// A new listener, from this sequence number on, or from now on.
    pub(crate) fn subscribe(&mut self, since: Option<u64>, capacity: usize) -> Subscribed {
        let replay: Vec<_> = match since {
            None => Vec::new(),
            Some(seq) => self
                .latest
                .iter()
                .filter(|event| event.seq >= seq)
                .map(Packed::unpack)
                .collect(),
        };
        let missed = match (since, self.latest.front()) {
            (Some(since), Some(first)) => first.seq.saturating_sub(since.max(1)),
            (None, _) | (_, None) => 0,
        };
        let capacity = capacity.clamp(1, MAX_CAPACITY) + replay.len();
        let (sender, events): (Sender<_>, Receiver<_>) = async_channel::bounded(capacity);
        for event in replay {
            sender
                .try_send(event)
                .expect("the channel was made large enough for the replay");
        }
        self.listeners.retain(|listener| !listener.is_closed());
        self.listeners.push(sender);
        Subscribed { missed, events }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub_with(events: u64) -> EventHub {
        let mut hub = EventHub::new("test".into(), Vec::new());
        for _ in 0..events {
            let event = hub.make(EventKind::ServiceReady, None, Map::new(), Utc::now());
            hub.publish(&event);
        }
        hub
    }

    #[test]
    fn what_is_replayed_is_what_was_told() {
        let mut hub = hub_with(0);
        let data = serde_json::json!({"service_name": "db", "restarts": 3, "address": null});
        let Value::Object(data) = data else {
            unreachable!("it is an object");
        };
        let event = hub.make(EventKind::ServiceRestarted, None, data, Utc::now());
        hub.publish(&event);
        let replayed = hub.subscribe(Some(1), 1).events.try_recv();
        assert_eq!(replayed.expect("it is kept"), event);
    }

    #[test]
    fn a_listener_resumes_where_it_was() {
        let mut hub = hub_with(10);
        let subscribed = hub.subscribe(Some(8), 4);
        let event = hub.make(EventKind::ServiceReady, None, Map::new(), Utc::now());
        hub.publish(&event);
        let seen: Vec<_> =
            std::iter::from_fn(|| subscribed.events.try_recv().ok().map(|e| e.seq)).collect();
        assert_eq!((subscribed.missed, seen), (0, vec![8, 9, 10, 11]));
    }

    #[test]
    fn a_listener_that_does_not_keep_up_is_let_go_and_loses_nothing() {
        let mut hub = hub_with(0);
        let slow = hub.subscribe(None, 1);
        for _ in 0..3 {
            let event = hub.make(EventKind::ServiceReady, None, Map::new(), Utc::now());
            hub.publish(&event);
        }
        assert_eq!(slow.events.try_recv().map(|event| event.seq), Ok(1));
        assert!(slow.events.try_recv().is_err() && slow.events.is_closed());
        let again = hub.subscribe(Some(2), 1);
        assert_eq!(again.events.try_recv().map(|event| event.seq), Ok(2));
    }

    #[test]
    fn what_is_no_longer_kept_is_counted() {
        let mut hub = hub_with(KEPT as u64 + 5);
        assert_eq!(hub.subscribe(Some(1), 1).missed, 5);
    }
}
