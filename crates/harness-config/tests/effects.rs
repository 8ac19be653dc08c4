//! What each key does to the specification.

mod support;

use std::time::Duration;

use service_orchestration::spec::{
    Gate, OnUnhealthy, PortNumber, Probe, ProbeAction, ProcessTarget, Published, RestartWhen,
    ServiceSpec, StackSpec, StopScope, TargetSpec,
};
use support::{lines, load_text};

fn stack(text: &str) -> StackSpec {
    let loaded = load_text(text);
    let lines = lines(&loaded);
    loaded.stack.unwrap_or_else(|| panic!("{text}\n{lines}"))
}

fn unit(text: &str) -> ServiceSpec {
    stack(text).units.into_values().next().expect("one unit")
}

/// A service with a program, a port and these keys.
fn service(rest: &str) -> ServiceSpec {
    unit(&format!(
        "services: {{a: {{binary: x, ports: [{{name: web, port: 80}}], {rest}}}}}"
    ))
}

fn process(spec: &ServiceSpec) -> &ProcessTarget {
    match &spec.target {
        TargetSpec::Process(process) => process,
        other => panic!("{other:?}"),
    }
}

fn argv(spec: &ServiceSpec) -> Vec<String> {
    let process = process(spec);
    let words = std::iter::once(&process.program).chain(&process.args);
    words.map(ToString::to_string).collect()
}

fn readiness(rest: &str) -> Probe {
    service(&format!("health_check: {rest}"))
        .readiness
        .expect("a probe")
}

fn asked(rest: &str) -> String {
    match readiness(rest).action {
        ProbeAction::Command { command } => command
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("|"),
        ProbeAction::Http { url, .. } => url.to_string(),
        ProbeAction::Tcp { host, port } => {
            format!("{}:{port}", host.map(|h| h.to_string()).unwrap_or_default())
        }
        other => format!("{other:?}"),
    }
}

#[test]
fn who_is_told_of_what_it_needs_is_said_for_all_or_for_one() {
    let told = |settings: &str, own: &str| {
        let text = format!("settings: {{{settings}}}\nservices: {{a: {{binary: x, {own}}}}}");
        unit(&text).inject
    };
    assert!(told("", ""));
    assert!(!told("inject: false", ""));
    assert!(told("inject: false", "inject: true"));
    assert!(!told("", "inject: false"));
}

#[test]
fn flat_and_nested_targets_mean_the_same() {
    let flat = unit(
        "services: {a: {type: Process, binary: x, args: [y], env: {A: 1}, user: u, ports: [80]}}",
    );
    for text in [
        "services: {a: {target: {type: process, binary: x, args: [y], env: {A: 1}, user: u, ports: [80]}}}",
        "services: {a: {target: {type: PROCESS, binary: x, args: [y]}, environment: [A=1], user: u, ports: [80]}}",
        "services: {a: {command: [x, y], env: {A: '1'}, user: u, ports: ['80']}}",
        "services: {a: {command: x, args: [y], env: {A: '1'}, user: u, ports: ['${NONE:-80}']}}",
    ] {
        let mut nested = unit(text);
        nested.origin = flat.origin.clone();
        assert_eq!(nested, flat, "{text}");
    }
}

#[test]
fn text_keeps_its_source_form() {
    let spec = unit(
        "services: {a: {binary: x, args: [no, 010, 1_000, 1.0, 'true', 0x1F], env: {A: no, B: 010, C: 1_000, D: null, E: '', F: 1e3, G: true, PORT: , NONE: }}}",
    );
    assert_eq!(
        argv(&spec)[1..],
        ["no", "010", "1_000", "1.0", "true", "0x1F"]
    );
    let env: Vec<_> = spec
        .env
        .iter()
        .filter_map(|(k, v)| Some((k.as_str(), v.as_literal()?)))
        .collect();
    let expected = [
        ("A", "no"),
        ("B", "010"),
        ("C", "1_000"),
        ("D", "null"),
        ("E", ""),
        ("F", "1e3"),
        ("G", "true"),
    ];
    assert_eq!(env[..7], expected);
    // Without a value a name is passed on from the caller, and left out when the caller has none.
    assert_eq!(env[7..], [("PORT", "8080")]);
}

#[test]
fn text_alone_is_run_by_a_shell_that_is_stopped_as_a_group() {
    let shell = unit("services: {a: {command: 'exec serve --port $PORT | tee $LOG'}}");
    assert_eq!(
        argv(&shell),
        ["sh", "-c", "exec serve --port $PORT | tee $LOG"]
    );
    assert_eq!(shell.stop.scope, StopScope::Group);
    let word = unit("services: {a: {command: ./serve}}");
    assert_eq!(
        (argv(&word), word.stop.scope),
        (vec!["./serve".to_owned()], StopScope::Main)
    );
    let chosen = unit("services: {a: {command: 'a b', stop: {scope: main}}}");
    assert_eq!(chosen.stop.scope, StopScope::Main);
    let docker = unit("services: {a: {image: x, command: \"serve --name 'a b' ${a.ip}:1\"}}");
    let TargetSpec::Docker(container) = docker.target else {
        panic!("a container")
    };
    let words: Vec<String> = container
        .command
        .expect("a command")
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(words, ["serve", "--name", "a b", "${a.ip}:1"]);
}

#[test]
fn probes_ask_what_they_say() {
    for (rest, expected) in [
        ("{command: pg_isready, args: [-U, x]}", "pg_isready|-U|x"),
        ("{command: [a, b]}", "a|b"),
        (
            "{command: 'curl -f http://x | grep ok'}",
            "sh|-c|curl -f http://x | grep ok",
        ),
        ("{test: 'exit 0'}", "sh|-c|exit 0"),
        ("{test: [CMD, redis-cli, ping]}", "redis-cli|ping"),
        ("{test: [CMD-SHELL, 'a || b']}", "sh|-c|a || b"),
        ("{http: 'http://localhost:1/h'}", "http://localhost:1/h"),
        ("{http: {path: /h}}", "http://${a.ip}:${a.port}/h"),
        (
            "{http: {path: h, port: web}}",
            "http://${a.ip}:${a.port.web}/h",
        ),
        (
            "{http: {host: localhost, port: 81}}",
            "http://localhost:81/",
        ),
        ("{http: '${a.url}/h'}", "${a.url}/h"),
        ("{tcp: 6379}", ":6379"),
        ("{tcp: 'localhost:1'}", "localhost:1"),
        ("{tcp: {}}", ":${a.port}"),
        ("{tcp: {port: web, host: h}}", "h:${a.port.web}"),
        ("{notify: true}", "Notify"),
        ("{log: 'ready .*'}", "Log { pattern: \"ready .*\" }"),
    ] {
        assert_eq!(asked(rest), expected, "{rest}");
    }
    assert_eq!(service("healthcheck: {test: [NONE]}").readiness, None);
    for (says, is_off) in [
        ("healthcheck: {test: [NONE]}", true),
        ("healthcheck: {disable: true}", true),
        ("healthcheck: {test: x, disable: true}", true),
        ("healthcheck: {test: x, disable: false}", false),
        ("restart: no", false),
    ] {
        let text = format!("services: {{a: {{type: docker, image: x, {says}}}}}");
        let TargetSpec::Docker(container) = unit(&text).target else {
            panic!("a container")
        };
        assert_eq!(container.no_check, is_off, "{says}");
    }
    assert_eq!(
        service("healthcheck: {test: x, disable: true}").readiness,
        None
    );
}

#[test]
fn probes_count_as_they_are_told() {
    let probe = readiness(
        "{tcp: {port: 1, timeout: 0.5}, interval: 2, retries: 7, start_period: 1m30s, start_interval: 500ms, success_threshold: 2}",
    );
    assert_eq!(probe.timeout, Duration::from_millis(500));
    assert_eq!(probe.interval, Duration::from_secs(2));
    assert_eq!((probe.retries, probe.success_threshold), (7, 2));
    assert_eq!(probe.start_period, Duration::from_secs(90));
    assert_eq!(probe.start_interval, Duration::from_millis(500));
    let spec = service(
        "readiness: {tcp: 1, on_unhealthy: restart}, liveness: {tcp: 2}, startup: {tcp: 3}",
    );
    assert_eq!(spec.on_unhealthy, OnUnhealthy::Restart);
    assert!(spec.liveness.is_some() && spec.startup.is_some());
}

#[test]
fn restart_stop_and_log_take_every_form() {
    for (rest, expected) in [
        ("restart: no", RestartWhen::Never),
        ("restart: false", RestartWhen::Never),
        ("restart: on-failure", RestartWhen::OnFailure { max: None }),
        (
            "restart: 'on-failure:3'",
            RestartWhen::OnFailure { max: Some(3) },
        ),
        ("restart_policy: unless-stopped", RestartWhen::UnlessStopped),
        ("restart: {policy: always}", RestartWhen::Always),
        (
            "restart: {max_retries: 2}",
            RestartWhen::OnFailure { max: Some(2) },
        ),
        ("", RestartWhen::OnFailure { max: None }),
    ] {
        assert_eq!(service(rest).restart.when, expected, "{rest}");
    }
    let restart = service("restart: {backoff: {initial: 1, factor: 3, max: 5m, jitter: 0, reset_after: 1m}, crash_loop: {limit: 2, window: 10, retry_every: never}}").restart;
    assert_eq!(
        (restart.backoff.cap, restart.backoff.jitter_percent),
        (Duration::from_secs(300), 0)
    );
    assert_eq!(
        (restart.crash_loop.limit, restart.crash_loop.retry_every),
        (2, None)
    );
    for rest in [
        "stop: {signal: SIGINT, grace: 3}",
        "stop_signal: INT, stop_grace_period: 3s",
        "stop: {signal: 2}, shutdown_timeout: 3",
    ] {
        let stop = service(rest).stop;
        assert_eq!(
            (stop.signal, stop.grace),
            (2, Duration::from_secs(3)),
            "{rest}"
        );
    }
    let stop = service("stop: {command: [pg_ctl, stop], scope: group}").stop;
    assert_eq!(
        (stop.command.map(|c| c.len()), stop.scope),
        (Some(2), StopScope::Group)
    );
    let log = service("log: {mode: file, max_size: 1MiB, max_files: 2, on_full: block}").log;
    assert_eq!((log.max_size, log.max_files), (1 << 20, 2));
}

#[test]
fn dependencies_take_every_form() {
    let stack = stack(
        "tasks: {t: {binary: x, retries: 2, timeout: 9}}\nservices:\n  db: {binary: x}\n  q: {binary: x}\n  a:\n    binary: x\n    depends_on:\n      db: {condition: service_healthy, restart: true}\n      t: {condition: service_completed_successfully, required: false}\n    optional_deps: [q]\n  b: {binary: x, dependencies: [{service: db, condition: started}, {task: t}, q]}\n",
    );
    let edges = |name: &str| {
        let edges = stack.units[name].dependencies.iter();
        edges
            .map(|d| (d.unit.to_string(), d.gate, d.required, d.restart))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        edges("a"),
        [
            ("db".to_owned(), Some(Gate::Ready), true, true),
            ("t".to_owned(), Some(Gate::Completed), false, false),
            ("q".to_owned(), None, false, false),
        ]
    );
    assert_eq!(
        edges("b"),
        [
            ("db".to_owned(), Some(Gate::Started), true, false),
            ("t".to_owned(), None, true, false),
            ("q".to_owned(), None, true, false),
        ]
    );
    let task = &stack.units["t"];
    assert_eq!(task.restart.when, RestartWhen::OnFailure { max: Some(2) });
    assert_eq!(task.timeout, Some(Duration::from_secs(9)));
    let origin = &stack.units["b"].dependencies[1].origin;
    assert_eq!((origin.file, origin.line, origin.column), (0, 11, 75));
}

#[test]
fn settings_are_defaults() {
    let text = "settings: {health_check_interval: 7, startup_timeout: 1m, shutdown_timeout: 20}\nservices:\n  a: {binary: x, health_check: {tcp: 1}}\n";
    let spec = unit(text);
    assert_eq!(
        spec.readiness.map(|p| p.interval),
        Some(Duration::from_secs(7))
    );
    assert_eq!(spec.startup_timeout, Some(Duration::from_secs(60)));
    assert_eq!(spec.stop.grace, Duration::from_secs(20));
    let own = unit(&text.replace(
        "{binary: x,",
        "{binary: x, startup_timeout: 5, stop: {grace: 1},",
    ));
    assert_eq!(
        (own.startup_timeout, own.stop.grace),
        (Some(Duration::from_secs(5)), Duration::from_secs(1))
    );
}

#[test]
fn the_logs_of_a_stack_may_have_a_cap_together() {
    let text = "settings: {log_total: 2g}\nservices: {a: {binary: x}}\n";
    assert_eq!(stack(text).log_total, Some(2 << 30));
    assert_eq!(stack("services: {a: {binary: x}}\n").log_total, None);
}

#[test]
fn ports_have_names_numbers_or_neither() {
    let spec = unit("services: {a: {binary: x, ports: [8080, {name: admin, port: auto}, auto]}}");
    let ports: Vec<_> = spec
        .ports
        .iter()
        .map(|p| (p.name.as_deref(), p.port))
        .collect();
    assert_eq!(
        ports,
        [
            (None, PortNumber::Fixed(8080)),
            (Some("admin"), PortNumber::Auto),
            (None, PortNumber::Auto)
        ]
    );
    let spec = unit(
        "services: {a: {image: x, container_name: cc, ports: [5432, '127.0.0.1:5433:5432/tcp', {target: 80, published: 81, name: web}]}}",
    );
    let TargetSpec::Docker(container) = spec.target else {
        panic!("a container")
    };
    let published = |address: Option<&str>, port| {
        let address = address.map(|text| text.parse().expect("an address"));
        Some(Published { address, port })
    };
    assert_eq!(
        spec.ports.iter().map(|p| p.published).collect::<Vec<_>>(),
        [
            published(None, PortNumber::Auto),
            published(Some("127.0.0.1"), PortNumber::Fixed(5433)),
            published(None, PortNumber::Fixed(81)),
        ]
    );
    assert_eq!(container.container_name.as_deref(), Some("cc"));
    assert_eq!(spec.ports[2].name.as_deref(), Some("web"));
}

#[test]
fn anchors_and_merge_keys_are_followed() {
    let stack = stack(
        "x-base: &base\n  type: process\n  env: &env {A: 1}\nservices:\n  a: {<<: *base, binary: x}\n  b:\n    <<: [{binary: y}, *base]\n    env: {<<: *env, A: 2, B: 3}\n",
    );
    assert_eq!(stack.units["a"].env["A"].as_literal(), Some("1"));
    let b = &stack.units["b"].env;
    assert_eq!(
        (b["A"].as_literal(), b["B"].as_literal()),
        (Some("2"), Some("3"))
    );
}

#[test]
fn an_action_keeps_its_types_and_its_references() {
    let stack = stack(
        "services: {anvil: {binary: x, ports: [1]}}\ntasks: {t: {task_type: g, dependencies: [anvil], action: {type: DeployAll, url: '${anvil.url}', n: 3, on: true, key: '$$${SET}'}}}\n",
    );
    assert_eq!(
        stack.units["t"].action,
        Some(
            serde_json::json!({"type": "DeployAll", "url": "${anvil.url}", "n": 3, "on": true, "key": "$value"})
        )
    );
}

#[test]
fn the_name_is_the_files_or_the_directorys() {
    assert_eq!(stack("services: {a: {binary: x}}").name.as_str(), "demo");
    assert_eq!(
        stack("name: own\nservices: {a: {binary: x}}").name.as_str(),
        "own"
    );
    for (directory, expected) in [
        ("/x/My Stack!", "my-stack-"),
        ("/x/__a", "a"),
        ("/", "stack"),
        ("/x/é", "stack"),
    ] {
        let sources = support::sources("services: {a: {binary: x}}").directory(directory);
        let loaded = harness_config::load(&sources);
        assert_eq!(loaded.stack.expect("it loads").name.as_str(), expected);
    }
    let sources = support::sources("name: own\nservices: {a: {binary: x}}").project("other");
    assert_eq!(
        harness_config::load(&sources)
            .stack
            .expect("it loads")
            .name
            .as_str(),
        "other"
    );
}
