//! The registry's state as it is kept on disk.
//!
//! Owns: the released forms, which are never edited (the next version stands beside them). Converted by hand from and
//! into the core types.

mod leased;

pub use leased::{SavedMoment, SavedStanding};

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::{InstanceKey, LoopbackPool, RestoreError, ServiceKey, Subnet};

/// Who has which loopback address. Made by [`LoopbackPool::save`], read by [`LoopbackPool::restore`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedLoopback {
    version: u32,
    subnet: String,
    leases: Vec<SavedLease>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SavedLease {
    stack: String,
    service: String,
    instance: u32,
    address: Ipv4Addr,
}

impl SavedLoopback {
    pub(crate) fn of(pool: &LoopbackPool) -> Self {
        let leases = pool.leases().map(|(key, address)| SavedLease {
            stack: key.service.stack.clone(),
            service: key.service.service.clone(),
            instance: key.instance,
            address,
        });
        Self {
            version: VERSION,
            subnet: pool.subnet().to_string(),
            leases: leases.collect(),
        }
    }

    pub(crate) fn parts(
        &self,
    ) -> Result<(Subnet, impl Iterator<Item = (InstanceKey, Ipv4Addr)>), RestoreError> {
        if self.version > VERSION {
            return Err(RestoreError::Version {
                found: self.version,
                known: VERSION,
            });
        }
        let subnet = self.subnet.parse().map_err(RestoreError::Subnet)?;
        let leases = self.leases.iter().map(|lease| {
            let key = ServiceKey::new(&lease.stack, &lease.service).instance(lease.instance);
            (key, lease.address)
        });
        Ok((subnet, leases))
    }
}

const VERSION: u32 = 1;
