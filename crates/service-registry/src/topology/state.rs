//! The hosts, and what joins them: LANs, the mesh, SSH forwards.
//!
//! Owns: what follows from the facts about two hosts. Never looks at the network, and guesses nothing: two hosts are on
//! one LAN when both have an outward interface in it, and what was seen to answer or to be silent goes before that.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::host::{HostNet, Sight, is_public};
use crate::{HostId, Network, Reason};

/// What is known of the network between the places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    lan: BTreeMap<HostId, IpAddr>,
    hosts: BTreeMap<HostId, HostNet>,
    seen: BTreeMap<(HostId, HostId), Sight>,
    /// The address on a mesh of the second, for the first.
    joined: BTreeMap<(HostId, HostId), IpAddr>,
    forwards: BTreeMap<Detour, SocketAddr>,
}

/// A way that has to be made: connections on one host, carried to an address as another host sees it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Detour {
    /// Where those are who connect.
    pub from: HostId,
    /// Who sees the address.
    pub to: HostId,
    /// The address.
    pub target: SocketAddr,
}

/// An address at which a host is reached by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) address: IpAddr,
    pub(crate) reason: Reason,
    /// Whether all that the host listens on is reached as well: somebody said so.
    pub(crate) is_any: bool,
}

impl Topology {
    /// Nothing is known: every host reaches itself and no other.
    pub fn new() -> Self {
        Self::default()
    }

    /// Other hosts of the LAN reach this host at this address: somebody said so, and all such hosts are on one LAN.
    #[must_use]
    pub fn with_lan_host(mut self, host: HostId, address: IpAddr) -> Self {
        self.lan.insert(host, address);
        self
    }

    /// This was found on the host.
    #[must_use]
    pub fn with_host(mut self, host: HostId, net: HostNet) -> Self {
        self.hosts.insert(host, net);
        self
    }

    /// This came of `from` trying to connect to `to`.
    #[must_use]
    pub fn with_sight(mut self, from: HostId, to: HostId, sight: Sight) -> Self {
        self.seen.insert((from, to), sight);
        self
    }

    /// The two are joined by a mesh, directly or over a relay, and have these addresses on it.
    #[must_use]
    pub fn with_mesh_pair(mut self, one: (HostId, IpAddr), other: (HostId, IpAddr)) -> Self {
        let [(one, own), (other, others)] = [one, other];
        self.joined.insert((one.clone(), other.clone()), others);
        self.joined.insert((other, one), own);
        self
    }

    /// On `from`, an SSH forward listens at `listen`, and carries what connects there to `target` as `to` sees it.
    #[must_use]
    pub fn with_forward(
        mut self,
        from: HostId,
        to: HostId,
        target: SocketAddr,
        listen: SocketAddr,
    ) -> Self {
        self.forwards.insert(Detour { from, to, target }, listen);
        self
    }

    /// The addresses of `to` on LANs that both have an interface in, while nobody has looked whether they answer.
    pub fn unseen(&self, from: &HostId, to: &HostId) -> Vec<IpAddr> {
        let pair = (from.clone(), to.clone());
        if from == to || self.seen.contains_key(&pair) {
            return Vec::new();
        }
        match (self.hosts.get(from), self.hosts.get(to)) {
            (Some(own), Some(other)) => shared(own, other).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether the first reaches the second on a LAN, or is taken to while nobody has looked.
    pub fn is_on_lan(&self, from: &HostId, to: &HostId) -> bool {
        !self.lan_ways(from, to).is_empty()
    }

    /// What was found on a host.
    pub fn host(&self, host: &HostId) -> Option<&HostNet> {
        self.hosts.get(host)
    }

    /// The hosts over which SSH gets to this one, the first to connect to first. A circle is cut where it closes.
    pub fn jumps(&self, host: &HostId) -> Vec<&HostId> {
        let mut chain: Vec<&HostId> = Vec::new();
        let mut next = self.jump(host);
        while let Some(jump) = next
            && jump != host
            && !chain.contains(&jump)
        {
            chain.push(jump);
            next = self.jump(jump);
        }
        chain.reverse();
        chain
    }

    /// The addresses at which `to` is reached on a LAN, those that were seen to answer first.
    pub(crate) fn lan_ways(&self, from: &HostId, to: &HostId) -> Vec<Way> {
        self.direct_ways(from, to)
            .into_iter()
            .filter(|way| way.reason == Reason::Lan)
            .collect()
    }

    /// The addresses at which `to` is reached through routers.
    pub(crate) fn routed_ways(&self, from: &HostId, to: &HostId) -> Vec<Way> {
        self.direct_ways(from, to)
            .into_iter()
            .filter(|way| way.reason != Reason::Lan)
            .collect()
    }

    /// The address at which `to` is reached through the mesh.
    pub(crate) fn mesh_way(&self, from: &HostId, to: &HostId) -> Option<Way> {
        let address = self.joined.get(&(from.clone(), to.clone()))?;
        Some(Way {
            address: *address,
            reason: Reason::Mesh,
            is_any: false,
        })
    }

    /// Where a forward listens that makes this way.
    pub(crate) fn forward(&self, detour: &Detour) -> Option<SocketAddr> {
        self.forwards.get(detour).copied()
    }

    /// Whether the host is known to be where nobody gets in.
    pub(crate) fn is_behind_nat(&self, host: &HostId) -> bool {
        self.hosts.get(host).is_some_and(|net| net.is_behind_nat)
    }

    fn direct_ways(&self, from: &HostId, to: &HostId) -> Vec<Way> {
        let sight = self.seen.get(&(from.clone(), to.clone()));
        let way = |address, reason| Way {
            address,
            reason,
            is_any: false,
        };
        let own = self.hosts.get(from);
        let is_beside = |address: IpAddr| {
            own.is_some_and(|own| own.outward_networks().any(|net| net.contains(address)))
        };
        let outside = if self.is_behind_nat(from) {
            Reason::Nat
        } else {
            Reason::Routed
        };
        let mut ways = match sight {
            Some(Sight::Silent) => return Vec::new(),
            Some(Sight::Answers(address)) if is_beside(*address) => {
                vec![way(*address, Reason::Lan)]
            }
            Some(Sight::Answers(address)) => vec![way(*address, outside)],
            None => Vec::new(),
        };
        if let Some(address) = self.lan.get(to).filter(|_| self.lan.contains_key(from)) {
            ways.push(Way {
                is_any: true,
                ..way(*address, Reason::Lan)
            });
        }
        if let (Some(own), Some(other)) = (own, self.hosts.get(to)) {
            ways.extend(shared(own, other).map(|ip| way(ip, Reason::Lan)));
            if own.default_route.is_some() && !other.is_behind_nat {
                let public = other.outward().map(|(ip, _)| ip);
                let public = public.filter(|ip| is_public(*ip) && !is_beside(*ip));
                ways.extend(public.map(|ip| way(ip, outside)));
            }
        }
        ways
    }

    fn jump(&self, host: &HostId) -> Option<&HostId> {
        self.hosts.get(host)?.jump.as_ref()
    }
}

/// The other's addresses on the networks that both have an interface in.
fn shared(own: &HostNet, other: &HostNet) -> impl Iterator<Item = IpAddr> {
    let beside = other.outward().filter(|(ip, prefix)| {
        let network = Network::around(*ip, *prefix);
        own.outward_networks().any(|net| net == network)
    });
    beside.map(|(ip, _)| ip)
}
