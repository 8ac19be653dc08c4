//! Addresses between processes and containers, as they are told, explained, and used.
#![cfg(feature = "docker-tests")]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};
use support::docker::Stack;
use support::{DEADLINE, Home};

/// A program that listens on loopback only, one that listens everywhere, and containers that call them and each other; a
/// process that calls a container.
fn stack(name: &str) -> String {
    let run = support::docker::run();
    let container = format!(
        "type: docker, image: harness-test/app, pull: never, labels: {{harness-test.run: \"{run}\"}}, \
         ports: [{{name: http, target: 8080}}], stop_grace_period: 2s, \
         readiness: {{tcp: {{port: 8080}}, interval: 100ms, retries: 100}}"
    );
    format!(
        "\
name: {name}
services:
  api: {{type: process, binary: FIXTURE, args: [serve, \"${{api.port}}\"], ports: [{{name: http, port: auto}}]}}
  open:
    type: process
    binary: {python}
    args: [-m, http.server, --bind, 0.0.0.0, \"${{open.port}}\"]
    ports: [{{name: http, port: auto}}]
    readiness: {{tcp: {{port: \"${{open.port}}\"}}, interval: 100ms, retries: 100}}
  db: {{{container}}}
  worker:
    {{{worker}, depends_on: [api, open, db]}}
tasks:
  ask:
    type: process
    binary: bash
    args: [-c, 'env | grep ^DB_; exec 3<>/dev/tcp/$DB_HOST/$DB_PORT; printf \"GET /health HTTP/1.0\\r\\n\\r\\n\" >&3; cat <&3']
    dependencies: [db]
",
        python = "python3",
        worker = container,
    )
}

/// What is answered at this address.
fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("somebody listens there");
    stream.set_read_timeout(Some(DEADLINE)).expect("set");
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

/// The one unit that `net why` explains.
#[track_caller]
fn why(home: &Home, from: &str, to: &str) -> Value {
    home.ok(&["net", "why", from, to, "-o", "json"]).json()["items"][0].clone()
}

#[test]
fn what_units_are_told_is_what_is_explained_and_what_leads_there() {
    let home = Home::new(&stack(&format!("addresses-{}", std::process::id())));
    let _down = Stack(&home);
    home.ok(&["start", "--wait"]);
    let worker = home.ok(&["resolve", "worker"]).stdout.trim_end().to_owned();
    let (environment, hosts) = (get(&worker, "/env"), get(&worker, "/hosts"));
    let explained = [
        ("api", "gateway", json!("forwarder")),
        ("open", "gateway", json!("direct")),
        ("db", "shared-network", Value::Null),
    ];
    for (name, reason, carriage) in explained {
        let seen = why(&home, "worker", name);
        assert_eq!(seen["reason"]["code"], reason, "{seen}");
        let address = seen["address"].as_str().expect("there is a way");
        let told = format!("{}_ADDR={address}\n", name.to_uppercase());
        assert!(environment.contains(&told), "{told}{environment}");
        // What is said is true: the connection works, by the address and by the name.
        let port = seen["endpoints"][0]["address"]
            .as_str()
            .and_then(|at| at.rsplit(':').next());
        for host in [
            address.to_owned(),
            format!("{name}:{}", port.expect("a port")),
        ] {
            let answer = get(&worker, &format!("/fetch?http://{host}/"));
            assert!(
                answer.starts_with("HTTP/1.1 200"),
                "{name} at {host}: {answer}"
            );
        }
        let by = match reason {
            "gateway" => "hosts-file",
            _ => "network-alias",
        };
        assert_eq!(seen["names"][0]["by"], by);
        let ip = seen["ip"].as_str().expect("an address");
        let is_in_file = hosts.lines().any(|line| {
            let mut words = line.split_whitespace();
            words.next() == Some(ip) && words.any(|word| word == name)
        });
        assert_eq!(is_in_file, by == "hosts-file", "{name}: {hosts}");
        assert_eq!(
            seen["endpoints"][0]["forwarder"]["carriage"], carriage,
            "{seen}"
        );
        assert_eq!(
            home.ok(&["resolve", name, "--from", "worker"]).stdout,
            format!("{address}\n")
        );
    }
    // A process, and this machine, by the published port.
    let seen = why(&home, "api", "db");
    assert_eq!(seen["reason"]["code"], "published");
    let address = seen["address"].as_str().expect("there is a way");
    assert!(
        address.starts_with("127.0.0.1:"),
        "published for this machine only: {seen}"
    );
    assert_eq!(seen["endpoints"][0]["published"], address);
    home.ok(&["run", "ask"])
        .shows(&format!("DB_ADDR={address}\n"))
        .shows("200 OK");
    assert!(get(address, "/health").contains("200 OK"));
    let map = home.ok(&["net", "map"]);
    map.shows(address);
}
