//! The hosts of a mesh, as they are reached in one round.
//!
//! Owns: who could be asked, what was found there, and why somebody else could not. Changes nothing on them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use command_executor::blocking;
use futures::future::join_all;
use harness_mesh::{InterfaceName, MeshNode, NodeError};
use service_registry::{HostId, HostNet, Interface, InterfaceKind, Network, Sight};
use service_shim::agent::protocol::Facts;

use super::super::look::{asked, look};
use super::super::{order, reach};
use super::book::{Member, Mesh};
use super::keeper::Parts;
use crate::executors::LaunchError;

/// The hosts of a round.
#[derive(Debug, Default)]
pub(super) struct Ground {
    pub(super) reached: BTreeMap<HostId, Reached>,
    pub(super) failed: BTreeMap<HostId, Fault>,
    /// Those that have made a new key.
    pub(super) turning: BTreeSet<HostId>,
}

/// Why a host takes no part in a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is asked again once it is back.
    Away(String),
    /// It cannot be part of a mesh.
    Unable(String),
}

/// A host that was reached.
#[derive(Debug)]
pub(super) struct Reached {
    pub(super) node: MeshNode,
    pub(super) net: HostNet,
    /// The networks that it is in or has a route to, without this mesh.
    pub(super) taken: Vec<Network>,
    /// Where others may find it.
    pub(super) at: Vec<IpAddr>,
}

impl From<&NodeError> for Fault {
    fn from(error: &NodeError) -> Self {
        let reason = crate::error_chain(error);
        match error {
            NodeError::Unreachable(_) => Self::Away(reason),
            _ => Self::Unable(reason),
        }
    }
}

impl Ground {
    /// Reaches these hosts too.
    pub(super) async fn reach(&mut self, parts: &Parts, mesh: &Mesh, hosts: &BTreeSet<HostId>) {
        let is_new =
            |host: &&HostId| !self.reached.contains_key(*host) && !self.failed.contains_key(*host);
        let asked = hosts.iter().filter(is_new).map(|host| async move {
            let found = match mesh.members.get(host) {
                Some(member) => one(parts, mesh, host, member).await,
                None => Err(Fault::Unable(format!(
                    "{host} is not on the network any more"
                ))),
            };
            (host.clone(), found)
        });
        for (host, found) in join_all(asked).await {
            match found {
                Ok(reached) => drop(self.reached.insert(host, reached)),
                Err(fault) => drop(self.failed.insert(host, fault)),
            }
        }
    }

    /// It takes no part any more.
    pub(super) fn fail(&mut self, host: HostId, fault: Fault) {
        self.failed.insert(host, fault);
    }

    /// Those that take part.
    pub(super) fn able(&self) -> impl Iterator<Item = (&HostId, &Reached)> {
        let able = self.reached.iter();
        able.filter(|(host, _)| !self.failed.contains_key(*host))
    }

    /// Those that could be asked.
    pub(super) fn answered(&self) -> impl Iterator<Item = &HostId> {
        let is_away = |host: &HostId| matches!(self.failed.get(host), Some(Fault::Away(_)));
        self.reached.keys().filter(move |host| !is_away(host))
    }

    /// Finds out which of these reach which, as far as nobody knows yet.
    pub(super) async fn look(
        &self,
        parts: &Parts,
        mesh: &mut Mesh,
        ways: impl IntoIterator<Item = (HostId, HostId)>,
    ) {
        let is_open = |(from, to): &(HostId, HostId)| {
            let is_able = |host| self.reached.contains_key(host) && !self.failed.contains_key(host);
            let way = (from.clone(), to.clone());
            is_able(from) && is_able(to) && !mesh.sights.contains_key(&way)
        };
        let open: BTreeSet<_> = ways.into_iter().filter(is_open).collect();
        let looks = open.into_iter().map(|(from, to)| async {
            let sight = self.sight(parts, mesh, &from, &to).await;
            ((from, to), sight)
        });
        for (way, sight) in join_all(looks).await {
            if let Some(sight) = sight {
                mesh.sights.insert(way, sight);
            }
        }
    }

    /// All addresses are tried at once: those that lead nowhere take seconds.
    async fn sight(&self, parts: &Parts, mesh: &Mesh, from: &HostId, to: &HostId) -> Option<Sight> {
        let call = |host| mesh.members.get(host).and_then(|one| one.call.as_ref());
        let (asker, asked) = (call(from), call(to));
        let at = &self.reached.get(to)?.at;
        let each = at
            .iter()
            .map(|address| look(&*parts.hosts, asker, asked, std::slice::from_ref(address)));
        let seen = join_all(each).await;
        let answers = |sight: &&Sight| matches!(sight, Sight::Answers(_));
        let found: Vec<Sight> = seen.into_iter().collect::<Result<_, LaunchError>>().ok()?;
        Some(found.iter().find(answers).copied().unwrap_or(Sight::Silent))
    }
}

async fn one(parts: &Parts, mesh: &Mesh, host: &HostId, member: &Member) -> Result<Reached, Fault> {
    let home = parts.home.id();
    let home = home.map_err(|error| Fault::Unable(error.to_string()))?;
    let whole = format!("{home}/{}", Mesh::name(&mesh.stack, &mesh.network));
    let interface = InterfaceName::of(&whole, host);
    let own = interface.to_string();
    let reached = asked(&*parts.hosts, member.call.as_ref()).await;
    let reached = reached.map_err(|error| match error {
        // It says of itself which host it is.
        LaunchError::Unreachable { source, .. } => Fault::Away(crate::error_chain(&*source)),
        error => Fault::Unable(crate::error_chain(&error)),
    })?;
    let (node, facts, address) = match reached {
        None => {
            let directory = parts.directory.join("keys").join(&own);
            let node = MeshNode::here(interface, directory);
            let facts = blocking::unblock(service_shim::agent::facts).await;
            (node, facts, None)
        }
        Some((known, agent)) => {
            let facts = agent.facts().await;
            let facts = facts
                .map_err(|error| Fault::Away(crate::error_chain(&known.link.explain(error))))?;
            let directory = order::root(&home, agent.hello()).join("mesh").join(&own);
            let node = MeshNode::new(host.clone(), known.link, interface, directory);
            (node, facts, known.address)
        }
    };
    let net = without(reach::net(&facts), &own);
    Ok(Reached {
        node,
        taken: taken(&facts, &net, &own),
        at: places(&net, address),
        net,
    })
}

/// What is there without the mesh itself.
fn without(mut net: HostNet, own: &str) -> HostNet {
    net.interfaces.retain(|interface| interface.name != own);
    net
}

fn taken(facts: &Facts, net: &HostNet, own: &str) -> Vec<Network> {
    let addresses = net.interfaces.iter().flat_map(|one| &one.addresses);
    let routes = facts
        .routes
        .iter()
        .filter(|route| route.to.1 > 0 && route.interface != own);
    addresses
        .map(|address| address.network())
        .chain(routes.map(|route| Network::around(route.to.0, route.to.1)))
        .collect()
}

/// Its addresses on networks that other machines are on too, and where SSH finds it first.
fn places(net: &HostNet, known: Option<IpAddr>) -> Vec<IpAddr> {
    let outward = |interface: &&Interface| interface.kind == InterfaceKind::Outward;
    let own = net.interfaces.iter().filter(outward);
    let own = own.flat_map(|interface| interface.addresses.iter().map(|address| address.ip));
    let is_of_many = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => !ip.is_link_local() && !ip.is_loopback(),
        IpAddr::V6(ip) => !ip.is_unicast_link_local() && !ip.is_loopback(),
    };
    let mut places: Vec<IpAddr> = known.into_iter().collect();
    for ip in own.filter(is_of_many) {
        if !places.contains(&ip) {
            places.push(ip);
        }
    }
    places
}
