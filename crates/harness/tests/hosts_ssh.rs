//! Hosts are added, checked and removed: the real program and hosts of `docker-test-env/hosts`.
//!
//! `cargo nextest run -p harness --features ssh-tests`
#![cfg(feature = "ssh-tests")]

mod support;

use std::fs;
use std::path::PathBuf;

use support::Home;
use support::hosts::{add, fingerprint};
use testkit::Hosts;

fn known_hosts(home: &Home) -> PathBuf {
    home.home().join("config/known_hosts")
}

#[test]
fn hosts_are_added_by_their_fingerprint_checked_and_removed() {
    let (hosts, home) = (Hosts::shared(), Home::empty());
    home.ok(&["host", "list"]).says("no hosts");
    home.run(&["host", "add", "local"])
        .expect(2)
        .says("this machine");
    let right = fingerprint(&hosts, "router");
    // Nobody is there to be asked, and --yes is no answer to this.
    add(&home, &hosts, "router", &["--yes"])
        .expect(2)
        .says(&right);
    add(&home, &hosts, "router", &["--fingerprint", "SHA256:other"])
        .expect(6)
        .says("has no key SHA256:other");
    assert!(!known_hosts(&home).exists(), "nothing is trusted yet");
    add(&home, &hosts, "router", &["--fingerprint", &right]).expect(0);
    add(&home, &hosts, "router", &["--fingerprint", &right])
        .expect(1)
        .says("harness host remove router");
    // One that only the router reaches.
    let inner = fingerprint(&hosts, "far1");
    add(&home, &hosts, "far1", &["--fingerprint", &inner])
        .expect(1)
        .says("--jump");
    let through = ["--jump", "router", "--fingerprint", &inner];
    add(&home, &hosts, "far1", &through).expect(0);
    home.ok(&["host", "list"]).shows("far1").shows(&inner);

    let told = home.ok(&["host", "check", "-o", "json"]).json();
    for (at, name) in ["far1", "router"].into_iter().enumerate() {
        let item = &told["items"][at];
        assert_eq!(item["name"], name);
        let facts = &item["facts"];
        assert_eq!(facts["architecture"], std::env::consts::ARCH);
        assert_eq!(facts["user"], "root");
        let lacks = facts["lacks"].to_string();
        assert!(lacks.contains("cgroup v2"), "{facts}");
    }
    home.ok(&["host", "check", "far1"]).shows("lacks");
    home.run(&["host", "check", "nobody"])
        .expect(4)
        .says("far1, router");

    home.run(&["host", "remove", "router"])
        .expect(1)
        .says("is the way to far1");
    home.ok(&["host", "remove", "far1"]);
    home.ok(&["host", "remove", "router"]);
    assert_eq!(fs::read_to_string(known_hosts(&home)).expect("there"), "");
    home.run(&["host", "remove", "router"]).expect(4);
}

#[test]
fn a_host_with_another_key_is_not_logged_in_to() {
    let (hosts, home) = (Hosts::shared(), Home::empty());
    let right = fingerprint(&hosts, "host1");
    add(&home, &hosts, "host1", &["--fingerprint", &right]).expect(0);
    home.ok(&["host", "check", "host1"]).shows("has");
    // As if another machine had its address: it has the key of another host.
    let other = fs::read_to_string(hosts.directory().join("known_hosts")).expect("there");
    let other = other
        .lines()
        .find(|line| line.starts_with(&format!("{} ", hosts.address("host2"))));
    let (_, other) = other.expect("known").split_once(' ').expect("a key");
    fs::write(
        known_hosts(&home),
        format!("{} {other}\n", hosts.address("host1")),
    )
    .expect("written");
    home.run(&["host", "check", "host1"])
        .expect(6)
        .shows("host1 has another key than the one that is known")
        .shows("harness host remove host1");
}

#[test]
fn wrong_usage_and_hosts_that_are_not_there_are_told() {
    let home = Home::empty();
    home.run(&["host", "add", "x y", "--fingerprint", "f"])
        .expect(2)
        .says("is no name of a host");
    home.run(&["host", "add", "x", "--address=-oProxyCommand=x"])
        .expect(2)
        .says("is no address");
    home.run(&["host", "add", "x", "--key", "no-such-file"])
        .expect(2)
        .says("there is no key");
    home.run(&["host", "add", "x", "--jump", "nobody"])
        .expect(4);
    home.run(&[
        "host",
        "add",
        "x",
        "--address",
        "127.0.0.1",
        "--port",
        "1",
        "--fingerprint",
        "f",
    ])
    .expect(1)
    .says("no sshd shows a key at 127.0.0.1:1");
    home.run(&["--context", "work", "host", "list"]).expect(2);
}
