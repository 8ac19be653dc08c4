//! Other machines, as far as addresses are concerned.
//!
//! Owns: what was found on each when it was reached last, and the topology that follows from it. Which way leads where is the
//! registry's business.

use std::collections::BTreeMap;
use std::net::IpAddr;

use service_registry::{HostId, Sight, Topology};

use super::turn::Supervisor;
use super::units::UnitEntry;
use crate::executors::HostFacts;
use crate::spec::TargetSpec;

/// The machines that were reached since this daemon runs.
#[derive(Debug, Default)]
pub(super) struct Hosts(BTreeMap<HostId, HostFacts>);

impl Supervisor {
    /// A machine was reached.
    pub(super) fn learn_host(&mut self, facts: HostFacts) {
        if self.hosts.0.get(&facts.host) != Some(&facts) {
            self.hosts.0.insert(facts.host.clone(), facts);
            self.registry.set_topology(self.hosts.topology());
        }
    }

    /// Where others reach the machine of a unit that runs on another one.
    pub(super) fn host_address(&self, entry: &UnitEntry) -> Option<IpAddr> {
        self.hosts.0.get(&host_of(entry)?)?.address
    }
}

/// The other machine that a unit runs on.
pub(super) fn host_of(entry: &UnitEntry) -> Option<HostId> {
    match &entry.described().target {
        TargetSpec::Remote(remote) => Some(HostId::new(&remote.host)),
        _ => None,
    }
}

impl Hosts {
    fn topology(&self) -> Topology {
        let mut topology = Topology::new();
        for HostFacts {
            host,
            address,
            net,
            here,
        } in self.0.values()
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
        topology
    }
}

#[cfg(test)]
mod tests {
    use service_registry::{
        HostNet, Interface, InterfaceAddress, InterfaceKind, Place, Reason, route,
    };

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
        let hosts = Hosts(all.map(|one| (one.host.clone(), one)).into());
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
