//! What is told of a container that runs.
//!
//! Owns: how what its engine says becomes facts of an attempt. Asks nobody.

use std::net::{IpAddr, Ipv4Addr};

use container_engine::{Container, ContainerPort};

use super::network;
use crate::executors::AttemptFacts;
use crate::spec::{PortNumber, PortSpec, Protocol, Published};

/// All that is told of it.
pub(super) fn facts(seen: &Container) -> AttemptFacts {
    AttemptFacts {
        pid: seen.state.pid,
        container_id: Some(seen.id.as_str().to_owned()),
        ticket: Some(seen.id.as_str().into()),
        networks: network::of(seen),
        ports: ports(seen),
        is_on_host: seen.network_mode == "host",
        own_check: None,
        is_again: false,
        is_by_somebody_else: false,
        host: None,
        note: None,
    }
}

/// Its ports, those that are published first, each once.
fn ports(seen: &Container) -> Vec<PortSpec> {
    let port = |port: ContainerPort| {
        let protocol = match port.protocol {
            container_engine::Protocol::Tcp => Protocol::Tcp,
            container_engine::Protocol::Udp => Protocol::Udp,
            container_engine::Protocol::Sctp => return None,
        };
        Some(PortSpec {
            protocol,
            ..PortSpec::new(PortNumber::Fixed(port.port))
        })
    };
    let published = seen.published_ports.iter().filter_map(|one| {
        let everywhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        Some(PortSpec {
            published: Some(Published {
                address: Some(one.host_ip.unwrap_or(everywhere)),
                port: PortNumber::Fixed(one.host_port?),
            }),
            ..port(one.container)?
        })
    });
    let exposed = seen.exposed_ports.iter().filter_map(|one| port(*one));
    let mut ports: Vec<PortSpec> = Vec::new();
    for spec in published.chain(exposed) {
        let is_one =
            |known: &&mut PortSpec| known.port == spec.port && known.protocol == spec.protocol;
        let is_v4 = |spec: &PortSpec| {
            let address = spec.published.and_then(|published| published.address);
            address.is_some_and(|address| address.is_ipv4())
        };
        match ports.iter_mut().find(is_one) {
            // Engines tell of both families; one is enough.
            Some(known) if is_v4(&spec) && !is_v4(known) => *known = spec,
            Some(_) => {}
            None => ports.push(spec),
        }
    }
    ports.sort_by_key(|spec| {
        let number = match spec.port {
            PortNumber::Fixed(number) => number,
            PortNumber::Auto => 0,
        };
        let is_udp = spec.protocol == Protocol::Udp;
        (spec.published.is_none(), is_udp, number)
    });
    ports
}
