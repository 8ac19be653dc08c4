//! What waits to be sent on one session.
//!
//! Owns: the queue, its bounds, and the credit of each subscription. Never writes to a socket: the session takes from it.
//!
//! Invariant: an answer is either queued or the connection ends; a subscription item is queued, refused, or waits.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures::task::AtomicWaker;

use crate::account::{Account, Share};
use crate::frame::Id;
use crate::limits::Limits;
use crate::link::Outgoing;

/// One message and what its departure means to the session.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) message: Outgoing,
    pub(super) departs: Departure,
}

/// What the session has to note when a message leaves.
#[derive(Debug)]
pub(super) enum Departure {
    /// Nothing.
    Plain,
    /// The request is answered.
    Answered(Id),
    /// The request is answered, and its subscription is open.
    Opened(Id, Arc<Credit>),
    /// The subscription is over.
    Ended(Id),
}

/// Why an item was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Full,
    Closed,
}

#[derive(Debug)]
pub(super) struct Outbox {
    // A lock, because publishers on other threads and the session meet here. It is held for a push or a pop only.
    queue: Mutex<Queue>,
    session: AtomicWaker,
    max_bytes: usize,
    max_messages: usize,
    max_event_bytes: usize,
    account: Option<Account>,
}

#[derive(Debug, Default)]
struct Queue {
    entries: VecDeque<(Entry, Option<Share>)>,
    bytes: usize,
    is_closed: bool,
    has_overflowed: bool,
    waiting_for_room: Vec<Waker>,
}

impl Outbox {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            queue: Mutex::default(),
            session: AtomicWaker::new(),
            max_bytes: limits.max_queued_bytes,
            max_messages: limits.max_queued_messages,
            max_event_bytes: limits.max_queued_event_bytes,
            account: limits.account.clone(),
        }
    }

    /// Queues an answer. When there is no room the session ends instead; an answer is never dropped silently.
    pub(super) fn push(&self, entry: Entry) {
        let mut queue = self.locked();
        if queue.is_closed {
            return;
        }
        let is_full = queue.bytes + entry.message.len() > self.max_bytes
            || queue.entries.len() >= self.max_messages;
        if is_full {
            queue.overflow();
        } else {
            self.add(&mut queue, entry);
        }
        drop(queue);
        self.session.wake();
    }

    /// Queues a subscription item if there is room for one now.
    pub(super) fn try_push_event(&self, entry: Entry) -> Result<(), (Refused, Entry)> {
        let mut queue = self.locked();
        if queue.is_closed {
            return Err((Refused::Closed, entry));
        }
        if !self.has_room(&queue) {
            return Err((Refused::Full, entry));
        }
        self.add(&mut queue, entry);
        drop(queue);
        self.session.wake();
        Ok(())
    }

    /// Waits until a subscription item would be taken; an error when nothing is taken any more.
    pub(super) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<Result<(), Refused>> {
        let mut queue = self.locked();
        if queue.is_closed {
            return Poll::Ready(Err(Refused::Closed));
        }
        if self.has_room(&queue) {
            return Poll::Ready(Ok(()));
        }
        if !queue
            .waiting_for_room
            .iter()
            .any(|waker| waker.will_wake(cx.waker()))
        {
            queue.waiting_for_room.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Takes the next message; `None` when closed and empty.
    pub(super) fn poll_pop(&self, cx: &mut Context<'_>) -> Poll<Option<Entry>> {
        self.session.register(cx.waker());
        let mut queue = self.locked();
        match queue.entries.pop_front() {
            Some((entry, _share)) => {
                queue.bytes -= entry.message.len();
                if self.has_room(&queue) {
                    queue.wake_waiting();
                }
                Poll::Ready(Some(entry))
            }
            None if queue.is_closed => Poll::Ready(None),
            None => Poll::Pending,
        }
    }

    /// Takes the next message if there is one.
    pub(super) fn pop(&self) -> Option<Entry> {
        let mut queue = self.locked();
        let (entry, _share) = queue.entries.pop_front()?;
        queue.bytes -= entry.message.len();
        Some(entry)
    }

    /// Takes nothing more; those who wait learn so.
    pub(super) fn close(&self) {
        self.locked().close();
    }

    pub(super) fn has_overflowed(&self) -> bool {
        self.locked().has_overflowed
    }

    fn has_room(&self, queue: &Queue) -> bool {
        // Half of the messages are kept for answers, so that no flood of items ever makes an answer overflow.
        queue.bytes < self.max_event_bytes && queue.entries.len() < self.max_messages / 2
    }

    /// Queues it. Where the client's account has no room for it, the session ends: nobody would tell this queue when
    /// another connection gives something back.
    fn add(&self, queue: &mut Queue, entry: Entry) {
        let share = match &self.account {
            None => None,
            Some(account) => match account.take(entry.message.len()) {
                Some(share) => Some(share),
                None => return queue.overflow(),
            },
        };
        queue.bytes += entry.message.len();
        queue.entries.push_back((entry, share));
    }

    fn locked(&self) -> MutexGuard<'_, Queue> {
        // Nothing panics while it is held; a poisoned queue is still a queue.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn overflow(&mut self) {
        self.has_overflowed = true;
        self.close();
    }

    fn close(&mut self) {
        self.is_closed = true;
        self.wake_waiting();
    }

    fn wake_waiting(&mut self) {
        self.waiting_for_room.drain(..).for_each(Waker::wake);
    }
}

/// How many more items a subscription may send, and whether anyone still wants them.
#[derive(Debug)]
pub(super) struct Credit {
    /// Below zero when the last item cost more than there was.
    items: AtomicI64,
    is_cancelled: AtomicBool,
    publisher: AtomicWaker,
}

impl Credit {
    pub(super) fn new(items: u32) -> Self {
        Self {
            items: AtomicI64::new(items.into()),
            is_cancelled: AtomicBool::new(false),
            publisher: AtomicWaker::new(),
        }
    }

    pub(super) fn grant(&self, items: u32) {
        // A peer that grants more than fits has no bound to speak of.
        let add = |left: i64| Some(left.saturating_add(items.into()));
        let _always_some = self
            .items
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, add);
        self.publisher.wake();
    }

    pub(super) fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::Release);
        self.publisher.wake();
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Acquire)
    }

    pub(super) fn has_any(&self) -> bool {
        self.items.load(Ordering::Acquire) > 0
    }

    /// Spends what an item costs. Only the one publisher calls this, after [`Credit::has_any`].
    pub(super) fn spend(&self, cost: u32) {
        self.items.fetch_sub(cost.into(), Ordering::AcqRel);
    }

    pub(super) fn register(&self, cx: &Context<'_>) {
        self.publisher.register(cx.waker());
    }
}
