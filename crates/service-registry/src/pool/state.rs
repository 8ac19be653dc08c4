//! Handing addresses out.
//!
//! Owns: who has which address, and who had one before. Decides only: saving is the caller's act, through
//! [`Pool::allocations`] before an address is used.
//!
//! Invariants: no address has two holders, and no holder two addresses; every address is one that the plan offers; a
//! holder keeps its address until it is released, and has it back afterwards while no other needs it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use super::allocation::{Allocation, Holder, Standing};
use super::plan::{PlanError, PoolPlan};
use super::ranges::Ranges;
use crate::Network;
use crate::network::{from_number, number};

/// No address is left. Those who have held theirs longest are named: release one of them that is not needed any more,
/// or take a larger network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolExhausted {
    /// The pool.
    pub pool: String,
    /// Its network.
    pub network: Network,
    /// How many addresses it has to hand out; all of them are held.
    pub capacity: u128,
    /// Who asked.
    pub asker: Holder,
    /// Who holds the addresses, the longest first; at most eight.
    pub holders: Vec<Holder>,
}

impl std::error::Error for PoolExhausted {}

impl fmt::Display for PoolExhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "all {} addresses of pool `{}` ({}) are taken, none is left for {}; the longest held are those of ",
            self.capacity, self.pool, self.network, self.asker
        )?;
        let names: Vec<String> = self.holders.iter().map(Holder::to_string).collect();
        f.write_str(&names.join(", "))?;
        let named = u128::try_from(self.holders.len()).expect("at most eight");
        match self.capacity.saturating_sub(named) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// Hands out the addresses of one network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    plan: PoolPlan,
    capacity: u128,
    /// What is neither held nor remembered as somebody's.
    free: Ranges,
    held: Book,
    /// Addresses that were released, by who had them; the first to be released goes first to others.
    released: Book,
    clock: u64,
}

impl Pool {
    /// Everything that the plan offers is free.
    ///
    /// # Errors
    /// [`PlanError`] when the plan contradicts itself, or offers nothing.
    pub fn new(plan: PoolPlan) -> Result<Self, PlanError> {
        let free = plan.offered()?;
        Ok(Self {
            plan,
            capacity: free.count(),
            free,
            held: Book::default(),
            released: Book::default(),
            clock: 0,
        })
    }

    /// What it was made of.
    pub fn plan(&self) -> &PoolPlan {
        &self.plan
    }

    /// How many addresses can be held at once.
    pub fn capacity(&self) -> u128 {
        self.capacity
    }

    /// How many are held.
    pub fn held(&self) -> usize {
        self.held.entries.len()
    }

    /// The address of this holder: the one it has, else the one it had last, else the lowest that was nobody's yet, else
    /// the one whose holder has been gone longest.
    ///
    /// # Errors
    /// [`PoolExhausted`] when all are held.
    pub fn allocate(&mut self, holder: &Holder) -> Result<IpAddr, Box<PoolExhausted>> {
        if let Some(address) = self.address(holder) {
            return Ok(address);
        }
        let found = if let Some(own) = self.released.remove(holder) {
            own
        } else if let Some(fresh) = self.free.first() {
            self.free.remove(fresh, fresh);
            fresh
        } else {
            self.released
                .remove_oldest()
                .ok_or_else(|| self.exhausted(holder))?
        };
        let now = self.tick();
        self.held.insert(holder.clone(), found, now);
        Ok(self.address_of(found))
    }

    /// The address that this holder has, if any.
    pub fn address(&self, holder: &Holder) -> Option<IpAddr> {
        let (found, _) = self.held.entries.get(holder)?;
        Some(self.address_of(*found))
    }

    /// Who has this address, if anybody.
    pub fn holder(&self, address: IpAddr) -> Option<&Holder> {
        if !self.plan.network.contains(address) {
            return None;
        }
        self.held.owners.get(&number(address))
    }

    /// The holder has no address any more; `false` when it had none. It is remembered, so that it has the same one when
    /// it comes back; of the last 4,096 that were released, that is.
    pub fn release(&mut self, holder: &Holder) -> bool {
        let Some(found) = self.held.remove(holder) else {
            return false;
        };
        let now = self.tick();
        self.remember(holder.clone(), found, now);
        true
    }

    /// What must be kept so that everybody has the same address after a restart: in the order in which it came about.
    pub fn allocations(&self) -> Vec<Allocation> {
        let rows = |book: &Book, standing| -> Vec<(u64, Allocation)> {
            let row = |(holder, (found, at)): (&Holder, &(u128, u64))| {
                let allocation = Allocation {
                    holder: holder.clone(),
                    address: self.address_of(*found),
                    standing,
                };
                (*at, allocation)
            };
            book.entries.iter().map(row).collect()
        };
        let mut all = rows(&self.held, Standing::Held);
        all.extend(rows(&self.released, Standing::Released));
        all.sort_by_key(|(at, _)| *at);
        all.into_iter().map(|(_, allocation)| allocation).collect()
    }

    /// Takes over that this is held, since the moment `at`; `false` when either of the two is taken.
    pub(super) fn restore_held(&mut self, holder: &Holder, address: IpAddr, at: u64) -> bool {
        let found = number(address);
        if self.held.entries.contains_key(holder) || !self.free.contains(found) {
            return false;
        }
        self.free.remove(found, found);
        self.held.insert(holder.clone(), found, at);
        self.clock = self.clock.max(at);
        true
    }

    /// Takes over that this was released at the moment `at`, unless one of the two has something else by now.
    pub(super) fn restore_released(&mut self, holder: &Holder, address: IpAddr, at: u64) {
        let found = number(address);
        let is_known = [&self.held, &self.released]
            .iter()
            .any(|book| book.entries.contains_key(holder));
        if !is_known && self.free.contains(found) {
            self.free.remove(found, found);
            self.remember(holder.clone(), found, at);
            self.clock = self.clock.max(at);
        }
    }

    fn remember(&mut self, holder: Holder, found: u128, now: u64) {
        self.released.insert(holder, found, now);
        if self.released.entries.len() > REMEMBERED
            && let Some(forgotten) = self.released.remove_oldest()
        {
            self.free.insert(forgotten);
        }
    }

    fn exhausted(&self, asker: &Holder) -> Box<PoolExhausted> {
        let longest = self.held.order.values().take(NAMED);
        Box::new(PoolExhausted {
            pool: self.plan.name.clone(),
            network: self.plan.network,
            capacity: self.capacity,
            asker: asker.clone(),
            holders: longest.cloned().collect(),
        })
    }

    fn address_of(&self, found: u128) -> IpAddr {
        from_number(found, self.plan.network.first())
    }

    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }
}

/// Addresses by their holders, by their numbers, and by when they came to be so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Book {
    entries: BTreeMap<Holder, (u128, u64)>,
    owners: BTreeMap<u128, Holder>,
    order: BTreeMap<u64, Holder>,
}

impl Book {
    fn insert(&mut self, holder: Holder, found: u128, now: u64) {
        self.owners.insert(found, holder.clone());
        self.order.insert(now, holder.clone());
        self.entries.insert(holder, (found, now));
    }

    fn remove(&mut self, holder: &Holder) -> Option<u128> {
        let (found, at) = self.entries.remove(holder)?;
        self.owners.remove(&found);
        self.order.remove(&at);
        Some(found)
    }

    fn remove_oldest(&mut self) -> Option<u128> {
        let oldest = self.order.values().next()?.clone();
        self.remove(&oldest)
    }
}

/// How many that are gone are remembered: a few hundred KB at most, whatever comes and goes.
const REMEMBERED: usize = 4096;
/// How many holders an error names.
const NAMED: usize = 8;
