//! Compose files of whatever kind: what comes out of an import is a stack file that means the same.

mod support;

use harness_config::{Code, Diagnostic, Sources, import_compose, load, render_human};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use support::compose::{STACKS, directory, of, set, without_places};

/// Whatever comes out of an import loads, and means what the Compose file means.
fn survive(text: &str) {
    let directly = load(&of(text).profile("*"));
    let imported = import_compose(&of(text));
    render_human(&imported.diagnostics, &imported.files, false);
    let Some(made) = &imported.text else {
        assert!(
            imported.diagnostics.iter().any(Diagnostic::is_error),
            "{text:?}"
        );
        return;
    };
    let sources = Sources::new()
        .text("harness.yaml", made)
        .directory("/nonexistent/demo");
    let sources = set(
        sources.variable("SET", "value").profile("*"),
        &imported.diagnostics,
    );
    let again = load(&sources);
    // Files of environments that are missing are an error only where the stack is to run.
    if imported
        .diagnostics
        .iter()
        .any(|found| found.code == Code::EnvFile)
    {
        return;
    }
    let Some(stack) = again.stack.clone() else {
        panic!("{text}\n---\n{made}\n---\n{}", support::lines(&again));
    };
    let is_compose = !directly.compose_names().is_empty();
    if let Some(directly) = directly.stack.filter(|_| is_compose) {
        assert_eq!(
            without_places(directly),
            without_places(stack),
            "{text}\n---\n{made}"
        );
    }
}

/// Good files with something done to them: bytes changed, lines moved, pieces repeated.
fn mutated() -> impl Strategy<Value = String> {
    let seeds: Vec<String> = STACKS
        .iter()
        .map(|stack| std::fs::read_to_string(directory().join(format!("{stack}.yaml"))))
        .collect::<Result<_, _>>()
        .expect("the stacks");
    let edit = (
        any::<prop::sample::Index>(),
        0usize..30,
        prop::sample::select(PIECES.to_vec()),
    );
    let edits = prop::collection::vec(edit, 1..10);
    (prop::sample::select(seeds), edits).prop_map(|(mut text, edits)| {
        for (at, length, piece) in edits {
            let mut start = at.index(text.len() + 1);
            while !text.is_char_boundary(start) {
                start -= 1;
            }
            let mut end = (start + length).min(text.len());
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.replace_range(start..end.max(start), piece);
        }
        text
    })
}

/// What breaks parsers, and what means something in a Compose file.
const PIECES: [&str; 44] = [
    "",
    "\n",
    " ",
    "\t",
    ":",
    ": ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    "#",
    "'",
    "\"",
    "|\n",
    "$",
    "$$",
    "${",
    "${A}",
    "${A:-b}",
    "$A",
    "é\u{1F600}",
    "\u{85}",
    "\u{feff}",
    "~",
    "null",
    "no",
    "0",
    "-1",
    "1.5",
    "    x-a: b\n",
    "    extends: web\n",
    "    ports: [80]\n",
    "    healthcheck: {}\n",
    "    scale: 3\n",
    "    command: []\n",
    "    volumes:\n",
    "    network_mode: host\n",
    "    restart: no\n",
    "    deploy: {}\n",
    "services:\n",
    "    environment:\n      - A\n",
    "    labels: [a, b=c]\n",
    "    stop_signal: RTMIN\n",
];

/// Services of random keys with random values, every one of which Compose knows.
fn random_services() -> impl Strategy<Value = String> {
    let values = prop_oneof![
        prop::sample::select(VALUES.to_vec()).prop_map(str::to_owned),
        "[ -~é\\n]{0,12}".prop_map(|text| serde_json::to_string(&text).expect("text")),
    ];
    let key = prop::sample::select(KEYS.to_vec());
    let service = prop::collection::btree_map(key, values, 0..6);
    prop::collection::vec(service, 1..4).prop_map(|services| {
        let mut text = String::from("volumes: {a: }\nservices:\n");
        for (n, keys) in services.iter().enumerate() {
            text += &format!("  s{n}:\n    image: x\n");
            for (key, value) in keys {
                text += &format!("    {key}: {value}\n");
            }
        }
        text
    })
}

const KEYS: [&str; 31] = [
    "build",
    "command",
    "entrypoint",
    "environment",
    "ports",
    "expose",
    "volumes",
    "tmpfs",
    "depends_on",
    "links",
    "healthcheck",
    "profiles",
    "restart",
    "stop_signal",
    "stop_grace_period",
    "user",
    "working_dir",
    "labels",
    "container_name",
    "networks",
    "network_mode",
    "deploy",
    "scale",
    "logging",
    "pull_policy",
    "extends",
    "mem_limit",
    "cpus",
    "secrets",
    "platform",
    "privileged",
];

const VALUES: [&str; 32] = [
    "",
    "~",
    "true",
    "false",
    "no",
    "0",
    "1",
    "1.5",
    "10s",
    "1.5s",
    "512m",
    "always",
    "on-failure:3",
    "s0",
    "[s0]",
    "[s1, s0]",
    "{s0: {condition: service_healthy}}",
    "{s1: {condition: service_completed_successfully}}",
    "{s0: }",
    "[\"80:80\", 90]",
    "{test: [CMD, x], interval: 0s}",
    "{disable: true}",
    "{replicas: 2, resources: {limits: {cpus: 1}}}",
    "[\"a:/b\", {type: bind, source: c, target: /d, read_only: true}, {type: tmpfs, target: /t}]",
    "[A=b, C]",
    "{A: , B: 1}",
    "/x:size=1m",
    "host",
    "service:s0",
    "$A",
    "${A:-x}",
    "{driver: local, options: {max-size: 10m, x: y}}",
];

fn check(cases: u32, strategy: impl Strategy<Value = String>) {
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    });
    let outcome = runner.run(&strategy, |text| {
        survive(&text);
        Ok(())
    });
    outcome.expect("whatever is imported loads");
}

#[test]
fn whatever_is_imported_loads_and_means_the_same() {
    check(600, mutated());
    check(1_500, random_services());
}

#[test]
fn imports_never_panic() {
    let pieces = prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..60);
    check(
        600,
        prop_oneof![pieces.prop_map(|pieces| pieces.concat()), any::<String>()],
    );
}
