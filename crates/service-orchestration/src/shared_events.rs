//! One stream of events for any number of readers.
//!
//! Owns: the newest events, up to [`MAX_BYTES`]. Has no task of its own: whoever reads pumps the source for all, so it
//! works under any runtime and stands still while nobody reads. Never makes a reader wait for a slower one.
//!
//! Invariant: a reader gets every event from the first one on, in order, or a `System` event in the place of those that
//! were no longer kept.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use command_executor::event::{ProcessEvent, ProcessEventStream};
use futures::Stream;

/// One stream of events for any number of readers. A clone shares the same source.
///
/// ```
/// use command_executor::event::{ProcessEvent, ProcessEventStream};
/// use futures::StreamExt;
/// use service_orchestration::SharedEventStream;
///
/// # futures::executor::block_on(async {
/// let source = ProcessEventStream::from_events([ProcessEvent::started(7), ProcessEvent::system("ready")]);
/// let shared = SharedEventStream::new(source);
/// let first: Vec<_> = shared.reader().collect().await;
/// let late: Vec<_> = shared.reader().collect().await;
/// assert_eq!(first, late);
/// # });
/// ```
#[derive(Clone)]
pub struct SharedEventStream {
    shared: Arc<Shared>,
}

impl SharedEventStream {
    /// Shares this stream. The newest 4 MiB of events are kept for readers that are slow or come late.
    pub fn new(source: ProcessEventStream) -> Self {
        Self::with_capacity(source, MAX_BYTES)
    }

    /// Shares this stream, and keeps this many bytes of the newest events, but always the newest one.
    pub fn with_capacity(source: ProcessEventStream, max_bytes: usize) -> Self {
        let state = State {
            source: Some(source),
            ring: Ring {
                events: VecDeque::new(),
                first: 0,
                bytes: 0,
                max_bytes,
            },
            readers: 0,
        };
        let shared = Shared {
            state: Mutex::new(state),
            waiting: Arc::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// A reader that begins with the first event, or with a `System` event that counts those no longer kept.
    pub fn reader(&self) -> EventReader {
        let mut state = self.shared.state();
        let id = state.readers;
        state.readers += 1;
        drop(state);
        EventReader {
            shared: Arc::clone(&self.shared),
            id,
            next: 0,
        }
    }
}

impl fmt::Debug for SharedEventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedEventStream").finish_non_exhaustive()
    }
}

/// One reader of a [`SharedEventStream`]. Ends when the source has ended and everything was read.
pub struct EventReader {
    shared: Arc<Shared>,
    id: u64,
    /// The number of the event that comes next.
    next: u64,
}

impl Stream for EventReader {
    type Item = ProcessEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.state();
        loop {
            if self.next < state.ring.first {
                let missed = state.ring.first - self.next;
                self.next = state.ring.first;
                return Poll::Ready(Some(missing(missed)));
            }
            if let Some(event) = state.ring.get(self.next) {
                self.next += 1;
                return Poll::Ready(Some(event));
            }
            // Registered before the source is asked: it may wake us while it is.
            shared.waiting.add(self.id, context.waker());
            match state.pump(&shared.waiting) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Pumped::Event) => {}
                Poll::Ready(Pumped::End) => {
                    drop(state);
                    shared.waiting.wake_all();
                    return Poll::Ready(None);
                }
            }
            // The others wait for what has just come. None of them may be woken under the lock.
            drop(state);
            shared.waiting.remove(self.id);
            shared.waiting.wake_all();
            state = shared.state();
        }
    }
}

impl Drop for EventReader {
    fn drop(&mut self) {
        self.shared.waiting.remove(self.id);
    }
}

impl fmt::Debug for EventReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventReader")
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

struct Shared {
    /// A lock, because readers on any threads move one source on. Held for one poll of it, never across an await.
    state: Mutex<State>,
    waiting: Arc<Waiting>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // A source that panicked has ended: what it gave before is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct State {
    /// None once it has ended.
    source: Option<ProcessEventStream>,
    ring: Ring,
    /// How many readers there have been.
    readers: u64,
}

enum Pumped {
    Event,
    End,
}

impl State {
    /// Asks the source for one more event, on behalf of everybody who waits.
    fn pump(&mut self, waiting: &Arc<Waiting>) -> Poll<Pumped> {
        // Taken, so that a source that panics or has ended is never asked again.
        let Some(mut source) = self.source.take() else {
            return Poll::Ready(Pumped::End);
        };
        let everybody = Waker::from(Arc::clone(waiting));
        match Pin::new(&mut source).poll_next(&mut Context::from_waker(&everybody)) {
            Poll::Ready(Some(event)) => {
                self.source = Some(source);
                self.ring.push(event);
                Poll::Ready(Pumped::Event)
            }
            Poll::Ready(None) => Poll::Ready(Pumped::End),
            Poll::Pending => {
                self.source = Some(source);
                Poll::Pending
            }
        }
    }
}

/// The newest events.
struct Ring {
    events: VecDeque<ProcessEvent>,
    /// The number of the oldest one kept.
    first: u64,
    bytes: usize,
    max_bytes: usize,
}

impl Ring {
    fn get(&self, number: u64) -> Option<ProcessEvent> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.events.get(index).cloned()
    }

    fn push(&mut self, event: ProcessEvent) {
        self.bytes += size(&event);
        self.events.push_back(event);
        while self.bytes > self.max_bytes
            && self.events.len() > 1
            && let Some(oldest) = self.events.pop_front()
        {
            self.bytes -= size(&oldest);
            self.first += 1;
        }
    }
}

/// Readers that have nothing to read. As a waker it wakes all of them, so that the one that was first to ask the source
/// may go away without the others waiting for ever.
#[derive(Default)]
struct Waiting {
    /// A lock of its own, because a source may wake us while it is being polled. Held for one change of the map.
    wakers: Mutex<BTreeMap<u64, Waker>>,
}

impl Waiting {
    fn wakers(&self) -> MutexGuard<'_, BTreeMap<u64, Waker>> {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, reader: u64, waker: &Waker) {
        let mut wakers = self.wakers();
        match wakers.get_mut(&reader) {
            Some(known) => known.clone_from(waker),
            None => drop(wakers.insert(reader, waker.clone())),
        }
    }

    fn remove(&self, reader: u64) {
        // Dropped after the lock: a waker's drop is foreign code.
        let removed = self.wakers().remove(&reader);
        drop(removed);
    }

    fn wake_all(&self) {
        let wakers = std::mem::take(&mut *self.wakers());
        wakers.into_values().for_each(Waker::wake);
    }
}

impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        self.wake_all();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_all();
    }
}

fn missing(count: u64) -> ProcessEvent {
    let noun = if count == 1 { "event is" } else { "events are" };
    ProcessEvent::system(format!("{count} {noun} missing here"))
}

fn size(event: &ProcessEvent) -> usize {
    size_of::<ProcessEvent>() + event.data.bytes().len()
}

/// 4 MiB: some ten thousand usual lines, little enough to have one for each of hundreds of services.
const MAX_BYTES: usize = 4 << 20;

#[cfg(test)]
mod tests;
