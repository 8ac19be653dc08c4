//! Connections that a host and this machine carry for each other, over whatever connection there is.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use command_executor::agent::{HostForward, HostLink, SshAgent};
use futures_lite::future::block_on;
use testkit::{eventually_blocking, free_port, within};

use crate::common::SOON;
use crate::place::Place;

fn local(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

/// What is said first to whoever connects.
fn greeting(mut stream: impl Read) -> Option<[u8; 4]> {
    let mut greeting = [0; 4];
    stream.read_exact(&mut greeting).ok()?;
    Some(greeting)
}

#[test]
fn ways_in_both_directions_are_made_again_after_a_lost_connection_and_end_with_their_value() {
    let place = Place::shared();
    let open = place.near();
    let host = HostLink::new(SshAgent::new(open.0.clone(), testkit::shim_path()));
    let agent = block_on(within(SOON, "it is reached", host.reached()));

    let listen = local(free_port());
    let there = host.forward(HostForward::ToThere {
        listen,
        target: local(22),
    });
    block_on(within(SOON, "a way there", there.carried())).expect("it is carried");
    let sshd = || greeting(TcpStream::connect(listen).ok()?);
    assert_eq!(sshd().as_ref(), Some(b"SSH-"));

    let listener = TcpListener::bind(local(0)).expect("a port");
    let target = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            drop(stream.expect("somebody came").write_all(b"here"));
        }
    });
    let port = block_on(agent.free_port(false, &[])).expect("one is free");
    let here = host.forward(HostForward::FromThere {
        listen: local(port),
        target,
    });
    block_on(within(SOON, "a way here", here.carried())).expect("it is carried");
    let from_there = || {
        let agent = host.agent().ok()?;
        greeting(block_on(agent.tcp(local(0).ip(), port)).ok()?)
    };
    assert_eq!(from_there().as_ref(), Some(b"here"));

    block_on(open.0.close()).expect("it is closed");
    eventually_blocking(SOON, "both are carried again", || {
        sshd().is_some() && from_there().is_some()
    });

    drop(there);
    eventually_blocking(SOON, "nothing listens here", || {
        TcpStream::connect(listen).is_err()
    });
    assert_eq!(from_there().as_ref(), Some(b"here"), "the other one stays");
    drop(here);
    eventually_blocking(SOON, "nothing listens there", || from_there().is_none());
    block_on(host.close());
    assert!(!block_on(open.0.is_open()).expect("asked"));
}

#[test]
fn a_way_that_is_refused_says_so_and_is_made_once_it_can_be() {
    let place = Place::shared();
    let open = place.near();
    let host = HostLink::new(SshAgent::new(open.0.clone(), testkit::shim_path()));
    block_on(within(SOON, "it is reached", host.reached()));
    let taken = TcpListener::bind(local(0)).expect("a port");
    let listen = taken.local_addr().expect("bound");
    let way = host.forward(HostForward::ToThere {
        listen,
        target: local(22),
    });
    let refused = block_on(within(SOON, "an answer", way.carried()));
    refused.expect_err("somebody listens there");
    drop(taken);
    eventually_blocking(SOON, "it is carried", || block_on(way.carried()).is_ok());
    block_on(host.close());
}

#[test]
fn a_port_that_is_taken_there_is_not_offered() {
    let place = Place::shared();
    let open = place.near();
    let host = HostLink::new(SshAgent::new(open.0.clone(), testkit::shim_path()));
    let agent = block_on(within(SOON, "it is reached", host.reached()));
    for udp in [false, true] {
        let first = block_on(agent.free_port(udp, &[])).expect("one is free");
        let next = block_on(agent.free_port(udp, &[first])).expect("one is free");
        assert_ne!(first, next);
    }
    block_on(host.close());
}
