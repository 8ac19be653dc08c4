//! Why a route is what it is, and why there is none.
//!
//! Owns: the words for people and the codes for programs, which never change.

use std::fmt;
use std::net::IpAddr;

use crate::Place;

/// An address, and why it is that one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where to connect to; never an unspecified address.
    pub address: IpAddr,
    /// Why.
    pub reason: Reason,
}

/// Why a route is what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// Both are on one host, and the other listens on loopback.
    Loopback,
    /// Both are on one host, and the other listens on one of its outward addresses only.
    OwnAddress,
    /// They are on two hosts of one LAN.
    Lan,
    /// Both are containers on one of the engine's networks.
    SharedNetwork,
    /// A container asks for something on its own host.
    Gateway,
    /// The other is a container, and its port is published on its host.
    Published,
    /// The other is a container on the asker's own host, and its port is not published.
    ContainerAddress,
    /// Their hosts are joined by a mesh.
    Mesh,
    /// The other is a container on a host that is joined by a mesh, and its port is published there.
    PublishedOnPeer,
    /// The other's host has an address outside, which the asker gets to through its own NAT; nothing comes back by itself.
    Nat,
    /// The other's host has an address outside, which the asker gets to through routers.
    Routed,
    /// Nothing else leads there: an SSH connection carries it.
    Forward,
    /// Whoever registered it said that it is there, and no network is known that leads there.
    Declared,
}

impl Reason {
    /// Its name for programs, which never changes.
    pub fn code(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::OwnAddress => "own-address",
            Self::Lan => "lan",
            Self::SharedNetwork => "shared-network",
            Self::Gateway => "gateway",
            Self::Published => "published",
            Self::ContainerAddress => "container-address",
            Self::Mesh => "mesh",
            Self::PublishedOnPeer => "published-on-peer",
            Self::Nat => "nat",
            Self::Routed => "routed",
            Self::Forward => "forward",
            Self::Declared => "declared",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loopback => "same host: loopback",
            Self::OwnAddress => "same host: the one address it listens on",
            Self::Lan => "LAN",
            Self::SharedNetwork => "same container network: its own address",
            Self::Gateway => "container to host: gateway of the container's network",
            Self::Published => "host to container: published port",
            Self::ContainerAddress => {
                "host to container: its address, as the port is not published"
            }
            Self::Mesh => "mesh: its address there",
            Self::PublishedOnPeer => "container on a mesh peer: published port",
            Self::Nat => "out through NAT: its address outside",
            Self::Routed => "through routers: its address outside",
            Self::Forward => "SSH forward, as neither LAN nor mesh leads there",
            Self::Declared => {
                "the address that it was registered with; no network is known that leads there"
            }
        })
    }
}

/// Why there is no route.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RouteError {
    /// The other listens where only its own host gets to.
    #[error("{to} listens on {ip} only, which {from} cannot reach")]
    OnlyLoopback {
        /// Who wants to reach it.
        from: Place,
        /// Where it is.
        to: Place,
        /// What it listens on.
        ip: IpAddr,
    },
    /// The topology has no address of the other's host.
    #[error("no network is known on which {from} reaches {to}")]
    Unconnected {
        /// Who wants to reach it.
        from: Place,
        /// Where it is.
        to: Place,
    },
    /// The other's host is where nobody gets in.
    #[error("{to} is behind NAT: neither LAN nor mesh nor SSH forward leads {from} there")]
    BehindNat {
        /// Who wants to reach it.
        from: Place,
        /// Where it is.
        to: Place,
    },
    /// The other listens on one address, and the asker reaches its host at others only.
    #[error("{to} listens on {ip} only, which is on no network that {from} reaches it by")]
    Elsewhere {
        /// Who wants to reach it.
        from: Place,
        /// Where it is.
        to: Place,
        /// What it listens on.
        ip: IpAddr,
    },
    /// The other is a container whose port is not published.
    #[error("{to} publishes no port that {from} could reach")]
    Unpublished {
        /// Who wants to reach it.
        from: Place,
        /// Where it is.
        to: Place,
    },
}

impl RouteError {
    /// Its name for programs, which never changes.
    pub fn code(&self) -> &'static str {
        match self {
            Self::OnlyLoopback { .. } => "only-loopback",
            Self::Unconnected { .. } => "unconnected",
            Self::Unpublished { .. } => "unpublished",
            Self::BehindNat { .. } => "behind-nat",
            Self::Elsewhere { .. } => "elsewhere",
        }
    }
}
