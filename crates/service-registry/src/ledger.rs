//! The registry's decisions, without a lock, a waker or a clock.
//!
//! Owns: the entries, and the last changes in order. What is late is dropped here.
//!
//! Invariants: sequence numbers count up by one; the entries are what the changes since the first add up to; an
//! instance never goes back to an earlier incarnation while it is listed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::{Entry, Incarnation, InstanceKey, ServiceKey};

/// One change of the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its number; the first is 1.
    pub sequence: u64,
    /// What changed.
    pub kind: ChangeKind,
}

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// An instance can be reached, or what is known of it is different.
    Published(Arc<Entry>),
    /// An instance can no longer be reached.
    Withdrawn(InstanceKey, Incarnation),
}

/// What became of a `publish` or `withdraw`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It took effect, and whoever watches is told.
    Changed,
    /// It says what is known already.
    Unchanged,
    /// It is about an earlier incarnation than the one that is listed; dropped.
    Stale,
}

#[derive(Debug)]
pub(crate) struct Ledger {
    entries: BTreeMap<ServiceKey, BTreeMap<u32, Arc<Entry>>>,
    /// The last changes; the newest has the number `sequence`.
    recent: VecDeque<Arc<Change>>,
    sequence: u64,
    keep: usize,
}

impl Ledger {
    /// Empty; the last `keep` changes can be replayed.
    pub(crate) fn new(keep: usize) -> Self {
        Self {
            entries: BTreeMap::new(),
            recent: VecDeque::new(),
            sequence: 0,
            keep,
        }
    }

    pub(crate) fn publish(&mut self, entry: Entry) -> Outcome {
        let instances = self.entries.entry(entry.key.service.clone()).or_default();
        match instances.get(&entry.key.instance) {
            Some(listed) if listed.incarnation > entry.incarnation => return Outcome::Stale,
            Some(listed) if **listed == entry => return Outcome::Unchanged,
            Some(_) | None => {}
        }
        let entry = Arc::new(entry);
        instances.insert(entry.key.instance, entry.clone());
        self.record(ChangeKind::Published(entry));
        Outcome::Changed
    }

    pub(crate) fn withdraw(&mut self, key: &InstanceKey, incarnation: Incarnation) -> Outcome {
        let Some(instances) = self.entries.get_mut(&key.service) else {
            return Outcome::Unchanged;
        };
        match instances.get(&key.instance) {
            None => return Outcome::Unchanged,
            Some(listed) if listed.incarnation > incarnation => return Outcome::Stale,
            Some(_) => instances.remove(&key.instance),
        };
        if instances.is_empty() {
            self.entries.remove(&key.service);
        }
        self.record(ChangeKind::Withdrawn(key.clone(), incarnation));
        Outcome::Changed
    }

    /// The instances of a service, in the order of their numbers.
    pub(crate) fn lookup(&self, service: &ServiceKey) -> impl Iterator<Item = &Arc<Entry>> {
        self.entries
            .get(service)
            .into_iter()
            .flat_map(BTreeMap::values)
    }

    pub(crate) fn instance(&self, key: &InstanceKey) -> Option<&Arc<Entry>> {
        self.entries.get(&key.service)?.get(&key.instance)
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.entries.values().flat_map(BTreeMap::values)
    }

    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The change after `sequence`: `None` when there is none yet, an error when it is no longer kept.
    pub(crate) fn after(&self, sequence: u64) -> Result<Option<Arc<Change>>, Forgotten> {
        if sequence == self.sequence {
            return Ok(None);
        }
        let behind = self.sequence.checked_sub(sequence).ok_or(Forgotten)?;
        let behind = usize::try_from(behind).map_err(|_| Forgotten)?;
        let index = self.recent.len().checked_sub(behind).ok_or(Forgotten)?;
        Ok(self.recent.get(index).cloned())
    }

    fn record(&mut self, kind: ChangeKind) {
        self.sequence += 1;
        if self.recent.len() == self.keep {
            self.recent.pop_front();
        }
        self.recent.push_back(Arc::new(Change {
            sequence: self.sequence,
            kind,
        }));
    }
}

/// The change that was asked for is not among those that are kept.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Forgotten;
