//! How one place reaches another.
//!
//! Owns: the rule. It is a pure function of the two places, what the other listens on, and the topology. Never looks at
//! the network: what the topology says is believed.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::{Attachment, Endpoint, HostId, Place};

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

    /// Where the host `to` is reached by `from`.
    fn lan(&self, from: &Place, to: &Place) -> Result<IpAddr, RouteError> {
        let known = self.lan.contains_key(from.host());
        let address = self.lan.get(to.host()).filter(|_| known);
        address.copied().ok_or_else(|| RouteError::Unconnected {
            from: from.clone(),
            to: to.clone(),
        })
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
    /// Both are containers on one of the engine's networks.
    SharedNetwork,
    /// A container asks for something on its own host.
    Gateway,
    /// The other is a container, and its port is published on its host.
    Published,
    /// The other is a container on the asker's own host, and its port is not published.
    ContainerAddress,
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
        }
    }
}

/// How `from` reaches something at `to` that listens on `ip`, whatever the port.
///
/// # Errors
/// [`RouteError`] when the topology has no way for it.
pub fn route(
    from: &Place,
    to: &Place,
    ip: IpAddr,
    topology: &Topology,
) -> Result<Route, RouteError> {
    match (from, to) {
        (Place::Host(from_host), Place::Host(to_host)) if from_host == to_host => {
            Ok(on_one_host(ip))
        }
        (Place::Container { host, networks }, Place::Host(to_host)) if host == to_host => {
            to_own_host(from, to, networks, ip)
        }
        (_, Place::Host(_)) => to_other_host(from, to, ip, topology),
        (_, Place::Container { networks, .. }) => {
            let found = match from {
                Place::Container { networks: own, .. } if from.host() == to.host() => {
                    let shared = own.keys().find_map(|network| networks.get(network)?.ip);
                    shared.map(|address| (address, Reason::SharedNetwork))
                }
                Place::Host(_) if from.host() == to.host() => {
                    let first = networks.values().find_map(|attachment| attachment.ip);
                    first.map(|address| (address, Reason::ContainerAddress))
                }
                Place::Host(_) | Place::Container { .. } => None,
            };
            let (address, reason) = found.ok_or_else(|| RouteError::Unpublished {
                from: from.clone(),
                to: to.clone(),
            })?;
            Ok(Route { address, reason })
        }
    }
}

/// How `from` reaches one port of something at `to`: where to connect to, and why there.
///
/// # Errors
/// As [`route()`].
pub fn route_to_port(
    from: &Place,
    to: &Place,
    ip: IpAddr,
    endpoint: &Endpoint,
    topology: &Topology,
) -> Result<(SocketAddr, Reason), RouteError> {
    let shared = |other: &Endpoint| {
        let route = route(from, to, ip, topology)?;
        Ok((SocketAddr::new(route.address, other.port), route.reason))
    };
    let (Place::Container { .. }, Some(published)) = (to, endpoint.published) else {
        return shared(endpoint);
    };
    let is_shared = matches!((from, to), (Place::Container { networks: own, .. }, Place::Container { networks, .. })
        if from.host() == to.host() && own.keys().any(|network| networks.contains_key(network)));
    if is_shared {
        return shared(endpoint);
    }
    // From outside, the published port is a port of its host.
    let host = Place::Host(to.host().clone());
    if published.ip().is_loopback() && *from != host {
        return Err(RouteError::OnlyLoopback {
            from: from.clone(),
            to: host,
            ip: published.ip(),
        });
    }
    let address = route(from, &host, published.ip(), topology)?.address;
    Ok((
        SocketAddr::new(address, published.port()),
        Reason::Published,
    ))
}

fn to_own_host(
    from: &Place,
    to: &Place,
    networks: &BTreeMap<String, Attachment>,
    ip: IpAddr,
) -> Result<Route, RouteError> {
    let gateway = networks.values().find_map(|attachment| attachment.gateway);
    let address = gateway.ok_or_else(|| RouteError::Unconnected {
        from: from.clone(),
        to: to.clone(),
    })?;
    // What listens on loopback only is carried there by a forwarder at the gateway: see the executor of containers.
    if ip.is_unspecified() || ip.is_loopback() || ip == address {
        return Ok(Route {
            address,
            reason: Reason::Gateway,
        });
    }
    Ok(Route {
        address: ip,
        reason: Reason::OwnAddress,
    })
}

fn to_other_host(
    from: &Place,
    to: &Place,
    ip: IpAddr,
    topology: &Topology,
) -> Result<Route, RouteError> {
    if ip.is_loopback() {
        return Err(RouteError::OnlyLoopback {
            from: from.clone(),
            to: to.clone(),
            ip,
        });
    }
    let address = topology.lan(from, to)?;
    Ok(Route {
        address: if ip.is_unspecified() { address } else { ip },
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
