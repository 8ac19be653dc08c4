//! Who has, or had, which address: what a pool is kept as.
//!
//! Owns: the plain values. Whoever keeps them gives them a form of its own on disk.

use std::fmt;
use std::net::IpAddr;

use crate::{HostId, InstanceKey};

/// Whose address it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    /// An instance of a service.
    Instance(InstanceKey),
    /// A host, such as a peer of a mesh.
    Host(HostId),
}

impl From<InstanceKey> for Holder {
    fn from(key: InstanceKey) -> Self {
        Self::Instance(key)
    }
}

impl From<HostId> for Holder {
    fn from(host: HostId) -> Self {
        Self::Host(host)
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instance(key) => key.fmt(f),
            Self::Host(host) => write!(f, "host {host}"),
        }
    }
}

/// Whether an address is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is the holder's.
    Held,
    /// It was the holder's, and will be again unless the pool runs out before it comes back.
    Released,
}

/// One address of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allocation {
    /// Whose.
    pub holder: Holder,
    /// The address.
    pub address: IpAddr,
    /// Whether it still is.
    pub standing: Standing,
}
