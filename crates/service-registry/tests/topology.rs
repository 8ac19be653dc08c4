//! Routes between hosts, by what was found on them.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use proptest::prelude::*;
use service_registry::{
    Attachment, DefaultRoute, Endpoint, HostId, HostNet, Interface, InterfaceAddress,
    InterfaceKind, Place, Reason, RouteError, Sight, Topology, route, route_to_port,
};

fn id(name: &str) -> HostId {
    HostId::new(name)
}

fn host(name: &str) -> Place {
    Place::Host(id(name))
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn at(text: &str) -> SocketAddr {
    text.parse().expect("an address and a port")
}

fn interface(name: &str, kind: InterfaceKind, address: &str, prefix: u8) -> Interface {
    Interface {
        name: name.into(),
        kind,
        addresses: vec![InterfaceAddress {
            ip: ip(address),
            prefix,
        }],
    }
}

/// A host with one address outward, the bridge that every engine makes, and a way out.
fn net(address: &str, prefix: u8) -> HostNet {
    HostNet {
        interfaces: vec![
            interface("docker0", InterfaceKind::Inward, "172.17.0.1", 16),
            interface("eth0", InterfaceKind::Outward, address, prefix),
        ],
        default_route: Some(DefaultRoute {
            interface: "eth0".into(),
            gateway: None,
        }),
        ..HostNet::default()
    }
}

fn behind_nat(address: &str) -> HostNet {
    HostNet {
        is_behind_nat: true,
        jump: Some(id("edge")),
        ..net(address, 24)
    }
}

/// `desk` and `nas` on one LAN behind NAT, `shed` on another LAN behind NAT, `edge` outside.
fn world() -> Topology {
    Topology::new()
        .with_host(id("desk"), behind_nat("10.1.0.2"))
        .with_host(id("nas"), behind_nat("10.1.0.3"))
        .with_host(id("shed"), behind_nat("192.168.7.2"))
        .with_host(id("edge"), net("5.9.0.1", 24))
}

fn meshed() -> Topology {
    world().with_mesh_pair((id("desk"), ip("10.80.0.1")), (id("shed"), ip("10.80.0.2")))
}

fn container(name: &str) -> Place {
    let end = Attachment {
        ip: Some(ip("172.17.0.9")),
        gateway: Some(ip("172.17.0.1")),
    };
    Place::Container {
        host: id(name),
        networks: BTreeMap::from([("bridge".into(), end)]),
    }
}

/// Where to and why, or the code of why not.
fn way(from: &Place, to: &Place, listens: &str, port: &Endpoint, topology: &Topology) -> String {
    match route_to_port(from, to, ip(listens), port, topology) {
        Ok((way, reason)) => format!("{way} {}", reason.code()),
        Err(error) => error.code().to_owned(),
    }
}

#[test]
fn hosts_meet_by_what_joins_them() {
    let port = Endpoint::new(None, 80);
    for (from, to, listens, topology, expected) in [
        ("desk", "nas", "0.0.0.0", world(), "10.1.0.3:80 lan"),
        ("desk", "nas", "10.1.0.3", world(), "10.1.0.3:80 lan"),
        ("desk", "nas", "10.2.0.3", world(), "elsewhere"),
        ("desk", "nas", "127.0.0.1", world(), "only-loopback"),
        ("desk", "edge", "0.0.0.0", world(), "5.9.0.1:80 nat"),
        ("edge", "desk", "0.0.0.0", world(), "behind-nat"),
        ("desk", "shed", "0.0.0.0", world(), "behind-nat"),
        ("desk", "shed", "0.0.0.0", meshed(), "10.80.0.2:80 mesh"),
        ("shed", "desk", "10.80.0.1", meshed(), "10.80.0.1:80 mesh"),
        ("shed", "desk", "10.1.0.2", meshed(), "elsewhere"),
        ("nas", "shed", "0.0.0.0", meshed(), "behind-nat"),
        ("desk", "nowhere", "0.0.0.0", meshed(), "unconnected"),
    ] {
        let found = way(&host(from), &host(to), listens, &port, &topology);
        assert_eq!(found, expected, "{from} to {to} at {listens}");
    }
}

#[test]
fn bridges_of_engines_join_no_hosts_although_all_have_the_same_network() {
    let bridged = |kind| HostNet {
        interfaces: vec![interface("br0", kind, "172.17.0.1", 16)],
        ..HostNet::default()
    };
    let route_between = |kind| {
        let topology = Topology::new()
            .with_host(id("desk"), bridged(kind))
            .with_host(id("nas"), bridged(kind));
        route(&host("desk"), &host("nas"), ip("0.0.0.0"), &topology)
    };
    for kind in [InterfaceKind::Inward, InterfaceKind::Tunnel] {
        let refused = route_between(kind);
        assert!(matches!(refused, Err(RouteError::Unconnected { .. })));
    }
    assert!(route_between(InterfaceKind::Outward).is_ok());
}

#[test]
fn what_was_seen_goes_before_what_the_addresses_suggest() {
    let port = Endpoint::new(None, 80);
    let seen = |from, to, sight| meshed().with_sight(id(from), id(to), sight);
    // Two homes with the same numbers are two LANs.
    let silent = seen("desk", "nas", Sight::Silent);
    assert_eq!(
        way(&host("desk"), &host("nas"), "0.0.0.0", &port, &silent),
        "behind-nat"
    );
    // A port of the router leads in.
    let answers = seen("edge", "desk", Sight::Answers(ip("9.9.9.9")));
    assert_eq!(
        way(&host("edge"), &host("desk"), "0.0.0.0", &port, &answers),
        "9.9.9.9:80 routed"
    );
    // An address that looks public is none when the host says that nobody gets in.
    let hidden = meshed().with_host(id("desk"), behind_nat("9.9.9.9"));
    assert_eq!(
        way(&host("edge"), &host("desk"), "0.0.0.0", &port, &hidden),
        "behind-nat"
    );
    // The mesh goes before routers.
    let both = seen("desk", "shed", Sight::Answers(ip("9.9.9.9")));
    assert_eq!(
        way(&host("desk"), &host("shed"), "0.0.0.0", &port, &both),
        "10.80.0.2:80 mesh"
    );
}

#[test]
fn containers_of_other_hosts_are_reached_at_their_published_ports() {
    let inside = Endpoint::new(None, 5432);
    let published = |address: &str| inside.clone().published_at(at(address));
    let public = published("0.0.0.0:6000");
    for (from, to, port, expected) in [
        (
            host("desk"),
            container("nas"),
            &public,
            "10.1.0.3:6000 published",
        ),
        (
            container("desk"),
            container("nas"),
            &public,
            "10.1.0.3:6000 published",
        ),
        (
            host("desk"),
            container("shed"),
            &public,
            "10.80.0.2:6000 published-on-peer",
        ),
        (
            container("desk"),
            container("shed"),
            &public,
            "10.80.0.2:6000 published-on-peer",
        ),
        (
            host("desk"),
            container("edge"),
            &public,
            "5.9.0.1:6000 published",
        ),
        (host("edge"), container("shed"), &public, "behind-nat"),
        (
            host("desk"),
            container("shed"),
            &published("10.80.0.2:6000"),
            "10.80.0.2:6000 published-on-peer",
        ),
        (
            host("desk"),
            container("shed"),
            &published("192.168.7.2:6000"),
            "elsewhere",
        ),
        (
            host("desk"),
            container("shed"),
            &published("127.0.0.1:6000"),
            "only-loopback",
        ),
        (host("desk"), container("shed"), &inside, "unpublished"),
    ] {
        assert_eq!(
            way(&from, &to, "0.0.0.0", port, &meshed()),
            expected,
            "{from} to {to} at {port:?}"
        );
    }
}

#[test]
fn an_ssh_forward_is_the_last_way_and_gets_everywhere() {
    let port = Endpoint::new(None, 80);
    let published = port.clone().published_at(at("127.0.0.1:6000"));
    let with = |target| {
        let listen = at("127.0.0.1:9000");
        meshed()
            .with_forward(id("desk"), id("nas"), at(target), listen)
            .with_forward(id("edge"), id("shed"), at(target), listen)
    };
    for (from, to, listens, target, port, expected) in [
        (
            host("edge"),
            host("shed"),
            "0.0.0.0",
            "127.0.0.1:80",
            &port,
            "127.0.0.1:9000 forward",
        ),
        (
            host("edge"),
            host("shed"),
            "0.0.0.0",
            "127.0.0.1:81",
            &port,
            "behind-nat",
        ),
        (
            host("desk"),
            host("nas"),
            "127.0.0.1",
            "127.0.0.1:80",
            &port,
            "127.0.0.1:9000 forward",
        ),
        (
            host("desk"),
            host("nas"),
            "0.0.0.0",
            "127.0.0.1:80",
            &port,
            "10.1.0.3:80 lan",
        ),
        (
            container("desk"),
            host("nas"),
            "127.0.0.1",
            "127.0.0.1:80",
            &port,
            "172.17.0.1:9000 forward",
        ),
        (
            host("desk"),
            container("nas"),
            "0.0.0.0",
            "127.0.0.1:6000",
            &published,
            "127.0.0.1:9000 forward",
        ),
        (
            host("desk"),
            container("nas"),
            "0.0.0.0",
            "172.17.0.9:80",
            &port,
            "127.0.0.1:9000 forward",
        ),
    ] {
        assert_eq!(
            way(&from, &to, listens, port, &with(target)),
            expected,
            "{from} to {to}"
        );
    }
}

#[test]
fn a_host_behind_others_says_over_which_ssh_gets_there() {
    let jump = |to: &str| HostNet {
        jump: Some(id(to)),
        ..HostNet::default()
    };
    let topology = Topology::new()
        .with_host(id("a"), jump("b"))
        .with_host(id("b"), jump("c"))
        .with_host(id("x"), jump("y"))
        .with_host(id("y"), jump("x"));
    assert_eq!(topology.jumps(&id("a")), [&id("c"), &id("b")]);
    assert_eq!(topology.jumps(&id("x")), [&id("y")]);
    assert!(topology.jumps(&id("c")).is_empty());
}

#[derive(Clone, Copy, Debug)]
struct Joined {
    lan: bool,
    mesh: bool,
    routed: bool,
    forward: bool,
}

proptest! {
    #[test]
    fn ways_are_tried_in_their_order(lan: bool, mesh: bool, routed: bool, forward: bool, is_container: bool) {
        let joined = Joined { lan, mesh, routed, forward };
        let other = if lan { "10.1.0.3" } else { "192.168.7.2" };
        let mut topology = Topology::new().with_host(id("a"), net("10.1.0.2", 24));
        let mut there = net(other, 24);
        if routed {
            there.interfaces.push(interface("eth1", InterfaceKind::Outward, "5.9.0.1", 24));
        }
        topology = topology.with_host(id("b"), there);
        if mesh {
            topology = topology.with_mesh_pair((id("a"), ip("10.80.0.1")), (id("b"), ip("10.80.0.2")));
        }
        if forward {
            topology = topology.with_forward(id("a"), id("b"), at("127.0.0.1:80"), at("127.0.0.1:9000"));
        }
        let (to, port) = if is_container {
            (container("b"), Endpoint::new(None, 5432).published_at(at("0.0.0.0:80")))
        } else {
            (host("b"), Endpoint::new(None, 80))
        };
        let expected = match joined {
            Joined { lan: true, .. } if is_container => Some(Reason::Published),
            Joined { lan: true, .. } => Some(Reason::Lan),
            Joined { mesh: true, .. } if is_container => Some(Reason::PublishedOnPeer),
            Joined { mesh: true, .. } => Some(Reason::Mesh),
            Joined { routed: true, .. } if is_container => Some(Reason::Published),
            Joined { routed: true, .. } => Some(Reason::Routed),
            Joined { forward: true, .. } => Some(Reason::Forward),
            _ => None,
        };
        let found = route_to_port(&host("a"), &to, ip("0.0.0.0"), &port, &topology);
        prop_assert_eq!(found.clone().ok().map(|(_, reason)| reason), expected);
        if let Ok((way, reason)) = found {
            prop_assert!(!way.ip().is_unspecified());
            prop_assert_eq!(way.ip().is_loopback(), reason == Reason::Forward);
        }
    }
}
