//! The plan of a mesh: what is in it, and what is not.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::time::Duration;

use proptest::prelude::*;
use service_registry::mesh::{
    InterfacePlan, MeshError, MeshPlan, MeshRequest, Node, NodeKey, Pair, PairWay, PeerPlan,
    PublicKey, plan, rotate,
};
use service_registry::{
    DefaultRoute, HostId, HostNet, Interface, InterfaceAddress, InterfaceKind, Network, Place,
    Reason, Topology, route,
};

fn id(number: u8) -> HostId {
    HostId::new(format!("h{number}"))
}

fn pair(one: u8, other: u8) -> Pair {
    Pair::new(id(one), id(other)).expect("two hosts")
}

fn key(number: u8, round: u8) -> PublicKey {
    let digit = |n: u8| char::from(b'A' + n);
    let text = format!("{}{}{}=", digit(number), digit(round), "A".repeat(41));
    text.parse().expect("a key")
}

fn mesh_ip(number: u8) -> IpAddr {
    IpAddr::from([10, 80, 0, number + 1])
}

/// Where a host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spot {
    /// With an address of its own, where everybody gets to.
    Public,
    /// On this LAN, behind its router.
    Lan(u8),
    /// On this LAN, without a way out.
    Cut(u8),
}

fn net(number: u8, spot: Spot) -> HostNet {
    let ip = match spot {
        Spot::Public => [5, 9, number, 1],
        Spot::Lan(lan) | Spot::Cut(lan) => [192, 168, lan, number + 1],
    };
    let way_out = DefaultRoute {
        interface: "eth0".into(),
        gateway: None,
    };
    HostNet {
        interfaces: vec![Interface {
            name: "eth0".into(),
            kind: InterfaceKind::Outward,
            addresses: vec![InterfaceAddress {
                ip: ip.into(),
                prefix: 24,
            }],
        }],
        default_route: Some(way_out).filter(|_| !matches!(spot, Spot::Cut(_))),
        is_behind_nat: spot != Spot::Public,
        jump: None,
    }
}

fn request(spots: &[Spot], pairs: &[(u8, u8)]) -> MeshRequest {
    let mut request = MeshRequest {
        pairs: pairs
            .iter()
            .map(|(one, other)| pair(*one, *other))
            .collect(),
        ..MeshRequest::default()
    };
    for (number, spot) in (0..).zip(spots) {
        let node = Node {
            address: mesh_ip(number),
            key: NodeKey::Steady(key(number, 0)),
            port: NonZeroU16::new(51_820).expect("not 0"),
            may_relay: true,
        };
        request.nodes.insert(id(number), node);
        request.topology = request.topology.with_host(id(number), net(number, *spot));
    }
    request
}

fn planned(request: &MeshRequest) -> MeshPlan {
    plan(request).expect("a request that fits together")
}

/// The peers of an interface that a packet to this address goes to: at most one, or the plan is wrong.
fn towards(interface: &InterfacePlan, address: IpAddr) -> Vec<&PeerPlan> {
    let peers = interface.peers.values();
    let allowed = |peer: &&PeerPlan| peer.allowed.contains(&Network::of_one(address));
    peers.filter(allowed).collect()
}

/// Whether a packet gets there when every host does what the plan says, as WireGuard does it.
fn arrives(plan: &MeshPlan, from: u8, to: u8) -> bool {
    let (source, target) = (mesh_ip(from), mesh_ip(to));
    let (mut here, end) = (id(from), id(to));
    for _ in 0..plan.hosts.len() {
        let Some(interface) = plan.hosts.get(&here) else {
            return false;
        };
        if here != id(from) && !interface.carries.contains(&(source, target)) {
            return false;
        }
        let [next] = towards(interface, target)[..] else {
            return false;
        };
        let Some(there) = plan.hosts.get(&next.host) else {
            return false;
        };
        let Some(back) = there.peers.get(&interface.key) else {
            return false;
        };
        let can_open = next.endpoint.is_some() || back.endpoint.is_some();
        if !can_open || !back.allowed.contains(&Network::of_one(source)) {
            return false;
        }
        if next.host == end {
            return true;
        }
        here = next.host.clone();
    }
    false
}

#[test]
fn one_behind_nat_opens_the_tunnel_and_keeps_it_open() {
    let plan = planned(&request(&[Spot::Lan(0), Spot::Public], &[(0, 1)]));
    let peer = |of: u8, to: u8| plan.hosts[&id(of)].peers[&key(to, 0)].clone();
    let expected = SocketAddr::new(IpAddr::from([5, 9, 1, 1]), 51_820);
    assert_eq!(peer(0, 1).endpoint, Some(expected));
    assert_eq!(peer(0, 1).keepalive, Some(Duration::from_secs(25)));
    assert_eq!((peer(1, 0).endpoint, peer(1, 0).keepalive), (None, None));
    assert_eq!(
        plan.ways[&pair(0, 1)].to_string(),
        "tunnel: only h0 reaches the other, and keeps it open"
    );
}

#[test]
fn two_behind_nat_meet_over_a_node_that_both_reach_and_it_carries_nothing_else() {
    let spots = [Spot::Lan(0), Spot::Lan(1), Spot::Lan(2), Spot::Public];
    let plan = planned(&request(&spots, &[(0, 1), (2, 3)]));
    assert_eq!(plan.ways[&pair(0, 1)], PairWay::Relay(id(3)));
    assert_eq!(
        plan.tunnels(),
        BTreeSet::from([pair(0, 3), pair(1, 3), pair(2, 3)])
    );
    let carried = [(mesh_ip(0), mesh_ip(1)), (mesh_ip(1), mesh_ip(0))];
    assert_eq!(plan.hosts[&id(3)].carries, BTreeSet::from(carried));
    assert!(arrives(&plan, 0, 1) && arrives(&plan, 3, 2));
    assert!(!arrives(&plan, 0, 3) && !arrives(&plan, 3, 0) && !arrives(&plan, 0, 2));
    // Once it is in force, routes lead over it.
    let topology = plan.joined(Topology::new());
    let any = IpAddr::from([0, 0, 0, 0]);
    let found = route(&Place::Host(id(0)), &Place::Host(id(1)), any, &topology).expect("a route");
    assert_eq!((found.address, found.reason), (mesh_ip(1), Reason::Mesh));
    assert!(route(&Place::Host(id(0)), &Place::Host(id(3)), any, &topology).is_err());
}

#[test]
fn who_is_on_one_lan_needs_no_tunnel_and_who_nobody_reaches_has_none() {
    let mut request = request(
        &[Spot::Lan(0), Spot::Lan(0), Spot::Cut(1), Spot::Public],
        &[(0, 1), (0, 2)],
    );
    let plan = planned(&request);
    assert_eq!(plan.ways[&pair(0, 1)], PairWay::Lan);
    assert_eq!(plan.ways[&pair(0, 2)], PairWay::Nothing);
    assert!(plan.hosts.is_empty());
    // A node that is asked not to carry for others does not.
    request.pairs = BTreeSet::from([pair(0, 2)]);
    request.topology = request.topology.with_host(id(2), net(2, Spot::Lan(1)));
    assert_eq!(planned(&request).ways[&pair(0, 2)], PairWay::Relay(id(3)));
    request
        .nodes
        .get_mut(&id(3))
        .expect("it is there")
        .may_relay = false;
    assert_eq!(planned(&request).ways[&pair(0, 2)], PairWay::Nothing);
}

#[test]
fn a_relay_stays_while_it_serves_although_a_better_one_comes() {
    let mut request = request(
        &[Spot::Lan(0), Spot::Lan(1), Spot::Public, Spot::Public],
        &[(0, 1)],
    );
    request.relays = BTreeMap::from([(pair(0, 1), id(3))]);
    let plan = planned(&request);
    assert_eq!(plan.relays(), request.relays);
    request.relays = BTreeMap::from([(pair(0, 1), HostId::new("gone"))]);
    assert_eq!(planned(&request).ways[&pair(0, 1)], PairWay::Relay(id(2)));
}

#[test]
fn a_request_that_contradicts_itself_is_refused() {
    let good = request(&[Spot::Public, Spot::Public], &[(0, 1)]);
    let mut unknown = good.clone();
    unknown.nodes.remove(&id(1));
    assert!(matches!(plan(&unknown), Err(MeshError::UnknownNode { .. })));
    let mut address = good.clone();
    address.nodes.get_mut(&id(1)).expect("it is there").address = mesh_ip(0);
    assert!(matches!(
        plan(&address),
        Err(MeshError::AddressTwice { .. })
    ));
    let twice = rotate(&good, &id(0), key(1, 0));
    assert!(matches!(twice, Err(MeshError::KeyTwice { .. })));
    for text in [
        "",
        "short=",
        &"A".repeat(44),
        &format!("{}B=", "A".repeat(42)),
        &format!("{}=", "é".repeat(21)),
    ] {
        assert!(text.parse::<PublicKey>().is_err(), "{text}");
    }
}

fn spots() -> impl Strategy<Value = Vec<Spot>> {
    let spot = prop_oneof![
        2 => Just(Spot::Public),
        4 => (0u8..3).prop_map(Spot::Lan),
        1 => (0u8..3).prop_map(Spot::Cut),
    ];
    proptest::collection::vec(spot, 2..8)
}

fn requests() -> impl Strategy<Value = MeshRequest> {
    let pairs = proptest::collection::vec((0u8..8, 0u8..8), 1..12);
    (spots(), pairs, any::<u8>()).prop_map(|(spots, mut pairs, relays)| {
        let count = u8::try_from(spots.len()).expect("few");
        pairs.retain(|(one, other)| one != other && *one < count && *other < count);
        let mut request = request(&spots, &pairs);
        for (number, node) in request.nodes.values_mut().enumerate() {
            node.may_relay = relays >> number & 1 == 1;
        }
        request
    })
}

fn numbers(request: &MeshRequest) -> impl Iterator<Item = (u8, u8)> {
    let count = u8::try_from(request.nodes.len()).expect("few");
    (0..count).flat_map(move |one| (0..count).map(move |other| (one, other)))
}

/// Whether a tunnel from the one can be opened to the other, without asking the plan.
fn reaches(request: &MeshRequest, from: &HostId, to: &HostId) -> bool {
    let (from, to) = (Place::Host(from.clone()), Place::Host(to.clone()));
    route(&from, &to, IpAddr::from([0, 0, 0, 0]), &request.topology).is_ok()
}

/// Who may carry for a pair.
fn able(request: &MeshRequest, pair: &Pair) -> Vec<HostId> {
    let nodes = request.nodes.iter().filter(|(_, node)| node.may_relay);
    let nodes = nodes.map(|(host, _)| host.clone());
    nodes
        .filter(|host| {
            pair.hosts()
                .iter()
                .all(|end| *end != host && reaches(request, end, host))
        })
        .collect()
}

/// The least number of tunnels that any choice of relays needs.
fn fewest(request: &MeshRequest, plan: &MeshPlan) -> usize {
    let relayed = |way: &PairWay| matches!(way, PairWay::Relay(_));
    let (over, straight): (Vec<_>, Vec<_>) = plan.ways.iter().partition(|(_, way)| relayed(way));
    let straight = straight.into_iter();
    let straight = straight.filter(|(_, way)| !matches!(way, PairWay::Lan | PairWay::Nothing));
    let mut choices: Vec<BTreeSet<Pair>> = vec![straight.map(|(pair, _)| pair.clone()).collect()];
    for (pair, _) in over {
        let able = able(request, pair);
        let with = |tunnels: &BTreeSet<Pair>, relay: &HostId| {
            let legs = pair.hosts().into_iter().cloned();
            let legs = legs.filter_map(|end| Pair::new(end, relay.clone()));
            tunnels.iter().cloned().chain(legs).collect::<BTreeSet<_>>()
        };
        let grown = choices
            .iter()
            .flat_map(|tunnels| able.iter().map(move |relay| with(tunnels, relay)));
        choices = grown.collect::<BTreeSet<_>>().into_iter().collect();
    }
    choices.iter().map(BTreeSet::len).min().unwrap_or(0)
}

/// The hosts whose interfaces are not the same in both.
fn differing(before: &MeshPlan, after: &MeshPlan) -> BTreeSet<HostId> {
    let hosts = before.hosts.keys().chain(after.hosts.keys());
    hosts
        .filter(|host| before.hosts.get(*host) != after.hosts.get(*host))
        .cloned()
        .collect()
}

/// The hosts that a pair's way touches.
fn touched(plan: &MeshPlan, pair: &Pair) -> BTreeSet<HostId> {
    let mut hosts: BTreeSet<HostId> = pair.hosts().into_iter().cloned().collect();
    if let Some(PairWay::Relay(relay)) = plan.ways.get(pair) {
        hosts.insert(relay.clone());
    }
    hosts
}

proptest! {
    #[test]
    fn every_pair_that_can_be_joined_is_and_nobody_else(request in requests()) {
        let plan = planned(&request);
        prop_assert_eq!(&plan, &planned(&request), "the same request is the same plan");
        for (one, other) in numbers(&request).filter(|(one, other)| one != other) {
            let way = plan.ways.get(&pair(one, other));
            prop_assert_eq!(way.is_some(), request.pairs.contains(&pair(one, other)));
            let is_joined = matches!(way, Some(PairWay::Tunnel | PairWay::OpenedBy(_) | PairWay::Relay(_)));
            prop_assert_eq!(arrives(&plan, one, other), is_joined, "h{} to h{}: {:?}", one, other, way);
        }
        for (pair, way) in &plan.ways {
            let [one, other] = pair.hosts();
            let is_apart = !reaches(&request, one, other) && !reaches(&request, other, one);
            let is_over = matches!(way, PairWay::Relay(_) | PairWay::Nothing);
            prop_assert_eq!(is_over, is_apart);
            match way {
                PairWay::Relay(relay) => prop_assert!(able(&request, pair).contains(relay)),
                PairWay::Nothing => prop_assert!(able(&request, pair).is_empty()),
                PairWay::Lan => prop_assert!(reaches(&request, one, other) && reaches(&request, other, one)),
                PairWay::Tunnel | PairWay::OpenedBy(_) => {}
            }
        }
    }

    #[test]
    fn no_address_is_allowed_twice_on_an_interface_and_each_stands_alone(request in requests()) {
        for (host, interface) in planned(&request).hosts {
            prop_assert_eq!(interface.address, Network::of_one(request.nodes[&host].address));
            let mut seen = BTreeSet::new();
            for peer in interface.peers.values() {
                prop_assert!(peer.allowed.iter().all(|allowed| allowed.prefix() == 32));
                prop_assert!(peer.allowed.iter().all(|allowed| seen.insert(*allowed)));
                prop_assert!(!peer.allowed.is_empty() && peer.host != host);
                let is_reached = reaches(&request, &peer.host, &host);
                prop_assert_eq!(peer.keepalive.is_some(), !is_reached);
            }
            prop_assert!(!seen.contains(&interface.address));
        }
    }

    #[test]
    fn there_is_no_tunnel_without_a_pair_that_uses_it(request in requests()) {
        let plan = planned(&request);
        let mut used = BTreeSet::new();
        for (pair, way) in &plan.ways {
            match way {
                PairWay::Lan | PairWay::Nothing => {}
                PairWay::Tunnel | PairWay::OpenedBy(_) => { used.insert(pair.clone()); }
                PairWay::Relay(relay) => used.extend(
                    pair.hosts().into_iter().filter_map(|end| Pair::new(end.clone(), relay.clone())),
                ),
            }
        }
        prop_assert_eq!(plan.tunnels(), used);
    }

    #[test]
    fn hardly_any_choice_of_relays_needs_fewer_tunnels(request in requests()) {
        let plan = planned(&request);
        // The choice is greedy: of some thousand random meshes, one has a tunnel more than it needs.
        prop_assert!(plan.tunnels().len() <= fewest(&request, &plan) + 1, "{:?}", plan.ways);
    }

    #[test]
    fn a_pair_that_goes_or_comes_changes_the_hosts_on_its_way_only(request in requests(), which: prop::sample::Index) {
        if request.pairs.is_empty() {
            return Ok(());
        }
        let all = planned(&request);
        let gone = request.pairs.iter().nth(which.index(request.pairs.len())).expect("in range").clone();
        let mut fewer = request.clone();
        fewer.pairs.remove(&gone);
        fewer.relays = all.relays();
        let without = planned(&fewer);
        prop_assert!(differing(&all, &without).is_subset(&touched(&all, &gone)));
        let again = planned(&MeshRequest { relays: without.relays(), ..request });
        prop_assert!(differing(&without, &again).is_subset(&touched(&again, &gone)));
    }

    #[test]
    fn a_new_node_that_nobody_needs_changes_nothing(request in requests(), is_public: bool) {
        let before = planned(&request);
        let mut more = MeshRequest { relays: before.relays(), ..request };
        let node = Node {
            address: mesh_ip(20),
            key: NodeKey::Steady(key(20, 0)),
            port: NonZeroU16::MIN,
            may_relay: !is_public,
        };
        more.nodes.insert(id(20), node);
        let spot = if is_public { Spot::Public } else { Spot::Lan(9) };
        more.topology = more.topology.with_host(id(20), net(20, spot));
        prop_assert_eq!(planned(&more), before);
    }

    #[test]
    fn a_key_is_changed_in_two_steps_that_touch_the_node_and_its_peers_only(request in requests(), which in 0u8..8) {
        let before = planned(&request);
        let which = which % u8::try_from(request.nodes.len()).expect("few");
        let [both, after] = rotate(&request, &id(which), key(which, 1)).expect("a node");
        let peers: BTreeSet<HostId> = before.hosts.get(&id(which)).into_iter()
            .flat_map(|own| own.peers.values().map(|peer| peer.host.clone()))
            .collect();
        prop_assert_eq!(&differing(&before, &both), &peers, "the node itself goes on as it is");
        for host in &peers {
            let known = &both.hosts[host].peers;
            let (old, new) = (&known[&key(which, 0)], &known[&key(which, 1)]);
            prop_assert_eq!(old, &before.hosts[host].peers[&key(which, 0)]);
            prop_assert!(new.allowed.is_empty() && new.endpoint.is_none() && new.keepalive.is_none());
            let then = &after.hosts[host].peers;
            prop_assert_eq!(&then[&key(which, 1)], old, "all that the old one was");
            prop_assert!(!then.contains_key(&key(which, 0)));
        }
        for (one, other) in numbers(&request).filter(|(one, other)| one != other) {
            for step in [&both, &after] {
                prop_assert_eq!(arrives(step, one, other), arrives(&before, one, other));
            }
        }
        prop_assert!(differing(&before, &after).iter().all(|host| *host == id(which) || peers.contains(host)));
    }
}
