//! A mesh of real hosts, as users see it: made when it is needed, kept over a killed daemon, removed with its stack.
//!
//! `cargo nextest run -p harness --features ssh-tests`
#![cfg(feature = "ssh-tests")]

mod support;

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use support::Home;
use support::hosts::{add, fingerprint, trusted};
use testkit::{Hosts, eventually_blocking};

/// Longer than a connection is given up after, and a tunnel is made again.
const LONG: Duration = Duration::from_secs(90);

/// Asks at this address again and again, and says each time what came of it.
const ASK: &str = "while :; do if timeout 3 busybox wget -q -O - http://$AT/hostname | grep -q far1; then echo reached $AT; fi; sleep 0.2; done";

const ALL: [&str; 3] = ["host1", "far1", "router"];

/// A service behind NAT, and two that ask for it: one on another host, one here.
fn stack(network: &str) -> String {
    let asks = "env: {AT: '${far.addr}'}, depends_on: [far], readiness: {log: '^reached'}";
    let http =
        "ports: [{name: http, port: auto}], readiness: {http: {path: /hostname}, interval: 200ms}";
    format!(
        "name: meshed\nnetworks:\n  wg: {{type: wireguard{network}}}\nservices:\n  \
         far: {{type: remote, host: far1, network: wg, binary: busybox, args: [httpd, -f, -p, '${{far.port}}', -h, /etc], {http}}}\n  \
         near: {{type: remote, host: host1, network: wg, binary: /bin/sh, args: [-c, '{ASK}'], {asks}}}\n  \
         beside: {{type: process, network: wg, command: [/bin/sh, -c, '{ASK}'], {asks}}}\n"
    )
}

fn trusted_all(home: &Home, hosts: &Hosts) {
    trusted(home, hosts, "host1");
    trusted(home, hosts, "router");
    let far = fingerprint(hosts, "far1");
    let more = ["--fingerprint", &far, "--jump", "router"];
    add(home, hosts, "far1", &more).expect(0);
}

/// What a shell says on a host.
fn sh(hosts: &Hosts, host: &str, script: &str) -> String {
    let config = hosts.directory().join("ssh_config");
    let mut ssh = Command::new("ssh");
    let output = ssh.arg("-F").arg(config).args([host, script]).output();
    let output = output.expect("ssh runs");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// How one unit reaches another: the address, and the code and the text of the reason.
#[track_caller]
fn why(home: &Home, unit: &str, other: &str) -> [String; 3] {
    let why = home.ok(&["net", "why", unit, other, "-o", "json"]).json();
    let item = &why["items"][0];
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    [
        text(&item["address"]),
        text(&item["reason"]["code"]),
        text(&item["reason"]["text"]),
    ]
}

/// What there is of meshes on this machine or a host, and which of it is the same as before.
const INTERFACES: &str = "ip -o link | grep -o '^[0-9]*: hm[0-9a-f]*' | tr '\\n' ' '";

/// Whatever a mesh could leave behind.
const LEFT: &str = "ip -o link | grep -o 'hm[0-9a-f]\\{10\\}'; iptables -S | grep hm; pgrep -fl '[w]ireguard-go hm'; \
                    find /root/.local/state/harness/*/mesh -type f 2>/dev/null";

fn kill_daemon(home: &Home) {
    let pid = home.ok(&["daemon", "status", "-o", "json"]).json()["pid"].to_string();
    let killed = Command::new("kill").args(["-KILL", &pid]).status();
    assert!(killed.expect("it runs").success());
}

/// How often a unit has reached what it asks for.
fn reached(home: &Home, unit: &str, at: &str) -> usize {
    let said = home.ok(&["logs", "--no-prefix", unit]).stdout;
    said.matches(&format!("reached {at}")).count()
}

#[test]
fn hosts_are_joined_when_first_needed_kept_over_restarts_and_parted_with_their_stack() {
    let hosts = Hosts::own(1, 1);
    let home = Home::new(&stack(""));
    trusted_all(&home, &hosts);
    home.ok(&["validate", "--strict"]);
    home.ok(&["start", "far", "--wait"]);
    assert_eq!(sh(&hosts, "far1", INTERFACES), "", "nobody needs one yet");
    let begun = Instant::now();
    home.ok(&["start", "--wait"]);
    println!(
        "two pairs joined, and their services ready, in {:?}",
        begun.elapsed()
    );

    let far = ["near", "beside"].map(|unit| why(&home, unit, "far"));
    for [address, code, text] in &far {
        assert_eq!(code, "mesh", "{address}: {text}");
        assert_eq!(address, &far[0][0], "one address for all");
    }
    let at = &far[0][0];
    assert!(at.starts_with("10."), "{at}");
    home.ok(&["logs", "near"]).shows(&format!("reached {at}"));
    let before: Vec<String> = ALL
        .iter()
        .map(|host| sh(&hosts, host, INTERFACES))
        .collect();
    assert!(!before[0].is_empty() && !before[1].is_empty(), "{before:?}");
    assert_eq!(before[2], "", "nobody needs the router");

    home.ok(&["restart", "far"]);
    home.ok(&["start", "--wait"]);
    let now: Vec<String> = ALL
        .iter()
        .map(|host| sh(&hosts, host, INTERFACES))
        .collect();
    assert_eq!(now, before, "a restart leaves the tunnels");

    kill_daemon(&home);
    assert_eq!(why(&home, "near", "far")[..2], far[0][..2], "at once");
    let seen = reached(&home, "beside", at);
    eventually_blocking(LONG, "it goes on over the tunnel", || {
        reached(&home, "beside", at) > seen + 3
    });
    let now: Vec<String> = ALL
        .iter()
        .map(|host| sh(&hosts, host, INTERFACES))
        .collect();
    assert_eq!(now, before, "they are the same");

    // A host that has lost its interface has it again once it is back.
    hosts.act("kill", "far1", &[]);
    eventually_blocking(LONG, "it is missed", || {
        home.unit("far")["reason"].is_string()
    });
    hosts.act("boot", "far1", &[]);
    eventually_blocking(LONG, "its service is ready again", || {
        home.unit("far")["ready"] == true
    });
    assert_eq!(&why(&home, "near", "far")[0], at);
    let seen = reached(&home, "near", at);
    eventually_blocking(LONG, "the tunnel is there again", || {
        reached(&home, "near", at) > seen + 3
    });

    home.ok(&["down", "--yes"]);
    for host in ALL {
        assert_eq!(sh(&hosts, host, LEFT), "", "{host}");
    }
    let notes = std::fs::read_dir(home.home().join("state/remote/mesh"));
    let notes = notes.into_iter().flatten().flatten();
    let files: Vec<_> = notes.filter(|entry| entry.path().is_file()).collect();
    assert!(files.is_empty(), "{files:?}");
}

/// The public key of each host of the mesh, and whom it talks to by which key.
fn keys(home: &Home) -> BTreeMap<String, String> {
    let status = home.ok(&["net", "status", "-o", "json"]).json();
    let hosts = status["meshes"][0]["hosts"].as_array().expect("a list");
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let each = hosts.iter().map(|host| {
        for peer in host["peers"].as_array().expect("a list") {
            assert!(peer["host"].is_string(), "somebody unknown: {host}");
            assert!(peer["handshake_at"].is_string(), "never spoken: {host}");
        }
        (text(&host["host"]), text(&host["key"]))
    });
    each.collect()
}

#[test]
fn hosts_come_to_new_keys_while_a_connection_stays_and_one_that_was_away_follows() {
    let hosts = Hosts::own(2, 1);
    let asks = "binary: FIXTURE, args: [talk, '${far.addr}'], depends_on: [far], readiness: {log: '^answered'}, restart: \"no\"";
    let home = Home::new(&format!(
        "name: turning\nnetworks:\n  wg: {{type: wireguard}}\nservices:\n  \
         far: {{type: remote, host: far1, network: wg, binary: FIXTURE, args: [echo, '${{far.port}}'], ports: [{{name: tcp, port: auto}}]}}\n  \
         near: {{type: remote, host: host1, network: wg, {asks}}}\n  \
         other: {{type: remote, host: host2, network: wg, {asks}}}\n"
    ));
    trusted_all(&home, &hosts);
    trusted(&home, &hosts, "host2");
    home.ok(&["start", "--wait"]);
    let told = |unit: &str| {
        home.ok(&["logs", "--no-prefix", unit])
            .stdout
            .lines()
            .count()
    };
    let goes_on = |unit: &str, after: &str| {
        let had = told(unit);
        eventually_blocking(LONG, after, || told(unit) > had + 3);
    };
    let before = keys(&home);
    assert_eq!(before.len(), 3, "{before:?}");

    // Somebody removes an interface: whoever looks sees it, and has it made again.
    let remove = "ip link del $(ip -o link | grep -o 'hm[0-9a-f]\\{10\\}' | head -n 1)";
    sh(&hosts, "host2", remove);
    let run = home.run(&["net", "status"]).expect(1);
    assert!(run.stdout.contains("was not there"), "{}", run.stdout);
    goes_on("other", "its tunnel is there again");
    home.ok(&["net", "status"]);

    home.ok(&["net", "rotate"]).shows("far1: has a new key");
    let turned = keys(&home);
    for (host, key) in &turned {
        assert_ne!(before.get(host), Some(key), "{host}");
    }
    for unit in ["near", "other"] {
        goes_on(unit, "the same connection is used");
    }

    // One of three is away: who talks to it waits, and nothing is parted.
    hosts.act("cut", "host2", &[]);
    eventually_blocking(LONG, "it is missed", || {
        home.unit("other")["reason"].is_string()
    });
    let run = home.run(&["net", "rotate"]).expect(1);
    for held in [
        "far1: waits: its next key is not known yet on host2",
        "host1: has a new key",
        "host2: keeps its key",
    ] {
        assert!(run.stdout.contains(held), "{}", run.stdout);
    }
    goes_on("near", "the same connection is used");
    kill_daemon(&home);
    hosts.act("heal", "host2", &[]);
    let is_whole = || home.run(&["net", "status"]).code == 0;
    eventually_blocking(LONG, "all can be asked again", is_whole);
    eventually_blocking(LONG, "the rest of it is done", || {
        let now = home.ok(&["net", "status", "-o", "json"]).json();
        let hosts = now["meshes"][0]["hosts"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        hosts.iter().all(|host| host["next_key"].is_null())
    });
    for unit in ["near", "other"] {
        goes_on(unit, "the same connection is used");
        assert_eq!(home.unit(unit)["restarts"], 0);
    }
    let last = keys(&home);
    assert_ne!(last["far1"], turned["far1"]);
    assert_ne!(last["host1"], turned["host1"]);
    assert_eq!(last["host2"], turned["host2"]);
    home.ok(&["down", "--yes"]);
    for host in ["host1", "host2", "far1"] {
        assert_eq!(sh(&hosts, host, LEFT), "", "{host}");
    }
}

#[test]
fn ssh_carries_where_no_mesh_can_be_made_and_it_is_said_why() {
    let hosts = Hosts::own(1, 1);
    let home = Home::new(&stack(", subnet: 10.91.7.0/24"));
    trusted_all(&home, &hosts);
    sh(&hosts, "far1", "rm /usr/bin/wg");
    home.ok(&["start", "--wait"]);
    let [address, code, text] = why(&home, "near", "far");
    assert_eq!(code, "forward", "{address}: {text}");
    assert!(text.contains("wireguard-tools"), "{text}");
    let reason = home.unit("near")["reason"].to_string();
    assert!(
        reason.contains("no mesh leads from it to `far`"),
        "{reason}"
    );
    home.ok(&["down", "--yes"]);
    for host in ALL {
        assert_eq!(sh(&hosts, host, LEFT), "", "{host}");
    }
}

#[test]
fn a_node_carries_for_two_of_which_neither_reaches_the_other() {
    let hosts = Hosts::own(1, 2);
    let text = stack(", nodes: [{host: host1}]");
    let (begin, _) = text.split_once("  beside:").expect("it is the last");
    let home = Home::new(&begin.replace("host: host1, network", "host: far2, network"));
    trusted_all(&home, &hosts);
    let print = fingerprint(&hosts, "far2");
    let more = ["--fingerprint", &print, "--jump", "router"];
    add(&home, &hosts, "far2", &more).expect(0);
    for (host, other) in [("far1", "far2"), ("far2", "far1")] {
        let apart = format!("iptables -A INPUT -s {} -j DROP", hosts.address(other));
        sh(&hosts, host, &apart);
    }
    home.ok(&["start", "--wait"]);
    let [at, code, text] = why(&home, "near", "far");
    assert_eq!(code, "mesh", "{at}: {text}");
    assert_ne!(sh(&hosts, "host1", INTERFACES), "", "it carries");
    home.ok(&["down", "--yes"]);
    for host in ["host1", "far1", "far2"] {
        assert_eq!(sh(&hosts, host, LEFT), "", "{host}");
    }
}

#[test]
fn a_subnet_that_a_host_has_already_is_refused_by_its_name() {
    let hosts = Hosts::own(1, 1);
    let taken = hosts.address("host1");
    let (network, _) = taken.rsplit_once('.').expect("four numbers");
    let home = Home::new(&stack(&format!(", subnet: {network}.0/24")));
    trusted_all(&home, &hosts);
    let run = home.run(&["start", "--wait"]);
    assert_ne!(run.code, 0);
    eventually_blocking(LONG, "it is said what has it", || {
        let said = home.ok(&["why", "near"]).stdout;
        said.contains("overlaps") && said.contains("interface")
    });
    home.ok(&["down", "--yes"]);
}
