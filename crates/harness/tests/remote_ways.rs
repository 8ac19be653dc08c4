//! Ways by SSH where none leads by itself: the real program and hosts of `docker-test-env/hosts`.
//!
//! `cargo nextest run -p harness --features ssh-tests`
#![cfg(feature = "ssh-tests")]

mod support;

use std::time::Duration;

use support::Home;
use support::hosts::{add, fingerprint, trusted};
use testkit::{Hosts, eventually_blocking};

/// Longer than a connection is given up after, and a way is found again.
const LONG: Duration = Duration::from_secs(90);

/// Asks at these addresses until each has answered, and says so.
const ASK: &str = "for at in $AT; do until busybox wget -q -O - http://$at/; do sleep 0.2; done; echo reached $at; done; \
                   echo all; exec sleep 1000";

/// A service behind another host, one here that listens on loopback, and those who ask for them.
fn stack() -> String {
    let http = "ports: [{name: http, port: auto}], readiness: {http: {path: /}, interval: 200ms}";
    let asks = "readiness: {log: '^all$'}";
    format!(
        "name: ways\nservices:\n  \
         far: {{type: remote, host: far1, binary: FIXTURE, args: [serve, '${{far.port}}'], {http}}}\n  \
         here: {{type: process, binary: FIXTURE, args: [serve, '${{here.port}}'], {http}}}\n  \
         near: {{type: remote, host: host1, binary: /bin/sh, args: [-c, '{ASK}'], \
                 env: {{AT: '${{far.addr}} ${{here.addr}}'}}, depends_on: [far, here], {asks}}}\n  \
         beside: {{type: process, binary: /bin/sh, args: [-c, '{ASK}'], \
                   env: {{AT: '${{far.addr}}'}}, depends_on: [far], {asks}}}\n"
    )
}

fn trusted_all(home: &Home, hosts: &Hosts) {
    trusted(home, hosts, "host1");
    trusted(home, hosts, "router");
    let far = fingerprint(hosts, "far1");
    add(
        home,
        hosts,
        "far1",
        &["--fingerprint", &far, "--jump", "router"],
    )
    .expect(0);
}

/// The notes of ways that somebody needs.
fn notes(home: &Home) -> usize {
    let directory = home.home().join("state/remote/ways");
    std::fs::read_dir(directory).map_or(0, Iterator::count)
}

#[test]
fn ssh_carries_where_nothing_leads_says_so_and_goes_on_over_a_killed_daemon() {
    let hosts = Hosts::shared();
    let home = Home::new(&stack());
    trusted_all(&home, &hosts);
    home.ok(&["start", "--wait"]);

    // Its own host asks whether it answers.
    assert_eq!(home.unit("far")["ready"], true);
    let told = |unit: &str, other: &str| {
        let why = home.ok(&["net", "why", unit, other, "-o", "json"]).json();
        let item = &why["items"][0];
        assert_eq!(item["reason"]["code"], "forward", "{why}");
        assert_eq!(
            item["endpoints"][0]["forwarder"]["carriage"], "ssh",
            "{why}"
        );
        item["address"].as_str().expect("an address").to_owned()
    };
    for (unit, others) in [("near", &["far", "here"][..]), ("beside", &["far"])] {
        let mut said = home.ok(&["logs", unit]);
        for other in others {
            let at = told(unit, other);
            assert!(at.starts_with("127.0.0.1:"), "{at}");
            said = said.shows(&format!("reached {at}"));
        }
    }
    home.ok(&["net", "why", "near", "far"])
        .shows("SSH carries 127.0.0.1:")
        .shows("neither LAN nor mesh leads there");
    assert_eq!(notes(&home), 3);

    let before: Vec<_> = ["far", "here"].map(|other| told("near", other)).into();
    let pid = home.ok(&["daemon", "status", "-o", "json"]).json()["pid"].to_string();
    let killed = std::process::Command::new("kill")
        .args(["-KILL", &pid])
        .status();
    assert!(killed.expect("it runs").success());
    let works = |at: &str| {
        let ask = [
            "exec",
            "near",
            "--",
            "busybox",
            "wget",
            "-q",
            "-O",
            "-",
            &format!("http://{at}/"),
        ];
        home.run(&ask).code == 0
    };
    for (other, at) in ["far", "here"].into_iter().zip(&before) {
        eventually_blocking(LONG, "it leads there again", || works(at));
        assert_eq!(&told("near", other), at, "the same as it was told");
    }
    home.ok(&["stop", "near"]);
    eventually_blocking(LONG, "it needs none any more", || notes(&home) == 1);
    eventually_blocking(LONG, "nothing listens there", || !works(&before[0]));
    home.ok(&["stop"]);
    eventually_blocking(LONG, "nobody needs any", || notes(&home) == 0);
}

#[test]
fn a_way_from_a_host_is_there_again_after_a_cut() {
    let hosts = Hosts::own(1, 0);
    let home = Home::new(
        "name: cut\nservices:\n  \
         here: {type: process, binary: FIXTURE, args: [serve, '${here.port}'], ports: [{name: http, port: auto}]}\n  \
         near: {type: remote, host: host1, binary: /bin/sleep, args: ['1000'], depends_on: [here]}\n",
    );
    trusted(&home, &hosts, "host1");
    home.ok(&["start", "--wait"]);
    let at = home
        .ok(&["net", "why", "near", "here", "-o", "json"])
        .json()["items"][0]["address"]
        .as_str()
        .expect("an address")
        .to_owned();
    let works = || {
        let url = format!("http://{at}/");
        let ask = [
            "exec", "near", "--", "timeout", "5", "busybox", "wget", "-q", "-O", "-", &url,
        ];
        home.run(&ask).code == 0
    };
    eventually_blocking(LONG, "it leads here", works);
    hosts.act("cut", "host1", &[]);
    let is_away = || home.unit("near")["reason"].is_string();
    eventually_blocking(LONG, "the host is missed", is_away);
    hosts.act("heal", "host1", &[]);
    eventually_blocking(LONG, "the same address leads here again", works);
    home.ok(&["stop"]);
}
