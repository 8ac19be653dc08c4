//! The registry's handle, for those who publish from elsewhere.
//!
//! Owns: nothing; the ledger decides. Has no clock and no timer: whoever has them calls [`Registry::expire`] when
//! [`Registry::next_expiry`] has come.

use std::time::Instant;

use super::terms::{Lease, LeaseError, Leased, Owner, Standing, Tombstone};
use crate::{Entry, Incarnation, InstanceKey, Outcome, Registry};

impl Registry {
    /// Lists an instance for as long as its owner is heard of, or replaces what is listed of it. It is a sign of life of
    /// the owner: the lease of all of its entries begins anew, also when nothing changes.
    ///
    /// After a restart, what was kept of [`Registry::leases`] is listed again by this, for one more lease in full.
    ///
    /// # Errors
    /// [`LeaseError::Taken`] when the instance is listed for another owner, or for this daemon itself;
    /// [`LeaseError::Stale`] when a later run is known, or this one has been withdrawn within the last hour;
    /// [`LeaseError::Duration`]. Nothing is changed then.
    pub fn publish_leased(
        &self,
        entry: Entry,
        lease: &Lease,
        now: Instant,
    ) -> Result<Outcome, LeaseError> {
        self.shared
            .change(|ledger| ledger.publish_leased(entry, lease, now))
    }

    /// Takes an instance off the list that this owner published. Also of what was lost it is remembered that it is over.
    ///
    /// # Errors
    /// As [`Registry::publish_leased`].
    pub fn withdraw_leased(
        &self,
        key: &InstanceKey,
        incarnation: Incarnation,
        owner: &Owner,
        now: Instant,
    ) -> Result<Outcome, LeaseError> {
        self.shared
            .change(|ledger| ledger.withdraw_leased(key, incarnation, owner, now))
    }

    /// The owner is still there: the lease of all of its entries begins anew, and nobody is told. As long as
    /// [`Registry::expire`] has not said that they are lost, it is never too late.
    ///
    /// # Errors
    /// [`LeaseError::NoLease`] when none of its entries is listed: it has to publish them again.
    pub fn renew(&self, owner: &Owner, now: Instant) -> Result<(), LeaseError> {
        self.shared.change(|ledger| ledger.renew(owner, now))
    }

    /// Takes the entries off the list whose owners have not been heard of for the time of their lease; whoever watches is
    /// told that they are [lost](crate::ChangeKind::Lost). Returns how many.
    pub fn expire(&self, now: Instant) -> usize {
        self.shared.change(|ledger| ledger.expire(now))
    }

    /// Takes those of the instances off the list that are listed for an owner of this name, as if it had not been heard of:
    /// it may have no word in them any more. Returns how many.
    pub fn lose(&self, name: &str, keys: &[InstanceKey], now: Instant) -> usize {
        self.shared.change(|ledger| ledger.lose(name, keys, now))
    }

    /// Whose an instance is; `None` when it is not listed, or listed for this very daemon.
    pub fn owner(&self, key: &InstanceKey) -> Option<Owner> {
        self.shared.read().leases().owner(key).cloned()
    }

    /// How many entries are listed under the leases of this name.
    pub fn count_of(&self, name: &str) -> usize {
        self.shared.read().leases().count(name)
    }

    /// How many entries are listed under any lease.
    pub fn count_leased(&self) -> usize {
        self.shared.read().leases().total()
    }

    /// The number of a run that comes after all of this instance that are known of.
    pub fn next_incarnation(&self, key: &InstanceKey, now: Instant) -> Incarnation {
        self.shared.read().next_incarnation(key, now)
    }

    /// From now on it is noted what would have to be kept over a restart, for [`Registry::take_unsaved`].
    pub fn note_unsaved(&self) {
        self.shared.change(|ledger| ledger.note());
    }

    /// What stands by now of each instance of which something else stood when this was last asked.
    pub fn take_unsaved(&self, now: Instant) -> Vec<(InstanceKey, Standing)> {
        self.shared.change(|ledger| ledger.take_unsaved(now))
    }

    /// When the next lease runs out, if its owner is not heard of until then.
    pub fn next_expiry(&self) -> Option<Instant> {
        self.shared.read().leases().next_due()
    }

    /// The entries that are listed under a lease, in the order of their keys: what to keep over a restart.
    pub fn leases(&self) -> Vec<Leased> {
        let ledger = self.shared.read();
        let leases = ledger.leases();
        let leased = ledger.entries().filter_map(|entry| {
            let owner = leases.owner(&entry.key)?.clone();
            let ttl = leases.ttl(&owner)?;
            Some(Leased {
                entry: entry.clone(),
                lease: Lease { owner, ttl },
            })
        });
        leased.collect()
    }

    /// What is remembered of entries that are off the list, in the order of their keys: what to keep over a restart.
    pub fn tombstones(&self, now: Instant) -> Vec<Tombstone> {
        self.shared.read().leases().tombstones(now)
    }

    /// Remembers what [`Registry::tombstones`] said before a restart, of instances that are not listed.
    pub fn remember(&self, tombstones: &[Tombstone], now: Instant) {
        self.shared
            .change(|ledger| ledger.remember(tombstones, now));
    }
}
