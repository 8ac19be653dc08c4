//! Keeping what was decided before it is done.
//!
//! Owns: what waits to be kept and what waits for that. One write is under way at a time; what is decided meanwhile is
//! the next one. While the store cannot be written, nothing new is launched, and everything that ends something goes on.

use std::sync::Arc;
use std::time::Duration;

use async_channel::Sender;
use async_executor::{Executor, Task};

use super::inbox::Inbox;
use super::turn::Supervisor;
use crate::model::Effect;
use crate::report::EventKind;
use crate::store::{Batch, Store, StoreError};

/// Something that is done once the turn that decided it is kept.
pub(super) enum Deferred {
    /// What the model ordered.
    Effect(Effect),
    /// An answer to whoever asked.
    Answer(Box<dyn FnOnce() + Send>),
    /// What an attempt left behind on this machine may go.
    Forget(crate::spec::TargetKind, String),
    /// Nothing is done after this.
    End,
}

impl std::fmt::Debug for Deferred {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Effect(effect) => effect.fmt(f),
            Self::Answer(_) => f.write_str("Answer"),
            Self::Forget(_, instance) => write!(f, "Forget({instance})"),
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

/// What waits to be kept, and what is being kept.
#[derive(Debug)]
pub(super) struct Keeper {
    store: Arc<dyn Store>,
    next: Turn,
    under_way: Option<(Arc<Batch>, Vec<Deferred>, Task<()>)>,
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

impl Keeper {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            next: Turn::default(),
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

    /// `storage-full` or `storage-error` while the store cannot be written.
    pub(super) fn trouble(&self) -> Option<&'static str> {
        self.failed.as_ref().map(|failure| {
            if failure.full {
                "storage-full"
            } else {
                "storage-error"
            }
        })
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

    /// Begins the next write, if there is anything to write and none under way. Answers with what may be done at once,
    /// when nothing has to be written first.
    fn begin(&mut self, spawner: &Executor<'static>, inbox: &Sender<Inbox>) -> Vec<Deferred> {
        if self.under_way.is_some() {
            return Vec::new();
        }
        if self.failed.as_ref().is_some_and(|failure| !failure.may_try) {
            // What ends something does not wait for the store.
            return std::mem::take(&mut self.next.deferred);
        }
        if self.next.batch.is_empty() {
            return std::mem::take(&mut self.next.deferred);
        }
        let Turn { batch, deferred } = std::mem::take(&mut self.next);
        let batch = Arc::new(batch);
        let (store, written, inbox) = (Arc::clone(&self.store), Arc::clone(&batch), inbox.clone());
        let task = spawner.spawn(async move {
            let result = blocking::unblock(move || store.commit(&written)).await;
            drop(inbox.try_send(Inbox::Committed(result)));
        });
        self.under_way = Some((batch, deferred, task));
        Vec::new()
    }
}

impl Supervisor {
    /// Hands over to the store what changed, and does what has nothing to wait for.
    pub(super) fn keep(&mut self) {
        loop {
            let released = self.keeper.begin(&self.setting.spawner, &self.sender);
            if released.is_empty() {
                return;
            }
            self.release(released);
        }
    }

    /// The write that was under way has ended.
    pub(super) fn committed(&mut self, result: Result<(), StoreError>) {
        let Some((batch, deferred, _task)) = self.keeper.under_way.take() else {
            return;
        };
        match result {
            Ok(()) => self.kept(&batch),
            Err(error) => self.not_kept(batch, &error),
        }
        self.release(deferred);
    }

    fn kept(&mut self, batch: &Batch) {
        for event in &batch.events {
            self.hub.publish(event);
        }
        if self.keeper.failed.take().is_some() {
            tracing::warn!("the state can be kept again");
            self.emit_plain(EventKind::StorageRecovered, None, serde_json::Map::new());
            let held_back = std::mem::take(&mut self.keeper.held_back);
            self.release(held_back);
        }
    }

    /// Nothing of the batch was kept: it is written again, with what came meanwhile, when the store is tried again.
    fn not_kept(&mut self, batch: Arc<Batch>, error: &StoreError) {
        let first = self.keeper.failed.is_none();
        if first {
            tracing::error!(error = %crate::error_chain(error), "the state cannot be kept: nothing new is launched");
        }
        let mut earlier = Arc::try_unwrap(batch).unwrap_or_else(|shared| Batch {
            stacks: shared.stacks.clone(),
            units: shared.units.clone(),
            events: shared.events.clone(),
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
        if first {
            let mut data = serde_json::Map::new();
            data.insert("reason".into(), crate::error_chain(error).into());
            self.emit_plain(EventKind::StorageFailed, None, data);
        }
    }

    /// Does what was decided.
    fn release(&mut self, deferred: Vec<Deferred>) {
        for what in deferred {
            match what {
                Deferred::Effect(Effect::Launch(..)) | Deferred::Forget(..)
                    if self.keeper.failed.is_some() =>
                {
                    self.keeper.held_back.push(what);
                }
                Deferred::Effect(effect) => self.perform(effect),
                Deferred::Answer(answer) => answer(),
                Deferred::Forget(kind, instance) => self.forget_attempt(kind, instance),
                Deferred::End => self.ended = true,
            }
        }
    }
}
