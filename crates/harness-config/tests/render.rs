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
volumes:
  named: {labels: {a: b}, driver: local, driver_opts: {o: "addr=1", password: pw0rd}}
  there: {external: true, name: known}
  plain:
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
  pg: {image: "postgres:15", command: [x], ports: ["5433:5432"], volumes: ["/a:/b"], container_name: cc, network: lab}
  full:
    target:
      type: docker
      build: {context: ./src, dockerfile: D, args: {A: "$${x}", API_TOKEN: t0ken, B: }, target: stage}
      pull: build
      entrypoint: [a, "${db.ip}"]
      working_dir: /w
      network: host
    ports: [8081, {target: 53, name: dns, protocol: udp, published: 53}]
  open:
    type: docker
    image: i
    ports: [80, "81:82", "0.0.0.0:83:84/udp", "8000-8001:9000-9001", {target: 85, name: web, host_ip: "::1"}]
    expose: [86, {target: 87, name: inner, protocol: udp}]
    volumes: ["named:/n:ro", "./b:/b", {type: bind, source: "c:d", target: /e, read_only: true, bind: {create_host_path: false, propagation: rslave}}, /f, {type: volume, target: /g, read_only: true}]
    tmpfs: ["/t", "/u:size=1m,mode=0755,ro,uid=5"]
    networks: {default: {aliases: [x, y.z]}}
    hostname: h.example
    extra_hosts: {h: [10.0.0.1, "::1"], gate: host-gateway}
    limits: {memory: 1g, cpus: 1.25, pids: 9, ulimits: {nofile: 5, core: {soft: 0, hard: -1}}}
    privileged: true
    cap_add: [NET_ADMIN]
    cap_drop: [ALL]
    security_opt: ["label=$${x}"]
    read_only: true
    sysctls: {net.core.somaxconn: 1024}
    devices: [/dev/fuse, {source: /dev/a, target: /dev/b, permissions: r}]
    group_add: [video, 44]
    init: true
    tty: true
    shm_size: 64m
    pull: always
    health_check: {container: true}
    stop: {command: [a], signal: 2}
  seen: {type: docker-attach, container: other, ports: [9]}
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
    for secret in ["hunter2", "Bearer x", "abc", "t0ken", "pw0rd"] {
        assert!(!masked.contains(secret), "{secret} in\n{masked}");
        assert!(render_config(&stack, Secrets::Show).contains(secret));
    }
    insta::assert_snapshot!(masked);
}
