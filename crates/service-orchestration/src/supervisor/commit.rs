//! Keeping what was decided before it is done.
//!
//! Owns: what waits to be kept and what waits for that. One write is under way at a time; what is decided meanwhile is
//! the next one, which begins at once when something waits for it, and else a little later, with what comes until then.
//! While the store cannot be written, or does not answer, nothing new is launched, everything that ends something goes
//! on, and listeners are told what happens although it is not kept.

use std::sync::Arc;
use std::time::Duration;

use async_channel::Sender;
use async_executor::Task;
use command_executor::blocking;

use super::inbox::Inbox;
use super::turn::Supervisor;
use crate::model::Effect;
use crate::report::{Event, EventKind};
use crate::store::{Batch, Store, StoreError};

/// Something that is done once the turn that decided it is kept.
pub(super) enum Deferred {
    /// What the model ordered.
    Effect(Effect),
    /// An answer to whoever asked.
    Answer(Box<dyn FnOnce() + Send>),
    /// What an attempt left behind on this machine may go.
    Forget(crate::spec::TargetKind, String),
    /// What was kept for a unit that is gone may go.
    ForgetUnit(crate::spec::UnitId),
    /// Nothing is done after this.
    End,
}

impl Deferred {
    /// Whether a write shall begin at once for it: something is to happen, or somebody waits to hear.
    fn is_urgent(&self) -> bool {
        match self {
            Self::Effect(effect) => match effect {
                Effect::Launch(..)
                | Effect::CheckSetup(..)
                | Effect::PerformSetup(..)
                | Effect::Terminate(..)
                | Effect::Kill(..)
                | Effect::Detach(..) => true,
                Effect::Probe(..)
                | Effect::Publish(..)
                | Effect::Withdraw(..)
                | Effect::Arm { .. }
                | Effect::Moved(_) => false,
            },
            Self::Answer(_) | Self::End => true,
            Self::Forget(..) | Self::ForgetUnit(_) => false,
        }
    }
}

impl std::fmt::Debug for Deferred {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Effect(effect) => effect.fmt(f),
            Self::Answer(_) => f.write_str("Answer"),
            Self::Forget(_, instance) => write!(f, "Forget({instance})"),
            Self::ForgetUnit(unit) => write!(f, "ForgetUnit({unit})"),
            Self::End => f.write_str("End"),
        }
    }
}

/// One write to the store, and what waits for it.
#[derive(Debug, Default)]
struct Turn {
    batch: Batch,
    deferred: Vec<Deferred>,
}

/// A write that is under way.
#[derive(Debug)]
struct Writing {
    batch: Arc<Batch>,
    deferred: Vec<Deferred>,
    since: Duration,
    /// It takes so long that nobody waits for it any more.
    is_overdue: bool,
    _task: blocking::Unblocked<()>,
}

/// What waits to be kept, and what is being kept.
#[derive(Debug)]
pub(super) struct Keeper {
    store: Arc<dyn Store>,
    next: Turn,
    /// Since when the next write has something to write.
    next_since: Option<Duration>,
    under_way: Option<Writing>,
    /// What waits until the store can be written again: launches, and the removal of what attempts left behind, which
    /// is all that the next daemon would know of their ends.
    held_back: Vec<Deferred>,
    failed: Option<Failure>,
}

/// The store could not be written.
#[derive(Debug)]
struct Failure {
    /// Whether there was no room.
    full: bool,
    /// Waits before the next try.
    _retry: Option<Task<()>>,
    may_try: bool,
}

/// Events that wait for a store that fails; of more, the oldest go. As many as the store itself keeps.
const MAX_UNKEPT_EVENTS: usize = 10_000;

/// How long a store that failed is left alone.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How long a change that nobody waits for may wait for company. What it tells of is found again after a crash (a run
/// directory tells that an attempt runs, or how it ended), and a write costs as much as several changes.
const COMPANY: Duration = Duration::from_millis(5);

/// How long a write may take until what ends something goes on without it. A loaded disk takes some hundred
/// milliseconds for one.
const OVERDUE_AFTER: Duration = Duration::from_secs(2);

impl Keeper {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            next: Turn::default(),
            next_since: None,
            under_way: None,
            held_back: Vec::new(),
            failed: None,
        }
    }

    /// Does this once everything decided before it is kept.
    pub(super) fn defer(&mut self, what: Deferred) {
        self.next.deferred.push(what);
    }

    /// What the next write shall hold.
    pub(super) fn batch(&mut self) -> &mut Batch {
        &mut self.next.batch
    }

    /// `storage-full` or `storage-error` while the store cannot be written, or does not answer.
    pub(super) fn trouble(&self) -> Option<&'static str> {
        match &self.failed {
            Some(Failure { full: true, .. }) => Some("storage-full"),
            Some(Failure { full: false, .. }) => Some("storage-error"),
            None => self.is_overdue().then_some("storage-error"),
        }
    }

    fn is_overdue(&self) -> bool {
        self.under_way
            .as_ref()
            .is_some_and(|writing| writing.is_overdue)
    }

    /// When there is something to do that nothing else will tell of.
    pub(super) fn due(&self) -> Option<Duration> {
        match &self.under_way {
            Some(writing) if writing.is_overdue => None,
            Some(writing) => Some(writing.since.saturating_add(OVERDUE_AFTER)),
            // The retry tells of itself. Due at once, it would never come to run: the loop has no time left for it.
            None if self.is_left_alone() => None,
            None => Some(self.next_since?.saturating_add(COMPANY)),
        }
    }

    /// Whether the store failed, and it is not yet time to try it again.
    fn is_left_alone(&self) -> bool {
        self.failed.as_ref().is_some_and(|failure| !failure.may_try)
    }

    /// Takes back a launch that waits for the store. Answers whether there was one.
    pub(super) fn take_back_launch(&mut self, unit: crate::model::Index) -> bool {
        let before = self.held_back.len();
        self.held_back.retain(
            |what| !matches!(what, Deferred::Effect(Effect::Launch(held, _)) if *held == unit),
        );
        self.held_back.len() != before
    }

    pub(super) fn retry(&mut self) {
        if let Some(failure) = &mut self.failed {
            failure.may_try = true;
        }
    }

    /// Begins the next write, if it is time for it and none is under way. Answers with what may be done at once.
    fn begin(&mut self, now: Duration, inbox: &Sender<Inbox>) -> Vec<Deferred> {
        if let Some(writing) = &mut self.under_way {
            if !self.next.batch.is_empty() {
                self.next_since.get_or_insert(now);
            }
            // What ends something does not wait for a store that does not answer.
            if !writing.is_overdue {
                return Vec::new();
            }
            let mut released = std::mem::take(&mut writing.deferred);
            released.append(&mut self.next.deferred);
            return released;
        }
        // Nor for one that fails.
        if self.is_left_alone() || self.next.batch.is_empty() {
            return std::mem::take(&mut self.next.deferred);
        }
        let since = *self.next_since.get_or_insert(now);
        let is_due = now >= since.saturating_add(COMPANY);
        if !is_due && !self.next.deferred.iter().any(Deferred::is_urgent) {
            return Vec::new();
        }
        self.next_since = None;
        let Turn { batch, deferred } = std::mem::take(&mut self.next);
        let batch = Arc::new(batch);
        let (store, written, inbox) = (Arc::clone(&self.store), Arc::clone(&batch), inbox.clone());
        let task = blocking::unblock(move || {
            let result = store.commit(&written);
            // Whoever waits for the end of the supervisor may take the store at once.
            drop((store, written));
            drop(inbox.try_send(Inbox::Committed(result)));
        });
        self.under_way = Some(Writing {
            batch,
            deferred,
            since: now,
            is_overdue: false,
            _task: task,
        });
        Vec::new()
    }

    /// Events that listeners are told of although they are not kept.
    fn unkept_events(&self) -> impl Iterator<Item = &Arc<Event>> {
        let under_way = self
            .under_way
            .iter()
            .flat_map(|writing| &writing.batch.events);
        under_way.chain(&self.next.batch.events)
    }
}

impl Supervisor {
    /// Hands over to the store what changed, and does what has nothing to wait for.
    pub(super) fn keep(&mut self) {
        if self.ended {
            // What came after the end is the next owner's to find; the store is free for it from here on.
            return;
        }
        self.notice_overdue();
        loop {
            let released = self.keeper.begin(self.clock.now(), &self.sender);
            if released.is_empty() {
                break;
            }
            self.release(released);
        }
        if self.keeper.trouble().is_some() {
            for event in self.keeper.unkept_events() {
                self.hub.publish(event);
            }
        }
    }

    /// Goes on without the store when a write has taken too long.
    fn notice_overdue(&mut self) {
        let now = self.clock.now();
        match &mut self.keeper.under_way {
            Some(writing)
                if !writing.is_overdue && now >= writing.since.saturating_add(OVERDUE_AFTER) =>
            {
                writing.is_overdue = true;
                self.snapshots.outdate();
            }
            Some(_) | None => return,
        }
        if self.keeper.failed.is_none() {
            let reason = format!("a write has not ended within {OVERDUE_AFTER:?}");
            tracing::error!(reason, "the state cannot be kept: nothing new is launched");
            self.emit_storage_failed(reason);
        }
    }

    /// The write that was under way has ended.
    pub(super) fn committed(&mut self, result: Result<(), StoreError>) {
        let Some(writing) = self.keeper.under_way.take() else {
            return;
        };
        let was_in_trouble = writing.is_overdue || self.keeper.failed.is_some();
        match result {
            Ok(()) => self.kept(&writing.batch, was_in_trouble),
            Err(error) => self.not_kept(writing.batch, &error, was_in_trouble),
        }
        self.release(writing.deferred);
    }

    fn kept(&mut self, batch: &Batch, was_in_trouble: bool) {
        for event in &batch.events {
            self.hub.publish(event);
        }
        self.keeper.failed = None;
        if was_in_trouble {
            tracing::warn!("the state can be kept again");
            self.emit_plain(EventKind::StorageRecovered, None, serde_json::Map::new());
            let held_back = std::mem::take(&mut self.keeper.held_back);
            self.release(held_back);
        }
    }

    /// Nothing of the batch was kept: it is written again, with what came meanwhile, when the store is tried again.
    fn not_kept(&mut self, batch: Arc<Batch>, error: &StoreError, was_in_trouble: bool) {
        if !was_in_trouble {
            tracing::error!(error = %crate::error_chain(error), "the state cannot be kept: nothing new is launched");
        }
        let mut earlier = Arc::try_unwrap(batch).unwrap_or_else(|shared| Batch {
            stacks: shared.stacks.clone(),
            units: shared.units.clone(),
            events: shared.events.clone(),
            standings: shared.standings.clone(),
        });
        earlier.merge(std::mem::take(&mut self.keeper.next.batch));
        let too_many = earlier.events.len().saturating_sub(MAX_UNKEPT_EVENTS);
        earlier.events.drain(..too_many);
        self.keeper.next.batch = earlier;
        let inbox = self.sender.clone();
        let retry = self.setting.spawner.spawn(async move {
            async_io::Timer::after(RETRY_AFTER).await;
            drop(inbox.try_send(Inbox::RetryStore));
        });
        self.keeper.failed = Some(Failure {
            full: matches!(error, StoreError::Full { .. }),
            _retry: Some(retry),
            may_try: false,
        });
        if !was_in_trouble {
            self.emit_storage_failed(crate::error_chain(error));
        }
    }

    fn emit_storage_failed(&mut self, reason: String) {
        let mut data = serde_json::Map::new();
        data.insert("reason".into(), reason.into());
        self.emit_plain(EventKind::StorageFailed, None, data);
    }

    /// Does what was decided.
    fn release(&mut self, deferred: Vec<Deferred>) {
        self.snapshots.outdate();
        for what in deferred {
            match what {
                Deferred::Effect(Effect::Launch(..))
                | Deferred::Forget(..)
                | Deferred::ForgetUnit(_)
                    if self.keeper.trouble().is_some() =>
                {
                    self.keeper.held_back.push(what);
                }
                Deferred::Effect(effect) => self.perform(effect),
                Deferred::Answer(answer) => answer(),
                Deferred::Forget(kind, instance) => self.forget_attempt(kind, instance),
                Deferred::ForgetUnit(unit) => self.forget_what_was_kept(&unit),
                Deferred::End => self.ended = true,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    #[test]
    fn a_store_that_failed_is_not_due_before_its_retry() {
        let mut keeper = Keeper::new(Arc::new(MemoryStore));
        // Something was decided while the write that failed was under way.
        keeper.next_since = Some(Duration::from_millis(1));
        assert!(keeper.due().is_some());
        keeper.failed = Some(Failure {
            full: false,
            _retry: None,
            may_try: false,
        });
        assert_eq!(keeper.due(), None);
        keeper.retry();
        assert!(keeper.due().is_some());
    }
}
