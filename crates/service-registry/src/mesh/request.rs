//! What a mesh is planned for.
//!
//! Owns: the input of a plan, and what must hold of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU16;

use super::key::PublicKey;
use crate::{HostId, Topology};

/// Two hosts, whichever way round.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pair(HostId, HostId);

impl Pair {
    /// These two; `None` when they are one.
    pub fn new(one: HostId, other: HostId) -> Option<Self> {
        match one.cmp(&other) {
            std::cmp::Ordering::Less => Some(Self(one, other)),
            std::cmp::Ordering::Equal => None,
            std::cmp::Ordering::Greater => Some(Self(other, one)),
        }
    }

    /// Both, in the order of their names.
    pub fn hosts(&self) -> [&HostId; 2] {
        [&self.0, &self.1]
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} and {}", self.0, self.1)
    }
}

/// The key of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeKey {
    /// It has one.
    Steady(PublicKey),
    /// It uses `old`, and is going to use `new`, which the others learn beforehand.
    Rotating {
        /// What it uses.
        old: PublicKey,
        /// What it is going to use.
        new: PublicKey,
    },
}

impl NodeKey {
    /// The one in use.
    pub fn current(&self) -> &PublicKey {
        match self {
            Self::Steady(key) | Self::Rotating { old: key, .. } => key,
        }
    }

    /// The one that comes.
    pub fn next(&self) -> Option<&PublicKey> {
        match self {
            Self::Steady(_) => None,
            Self::Rotating { new, .. } => Some(new),
        }
    }
}

/// A host that can be part of a mesh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its address on the mesh, from the pool of it.
    pub address: IpAddr,
    /// Its key.
    pub key: NodeKey,
    /// The UDP port that it listens on.
    pub port: NonZeroU16,
    /// Whether it may carry for others, whose traffic it can read then.
    pub may_relay: bool,
}

/// Who needs whom, and what there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MeshRequest {
    /// Those who need each other.
    pub pairs: BTreeSet<Pair>,
    /// Every host that can be part of it; those that nobody needs get no configuration.
    pub nodes: BTreeMap<HostId, Node>,
    /// What joins the hosts without a mesh.
    pub topology: Topology,
    /// The relays of the plan before ([`super::MeshPlan::relays`]): each is kept while it still serves its pair.
    pub relays: BTreeMap<Pair, HostId>,
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MeshError {
    /// A host has no address and no key.
    #[error("{host} is to be part of the mesh, and has neither address nor key there")]
    UnknownNode {
        /// Which host.
        host: HostId,
    },
    /// Two hosts have one address on the mesh.
    #[error("{} and {} both have {address} on the mesh", hosts[0], hosts[1])]
    AddressTwice {
        /// The address.
        address: IpAddr,
        /// Both hosts.
        hosts: [HostId; 2],
    },
    /// Two hosts have one key, or one is to change its key to what it has.
    #[error("{} and {} both have the key {key}", hosts[0], hosts[1])]
    KeyTwice {
        /// The key.
        key: PublicKey,
        /// Both hosts.
        hosts: [HostId; 2],
    },
}

impl MeshRequest {
    /// Whether all of it fits together.
    pub(super) fn validate(&self) -> Result<(), MeshError> {
        for host in self.pairs.iter().flat_map(Pair::hosts) {
            self.node(host)?;
        }
        let mut addresses: BTreeMap<IpAddr, &HostId> = BTreeMap::new();
        let mut keys: BTreeMap<&PublicKey, &HostId> = BTreeMap::new();
        for (host, node) in &self.nodes {
            if let Some(other) = addresses.insert(node.address, host) {
                return Err(MeshError::AddressTwice {
                    address: node.address,
                    hosts: [other.clone(), host.clone()],
                });
            }
            for key in std::iter::once(node.key.current()).chain(node.key.next()) {
                if let Some(other) = keys.insert(key, host) {
                    return Err(MeshError::KeyTwice {
                        key: key.clone(),
                        hosts: [other.clone(), host.clone()],
                    });
                }
            }
        }
        Ok(())
    }

    pub(super) fn node(&self, host: &HostId) -> Result<&Node, MeshError> {
        self.nodes
            .get(host)
            .ok_or_else(|| MeshError::UnknownNode { host: host.clone() })
    }

    /// The address at which a tunnel of `from` finds `to`, if it can open one.
    pub(super) fn endpoint(&self, from: &HostId, to: &HostId) -> Option<IpAddr> {
        let lan = self.topology.lan_ways(from, to);
        let way = lan.first().copied();
        let way = way.or_else(|| self.topology.routed_ways(from, to).first().copied());
        way.map(|way| way.address)
    }
}
