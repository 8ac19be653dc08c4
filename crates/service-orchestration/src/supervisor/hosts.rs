//! Other machines, as far as addresses are concerned.
//!
//! Owns: what was found on each when it was reached last, whom SSH and meshes join, and the topology that follows from it. Which way leads where is the
//! registry's business.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use service_registry::mesh::Pair;
use service_registry::{Detour, HostId, HostNet, InterfaceKind, Sight, Topology};

use super::turn::Supervisor;
use super::units::UnitEntry;
use crate::executors::{HostCall, HostFacts, Joining, MeshCall, MeshPair};
use crate::report::HostLogin;
use crate::spec::{StackName, TargetSpec};

/// What is known of other machines.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    /// Those that were reached since this daemon runs.
    found: BTreeMap<HostId, HostFacts>,
    /// Which reaches which, as far as somebody has looked.
    seen: BTreeMap<(HostId, HostId), Sight>,
    /// The ways that were made: where each listens, and which attempts need it.
    carried: BTreeMap<Detour, (SocketAddr, BTreeSet<String>)>,
    /// Those that a mesh joins.
    joined: BTreeMap<Pair, MeshPair>,
    /// Those that none could join, why, and for which attempt that was tried last.
    apart: BTreeMap<Pair, (String, String)>,
}

impl Supervisor {
    /// A machine was reached.
    pub(super) fn learn_host(&mut self, facts: HostFacts) {
        if self.hosts.learn(facts) {
            self.registry.set_topology(self.hosts.topology());
        }
    }

    /// Where others reach the machine of a unit that runs on another one.
    pub(super) fn host_address(&self, entry: &UnitEntry) -> Option<IpAddr> {
        self.hosts.found.get(&host_of(entry)?)?.address
    }
}

/// The other machine that a unit runs on.
pub(super) fn host_of(entry: &UnitEntry) -> Option<HostId> {
    host_of_target(&entry.described().target)
}

/// The other machine that a target is on.
pub(super) fn host_of_target(target: &TargetSpec) -> Option<HostId> {
    match target {
        TargetSpec::Remote(remote) => Some(HostId::new(&remote.host)),
        TargetSpec::Docker(container) => container.host.as_ref().map(HostId::new),
        TargetSpec::DockerAttach { host, .. } => host.as_ref().map(HostId::new),
        _ => None,
    }
}

/// How the host of a target is reached; none on this machine.
pub(super) fn call_of_target(target: &TargetSpec) -> Option<HostCall> {
    match target {
        TargetSpec::Remote(remote) => Some(HostCall::of(remote)),
        TargetSpec::Docker(container) => container.host.as_deref().map(HostCall::named),
        TargetSpec::DockerAttach { host, .. } => host.as_deref().map(HostCall::named),
        _ => None,
    }
}

/// How that is logged in to, where its file says so.
pub(super) fn login_of(entry: &UnitEntry) -> Option<HostLogin> {
    let TargetSpec::Remote(target) = &entry.described().target else {
        return None;
    };
    let login = HostLogin {
        user: target.user.clone(),
        port: target.port,
        ssh_key: target.ssh_key.clone(),
    };
    let is_said = login.user.is_some() || login.port.is_some() || login.ssh_key.is_some();
    is_said.then_some(login)
}

impl Hosts {
    /// Whether that is news.
    fn learn(&mut self, facts: HostFacts) -> bool {
        let known = self.found.get(&facts.host);
        if known == Some(&facts) {
            return false;
        }
        let place = |facts: &HostFacts| (without_tunnels(&facts.net), facts.address);
        if known.is_none_or(|known| place(known) != place(&facts)) {
            // It may be somewhere else now.
            self.seen
                .retain(|(from, to), _| *from != facts.host && *to != facts.host);
        }
        self.found.insert(facts.host.clone(), facts);
        true
    }

    /// Whether it is known what networks the two are on.
    pub(super) fn are_known(&self, one: &HostId, other: &HostId) -> bool {
        let mut both = [one, other].into_iter();
        both.all(|host| *host == HostId::local() || self.found.contains_key(host))
    }

    /// Where the first is said to reach the second on a LAN, while nobody has looked.
    pub(super) fn to_look_at(&self, from: &HostId, to: &HostId) -> Vec<IpAddr> {
        self.topology().unseen(from, to)
    }

    /// Somebody has looked.
    pub(super) fn seen(&mut self, from: HostId, to: HostId, sight: Sight) {
        self.seen.insert((from, to), sight);
    }

    /// A way was made for an attempt, or one that was made is its, too.
    pub(super) fn carried(&mut self, detour: Detour, listen: SocketAddr, instance_id: String) {
        let way = self.carried.entry(detour);
        let (_, users) = way.or_insert_with(|| (listen, BTreeSet::new()));
        users.insert(instance_id);
    }

    /// Whether this way is made, and known to be needed by this attempt.
    pub(super) fn is_carried(&self, detour: &Detour, instance_id: &str) -> bool {
        let way = self.carried.get(detour);
        way.is_some_and(|(_, users)| users.contains(instance_id))
    }

    /// The attempts that need ways.
    pub(super) fn carried_for(&self) -> BTreeSet<String> {
        let users = self.carried.values().flat_map(|(_, users)| users);
        users.cloned().collect()
    }

    /// An attempt needs its ways no more. Whether one is gone by that.
    pub(super) fn release(&mut self, instance_id: &str) -> bool {
        let had = self.carried.len();
        self.carried.retain(|_, (_, users)| {
            users.remove(instance_id);
            !users.is_empty()
        });
        self.carried.len() < had
    }

    /// Whether nothing is to be done about a mesh for this attempt: the two are joined for the stack, or it was tried in vain.
    pub(super) fn is_settled(&self, call: &MeshCall, instance_id: &str) -> bool {
        let joined = self.joined.get(&call.pair);
        let apart = self.apart.get(&call.pair);
        joined.is_some_and(|pair| pair.stacks.contains(&call.stack))
            || apart.is_some_and(|(_, attempt)| attempt == instance_id)
    }

    /// A mesh was asked for, for an attempt.
    pub(super) fn meshed(&mut self, call: MeshCall, joining: Joining, instance_id: String) {
        match joining {
            Joining::Joined(ends) => self.joined(MeshPair {
                ends,
                stacks: [call.stack].into(),
            }),
            Joining::Apart(reason) => {
                tracing::warn!(hosts = %call.pair, reason, "no mesh joins these hosts");
                self.apart.insert(call.pair, (reason, instance_id));
            }
        }
    }

    /// A mesh joins these two, for these stacks too.
    pub(super) fn joined(&mut self, pair: MeshPair) {
        let [(one, _), (other, _)] = &pair.ends;
        let Some(hosts) = Pair::new(one.clone(), other.clone()) else {
            return;
        };
        self.apart.remove(&hosts);
        let stacks = pair.stacks.clone();
        let known = self.joined.entry(hosts).or_insert(pair);
        known.stacks.extend(stacks);
    }

    /// Why no mesh joins these two, where one was wanted.
    pub(super) fn apart(&self, one: &HostId, other: &HostId) -> Option<&str> {
        let pair = Pair::new(one.clone(), other.clone())?;
        self.apart.get(&pair).map(|(reason, _)| reason.as_str())
    }

    /// A stack needs none of them any more. Whether two are joined no more by that.
    pub(super) fn leave(&mut self, stack: &StackName) -> bool {
        let had = self.joined.len();
        self.joined.retain(|_, pair| {
            pair.stacks.remove(stack);
            !pair.stacks.is_empty()
        });
        self.joined.len() < had
    }

    pub(super) fn topology(&self) -> Topology {
        let mut topology = Topology::new();
        for HostFacts {
            host,
            address,
            net,
            here,
        } in self.found.values()
        {
            topology = topology
                .with_host(host.clone(), net.clone())
                .with_host(HostId::local(), here.clone());
            if let Some(address) = address {
                // Its sshd does.
                let answers = Sight::Answers(*address);
                topology = topology.with_sight(HostId::local(), host.clone(), answers);
            }
        }
        for ((from, to), sight) in &self.seen {
            topology = topology.with_sight(from.clone(), to.clone(), *sight);
        }
        for MeshPair {
            ends: [one, other], ..
        } in self.joined.values()
        {
            topology = topology.with_mesh_pair(one.clone(), other.clone());
        }
        for (Detour { from, to, target }, (listen, _)) in &self.carried {
            topology = topology.with_forward(from.clone(), to.clone(), *target, *listen);
        }
        topology
    }
}

/// Its own mesh does not move a host.
fn without_tunnels(net: &HostNet) -> HostNet {
    let mut net = net.clone();
    net.interfaces
        .retain(|interface| interface.kind != InterfaceKind::Tunnel);
    net
}

#[cfg(test)]
mod tests {
    use service_registry::{Interface, InterfaceAddress, Place, Reason, route};

    use super::*;

    fn net(ip: [u8; 4]) -> HostNet {
        HostNet {
            interfaces: vec![Interface {
                name: "eth0".into(),
                kind: InterfaceKind::Outward,
                addresses: vec![InterfaceAddress {
                    ip: ip.into(),
                    prefix: 24,
                }],
            }],
            ..HostNet::default()
        }
    }

    fn facts(name: &str, ip: [u8; 4], is_reached: bool) -> HostFacts {
        HostFacts {
            host: HostId::new(name),
            address: is_reached.then(|| ip.into()),
            net: net(ip),
            here: net([10, 0, 1, 1]),
        }
    }

    #[test]
    fn hosts_are_reached_by_the_address_that_answered_and_each_other_on_their_lan() {
        let near = |name, last| facts(name, [10, 0, 1, last], true);
        let all = [
            near("a", 2),
            near("b", 3),
            facts("far", [10, 0, 2, 2], false),
        ];
        let mut hosts = Hosts::default();
        for one in all {
            assert!(hosts.learn(one));
        }
        let topology = hosts.topology();
        let way = |from: &str, to: &str| {
            let place = |name: &str| Place::Host(HostId::new(name));
            let found = route(&place(from), &place(to), [0, 0, 0, 0].into(), &topology);
            found.map(|way| (way.address.to_string(), way.reason)).ok()
        };
        let lan = |address: &str| Some((address.to_owned(), Reason::Lan));
        assert_eq!(way("local", "a"), lan("10.0.1.2"));
        assert_eq!(way("a", "b"), lan("10.0.1.3"));
        assert_eq!(way("local", "far"), None);
        assert_eq!(way("a", "far"), None);
    }
}
