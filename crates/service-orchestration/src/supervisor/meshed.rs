//! Which hosts a mesh shall join.
//!
//! Owns: who is on a network of a stack, and that a mesh is asked for only where it leads somewhere that a LAN does not. Makes none: the
//! carrier does. What came of it is with the other facts about hosts.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use serde_json::Value;
use service_registry::mesh::Pair;
use service_registry::{Entry, HostId, Place, Topology, detour, route};

use super::hosts::{call_of_target, host_of_target};
use super::turn::Supervisor;
use super::units::UnitEntry;
use crate::executors::{HostCall, MeshCall, MeshHost};
use crate::spec::{NetworkKind, NetworkSpec, StackName, StackSpec, TargetSpec};

impl Supervisor {
    /// The mesh that a unit needs to get to another, if one would lead there.
    pub(super) fn mesh_call(
        &self,
        asker: &UnitEntry,
        entry: &Entry,
        from: &Place,
    ) -> Option<MeshCall> {
        let stack = self.units.stack(&asker.id.stack)?;
        let [near, far] = [from.host(), entry.place.host()];
        let pair = Pair::new(near.clone(), far.clone())?;
        let (name, network, hosts) = shared(stack, near, far)?;
        let topology = self.hosts.topology();
        if topology.is_on_lan(near, far) || !would_lead(from, entry, topology) {
            return None;
        }
        Some(MeshCall {
            stack: stack.name.clone(),
            network: name.to_owned(),
            // What is no network is an error of its file.
            subnet: network.addresses().ok().flatten(),
            pair,
            hosts,
        })
    }

    /// What is said of a unit for which SSH carries because a mesh could not be made.
    pub(super) fn without_mesh(&self, entry: &UnitEntry) -> Option<String> {
        if !self.world.unit(entry.index).state.is_active() {
            return None;
        }
        let from = self.place_of(entry);
        let mut needed = entry.described().dependencies.iter();
        needed.find_map(|dependency| {
            let instances = self.units.instances(&entry.id.stack, &dependency.unit);
            let other = self.units.get(*instances.first()?);
            let reason = self.hosts.apart(from.host(), self.place_of(other).host())?;
            let other = other.id.local_name();
            Some(format!("no mesh leads from it to `{other}`: {reason}"))
        })
    }

    /// A stack is forgotten: its hosts are joined for others only.
    pub(super) fn leave_meshes(&mut self, stack: &StackName) {
        if self.hosts.leave(stack) {
            self.registry.set_topology(self.hosts.topology());
        }
    }
}

/// The first mesh network of a stack that both are on, with all of its hosts.
fn shared<'a>(
    stack: &'a StackSpec,
    one: &HostId,
    other: &HostId,
) -> Option<(&'a str, &'a NetworkSpec, BTreeMap<HostId, MeshHost>)> {
    let meshes = stack.networks.iter();
    let mut meshes = meshes.filter(|(_, network)| network.kind == NetworkKind::Wireguard);
    meshes.find_map(|(name, network)| {
        let hosts = members(stack, name, network);
        let are_both = hosts.contains_key(one) && hosts.contains_key(other);
        are_both.then_some((name.as_str(), network, hosts))
    })
}

/// The hosts of a network: its nodes, which may carry for others, and those of the units on it. How a unit logs in goes before what is
/// said of a node.
fn members(stack: &StackSpec, name: &str, network: &NetworkSpec) -> BTreeMap<HostId, MeshHost> {
    let nodes = network.details.get("nodes").and_then(Value::as_array);
    let mut hosts: BTreeMap<HostId, MeshHost> =
        nodes.into_iter().flatten().filter_map(node).collect();
    let units = stack.units.values().chain(stack.inactive.values());
    for unit in units.filter(|unit| unit.network.as_deref() == Some(name)) {
        let host = host_of_target(&unit.target).unwrap_or_else(HostId::local);
        hosts.entry(host).or_insert(MeshHost {
            call: None,
            may_relay: false,
        });
    }
    for unit in stack.units.values() {
        let host = host_of_target(&unit.target).and_then(|host| hosts.get_mut(&host));
        if let (Some(host), Some(call)) = (host, call_of_target(&unit.target))
            // Containers say nothing of a login that others may have said.
            && (host.call.is_none() || matches!(unit.target, TargetSpec::Remote(_)))
        {
            host.call = Some(call);
        }
    }
    hosts
}

fn node(node: &Value) -> Option<(HostId, MeshHost)> {
    let text = |key| node.get(key).and_then(Value::as_str);
    let host = HostId::new(text("host")?);
    let call = (host != HostId::local()).then(|| HostCall {
        name: host.to_string(),
        user: text("ssh_user").map(str::to_owned),
        port: None,
        key: text("ssh_key").map(Into::into),
    });
    let may_relay = true;
    Some((host, MeshHost { call, may_relay }))
}

/// Whether a mesh between the two hosts would lead to any port of this entry, or to itself where it has none.
fn would_lead(from: &Place, entry: &Entry, topology: Topology) -> bool {
    let end = |host: &HostId, last| (host.clone(), IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)));
    let to = &entry.place;
    let joined = topology.with_mesh_pair(end(from.host(), 1), end(to.host(), 2));
    match entry.endpoints.as_slice() {
        [] => route(from, to, entry.ip, &joined).is_ok(),
        endpoints => endpoints
            .iter()
            .any(|endpoint| detour(from, to, entry.ip, endpoint, &joined).is_none()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use service_registry::{Endpoint, Incarnation, InstanceKey, Readiness, ServiceKey};

    use super::*;

    #[test]
    fn nodes_and_hosts_of_units_are_on_a_network_and_nodes_may_carry() {
        let network = NetworkSpec {
            kind: NetworkKind::Wireguard,
            subnet: None,
            details: json!({"nodes": [{"host": "local"}, {"host": "hub", "ssh_user": "root"}, {"name": "none"}]}),
        };
        let stack: StackSpec = serde_json::from_value(json!({
            "name": "shop", "description": null, "directory": "/", "files": [], "environment": {}, "networks": {}, "units": {},
        }))
        .expect("a stack");
        let hosts = members(&stack, "wg", &network);
        assert_eq!(
            hosts.keys().map(HostId::as_str).collect::<Vec<_>>(),
            ["hub", "local"]
        );
        assert!(hosts.values().all(|host| host.may_relay));
        let call = hosts[&HostId::new("hub")].call.clone().expect("one");
        assert_eq!(call.user.as_deref(), Some("root"));
        assert_eq!(hosts[&HostId::local()].call, None);
    }

    #[test]
    fn a_mesh_is_for_what_listens_where_it_leads() {
        let far = |ip: [u8; 4]| Entry {
            key: InstanceKey {
                service: ServiceKey::new("shop", "api"),
                instance: 0,
            },
            incarnation: Incarnation(1),
            place: Place::Host(HostId::new("far")),
            ip: ip.into(),
            endpoints: vec![Endpoint::new(None, 80)],
            readiness: Readiness::Ready,
        };
        let leads = |ip| would_lead(&Place::local(), &far(ip), Topology::new());
        assert!(leads([0, 0, 0, 0]));
        assert!(
            !leads([127, 0, 0, 1]),
            "SSH carries there, and needs no mesh"
        );
    }
}
