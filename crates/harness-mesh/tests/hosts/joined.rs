//! Who is joined with whom, over what, and who is not.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use async_io::Async;
use futures_lite::future::block_on;
use harness_mesh::Implementation;
use service_registry::mesh::{self, MeshPlan, PairWay};
use service_shim::agent::record::CommandExit;
use testkit::within;

use crate::place::{Ground, SOON, id, pair};

fn address(plan: &MeshPlan, host: &str) -> String {
    plan.hosts[&id(host)].address.first().to_string()
}

/// What a host hears on the mesh of the sshd of another.
fn heard(ground: &Ground, plan: &MeshPlan, from: &str, to: &str) -> (CommandExit, String) {
    let address = address(plan, to);
    let look = format!("exec 3<>/dev/tcp/{address}/22 && read -r banner <&3 && echo $banner");
    ground.sh(from, &format!("timeout 10 bash -c '{look}'"))
}

#[track_caller]
fn reaches(ground: &Ground, plan: &MeshPlan, from: &str, to: &str) {
    let (exit, said) = heard(ground, plan, from, to);
    assert_eq!(exit, CommandExit::Code(0), "{from} to {to}: {said}");
    assert!(said.starts_with("SSH-2.0"), "{from} to {to}: {said}");
}

#[test]
fn those_who_need_each_other_are_joined_directly_by_one_side_or_over_a_relay() {
    let ground = Ground::new(3, 2);
    let pairs = [
        pair("host1", "host2"),
        pair("host2", "far1"),
        pair("far1", "far2"),
        pair("host2", "host3"),
        pair("host3", "far2"),
    ];
    let plan = mesh::plan(&ground.request(&pairs)).expect("a plan");
    let way = |one, other| plan.ways[&pair(one, other)].clone();
    assert_eq!(way("host1", "host2"), PairWay::Tunnel);
    assert_eq!(way("host2", "far1"), PairWay::OpenedBy(id("far1")));
    assert_eq!(way("far1", "far2"), PairWay::Relay(id("host1")));
    let begun = Instant::now();
    let carried = ground.done(&plan);
    assert_eq!(carried.done.len(), 5);
    assert_eq!(carried.removed, [id("router")], "nobody needs it");
    println!("5 hosts carried out in {:?}", begun.elapsed());
    for (from, to) in [
        ("host1", "host2"),
        ("host2", "far1"),
        ("far1", "far2"),
        ("far2", "far1"),
    ] {
        reaches(&ground, &plan, from, to);
    }
    println!("and joined in {:?}", begun.elapsed());
    // Nobody else is, though the relay has tunnels to both.
    let (exit, said) = heard(&ground, &plan, "host2", "far2");
    assert_ne!(exit, CommandExit::Code(0), "{said}");
    // What a host says of its interface.
    let node = &ground.nodes[&id("far1")];
    let status = block_on(within(SOON, "a status", node.status()));
    let status = status.expect("it answers").expect("there is one");
    assert_eq!(status.key, plan.hosts[&id("far1")].key);
    assert_eq!(status.peers.len(), 2);
    assert!(
        status.peers.values().all(|peer| peer.handshake.is_some()),
        "{status:?}"
    );
    assert_eq!(status.implementation, carried.done[&id("far1")]);
    let kernel = ground
        .sh(
            "far1",
            "ip link add probe0 type wireguard && ip link del probe0",
        )
        .0;
    let expected = match kernel {
        CommandExit::Code(0) => Implementation::Kernel,
        _ => Implementation::Userspace,
    };
    assert_eq!(status.implementation, expected);

    // Carried out again, nothing changes; and what nobody needs any more is gone.
    ground.done(&plan);
    reaches(&ground, &plan, "far2", "far1");
    let fewer = mesh::plan(&ground.request(&pairs[..1])).expect("a plan");
    let carried = ground.done(&fewer);
    let rest = ["far1", "far2", "host3", "router"].map(id);
    assert_eq!(carried.removed, rest);
    reaches(&ground, &fewer, "host2", "host1");
    let carried = ground.done(&MeshPlan::default());
    assert!(carried.done.is_empty());
    for host in ["host1", "host2", "host3", "far1", "far2"] {
        let left = "ip -o link | grep hm; iptables -S | grep hm; pgrep -f 'wireguard-go hm'; ls /root/mesh /var/run/wireguard 2>/dev/null";
        assert_eq!(
            ground
                .sh(host, left)
                .1
                .lines()
                .filter(|line| line.contains("hm"))
                .count(),
            0,
            "{host}"
        );
    }
}

#[test]
fn a_host_comes_to_a_new_key_and_a_connection_stays() {
    let ground = Ground::new(2, 0);
    let request = ground.request(&[pair("host1", "host2")]);
    let plan = mesh::plan(&request).expect("a plan");
    ground.done(&plan);
    reaches(&ground, &plan, "host1", "host2");
    // A connection over which something is said before and after.
    let address = plan.hosts[&id("host2")].address.first();
    let link = ground.links[&id("host1")].agent().expect("it is reached");
    let opened = within(SOON, "a connection", link.tcp(address, 22));
    let connection = Async::new(block_on(opened).expect("it is reached")).expect("a socket");
    let heard = |connection: &Async<UnixStream>| {
        let mut buffer = [0; 4096];
        let read = connection.read_with(|mut socket| socket.read(&mut buffer));
        let length = block_on(within(SOON, "an answer", read)).expect("it is open");
        buffer[..length].to_vec()
    };
    assert!(heard(&connection).starts_with(b"SSH-2.0"), "its banner");
    let node = &ground.nodes[&id("host2")];
    let old = plan.hosts[&id("host2")].key.clone();
    let new = block_on(within(SOON, "a key", node.next_public_key())).expect("it is made");
    assert_ne!(new, old);
    let [first, second] = mesh::rotate(&request, &id("host2"), new.clone()).expect("two plans");
    ground.done(&first);
    ground.done(&second);
    let say = connection.write_with(|mut socket| socket.write(b"SSH-2.0-after\r\n"));
    block_on(within(SOON, "a word", say)).expect("it is open");
    assert!(!heard(&connection).is_empty(), "the other end goes on");
    let key = block_on(within(SOON, "a key", node.public_key())).expect("there");
    assert_eq!(key, new);
    // The old plan is not carried out any more: nobody has its key.
    let failed = ground.carry_out(&plan).failed;
    let error = failed[&id("host2")].to_string();
    assert!(error.contains("its key is not the planned one"), "{error}");
}

#[test]
fn a_host_that_cannot_take_part_says_what_it_lacks_and_holds_up_nobody() {
    let ground = Ground::new(3, 0);
    let pairs = [pair("host1", "host2"), pair("host1", "host3")];
    let plan = mesh::plan(&ground.request(&pairs)).expect("a plan");
    // Beside /usr, nothing of the host's files is looked through.
    ground.ok("host3", "rm /usr/bin/wireguard-go; rm -rf /root/mesh/*/log");
    let kernel = ground
        .sh(
            "host3",
            "ip link add probe0 type wireguard && ip link del probe0",
        )
        .0;
    let carried = ground.carry_out(&plan);
    if kernel == CommandExit::Code(0) {
        assert!(carried.failed.is_empty());
    } else {
        let error = carried.failed[&id("host3")].to_string();
        assert!(
            error.contains("host3") && error.contains("wireguard-go"),
            "{error}"
        );
    }
    reaches(&ground, &plan, "host1", "host2");
    ground.ok("host2", "rm /usr/bin/wg");
    let error = ground.carry_out(&plan).failed[&id("host2")].to_string();
    assert!(error.contains("wireguard-tools"), "{error}");
}
