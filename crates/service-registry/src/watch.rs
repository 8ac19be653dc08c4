//! Following the registry.
//!
//! Owns: one reader's place in the changes. A watch has no queue: it reads the changes that the registry keeps, so a
//! slow reader costs nothing, and is told when it fell behind.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::Stream;

use crate::registry::Shared;
use crate::{Change, Snapshot};

/// A place in the changes of one registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Which registry: a new one has another epoch.
    pub epoch: u64,
    /// The last change that has been seen.
    pub sequence: u64,
}

/// What a watch yields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update {
    /// The next change.
    Change(Arc<Change>),
    /// Changes were missed: this is how things stand now, and the changes go on from there.
    Gap(Snapshot),
}

/// The changes of a registry, in order. It never ends by itself.
#[derive(Debug)]
pub struct Watch {
    shared: Arc<Shared>,
    cursor: Cursor,
    number: u64,
}

impl Watch {
    pub(crate) fn new(shared: Arc<Shared>, cursor: Cursor) -> Self {
        let number = shared.next_watch();
        Self {
            shared,
            cursor,
            number,
        }
    }

    /// Where it is: what [`crate::Registry::watch_from`] resumes from.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    fn next_update(&mut self, context: &Context<'_>) -> Option<Update> {
        let ledger = self.shared.read();
        let next = if self.cursor.epoch == self.shared.epoch {
            ledger.after(self.cursor.sequence)
        } else {
            Err(crate::ledger::Forgotten)
        };
        match next {
            Ok(Some(change)) => {
                self.cursor.sequence = change.sequence;
                Some(Update::Change(change))
            }
            // Registered under the ledger's lock: a change cannot slip in between.
            Ok(None) => {
                self.shared.wait(self.number, context.waker());
                None
            }
            Err(crate::ledger::Forgotten) => {
                self.cursor = self.shared.cursor(ledger.sequence());
                Some(Update::Gap(Snapshot {
                    cursor: self.cursor,
                    entries: ledger.entries().cloned().collect(),
                }))
            }
        }
    }
}

impl Stream for Watch {
    type Item = Update;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Update>> {
        self.next_update(context)
            .map_or(Poll::Pending, |update| Poll::Ready(Some(update)))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.forget(self.number);
    }
}
