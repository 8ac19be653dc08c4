//! Which owner holds which entries until when, and what is remembered of those that are gone.
//!
//! Owns: the terms that run and the tombstones. Has no clock: every moment is handed in, of a clock that only goes
//! forward. The entries themselves are the ledger's.
//!
//! Invariants: every entry with an owner is under that owner's term; an owner without entries has no term; a moment that
//! is handed in late shortens nothing; whatever would be kept otherwise than before is noted, once somebody keeps it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::terms::{Ending, Lease, Owner, Tombstone};
use crate::{Incarnation, InstanceKey};

/// The leases of all owners.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    terms: BTreeMap<Owner, Term>,
    due: BTreeSet<(Instant, Owner)>,
    owners: BTreeMap<InstanceKey, Owner>,
    graves: BTreeMap<InstanceKey, Grave>,
    buried: BTreeSet<(Instant, InstanceKey)>,
    /// What has changed since it was last kept; `None` when nobody keeps it.
    changed: Option<BTreeSet<InstanceKey>>,
}

#[derive(Debug)]
struct Term {
    ttl: Duration,
    /// When the owner was heard of.
    heard: Instant,
    until: Instant,
    keys: BTreeSet<InstanceKey>,
}

#[derive(Clone, Debug)]
pub(crate) struct Grave {
    pub(crate) incarnation: Incarnation,
    pub(crate) owner: Owner,
    pub(crate) ending: Ending,
    at: Instant,
}

impl Grave {
    /// Whether this run may be listed although the grave is there: of what was withdrawn only a later one, of what was
    /// lost that one too, as it may come back.
    pub(crate) fn admits(&self, incarnation: Incarnation) -> bool {
        match self.ending {
            Ending::Withdrawn => self.incarnation < incarnation,
            Ending::Lost => self.incarnation <= incarnation,
        }
    }

    fn stone(&self, key: &InstanceKey, now: Instant) -> Tombstone {
        Tombstone {
            key: key.clone(),
            incarnation: self.incarnation,
            owner: self.owner.clone(),
            ending: self.ending,
            age: now.saturating_duration_since(self.at),
        }
    }
}

impl Leases {
    pub(crate) fn owner(&self, key: &InstanceKey) -> Option<&Owner> {
        self.owners.get(key)
    }

    /// The time that the owner named last.
    pub(crate) fn ttl(&self, owner: &Owner) -> Option<Duration> {
        Some(self.terms.get(owner)?.ttl)
    }

    /// How many entries are under the leases of this name.
    pub(crate) fn count(&self, name: &str) -> usize {
        let terms = self.terms.range(Owner::new(name)..);
        let own = terms.take_while(|(owner, _)| owner.as_str() == name);
        own.map(|(_, term)| term.keys.len()).sum()
    }

    /// How many entries are under any lease.
    pub(crate) fn total(&self) -> usize {
        self.owners.len()
    }

    /// From now on it is noted what would have to be kept.
    pub(crate) fn note(&mut self) {
        self.changed.get_or_insert_default();
    }

    /// What has changed since this was last asked.
    pub(crate) fn take_changed(&mut self) -> BTreeSet<InstanceKey> {
        self.changed
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// The entry says something else than before.
    pub(crate) fn touch(&mut self, key: &InstanceKey) {
        if let Some(changed) = &mut self.changed {
            changed.insert(key.clone());
        }
    }

    /// The entry is under this lease, which begins anew.
    pub(crate) fn hold(&mut self, key: &InstanceKey, lease: &Lease, now: Instant) {
        self.dig_up(key);
        if self.owners.get(key) != Some(&lease.owner) {
            self.let_go(key);
            self.touch(key);
        }
        let is_other_time = self.ttl(&lease.owner).is_some_and(|ttl| ttl != lease.ttl);
        let term = self.terms.entry(lease.owner.clone()).or_insert(Term {
            ttl: lease.ttl,
            heard: now,
            until: now + lease.ttl,
            keys: BTreeSet::new(),
        });
        term.ttl = lease.ttl;
        term.keys.insert(key.clone());
        if is_other_time && let Some(changed) = &mut self.changed {
            changed.extend(term.keys.iter().cloned());
        }
        self.owners.insert(key.clone(), lease.owner.clone());
        self.renew(&lease.owner, now);
    }

    /// The owner was heard of; `false` when it has no lease.
    pub(crate) fn renew(&mut self, owner: &Owner, now: Instant) -> bool {
        let Some(term) = self.terms.get_mut(owner) else {
            return false;
        };
        self.due.remove(&(term.until, owner.clone()));
        term.heard = term.heard.max(now);
        term.until = term.heard + term.ttl;
        self.due.insert((term.until, owner.clone()));
        true
    }

    /// The entry is under no lease any more.
    pub(crate) fn let_go(&mut self, key: &InstanceKey) -> Option<Owner> {
        let owner = self.owners.remove(key)?;
        self.touch(key);
        if let Some(term) = self.terms.get_mut(&owner) {
            term.keys.remove(key);
            if term.keys.is_empty() {
                self.due.remove(&(term.until, owner.clone()));
                self.terms.remove(&owner);
            }
        }
        Some(owner)
    }

    /// The next owner whose time is up, with its entries, which are under no lease any more.
    pub(crate) fn next_lost(&mut self, now: Instant) -> Option<(Owner, BTreeSet<InstanceKey>)> {
        if self.due.first()?.0 > now {
            return None;
        }
        let (_, owner) = self.due.pop_first()?;
        let keys = self.terms.remove(&owner)?.keys;
        for key in &keys {
            self.owners.remove(key);
            self.touch(key);
        }
        Some((owner, keys))
    }

    /// When the next lease runs out unless its owner is heard of.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(until, _)| *until)
    }

    pub(crate) fn grave(&self, key: &InstanceKey, now: Instant) -> Option<&Grave> {
        let grave = self.graves.get(key)?;
        (now.saturating_duration_since(grave.at) < Tombstone::KEPT).then_some(grave)
    }

    pub(crate) fn bury(
        &mut self,
        key: &InstanceKey,
        incarnation: Incarnation,
        owner: Owner,
        ending: Ending,
        at: Instant,
    ) {
        self.dig_up(key);
        self.touch(key);
        let grave = Grave {
            incarnation,
            owner,
            ending,
            at,
        };
        self.graves.insert(key.clone(), grave);
        self.buried.insert((at, key.clone()));
        if self.buried.len() > MOST_TOMBSTONES
            && let Some((_, oldest)) = self.buried.pop_first()
        {
            self.graves.remove(&oldest);
            self.touch(&oldest);
        }
    }

    /// Forgets the tombstones that are old enough.
    pub(crate) fn forget(&mut self, now: Instant) {
        while let Some((at, key)) = self.buried.first().cloned()
            && now.saturating_duration_since(at) >= Tombstone::KEPT
        {
            self.buried.pop_first();
            self.graves.remove(&key);
            self.touch(&key);
        }
    }

    pub(crate) fn tombstones(&self, now: Instant) -> Vec<Tombstone> {
        let stone = |(key, grave): (&InstanceKey, &Grave)| grave.stone(key, now);
        self.graves.iter().map(stone).collect()
    }

    pub(crate) fn tombstone(&self, key: &InstanceKey, now: Instant) -> Option<Tombstone> {
        Some(self.grave(key, now)?.stone(key, now))
    }

    fn dig_up(&mut self, key: &InstanceKey) {
        if let Some(grave) = self.graves.remove(key) {
            self.buried.remove(&(grave.at, key.clone()));
            self.touch(key);
        }
    }
}

/// Some 20 MB at most, whatever an owner publishes and withdraws within the hour; beyond, the oldest is forgotten.
const MOST_TOMBSTONES: usize = 65_536;
