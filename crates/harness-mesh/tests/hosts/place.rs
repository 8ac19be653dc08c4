//! Hosts with agents, and what is known of their networks.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use command_executor::agent::{HostLink, SshAgent};
use command_executor::ssh::{SshConnection, SshHost};
use futures_lite::future::block_on;
use harness_mesh::{Carried, InterfaceName, MeshNode, MeshSecret, carry_out};
use service_registry::mesh::{MeshPlan, MeshRequest, Node, NodeKey, Pair};
use service_registry::{
    DefaultRoute, HostId, HostNet, Interface, InterfaceAddress, InterfaceKind, Sight, Topology,
};
use service_shim::RawString;
use service_shim::agent::record::CommandExit;
use testkit::{Hosts, TempDir, within};

pub(crate) const SOON: Duration = Duration::from_secs(60);

/// Hosts of a set of its own, each with a connection.
pub(crate) struct Ground {
    pub(crate) nodes: BTreeMap<HostId, MeshNode>,
    pub(crate) links: BTreeMap<HostId, HostLink>,
    pub(crate) secret: MeshSecret,
    connections: Vec<SshConnection>,
    pub(crate) hosts: Hosts,
    _directory: TempDir,
}

pub(crate) fn id(name: &str) -> HostId {
    HostId::new(name)
}

pub(crate) fn pair(one: &str, other: &str) -> Pair {
    Pair::new(id(one), id(other)).expect("two hosts")
}

impl Ground {
    /// `near` hosts on one network, and `far` ones behind the router, which all reach `host1` only through it.
    pub(crate) fn new(near: u32, far: u32) -> Self {
        let hosts = Hosts::own(near, far);
        let directory = testkit::temp_dir();
        let key = hosts.directory().join("id_ed25519");
        let known = hosts.directory().join("known_hosts");
        let mut connections = Vec::new();
        let way = |name: &str| {
            let host = SshHost::new(name).expect("a name");
            let host = host.with_address(hosts.address(name)).expect("an address");
            let host = host.with_user("root").expect("a user");
            host.with_identity(&key).expect("a path")
        };
        let mut open = |name: &str| {
            let host = match name.starts_with("far") {
                true => way(name).with_jump(way("router")),
                false => way(name),
            };
            let ssh = directory.path().join("ssh");
            let prepared = block_on(SshConnection::prepare(host, ssh, known.clone()));
            let connection = prepared.expect("it can be written");
            block_on(within(SOON, "a login", connection.open())).expect("it can be reached");
            connections.push(connection.clone());
            HostLink::new(SshAgent::new(connection, testkit::shim_path()))
        };
        let router = open("router");
        let near = (1..=near).map(|number| format!("host{number}"));
        let far = (1..=far).map(|number| format!("far{number}"));
        let names: Vec<String> = near.chain(far).collect();
        let mut links: BTreeMap<HostId, HostLink> = BTreeMap::new();
        links.insert(id("router"), router);
        links.extend(names.iter().map(|name| (id(name), open(name))));
        let mesh = directory.path().display().to_string();
        let nodes = links.iter().map(|(host, link)| {
            block_on(within(SOON, "an agent", link.reached()));
            let name = InterfaceName::of(&mesh, host);
            let own = format!("/root/mesh/{name}");
            (
                host.clone(),
                MeshNode::new(host.clone(), link.clone(), name, own),
            )
        });
        Self {
            nodes: nodes.collect(),
            links,
            secret: MeshSecret::generate().expect("random numbers"),
            connections,
            hosts,
            _directory: directory,
        }
    }

    /// What a shell says on a host.
    pub(crate) fn sh(&self, host: &str, script: &str) -> (CommandExit, String) {
        let argv = ["/bin/sh", "-c", script];
        let argv = argv.map(|word| RawString::from_bytes(word.into())).to_vec();
        let link = &self.links[&id(host)];
        block_on(within(SOON, "a command", async {
            let agent = link.agent().expect("it is reached");
            let running = agent.exec(argv, Vec::new(), None, None).await;
            let done = running.expect("it runs").complete(1 << 20).await;
            let ([stdout, stderr], exit) = done.expect("it ends");
            let text = [stdout, stderr].concat();
            (exit, String::from_utf8_lossy(&text).trim().to_owned())
        }))
    }

    /// The same, where it must succeed.
    #[track_caller]
    pub(crate) fn ok(&self, host: &str, script: &str) -> String {
        let (exit, said) = self.sh(host, script);
        assert_eq!(exit, CommandExit::Code(0), "{host}: {script}: {said}");
        said
    }

    /// Every host with its key as a node, and who needs whom. The near ones count as being on networks of their own: each
    /// reaches the other at its address, and so do the far ones, which nobody reaches.
    pub(crate) fn request(&self, pairs: &[Pair]) -> MeshRequest {
        let mut topology = Topology::new();
        let mut nodes = BTreeMap::new();
        for (number, (host, node)) in (1..).zip(&self.nodes) {
            let name = host.to_string();
            let address: IpAddr = self.hosts.address(&name).parse().expect("an address");
            let is_far = name.starts_with("far");
            let net = HostNet {
                interfaces: vec![Interface {
                    name: "eth0".into(),
                    kind: InterfaceKind::Outward,
                    addresses: vec![InterfaceAddress {
                        ip: address,
                        prefix: 32,
                    }],
                }],
                default_route: Some(DefaultRoute {
                    interface: "eth0".into(),
                    gateway: None,
                }),
                is_behind_nat: is_far,
                jump: is_far.then(|| id("router")),
            };
            topology = topology.with_host(host.clone(), net);
            for other in self.nodes.keys().filter(|other| *other != host) {
                let sight = match is_far {
                    true => Sight::Silent,
                    false => Sight::Answers(address),
                };
                topology = topology.with_sight(other.clone(), host.clone(), sight);
            }
            let key = block_on(within(SOON, "a key", node.public_key())).expect("it is made");
            nodes.insert(
                host.clone(),
                Node {
                    address: IpAddr::from([10, 42, 0, number]),
                    key: NodeKey::Steady(key),
                    port: 51820.try_into().expect("not 0"),
                    may_relay: name == "host1",
                },
            );
        }
        MeshRequest {
            pairs: pairs.iter().cloned().collect::<BTreeSet<Pair>>(),
            nodes,
            topology,
            relays: BTreeMap::new(),
        }
    }

    pub(crate) fn carry_out(&self, plan: &MeshPlan) -> Carried {
        block_on(within(
            SOON,
            "the plan",
            carry_out(plan, self.nodes.values(), &self.secret),
        ))
    }

    #[track_caller]
    pub(crate) fn done(&self, plan: &MeshPlan) -> Carried {
        let carried = self.carry_out(plan);
        assert!(carried.failed.is_empty(), "{:?}", carried.failed);
        carried
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        self.links.clear();
        self.nodes.clear();
        for connection in &self.connections {
            let closed = block_on(connection.close());
            if !std::thread::panicking() {
                closed.expect("it can be closed");
            }
        }
    }
}
