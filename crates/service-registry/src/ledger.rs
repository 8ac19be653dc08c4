//! The registry's decisions, without a lock, a waker or a clock.
//!
//! Owns: the entries, the leases that some of them are under, and the last changes in order. What is late is dropped
//! here.
//!
//! Invariants: sequence numbers count up by one; the entries are what the changes since the first add up to; an
//! instance never goes back to an earlier incarnation while it is listed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use crate::lease::{Ending, Lease, LeaseError, Leased, Leases, Owner, Standing, Tombstone};
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
    /// The same run of an instance may now be sent work, or no longer; all else is as it was.
    HealthChanged(Arc<Entry>),
    /// An instance can no longer be reached.
    Withdrawn(InstanceKey, Incarnation),
    /// The owner of an instance was not heard of in time. The instance may still run, and be published again.
    Lost(InstanceKey, Incarnation),
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
    leases: Leases,
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
            leases: Leases::default(),
            recent: VecDeque::new(),
            sequence: 0,
            keep,
        }
    }

    /// Of an instance that somebody has a lease for, the daemon itself takes over.
    pub(crate) fn publish(&mut self, entry: Entry) -> Outcome {
        let key = entry.key.clone();
        let outcome = self.list(entry);
        if outcome != Outcome::Stale {
            self.leases.let_go(&key);
        }
        outcome
    }

    /// What somebody has a lease for is left alone: it was never the daemon's.
    pub(crate) fn withdraw(&mut self, key: &InstanceKey, incarnation: Incarnation) -> Outcome {
        match self.leases.owner(key) {
            Some(_) => Outcome::Unchanged,
            None => self.take_off(key, incarnation),
        }
    }

    fn take_off(&mut self, key: &InstanceKey, incarnation: Incarnation) -> Outcome {
        match self.instance(key) {
            None => return Outcome::Unchanged,
            Some(listed) if listed.incarnation > incarnation => return Outcome::Stale,
            Some(_) => self.strike(key),
        };
        self.leases.let_go(key);
        self.record(ChangeKind::Withdrawn(key.clone(), incarnation));
        Outcome::Changed
    }

    pub(crate) fn publish_leased(
        &mut self,
        entry: Entry,
        lease: &Lease,
        now: Instant,
    ) -> Result<Outcome, LeaseError> {
        if !(Lease::SHORTEST..=Lease::LONGEST).contains(&lease.ttl) {
            return Err(LeaseError::Duration { ttl: lease.ttl });
        }
        let key = entry.key.clone();
        self.admit(&key, entry.incarnation, &lease.owner, now)?;
        let outcome = self.list(entry);
        if outcome == Outcome::Changed {
            self.leases.touch(&key);
        }
        self.leases.hold(&key, lease, now);
        Ok(outcome)
    }

    pub(crate) fn withdraw_leased(
        &mut self,
        key: &InstanceKey,
        incarnation: Incarnation,
        owner: &Owner,
        now: Instant,
    ) -> Result<Outcome, LeaseError> {
        if self.instance(key).is_some() {
            self.admit(key, incarnation, owner, now)?;
            let outcome = self.take_off(key, incarnation);
            self.leases
                .bury(key, incarnation, owner.clone(), Ending::Withdrawn, now);
            return Ok(outcome);
        }
        // What was lost has come to its end unseen, and says so late.
        let grave = self.leases.grave(key, now);
        if grave.is_some_and(|grave| grave.owner.is_same(owner) && grave.admits(incarnation)) {
            self.leases
                .bury(key, incarnation, owner.clone(), Ending::Withdrawn, now);
        }
        Ok(Outcome::Unchanged)
    }

    pub(crate) fn renew(&mut self, owner: &Owner, now: Instant) -> Result<(), LeaseError> {
        if self.leases.renew(owner, now) {
            return Ok(());
        }
        Err(LeaseError::NoLease {
            owner: owner.clone(),
        })
    }

    pub(crate) fn expire(&mut self, now: Instant) -> usize {
        let mut lost = 0;
        while let Some((owner, keys)) = self.leases.next_lost(now) {
            for key in keys {
                let Some(entry) = self.strike(&key) else {
                    continue;
                };
                self.leases
                    .bury(&key, entry.incarnation, owner.clone(), Ending::Lost, now);
                self.record(ChangeKind::Lost(key, entry.incarnation));
                lost += 1;
            }
        }
        self.leases.forget(now);
        lost
    }

    /// Takes those of the entries off the list that are under a lease of this name.
    pub(crate) fn lose(&mut self, name: &str, keys: &[InstanceKey], now: Instant) -> usize {
        let mut lost = 0;
        for key in keys {
            let owner = self.leases.owner(key).filter(|it| it.as_str() == name);
            let Some(owner) = owner.cloned() else {
                continue;
            };
            self.leases.let_go(key);
            if let Some(entry) = self.strike(key) {
                let incarnation = entry.incarnation;
                self.leases.bury(key, incarnation, owner, Ending::Lost, now);
                self.record(ChangeKind::Lost(key.clone(), incarnation));
                lost += 1;
            }
        }
        lost
    }

    /// The run after every one of this instance that is known of.
    pub(crate) fn next_incarnation(&self, key: &InstanceKey, now: Instant) -> Incarnation {
        let listed = self.instance(key).map(|entry| entry.incarnation.0);
        let gone = self.leases.grave(key, now).map(|grave| grave.incarnation.0);
        Incarnation(listed.max(gone).map_or(1, |last| last.saturating_add(1)))
    }

    pub(crate) fn note(&mut self) {
        self.leases.note();
    }

    pub(crate) fn take_unsaved(&mut self, now: Instant) -> Vec<(InstanceKey, Standing)> {
        let changed = self.leases.take_changed().into_iter();
        changed
            .map(|key| {
                let standing = self.standing(&key, now);
                (key, standing)
            })
            .collect()
    }

    fn standing(&self, key: &InstanceKey, now: Instant) -> Standing {
        let listed = || {
            let owner = self.leases.owner(key)?.clone();
            let ttl = self.leases.ttl(&owner)?;
            Some(Leased {
                entry: self.instance(key)?.clone(),
                lease: Lease { owner, ttl },
            })
        };
        let gone = || self.leases.tombstone(key, now).map(Standing::Gone);
        listed()
            .map(Standing::Listed)
            .or_else(gone)
            .unwrap_or(Standing::Nothing)
    }

    pub(crate) fn remember(&mut self, tombstones: &[Tombstone], now: Instant) {
        for stone in tombstones {
            if self.instance(&stone.key).is_none() {
                // A machine that has run for less than that has a clock that does not reach back so far.
                let at = now.checked_sub(stone.age).unwrap_or(now);
                let owner = stone.owner.clone();
                self.leases
                    .bury(&stone.key, stone.incarnation, owner, stone.ending, at);
            }
        }
    }

    pub(crate) fn leases(&self) -> &Leases {
        &self.leases
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

    /// Whether this owner may say something of this run.
    fn admit(
        &self,
        key: &InstanceKey,
        incarnation: Incarnation,
        asker: &Owner,
        now: Instant,
    ) -> Result<(), LeaseError> {
        let stale = |known| LeaseError::Stale {
            key: key.clone(),
            incarnation,
            known,
        };
        if let Some(listed) = self.instance(key) {
            let holder = self.leases.owner(key);
            if !holder.is_some_and(|holder| holder.is_same(asker)) {
                return Err(LeaseError::Taken {
                    key: key.clone(),
                    asker: asker.clone(),
                    holder: holder.cloned(),
                });
            }
            if listed.incarnation > incarnation {
                return Err(stale(listed.incarnation));
            }
        }
        match self.leases.grave(key, now) {
            Some(grave) if !grave.admits(incarnation) => Err(stale(grave.incarnation)),
            Some(_) | None => Ok(()),
        }
    }

    /// Puts the entry on the list, unless a later run stands there.
    fn list(&mut self, entry: Entry) -> Outcome {
        let instances = self.entries.entry(entry.key.service.clone()).or_default();
        let is_only_health = match instances.get(&entry.key.instance) {
            Some(listed) if listed.incarnation > entry.incarnation => return Outcome::Stale,
            Some(listed) if **listed == entry => return Outcome::Unchanged,
            Some(listed) => {
                let readiness = entry.readiness;
                Entry {
                    readiness,
                    ..(**listed).clone()
                } == entry
            }
            None => false,
        };
        let entry = Arc::new(entry);
        instances.insert(entry.key.instance, entry.clone());
        self.record(match is_only_health {
            true => ChangeKind::HealthChanged(entry),
            false => ChangeKind::Published(entry),
        });
        Outcome::Changed
    }

    /// Takes the entry off the list.
    fn strike(&mut self, key: &InstanceKey) -> Option<Arc<Entry>> {
        let instances = self.entries.get_mut(&key.service)?;
        let entry = instances.remove(&key.instance);
        if instances.is_empty() {
            self.entries.remove(&key.service);
        }
        entry
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
