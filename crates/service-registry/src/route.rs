//! How one place reaches another.
//!
//! Owns: the rule. It is a pure function of the two places, the address the other listens on, and the topology.
//! Never looks at the network: what the topology says is believed.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{HostId, Place};

/// What is known of the network between the places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    lan: BTreeMap<HostId, IpAddr>,
}

impl Topology {
    /// Nothing is known: every host reaches itself and no other.
    pub fn new() -> Self {
        Self::default()
    }

    /// Other hosts of the LAN reach this host at this address.
    #[must_use]
    pub fn with_lan_host(mut self, host: HostId, address: IpAddr) -> Self {
        self.lan.insert(host, address);
        self
    }
}

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
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loopback => "same host: loopback",
            Self::OwnAddress => "same host: the one address it listens on",
            Self::Lan => "LAN",
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
}

/// How `from` reaches something at `to` that listens on `ip`.
///
/// # Errors
/// [`RouteError`] when the topology has no way for it.
pub fn route(
    from: &Place,
    to: &Place,
    ip: IpAddr,
    topology: &Topology,
) -> Result<Route, RouteError> {
    let (Place::Host(from_host), Place::Host(to_host)) = (from, to);
    if from_host == to_host {
        return Ok(on_one_host(ip));
    }
    if ip.is_loopback() {
        return Err(RouteError::OnlyLoopback {
            from: from.clone(),
            to: to.clone(),
            ip,
        });
    }
    let (Some(address), true) = (
        topology.lan.get(to_host),
        topology.lan.contains_key(from_host),
    ) else {
        return Err(RouteError::Unconnected {
            from: from.clone(),
            to: to.clone(),
        });
    };
    Ok(Route {
        address: if ip.is_unspecified() { *address } else { ip },
        reason: Reason::Lan,
    })
}

fn on_one_host(ip: IpAddr) -> Route {
    let (address, reason) = match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => (Ipv4Addr::LOCALHOST.into(), Reason::Loopback),
        IpAddr::V6(ip) if ip.is_unspecified() => (Ipv6Addr::LOCALHOST.into(), Reason::Loopback),
        ip if ip.is_loopback() => (ip, Reason::Loopback),
        ip => (ip, Reason::OwnAddress),
    };
    Route { address, reason }
}
