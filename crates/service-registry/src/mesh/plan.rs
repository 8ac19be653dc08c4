//! What each host does for the mesh.
//!
//! Owns: the rule that turns who needs whom into interfaces. It is a pure function: the same request is the same plan.
//! Makes no interface, and knows no private key.
//!
//! Invariants: on one interface, no address is allowed to two peers; whoever needs nobody and carries for nobody is not
//! in the plan; an address is allowed only where a pair needs it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::time::Duration;

use super::key::PublicKey;
use super::relay;
use super::request::{MeshError, MeshRequest, NodeKey, Pair};
use crate::{HostId, Network, Topology};

/// The plan of a mesh.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MeshPlan {
    /// The interface of each host that has one.
    pub hosts: BTreeMap<HostId, InterfacePlan>,
    /// How each of those who need each other get there.
    pub ways: BTreeMap<Pair, PairWay>,
}

/// How two hosts that need each other get there, and so why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PairWay {
    /// They are on one LAN and need no tunnel.
    Lan,
    /// A tunnel joins them, which either can open.
    Tunnel,
    /// A tunnel joins them, which this one has to open and keep open, as the other does not reach it.
    OpenedBy(HostId),
    /// Neither reaches the other, and this node, which both reach, carries for them.
    Relay(HostId),
    /// Neither reaches the other, and no node that both reach may carry for them: an SSH forward remains.
    Nothing,
}

impl PairWay {
    /// Its name for programs, which never changes.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Lan => "lan",
            Self::Tunnel => "tunnel",
            Self::OpenedBy(_) => "opened-by-one",
            Self::Relay(_) => "relay",
            Self::Nothing => "nothing",
        }
    }
}

impl fmt::Display for PairWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lan => f.write_str("no tunnel: one LAN"),
            Self::Tunnel => f.write_str("tunnel: each reaches the other"),
            Self::OpenedBy(host) => write!(f, "tunnel: only {host} reaches the other, and keeps it open"),
            Self::Relay(host) => write!(f, "over {host}: neither reaches the other, both reach it"),
            Self::Nothing => {
                f.write_str("no tunnel: neither reaches the other, nor do both reach a node that may carry for them")
            }
        }
    }
}

/// The interface of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfacePlan {
    /// Its address, of a network of its own.
    pub address: Network,
    /// The public key that belongs to the private one it uses.
    pub key: PublicKey,
    /// The UDP port that it listens on.
    pub port: NonZeroU16,
    /// Who it talks to, by their public keys.
    pub peers: BTreeMap<PublicKey, PeerPlan>,
    /// Those that it carries for, by their addresses; nothing else may pass it.
    pub carries: BTreeSet<(IpAddr, IpAddr)>,
}

/// A peer of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerPlan {
    /// Which host.
    pub host: HostId,
    /// What it may send from and is sent to, each a single address. Empty for a key that is not in use yet: a
    /// handshake with it succeeds, and nothing else.
    pub allowed: BTreeSet<Network>,
    /// Where the tunnel is opened to; `None` when the other has to open it.
    pub endpoint: Option<SocketAddr>,
    /// How often something is sent so that the way back stays open; `None` when that is open by itself.
    pub keepalive: Option<Duration>,
}

impl MeshPlan {
    /// The tunnels, by their ends.
    pub fn tunnels(&self) -> BTreeSet<Pair> {
        let of = |(host, interface): (&HostId, &InterfacePlan)| {
            let peers = interface.peers.values();
            let pairs = peers.filter_map(|peer| Pair::new(host.clone(), peer.host.clone()));
            pairs.collect::<Vec<_>>()
        };
        self.hosts.iter().flat_map(of).collect()
    }

    /// Who carries for whom: what the next request is told, so that it does not change without need.
    pub fn relays(&self) -> BTreeMap<Pair, HostId> {
        let relay = |(pair, way): (&Pair, &PairWay)| match way {
            PairWay::Relay(relay) => Some((pair.clone(), relay.clone())),
            PairWay::Lan | PairWay::Tunnel | PairWay::OpenedBy(_) | PairWay::Nothing => None,
        };
        self.ways.iter().filter_map(relay).collect()
    }

    /// The topology with those joined whom this mesh joins: for when it is in force.
    #[must_use]
    pub fn joined(&self, topology: Topology) -> Topology {
        let address = |host: &HostId| {
            let interface = self.hosts.get(host)?;
            Some((host.clone(), interface.address.first()))
        };
        self.ways.iter().fold(topology, |topology, (pair, way)| {
            let is_joined = match way {
                PairWay::Tunnel | PairWay::OpenedBy(_) | PairWay::Relay(_) => true,
                PairWay::Lan | PairWay::Nothing => false,
            };
            match pair.hosts().map(address) {
                [Some(one), Some(other)] if is_joined => topology.with_mesh_pair(one, other),
                _ => topology,
            }
        })
    }
}

/// The mesh that joins those who need each other, and nobody else.
///
/// # Errors
/// [`MeshError`] when the request contradicts itself. A pair that cannot be joined is none: see [`PairWay::Nothing`].
pub fn plan(request: &MeshRequest) -> Result<MeshPlan, MeshError> {
    request.validate()?;
    let ways = ways(request);
    let mut draft = Draft {
        request,
        hosts: BTreeMap::new(),
    };
    for (pair, way) in &ways {
        let [one, other] = pair.hosts();
        match way {
            PairWay::Lan | PairWay::Nothing => {}
            PairWay::Tunnel | PairWay::OpenedBy(_) => {
                draft.allow(one, other, other)?;
                draft.allow(other, one, one)?;
            }
            PairWay::Relay(relay) => {
                for (end, far) in [(one, other), (other, one)] {
                    draft.allow(end, relay, far)?;
                    draft.allow(relay, end, end)?;
                    let way = (request.node(end)?.address, request.node(far)?.address);
                    draft.interface(relay)?.carries.insert(way);
                }
            }
        }
    }
    Ok(MeshPlan {
        hosts: draft.hosts,
        ways,
    })
}

/// Two plans by which a node comes to a new key. In the first, the others know both keys, and the node uses the old one;
/// once it is in force everywhere, the second has the new key only. Between the node and each of the others, what is sent
/// while one of the two has the second plan and the other does not is lost, and sent again by TCP.
///
/// # Errors
/// As [`plan`]; [`MeshError::UnknownNode`] when it is no node.
pub fn rotate(
    request: &MeshRequest,
    host: &HostId,
    new: PublicKey,
) -> Result<[MeshPlan; 2], MeshError> {
    let old = request.node(host)?.key.current().clone();
    let first = NodeKey::Rotating {
        old,
        new: new.clone(),
    };
    let mut request = request.clone();
    let mut step = |key| {
        if let Some(node) = request.nodes.get_mut(host) {
            node.key = key;
        }
        let planned = plan(&request)?;
        request.relays = planned.relays();
        Ok(planned)
    };
    Ok([step(first)?, step(NodeKey::Steady(new))?])
}

fn ways(request: &MeshRequest) -> BTreeMap<Pair, PairWay> {
    let direct = |pair: &Pair| {
        let [one, other] = pair.hosts();
        let is_lan = |from, to| !request.topology.lan_ways(from, to).is_empty();
        if is_lan(one, other) && is_lan(other, one) {
            return Some(PairWay::Lan);
        }
        match (
            request.endpoint(one, other).is_some(),
            request.endpoint(other, one).is_some(),
        ) {
            (true, true) => Some(PairWay::Tunnel),
            (true, false) => Some(PairWay::OpenedBy(one.clone())),
            (false, true) => Some(PairWay::OpenedBy(other.clone())),
            (false, false) => None,
        }
    };
    let found: BTreeMap<&Pair, Option<PairWay>> = request
        .pairs
        .iter()
        .map(|pair| (pair, direct(pair)))
        .collect();
    let is_tunnel =
        |way: &Option<PairWay>| matches!(way, Some(PairWay::Tunnel | PairWay::OpenedBy(_)));
    let tunnels = found.iter().filter(|(_, way)| is_tunnel(way));
    let tunnels: BTreeSet<Pair> = tunnels.map(|(pair, _)| (*pair).clone()).collect();
    let parted = found.iter().filter(|(_, way)| way.is_none());
    let parted: BTreeSet<&Pair> = parted.map(|(pair, _)| *pair).collect();
    let mut relays = relay::choose(request, &parted, &tunnels);
    let mut over = |pair: &Pair| relays.remove(pair).map_or(PairWay::Nothing, PairWay::Relay);
    found
        .into_iter()
        .map(|(pair, way)| (pair.clone(), way.unwrap_or_else(|| over(pair))))
        .collect()
}

/// A plan in the making.
struct Draft<'a> {
    request: &'a MeshRequest,
    hosts: BTreeMap<HostId, InterfacePlan>,
}

impl Draft<'_> {
    /// What `host` sends to `target` goes to the peer `next`, and may come from there.
    fn allow(&mut self, host: &HostId, next: &HostId, target: &HostId) -> Result<(), MeshError> {
        let request = self.request;
        let (peer, target) = (request.node(next)?, request.node(target)?);
        let endpoint = request.endpoint(host, next);
        let is_only_opener = request.endpoint(next, host).is_none();
        let peers = &mut self.interface(host)?.peers;
        let planned = peers
            .entry(peer.key.current().clone())
            .or_insert_with(|| PeerPlan {
                host: next.clone(),
                allowed: BTreeSet::new(),
                endpoint: endpoint.map(|ip| SocketAddr::new(ip, peer.port.get())),
                keepalive: is_only_opener.then_some(KEEPALIVE),
            });
        planned.allowed.insert(Network::of_one(target.address));
        if let Some(new) = peer.key.next() {
            peers.entry(new.clone()).or_insert_with(|| PeerPlan {
                host: next.clone(),
                allowed: BTreeSet::new(),
                endpoint: None,
                keepalive: None,
            });
        }
        Ok(())
    }

    fn interface(&mut self, host: &HostId) -> Result<&mut InterfacePlan, MeshError> {
        let node = self.request.node(host)?;
        Ok(self
            .hosts
            .entry(host.clone())
            .or_insert_with(|| InterfacePlan {
                address: Network::of_one(node.address),
                key: node.key.current().clone(),
                port: node.port,
                peers: BTreeMap::new(),
                carries: BTreeSet::new(),
            }))
    }
}

/// What WireGuard's own documentation recommends for those behind NAT.
const KEEPALIVE: Duration = Duration::from_secs(25);
