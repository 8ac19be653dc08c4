//! The rule: how one place reaches another.
//!
//! Owns: the order in which ways are tried: one host, then LAN, mesh, routers, and an SSH forward last. It is a pure
//! function of the two places, what the other listens on, and the topology. Never looks at the network: what the topology
//! says is believed.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::reason::{Reason, Route, RouteError};
use crate::topology::Way;
use crate::{Attachment, Detour, Endpoint, Place, Topology};

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

/// How `from` reaches one port of something at `to`: where to connect to, and why there. Only a port can be reached by an
/// SSH forward, and only when nothing else leads there.
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
    straight(from, to, ip, endpoint, topology).or_else(|error| {
        let forward = forward(from, to, ip, endpoint, topology);
        forward.map(|way| (way, Reason::Forward)).ok_or(error)
    })
}

/// The way to a port, as far as one leads there by itself.
fn straight(
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
    let outside = route(from, &host, published.ip(), topology)?;
    let reason = if outside.reason == Reason::Mesh {
        Reason::PublishedOnPeer
    } else {
        Reason::Published
    };
    Ok((SocketAddr::new(outside.address, published.port()), reason))
}

/// What has to be carried so that `from` reaches this port, where no way leads there by itself: to where the other's own host
/// reaches it. `None` where one does, where both are on one host, and where not even its own host reaches it.
pub fn detour(
    from: &Place,
    to: &Place,
    ip: IpAddr,
    endpoint: &Endpoint,
    topology: &Topology,
) -> Option<Detour> {
    if from.host() == to.host() || straight(from, to, ip, endpoint, topology).is_ok() {
        return None;
    }
    let beside = Place::Host(to.host().clone());
    let (target, _) = straight(&beside, to, ip, endpoint, topology).ok()?;
    Some(Detour {
        from: from.host().clone(),
        to: to.host().clone(),
        target,
    })
}

/// Where the forward listens, as `from` sees it, that carries to where the other's own host reaches it.
fn forward(
    from: &Place,
    to: &Place,
    ip: IpAddr,
    endpoint: &Endpoint,
    topology: &Topology,
) -> Option<SocketAddr> {
    let detour = detour(from, to, ip, endpoint, topology)?;
    let listen = topology.forward(&detour)?;
    let own = Place::Host(from.host().clone());
    let address = route(from, &own, listen.ip(), topology).ok()?.address;
    Some(SocketAddr::new(address, listen.port()))
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
    let (here, there) = (from.host(), to.host());
    let ways: Vec<Way> = topology
        .lan_ways(here, there)
        .into_iter()
        .chain(topology.mesh_way(here, there))
        .chain(topology.routed_ways(here, there))
        .collect();
    if let Some(route) = ways.iter().find_map(|way| by(*way, ip)) {
        return Ok(route);
    }
    let (from, to) = (from.clone(), to.clone());
    Err(if !ways.is_empty() {
        RouteError::Elsewhere { from, to, ip }
    } else if topology.is_behind_nat(there) {
        RouteError::BehindNat { from, to }
    } else {
        RouteError::Unconnected { from, to }
    })
}

/// The route by this way to something that listens on `ip`, if it is reached by it.
fn by(way: Way, ip: IpAddr) -> Option<Route> {
    let is_reached = match ip {
        // What listens on all IPv6 addresses listens on those of IPv4 too, unless it asks not to.
        IpAddr::V4(any) if any.is_unspecified() => way.address.is_ipv4() || way.is_any,
        ip => ip.is_unspecified() || way.is_any || ip == way.address,
    };
    let address = if ip.is_unspecified() { way.address } else { ip };
    is_reached.then_some(Route {
        address,
        reason: way.reason,
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
