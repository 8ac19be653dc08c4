//! How diagnostics and stacks are shown.

mod support;

use harness_config::{
    Secrets, Sources, load, render_config, render_github, render_human, summary, to_json,
};
use support::{fixture, lines};

/// A fixture under a name without a path.
fn named(name: &str) -> Sources {
    let text = std::fs::read_to_string(fixture(name)).expect("a fixture");
    Sources::new()
        .text(name, text)
        .directory("/nonexistent/demo")
}

#[test]
fn the_bad_files_look_like_this() {
    let mut shown = String::new();
    for name in ["bad.yaml", "duplicate-key.yaml"] {
        let loaded = load(&named(name));
        shown += &render_human(&loaded.diagnostics, &loaded.files, false);
        shown += &format!("{}\n\n", summary(&loaded.diagnostics, &loaded.files));
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn cycles_references_and_variables_look_like_this() {
    let text = "services:\n  api:\n    binary: ./api\n    args: [\"--db=${dB.addr}\", \"é ${TOKEN}\"]\n    depends_on: [worker]\n  worker: {binary: ./w, depends_on: [queue]}\n  queue:\n    binary: ./q\n    depends_on: [api]\n  db: {binary: postgres, ports: [5432]}\n";
    let loaded = load(
        &Sources::new()
            .text("stack.yaml", text)
            .variable("TOKENS", "x"),
    );
    insta::assert_snapshot!(render_human(&loaded.diagnostics, &loaded.files, false));
}

#[test]
fn every_diagnostic_begins_with_its_code_and_place() {
    let loaded = load(&named("bad.yaml"));
    let human = render_human(&loaded.diagnostics, &loaded.files, false);
    for wanted in [
        "error[H0204]: ",
        "--> bad.yaml:7:21",
        "--> bad.yaml:11:7",
        "--> bad.yaml:14:13",
    ] {
        assert!(human.contains(wanted), "{wanted} in\n{human}");
    }
    let colored = render_human(&loaded.diagnostics, &loaded.files, true);
    assert!(colored.contains("\u{1b}["));
}

#[test]
fn programs_get_lines_or_json() {
    let loaded = load(&named("bad.yaml"));
    insta::assert_snapshot!(render_github(&loaded.diagnostics));
    let json = to_json(&loaded.diagnostics);
    assert_eq!(
        (json["errors"].as_u64(), json["warnings"].as_u64()),
        (Some(3), Some(0))
    );
    let error = &json["diagnostics"][0];
    assert_eq!(
        (error["line"].as_u64(), error["column"].as_u64()),
        (Some(7), Some(21))
    );
    assert_eq!(
        (error["code"].as_str(), error["file"].as_str()),
        (Some("H0203"), Some("bad.yaml"))
    );
}

/// A text that uses everything that can be loaded.
const RICH: &str = r#"
name: rich
description: "costs $5 and $${more}"
settings: {health_check_interval: 3, shutdown_timeout: 7, log_total: 1g}
networks:
  local: {type: local, subnet: 127.1.0.0/16}
  lab: {type: lan, subnet: 10.0.0.0/24, nodes: [{host: 10.0.0.2, name: n, package_deploy: true}]}
tasks:
  migrate: {binary: m, args: ["$$$$ $${X} ${db.port.sql}"], dependencies: [db], retries: 2, timeout: 90}
  seed: {task_type: seeder, action: {url: "${db.url}", token: abc, n: [1, 2.5, null, true]}, dependencies: [db]}
services:
  db:
    binary: postgres
    user: pg
    group: pg
    working_dir: ./data
    ports: [{name: sql, port: auto}, 9000]
    env: {PGPASSWORD: hunter2, A: "multi\nline", B: "yes", C: "${db.port}"}
    readiness: {command: [pg_isready, -p, "${db.port}"], timeout: 1.5, on_unhealthy: restart}
    stop: {signal: INT, grace: 1500ms, command: [a, b]}
    log: {max_size: 1MiB, max_files: 2, mode: file, on_full: block}
    labels: {x: "1", y: "$${z}"}
  api:
    command: "exec api | tee"
    name: The API
    network: local
    ports: [8080]
    depends_on:
      db: {condition: service_healthy, restart: true}
      migrate: {required: false}
    startup: {http: {path: /, status: [200], headers: {Authorization: Bearer x}}, retries: 9}
    liveness: {log: "a$|b"}
    restart: {policy: always, backoff: {initial: 1, jitter: 0}, crash_loop: {retry_every: never}}
    startup_timeout: 1m30s
    profiles: [dev]
  attached: {type: process-attach, process_name: x, health_check: {notify: true}}
  pg: {image: "postgres:15", command: [x], ports: ["5433:5432"], volumes: ["/a:/b"], container_name: c, network: lab}
  far: {type: remote, host: h, user: u, port: 2222, ssh_key: k, binary: b, args: [x], restart: no}
  pkg: {type: wireguard, host: h, package: p.tar.gz, version: "1.0", install_path: /opt}
"#;

#[test]
fn a_rendered_stack_loads_to_the_same_stack() {
    for text in [
        RICH,
        include_str!("fixtures/services.yaml"),
        include_str!("fixtures/seed-001.yaml"),
    ] {
        let sources = |text: &str| {
            Sources::new()
                .text("t.yaml", text)
                .directory("/nonexistent/demo")
                .profile("*")
        };
        let first = load(&sources(text));
        let stack = first
            .stack
            .as_ref()
            .unwrap_or_else(|| panic!("{}", lines(&first)));
        let rendered = render_config(stack, Secrets::Show);
        let second = load(&sources(&rendered));
        let again = second
            .stack
            .as_ref()
            .unwrap_or_else(|| panic!("{}\n{rendered}", lines(&second)));
        let (mut stack, mut again) = (stack.clone(), again.clone());
        for unit in stack.units.values_mut().chain(again.units.values_mut()) {
            unit.origin = Default::default();
            unit.dependencies
                .iter_mut()
                .for_each(|d| d.origin = Default::default());
        }
        assert_eq!(stack, again, "{rendered}");
    }
}

#[test]
fn secrets_are_masked_by_default() {
    let loaded = load(
        &Sources::new()
            .text("t.yaml", RICH)
            .directory("/nonexistent/demo")
            .profile("*"),
    );
    let stack = loaded.stack.expect("it loads");
    let masked = render_config(&stack, Secrets::Mask);
    for secret in ["hunter2", "Bearer x", "abc"] {
        assert!(!masked.contains(secret), "{secret} in\n{masked}");
        assert!(render_config(&stack, Secrets::Show).contains(secret));
    }
    insta::assert_snapshot!(masked);
}
