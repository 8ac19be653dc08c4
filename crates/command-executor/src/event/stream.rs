//! The one concrete type of event streams.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_lite::{Stream, StreamExt, stream};

use crate::event::{EventFilter, ProcessEvent};

/// The events of one process, in order, ending after `Exit`.
///
/// Nothing is lost when a `next()` future is dropped. The stream is read on demand: a reader that is slower than the
/// process slows the process, and memory stays bounded.
pub struct ProcessEventStream {
    events: Pin<Box<dyn Stream<Item = ProcessEvent> + Send>>,
}

impl ProcessEventStream {
    /// Wraps any stream of events.
    pub fn new(events: impl Stream<Item = ProcessEvent> + Send + 'static) -> Self {
        Self {
            events: Box::pin(events),
        }
    }

    /// A stream of given events.
    pub fn from_events<I>(events: I) -> Self
    where
        I: IntoIterator<Item = ProcessEvent>,
        I::IntoIter: Send + 'static,
    {
        Self::new(stream::iter(events))
    }

    /// The same stream without what `filter` refuses. Refused events are still read, so the process goes on.
    #[must_use]
    pub fn filtered(self, filter: EventFilter) -> Self {
        Self::new(self.filter(move |event| filter.allows(event)))
    }
}

impl Stream for ProcessEventStream {
    type Item = ProcessEvent;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<ProcessEvent>> {
        self.events.as_mut().poll_next(context)
    }
}

impl fmt::Debug for ProcessEventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessEventStream").finish_non_exhaustive()
    }
}
