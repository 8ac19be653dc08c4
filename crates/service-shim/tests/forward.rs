//! The forwarder as a program: what is carried, how ends are passed on, and what happens at the limits.

#[path = "forward/support.rs"]
mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use rustix::process::{Resource, Rlimit};
use support::{
    Dice, Forwarder, PATIENCE, deaf_target, echo, echoes, first_words, hear, refused, say, target,
};

#[test]
fn bytes_are_exact_both_ways_whoever_ends_first() {
    let (target, listen) = target();
    let forwarder = Forwarder::start(listen, target.local_addr().expect("bound"));
    let mut dice = Dice::new(7);
    for round in 0..24 {
        let bound = [2, 5000, 3_000_000][round % 3];
        let (up, down) = (dice.below(bound), dice.below(bound));
        let (up, down) = (dice.bytes(up), dice.bytes(down));
        let client = forwarder.connect();
        let (served, _) = target.accept().expect("it is carried");
        let (mut client_dice, mut target_dice) = (Dice::new(dice.0), Dice::new(!dice.0));
        std::thread::scope(|scope| {
            // Half of the rounds: one answers only after the other has ended. The others: all at once.
            match round % 4 {
                0 => {
                    scope.spawn(|| {
                        assert!(hear(&served) == up);
                        say(&served, &down, &mut target_dice);
                    });
                    say(&client, &up, &mut client_dice);
                    assert!(hear(&client) == down);
                }
                1 => {
                    scope.spawn(|| {
                        say(&served, &down, &mut target_dice);
                        assert!(hear(&served) == up);
                    });
                    assert!(hear(&client) == down);
                    say(&client, &up, &mut client_dice);
                }
                _ => {
                    scope.spawn(|| say(&client, &up, &mut client_dice));
                    scope.spawn(|| say(&served, &down, &mut target_dice));
                    scope.spawn(|| assert!(hear(&served) == up));
                    assert!(hear(&client) == down);
                }
            }
        });
    }
}

#[test]
fn two_hundred_at_once_are_each_carried() {
    let (target, listen) = target();
    let forwarder = Forwarder::start(listen, target.local_addr().expect("bound"));
    echo(target);
    let descriptors = forwarder.descriptors();
    let clients: Vec<TcpStream> = (0..200).map(|_| forwarder.connect()).collect();
    std::thread::scope(|scope| {
        for (number, client) in clients.iter().enumerate() {
            let mut dice = Dice::new(number as u64 + 1);
            let bytes = dice.bytes(20_000 + number * 100);
            let sent = bytes.clone();
            scope.spawn(move || say(client, &sent, &mut dice));
            scope.spawn(move || assert!(hear(client) == bytes, "{number}"));
        }
    });
    drop(clients);
    let client = forwarder.connect();
    echoes(&client, b"one more");
    // Two sockets, the one kept for the next caller, and a few spare pipes.
    assert!(forwarder.descriptors() <= descriptors + 3 + 16);
}

#[test]
fn a_target_that_refuses_ends_the_call_at_once_and_may_come_later() {
    let (socket, listen, to) = deaf_target();
    let forwarder = Forwarder::start(listen, to);
    for _ in 0..3 {
        let mut client = forwarder.connect();
        let error = client.read(&mut [0]).expect_err("there is nobody");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    rustix::net::listen(&socket, 16).expect("bound");
    echo(TcpListener::from(socket));
    echoes(&forwarder.connect(), b"now it is there");
}

#[test]
fn a_slow_target_holds_its_client_back_and_no_memory() {
    let (target, listen) = target();
    let forwarder = Forwarder::start(listen, target.local_addr().expect("bound"));
    echoes_nothing(&forwarder, &target);
    let before = forwarder.rss_kib();
    let mut client = forwarder.connect();
    let (served, _) = target.accept().expect("it is carried");
    client.set_nonblocking(true).expect("a socket");
    let mut dice = Dice::new(3);
    let part = dice.bytes(1 << 20);
    let mut sent = 0;
    // As long as anything more is taken within a while, it is not held back.
    loop {
        match client.write(&part[sent % part.len()..]) {
            Ok(written) => sent += written,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let mut wait = [rustix::event::PollFd::new(
                    &client,
                    rustix::event::PollFlags::OUT,
                )];
                let while_ = rustix::event::Timespec {
                    tv_sec: 0,
                    tv_nsec: 300_000_000,
                };
                if rustix::event::poll(&mut wait, Some(&while_)).expect("a socket") == 0 {
                    break;
                }
            }
            Err(error) => panic!("{error}"),
        }
        assert!(sent < 256 << 20, "never held back");
    }
    assert!(
        forwarder.rss_kib() < before + 512,
        "it keeps what it carries"
    );
    let turns = forwarder.turns();
    // Others are carried meanwhile, and it does not run in circles.
    echoes_nothing(&forwarder, &target);
    assert!(forwarder.turns() < turns + 50);
    client.set_nonblocking(false).expect("a socket");
    client
        .shutdown(std::net::Shutdown::Write)
        .expect("connected");
    served.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let heard = hear(&served);
    assert_eq!(heard.len(), sent);
    let is_exact = heard
        .chunks(part.len())
        .all(|chunk| *chunk == part[..chunk.len()]);
    assert!(is_exact);
}

/// One connection that comes and goes.
fn echoes_nothing(forwarder: &Forwarder, target: &TcpListener) {
    let client = forwarder.connect();
    let (served, _) = target.accept().expect("it is carried");
    drop(served);
    assert!(hear(&client).is_empty());
}

#[test]
fn a_reset_is_passed_on_after_what_was_said_before() {
    let (target, listen) = target();
    let forwarder = Forwarder::start(listen, target.local_addr().expect("bound"));
    for client_breaks in [true, false] {
        let client = forwarder.connect();
        let (served, _) = target.accept().expect("it is carried");
        served.set_read_timeout(Some(PATIENCE)).expect("a socket");
        let (mut breaks, mut hears) = if client_breaks {
            (client, served)
        } else {
            (served, client)
        };
        breaks.write_all(b"last words").expect("connected");
        let mut words = [0u8; 10];
        hears.read_exact(&mut words).expect("carried");
        assert_eq!(&words, b"last words");
        rustix::net::sockopt::set_socket_linger(&breaks, Some(Duration::ZERO)).expect("a socket");
        drop(breaks);
        let error = hears.read(&mut [0]).expect_err("it was broken off");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{client_breaks}");
    }
}

#[test]
fn an_answer_before_a_reset_is_not_lost() {
    let (target, listen) = target();
    let forwarder = Forwarder::start(listen, target.local_addr().expect("bound"));
    for _ in 0..50 {
        let mut client = forwarder.connect();
        let (mut served, _) = target.accept().expect("it is carried");
        client.write_all(b"a request").expect("connected");
        served.read_exact(&mut [0]).expect("its first byte");
        // Ends without having read the rest, which makes the system send a reset behind the answer.
        served.write_all(b"too large").expect("connected");
        drop(served);
        let mut answer = [0u8; 9];
        client.read_exact(&mut answer).expect("the answer");
        assert_eq!(&answer, b"too large");
        assert!(client.read(&mut [0]).is_err());
    }
}

#[test]
fn callers_beyond_the_limit_wait_and_are_served_in_turn() {
    let (target, listen) = target();
    // Five connections, of up to six descriptors.
    let forwarder =
        Forwarder::start_with_descriptors(64, listen, target.local_addr().expect("bound"));
    echo(target);
    let mut clients: Vec<TcpStream> = (0..40).map(|_| forwarder.connect()).collect();
    for client in &clients[..5] {
        echoes(client, b"in");
    }
    let waits = &mut clients[5];
    waits.write_all(b"later").expect("the kernel takes it");
    let turns = forwarder.turns();
    is_silent(waits);
    assert!(forwarder.turns() <= turns + 1, "it wakes for nothing");
    let mut word = [0u8; 5];
    drop(clients.remove(0));
    clients[4].read_exact(&mut word).expect("its turn has come");
    assert_eq!(&word, b"later");
    while let Some(client) = (!clients.is_empty()).then(|| clients.remove(0)) {
        echoes(&client, b"each");
    }
}

#[test]
fn without_descriptors_it_waits_for_some_and_goes_on() {
    let (target, listen) = target();
    let forwarder = Forwarder::start(listen, target.local_addr().expect("bound"));
    echo(target);
    let carried = forwarder.connect();
    echoes(&carried, b"before");
    let limit = |current| {
        let limit = Rlimit {
            current: Some(current),
            maximum: rustix::process::getrlimit(Resource::Nofile).maximum,
        };
        rustix::process::prlimit(Some(forwarder.pid()), Resource::Nofile, limit).expect("own child")
    };
    let before = limit(3);
    let mut waits = forwarder.connect();
    waits.write_all(b"later").expect("the kernel takes it");
    let turns = forwarder.turns();
    is_silent(&mut waits);
    assert!(forwarder.turns() < turns + 20, "it runs in circles");
    echoes(&carried, b"goes on");
    limit(before.current.unwrap_or(1024));
    let mut word = [0u8; 5];
    waits.read_exact(&mut word).expect("its turn has come");
    assert_eq!(&word, b"later");
}

#[test]
fn it_sleeps_while_nothing_is_said() {
    let (target, listen) = target();
    let forwarder = Forwarder::start(listen, target.local_addr().expect("bound"));
    echo(target);
    let mut clients: Vec<TcpStream> = (0..10).map(|_| forwarder.connect()).collect();
    for client in &clients {
        echoes(client, b"hello");
    }
    is_silent(&mut clients[0]);
    let turns = forwarder.turns();
    is_silent(&mut clients[0]);
    assert_eq!(forwarder.turns(), turns);
}

/// Nothing comes for a good while.
fn is_silent(stream: &mut TcpStream) {
    let while_ = Duration::from_millis(500);
    stream.set_read_timeout(Some(while_)).expect("a socket");
    let error = stream.read(&mut [0]).expect_err("nothing is said");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
}

#[test]
fn a_signal_ends_it_at_once_and_its_successor_listens() {
    let (target, listen) = target();
    let to = target.local_addr().expect("bound");
    echo(target);
    let forwarder = Forwarder::start(listen, to);
    let client = forwarder.connect();
    echoes(&client, b"open");
    assert_eq!(forwarder.terminate().signal(), Some(15));
    assert!(hear(&client).is_empty());
    echoes(&Forwarder::start(listen, to).connect(), b"again");
}

#[test]
fn what_cannot_be_listened_on_is_said_in_one_line() {
    let (target, listen) = target();
    let to = target.local_addr().expect("bound").to_string();
    let _taken = TcpListener::bind(listen).expect("its port is ours");
    let cases = [
        (
            listen.to_string(),
            73,
            format!("{listen} is in use: Address already in use"),
        ),
        (
            "192.0.2.1:80".into(),
            73,
            "192.0.2.1:80 is not an address of this machine: ".into(),
        ),
        (
            "0.0.0.0:80".into(),
            64,
            "`0.0.0.0:80` stands for every address of this machine".into(),
        ),
        (
            "[::]:80".into(),
            64,
            "`[::]:80` stands for every address of this machine".into(),
        ),
        (
            "bridge".into(),
            64,
            "`bridge` is not an address with a port".into(),
        ),
    ];
    for (listen, code, message) in cases {
        let output = refused(&[&listen, &to]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.starts_with(&message), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
    assert_eq!(refused(&[]).status.code(), Some(64));
}

#[test]
fn readiness_is_said_to_an_abstract_name_too() {
    let name = format!("forward-test-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).expect("a short name");
    let socket = UnixDatagram::bind_addr(&address).expect("a fresh name");
    let notify = format!("@{name}");
    assert_eq!(first_words(notify.as_ref(), &socket), "READY=1");
}

#[test]
fn ipv6_is_carried_to_ipv4_and_back() {
    let Ok(target6) = TcpListener::bind("[::1]:0") else {
        eprintln!("this machine has no IPv6");
        return;
    };
    let (target4, listen4) = target();
    let to4 = target4.local_addr().expect("bound");
    let listen6 = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, to4.port()));
    let to6 = target6.local_addr().expect("bound");
    echo(target4);
    echo(target6);
    let (from6, from4) = (
        Forwarder::start(listen6, to4),
        Forwarder::start(listen4, to6),
    );
    echoes(&from6.connect(), b"from six to four");
    echoes(&from4.connect(), b"from four to six");
}
