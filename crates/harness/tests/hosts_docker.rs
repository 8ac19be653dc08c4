//! Containers on other hosts: the real program, hosts of `docker-test-env/hosts`, and an engine of its own on one of them.
//!
//! `cargo nextest run -p harness --features ssh-tests,docker-tests hosts_docker`
#![cfg(all(feature = "ssh-tests", feature = "docker-tests"))]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::Home;
use support::docker::Stack;
use support::hosts::{add, fingerprint, kill_daemon, trusted};
use testkit::{Hosts, eventually_blocking};

/// Longer than a connection is given up after, and a way is found again.
const LONG: Duration = Duration::from_secs(90);

/// Asks at these addresses until each has answered, and says so.
const ASK: &str = "for at in $AT; do until busybox wget -q -O - http://$at/; do sleep 0.2; done; echo reached $at; done; \
                   echo all; exec sleep 1000";

/// The fields of a container of ours.
fn container() -> String {
    let run = support::docker::run();
    format!(
        "type: docker, image: harness-test/busybox, pull: never, init: true, labels: {{harness-test.run: \"{run}\"}}"
    )
}

/// A server in a container on host1, a program here that listens on loopback, and those who ask for them from everywhere.
fn stack(name: &str) -> String {
    let container = container();
    let serve = "command: [sh, -c, 'mkdir -p /www && echo rows > /www/index.html && exec httpd -f -p 8080 -h /www'], \
                 ports: [{name: http, target: 8080}], readiness: {http: {path: /index.html}, interval: 200ms}";
    let ask = |at: &str, needs: &str| {
        format!(
            "command: [sh, -c, '{ASK}'], env: {{AT: '{at}'}}, depends_on: {needs}, readiness: {{log: '^all$'}}"
        )
    };
    let process = |at: &str, needs: &str| {
        format!(
            "binary: /bin/sh, args: [-c, '{ASK}'], env: {{AT: '{at}'}}, depends_on: {needs}, readiness: {{log: '^all$'}}"
        )
    };
    format!(
        "name: {name}\nservices:\n  \
         db: {{{container}, host: host1, {serve}, volumes: ['rows:/data']}}\n  \
         api: {{type: process, binary: FIXTURE, args: [serve, '${{api.port}}'], ports: [{{name: http, port: auto}}]}}\n  \
         here: {{type: process, {}}}\n  \
         there: {{type: remote, host: host2, {}}}\n  \
         on: {{type: remote, host: host1, {}}}\n  \
         near: {{{container}, {}}}\n  \
         beside: {{{container}, host: host1, {}}}\n\
         volumes: {{rows: {{}}}}\n",
        process("${db.addr}", "[db]"),
        process("${db.addr}", "[db]"),
        process("${db.addr}", "[db]"),
        ask("${db.addr} db:${db.port}", "[db]"),
        ask(
            "${db.addr} db:${db.port} ${api.addr} api:${api.port}",
            "[db, api]"
        ),
    )
}

/// What the engine of a host is asked there, by its own command line.
#[track_caller]
fn engine(hosts: &Hosts, host: &str, words: &str) -> String {
    let config = hosts.directory().join("ssh_config");
    let output = std::process::Command::new("ssh")
        .arg("-F")
        .arg(config)
        .args([host, words])
        .output()
        .expect("ssh runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}: {said}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[track_caller]
fn why(home: &Home, from: &str, to: &str) -> Value {
    home.ok(&["net", "why", from, to, "-o", "json"]).json()["items"][0].clone()
}

#[test]
fn a_container_on_a_host_is_reached_from_everywhere_and_reaches_what_is_here() {
    let hosts = Hosts::own(2, 0);
    hosts.act("engine", "host1", &["busybox"]);
    let home = Home::new(&stack(&format!("far-{}", std::process::id())));
    let _down = Stack(&home);
    trusted(&home, &hosts, "host1");
    trusted(&home, &hosts, "host2");
    home.ok(&["start", "--wait"]);

    let db = home.unit("db");
    assert_eq!((&db["host"], &db["ready"]), (&json!("host1"), &json!(true)));
    home.ok(&["status"]).shows("docker host1");
    let inside = engine(
        &hosts,
        "host1",
        "docker ps --format '{{.Names}} {{.Ports}}'",
    );
    assert!(
        inside.contains("127.0.0.1:") && !inside.contains("0.0.0.0"),
        "nothing is opened that nobody asked for: {inside}"
    );
    for (from, reason, carriage) in [
        ("here", "forward", json!("ssh")),
        ("there", "forward", json!("ssh")),
        ("on", "published", Value::Null),
        ("near", "forward", json!("forwarder")),
        ("beside", "shared-network", Value::Null),
    ] {
        let seen = why(&home, from, "db");
        assert_eq!(seen["reason"]["code"], reason, "{from}: {seen}");
        let forwarder = &seen["endpoints"][0]["forwarder"];
        assert_eq!(forwarder["carriage"], carriage, "{from}: {seen}");
        let address = seen["address"].as_str().expect("there is a way");
        let said = home.ok(&["logs", from, "--no-prefix"]);
        said.shows(&format!("reached {address}")).shows("rows");
    }
    let seen = why(&home, "beside", "api");
    assert_eq!(seen["reason"]["code"], "forward", "{seen}");
    let gateway = engine(
        &hosts,
        "host1",
        "docker network inspect -f '{{(index .IPAM.Config 0).Gateway}}' $(docker network ls -q -f label=org.harness.stack)",
    );
    let address = seen["address"].as_str().expect("there is a way");
    assert!(address.starts_with(&gateway), "{address} {gateway}");
    let forwarder = &seen["endpoints"][0]["forwarder"];
    assert_eq!(forwarder["carriage"], "ssh", "{seen}");
    home.ok(&["logs", "beside"])
        .shows(&format!("reached {address}"));

    home.ok(&[
        "exec",
        "db",
        "--",
        "sh",
        "-c",
        "hostname; cat /www/index.html",
    ])
    .shows("rows");
    home.run(&["exec", "db", "--", "sh", "-c", "exit 7"])
        .expect(7);
    home.ok(&["stop"]);
    assert_eq!(home.unit("db")["state"], "idle");
    home.ok(&["down", "--volumes", "--yes"])
        .says("rows of host1");
    for words in [
        "docker ps -aq",
        "docker volume ls -q",
        "docker network ls -q -f label=org.harness.stack",
        "ls .local/state/harness/*/forward",
    ] {
        assert_eq!(engine(&hosts, "host1", words), "", "{words}");
    }
}

#[test]
fn a_container_on_a_host_outlives_daemon_and_cable_and_its_end_is_learned_later() {
    let hosts = Hosts::own(1, 0);
    hosts.act("engine", "host1", &["busybox"]);
    let container = container();
    let name = format!("kept-{}", std::process::id());
    let home = Home::new(&format!(
        "name: {name}\nservices:\n  \
         lines: {{{container}, host: host1, restart: \"no\", \
           command: [sh, -c, 'i=0; while [ $i -lt 2000 ]; do i=$((i+1)); echo $i; usleep 10000; done']}}\n  \
         always: {{{container}, host: host1, restart: always, command: [sh, -c, 'echo begun; exec sleep 10000']}}\n  \
         short: {{{container}, host: host1, restart: \"no\", command: [sh, -c, 'until [ -e /end ]; do sleep 0.2; done; exit 7']}}\n"
    ));
    let _down = Stack(&home);
    trusted(&home, &hosts, "host1");
    home.ok(&["start", "--wait"]);
    let ids = || engine(&hosts, "host1", "docker ps --no-trunc -q | sort");
    let before = ids();

    kill_daemon(&home);
    home.until("always", "ready");
    assert_eq!(ids(), before, "nothing was started");

    engine(
        &hosts,
        "host1",
        &format!("nohup sh -c 'sleep 3; docker exec {name}-short-1 touch /end' >/dev/null 2>&1 &"),
    );
    hosts.act("cut", "host1", &[]);
    let reason = |unit: &str| home.unit(unit)["reason"].as_str().map(str::to_owned);
    let is_away = || reason("always").is_some_and(|text| text.contains("host1"));
    eventually_blocking(LONG, "the host is missed", is_away);
    assert_eq!(home.unit("always")["state"], "ready");
    hosts.act("heal", "host1", &[]);
    eventually_blocking(LONG, "the host is back", || reason("always").is_none());
    let ended = || home.unit("short")["exit_code"] == 7;
    eventually_blocking(LONG, "its end is learned", ended);
    let starts = engine(&hosts, "host1", &format!("docker logs {name}-always-1"));
    assert_eq!(starts, "begun", "nothing was started twice");

    let done = || home.unit("lines")["stopped_at"].is_string();
    eventually_blocking(LONG, "all lines are said", done);
    let written = home.ok(&["logs", "lines", "--no-prefix", "--stream", "stdout"]);
    let expected: String = (1..=2000).map(|line| format!("{line}\n")).collect();
    assert_eq!(written.stdout, expected, "every line, once");
}

#[test]
fn a_container_on_a_peer_of_a_mesh_is_reached_by_its_published_port() {
    let hosts = Hosts::own(1, 1);
    hosts.act("engine", "far1", &["busybox"]);
    let container = container();
    let ask = |kind: &str, words: &str| {
        format!(
            "{{{kind}, network: wg, {words}: [-c, '{ASK}'], env: {{AT: '${{db.addr}}'}}, depends_on: [db], readiness: {{log: '^all$'}}}}"
        )
    };
    let home = Home::new(&format!(
        "name: peer-{}\nnetworks:\n  wg: {{type: wireguard}}\nservices:\n  \
         db: {{{container}, host: far1, network: wg, \
           command: [sh, -c, 'mkdir -p /www && echo rows > /www/index.html && exec httpd -f -p 8080 -h /www'], \
           ports: [{{name: http, target: 8080, host_ip: 0.0.0.0}}], readiness: {{tcp: {{port: 8080}}, interval: 200ms}}}}\n  \
         here: {}\n  near: {}\n",
        std::process::id(),
        ask("type: process, binary: /bin/sh", "args"),
        ask(&format!("{container}, entrypoint: /bin/sh"), "command"),
    ));
    let _down = Stack(&home);
    trusted(&home, &hosts, "router");
    let far = fingerprint(&hosts, "far1");
    let more = ["--fingerprint", &far, "--jump", "router"];
    add(&home, &hosts, "far1", &more).expect(0);
    home.ok(&["start", "--wait"]);
    for from in ["here", "near"] {
        let seen = why(&home, from, "db");
        assert_eq!(seen["reason"]["code"], "published-on-peer", "{seen}");
        let address = seen["address"].as_str().expect("there is a way");
        let said = home.ok(&["logs", from, "--no-prefix"]);
        said.shows(&format!("reached {address}")).shows("rows");
    }
}

#[test]
fn a_host_without_an_engine_says_what_was_tried_and_what_to_do() {
    let hosts = Hosts::shared();
    let container = container();
    let home = Home::new(&format!(
        "name: bare-{}\nservices:\n  db: {{{container}, host: host2, command: sleep 1000}}\n",
        std::process::id()
    ));
    let _down = Stack(&home);
    home.run(&["start"])
        .expect(69)
        .says("there is no host `host2`: `harness host add host2 --address ADDRESS` adds it");
    trusted(&home, &hosts, "host2");
    // It waits for an engine, as it would here.
    let mut start = home.spawn(&["start"]);
    let is_known = || home.run(&["status"]).code == 0;
    eventually_blocking(LONG, "it is told to the daemon", is_known);
    let reason = || home.unit("db")["reason"].as_str().map(str::to_owned);
    eventually_blocking(LONG, "why it does not run is said", || reason().is_some());
    let reason = reason().expect("it was said");
    for words in [
        "cannot reach the container engine at host2",
        "start docker or podman there",
        "has none of the sockets of docker and podman",
    ] {
        assert!(reason.contains(words), "{words}: {reason}");
    }
    start.kill().expect("it waits");
    start.wait().expect("it has ended");
    let refused = home.run(&["run", "db", "true"]);
    assert_ne!(refused.code, 0);
    refused.says("its container is on host2");
    let refused = home.run(&["pull", "db"]);
    assert_ne!(refused.code, 0);
    refused.says("the image of `db` is on host2");
    home.ok(&["stop"]);
}

#[test]
fn an_image_is_built_on_the_host_of_what_is_here() {
    let hosts = Hosts::own(1, 0);
    hosts.act("engine", "host1", &["busybox"]);
    let run = support::docker::run();
    let home = Home::new(&format!(
        "name: built-{}\nservices:\n  \
         app: {{type: docker, host: host1, build: ./app, init: true, labels: {{harness-test.run: \"{run}\"}}, \
           readiness: {{log: '^brought'}}}}\n",
        std::process::id()
    ));
    home.write(
        "app/Dockerfile",
        "FROM harness-test/busybox\nCOPY word /word\nCMD cat /word && exec sleep 1000\n",
    );
    home.write("app/word", "brought from here\n");
    let _down = Stack(&home);
    trusted(&home, &hosts, "host1");
    home.ok(&["start", "--wait"]);
    home.ok(&["logs", "app"]).shows("brought from here");
    let mut cat = home.command(&["exec", "app", "--", "cat"]);
    let mut cat = cat
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut input = cat.stdin.take().expect("piped");
    std::io::Write::write_all(&mut input, b"to and fro\n").expect("written");
    drop(input);
    let output = cat.wait_with_output().expect("it ends");
    assert_eq!(output.stdout, b"to and fro\n");
    // Only the owner may come to the engine that way.
    let socket = home.home().join("run/engines");
    let mode = std::fs::metadata(&socket)
        .expect("it is there")
        .permissions();
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777,
        0o700
    );
}

#[test]
fn a_container_of_somebody_else_on_a_host_is_observed_and_left_alone() {
    let hosts = Hosts::own(1, 0);
    hosts.act("engine", "host1", &["busybox"]);
    let serve = "docker run -d --init --name theirs -p 127.0.0.1:8099:8080 harness-test/busybox \
                 sh -c 'mkdir -p /www && echo rows > /www/index.html && exec httpd -f -p 8080 -h /www'";
    let id = engine(&hosts, "host1", serve);
    let home = Home::new(&format!(
        "name: theirs\nservices:\n  \
         db: {{type: docker-attach, host: host1, container: theirs, readiness: {{http: {{path: /index.html}}, interval: 200ms}}, ports: [{{name: http, port: 8080}}]}}\n  \
         here: {{type: process, binary: /bin/sh, args: [-c, '{ASK}'], env: {{AT: '${{db.addr}}'}}, depends_on: [db], readiness: {{log: '^all$'}}}}\n"
    ));
    let _down = Stack(&home);
    home.run(&["start"])
        .expect(69)
        .says("harness host add host1");
    trusted(&home, &hosts, "host1");
    home.ok(&["start", "--wait"]);
    let db = home.unit("db");
    assert_eq!(
        (&db["host"], &db["container_id"], &db["ready"]),
        (&json!("host1"), &json!(id), &json!(true))
    );
    assert_eq!(why(&home, "here", "db")["reason"]["code"], "forward");
    home.ok(&["logs", "here", "--no-prefix"]).shows("rows");

    kill_daemon(&home);
    eventually_blocking(LONG, "it is known again", || {
        let db = home.unit("db");
        db["ready"] == true && db["reason"].is_null() && db["container_id"] == id
    });
    assert_eq!(home.unit("db")["restarts"], 0);

    // What its owner does with it is seen, also while nobody can look.
    hosts.act("cut", "host1", &[]);
    eventually_blocking(LONG, "it is missed", || {
        home.unit("db")["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("host1"))
    });
    assert_eq!(home.unit("db")["state"], "ready");
    hosts.act("heal", "host1", &[]);
    eventually_blocking(LONG, "it can be asked again", || {
        home.unit("db")["reason"].is_null()
    });
    let before = home.unit("db")["started_at"].clone();
    engine(&hosts, "host1", "docker restart -t 1 theirs");
    eventually_blocking(LONG, "it runs again", || {
        let db = home.unit("db");
        db["ready"] == true && db["started_at"] != before
    });

    home.ok(&["stop"]);
    let inside = engine(&hosts, "host1", "docker ps --format '{{.Names}}'");
    assert_eq!(inside, "theirs", "it is not ours to stop");
}
