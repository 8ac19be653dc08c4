//! Loopback addresses of their own for services on a `local` network.
//!
//! Owns: which instance has which address. Decides only: nothing is bound, and saving is the caller's act, through
//! [`LoopbackPool::save`] before an address is used.
//!
//! Invariants: no two instances have the same address; every address is inside the subnet, and neither its network
//! nor its broadcast address nor 127.0.0.1; an instance keeps its address until it is released.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use crate::journal::SavedLoopback;
use crate::{InstanceKey, Subnet, SubnetError};

/// Why no address could be handed out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AllocateError {
    /// All are taken; release one, or take a larger subnet.
    #[error("all {capacity} addresses of {subnet} are taken, none is left for {key}")]
    Exhausted {
        /// The subnet.
        subnet: Subnet,
        /// How many addresses it has to hand out.
        capacity: u32,
        /// Who asked.
        key: InstanceKey,
    },
}

/// Why saved addresses are not taken over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// It was written by a later version.
    #[error("saved addresses are of version {found}, at most {known} is known here")]
    Version {
        /// What was read.
        found: u32,
        /// What can be read.
        known: u32,
    },
    /// The subnet is not usable.
    #[error("the saved subnet is not usable")]
    Subnet(#[source] SubnetError),
    /// An address is not one of the subnet's.
    #[error("{address} of {key} is not handed out by {subnet}")]
    Foreign {
        /// The address.
        address: Ipv4Addr,
        /// Who has it.
        key: InstanceKey,
        /// The subnet.
        subnet: Subnet,
    },
    /// Two instances have one address, or one instance has two.
    #[error("{address} of {key} is saved twice")]
    Twice {
        /// The address.
        address: Ipv4Addr,
        /// Who has it too.
        key: InstanceKey,
    },
}

/// Hands out the addresses of one subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoopbackPool {
    subnet: Subnet,
    taken: BTreeMap<Ipv4Addr, InstanceKey>,
    leases: BTreeMap<InstanceKey, Ipv4Addr>,
    /// No address below this one is free.
    lowest: u32,
}

impl LoopbackPool {
    /// Every address of the subnet is free.
    pub fn new(subnet: Subnet) -> Self {
        Self {
            subnet,
            taken: BTreeMap::new(),
            leases: BTreeMap::new(),
            lowest: subnet.network().to_bits(),
        }
    }

    /// The subnet.
    pub fn subnet(&self) -> Subnet {
        self.subnet
    }

    /// The address of this instance: the one it has, else the lowest that is free.
    ///
    /// # Errors
    /// [`AllocateError::Exhausted`] when none is free.
    pub fn allocate(&mut self, key: &InstanceKey) -> Result<Ipv4Addr, AllocateError> {
        if let Some(address) = self.leases.get(key) {
            return Ok(*address);
        }
        let free = (self.lowest..=self.subnet.broadcast().to_bits())
            .map(Ipv4Addr::from_bits)
            .find(|address| self.subnet.offers(*address) && !self.taken.contains_key(address));
        let Some(address) = free else {
            return Err(AllocateError::Exhausted {
                subnet: self.subnet,
                capacity: self.subnet.capacity(),
                key: key.clone(),
            });
        };
        self.lowest = address.to_bits();
        self.taken.insert(address, key.clone());
        self.leases.insert(key.clone(), address);
        Ok(address)
    }

    /// The address that this instance has, if any.
    pub fn lease(&self, key: &InstanceKey) -> Option<Ipv4Addr> {
        self.leases.get(key).copied()
    }

    /// Who has what, in the order of the instances.
    pub fn leases(&self) -> impl Iterator<Item = (&InstanceKey, Ipv4Addr)> {
        self.leases.iter().map(|(key, address)| (key, *address))
    }

    /// The instance has no address any more; `false` when it had none.
    pub fn release(&mut self, key: &InstanceKey) -> bool {
        let Some(address) = self.leases.remove(key) else {
            return false;
        };
        self.taken.remove(&address);
        self.lowest = self.lowest.min(address.to_bits());
        true
    }

    /// What must be kept so that every instance has the same address after a restart.
    pub fn save(&self) -> SavedLoopback {
        SavedLoopback::of(self)
    }

    /// The pool that [`LoopbackPool::save`] saw.
    ///
    /// # Errors
    /// [`RestoreError`] when what was saved breaks an invariant: nothing of it is taken over then.
    pub fn restore(saved: &SavedLoopback) -> Result<Self, RestoreError> {
        let (subnet, leases) = saved.parts()?;
        let mut pool = Self::new(subnet);
        for (key, address) in leases {
            if !subnet.offers(address) {
                return Err(RestoreError::Foreign {
                    address,
                    key,
                    subnet,
                });
            }
            let taken = pool.taken.insert(address, key.clone()).is_some();
            let leased = pool.leases.insert(key.clone(), address).is_some();
            if taken || leased {
                return Err(RestoreError::Twice { address, key });
            }
        }
        Ok(pool)
    }
}
