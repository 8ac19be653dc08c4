//! Compose files laid over each other: what is joined, whatever form each side has.

mod support;

use harness_config::{Sources, load};
use service_orchestration::spec::StackSpec;
use support::compose::{of, without_places};

/// What a service says, what a file over it says, and what both together say.
const CASES: [(&str, &str, &str); 30] = [
    ("env_file: a", "env_file: b", "env_file: [a, b]"),
    ("env_file: a", "env_file: [b, a]", "env_file: [a, b]"),
    (
        "env_file: a",
        "env_file: [{path: b, required: false}]",
        "env_file: [a, {path: b, required: false}]",
    ),
    (
        "env_file: [a, {path: b}]",
        "env_file: [{path: b, required: false}]",
        "env_file: [a, {path: b, required: false}]",
    ),
    ("tmpfs: /a", "tmpfs: [/b]", "tmpfs: [/a, /b]"),
    (
        "tmpfs: [/a]",
        "tmpfs: '/a:size=1m'",
        "tmpfs: ['/a:size=1m']",
    ),
    ("dns: 1.1.1.1", "dns: 2.2.2.2", "dns: [1.1.1.1, 2.2.2.2]"),
    ("dns: 1.1.1.1", "dns: [2.2.2.2]", "dns: [1.1.1.1, 2.2.2.2]"),
    (
        "dns_search: [a.b]",
        "dns_search: c.d",
        "dns_search: [a.b, c.d]",
    ),
    ("dns_opt: [a]", "dns_opt: [b]", "dns_opt: [a, b]"),
    (
        "extra_hosts: {a: 10.0.0.1, b: 10.0.0.9}",
        "extra_hosts: ['b:10.0.0.2']",
        "extra_hosts: ['a:10.0.0.1', 'b:10.0.0.2']",
    ),
    (
        "extra_hosts: ['a:10.0.0.1']",
        "extra_hosts: {b: [10.0.0.2, '::1']}",
        "extra_hosts: ['a:10.0.0.1', 'b:10.0.0.2', 'b:::1']",
    ),
    (
        "networks: {default: {aliases: [a]}}",
        "networks: {default: {aliases: [b, a]}}",
        "networks: {default: {aliases: [a, b]}}",
    ),
    (
        "networks: [default]",
        "networks: {default: {aliases: [b]}}",
        "networks: {default: {aliases: [b]}}",
    ),
    (
        "security_opt: [a:b]",
        "security_opt: [c:d]",
        "security_opt: [a:b, c:d]",
    ),
    (
        "cap_add: [KILL]",
        "cap_add: [CHOWN]",
        "cap_add: [KILL, CHOWN]",
    ),
    (
        "cap_drop: [KILL]",
        "cap_drop: [CHOWN]",
        "cap_drop: [KILL, CHOWN]",
    ),
    ("group_add: [a]", "group_add: [b]", "group_add: [a, b]"),
    (
        "labels: [a=1, b=1]",
        "labels: {b: 2}",
        "labels: {a: 1, b: 2}",
    ),
    ("labels: {a: 1}", "labels: [b=2]", "labels: {a: 1, b: 2}"),
    // Names of variables and labels, and no keys.
    (
        "{labels: {dns: a}, environment: {tmpfs: a}}",
        "{labels: {dns: b}, environment: {tmpfs: b}}",
        "{labels: {dns: b}, environment: {tmpfs: b}}",
    ),
    (
        "environment: {A: 1, B: 1}",
        "environment: [B=2, C=3]",
        "environment: {A: 1, B: 2, C: 3}",
    ),
    (
        "ports: ['8080:80']",
        "ports: ['8080:80', '81:81']",
        "ports: ['8080:80', '81:81']",
    ),
    (
        "ports: [{target: 80, published: '8080'}]",
        "ports: [{target: 80, published: '8080'}, {target: 81}]",
        "ports: [{target: 80, published: '8080'}, {target: 81}]",
    ),
    ("expose: [80]", "expose: ['80', 81]", "expose: [80, 81]"),
    (
        "volumes: [./a:/a, ./b:/b]",
        "volumes: ['./c:/b:ro']",
        "volumes: [./a:/a, './c:/b:ro']",
    ),
    (
        "devices: [/dev/a:/dev/x]",
        "devices: [/dev/b:/dev/x]",
        "devices: [/dev/b:/dev/x]",
    ),
    (
        "sysctls: [a.b=1]",
        "sysctls: {c.d: 2}",
        "sysctls: {a.b: 1, c.d: 2}",
    ),
    (
        "build: ./there",
        "build: {target: x, args: [A=1]}",
        "build: {context: ./there, target: x, args: {A: 1}}",
    ),
    (
        "{command: [a, b], entrypoint: [c], healthcheck: {test: [CMD, a]}, ulimits: {nofile: 5}, logging: {driver: local, options: {max-size: 1m}}}",
        "{command: [d], entrypoint: [e], healthcheck: {test: [CMD, b]}, ulimits: {nofile: {soft: 1, hard: 2}}, logging: {driver: json-file}}",
        "{command: [d], entrypoint: [e], healthcheck: {test: [CMD, b]}, ulimits: {nofile: {soft: 1, hard: 2}}, logging: {driver: json-file}}",
    ),
];

fn loaded(sources: Sources, case: &str) -> StackSpec {
    let loaded = load(&sources);
    let found = &loaded.diagnostics;
    without_places(loaded.stack.unwrap_or_else(|| panic!("{case}: {found:#?}")))
}

#[test]
fn every_form_of_a_key_is_laid_over_every_other_as_in_compose() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for name in ["a", "b"] {
        let file = directory.path().join(name);
        std::fs::write(file, format!("{}=1\n", name.to_uppercase())).expect("written");
    }
    let service = |said: &str| {
        let inner = said
            .strip_prefix('{')
            .and_then(|said| said.strip_suffix('}'));
        format!("services: {{web: {{{}, image: x}}}}", inner.unwrap_or(said))
    };
    let base_file = directory.path().join("base.yaml");
    for (base, over, both) in CASES {
        let here = |text: &str| of(text).directory(directory.path());
        let expected = loaded(here(&service(both)), both);
        let merged = here(&service(base)).text("compose.override.yaml", service(over));
        assert_eq!(loaded(merged, base), expected, "{base} + {over}");
        std::fs::write(&base_file, service(base)).expect("written");
        let extends = "web: {extends: {file: base.yaml, service: web}, ";
        let extending = service(over).replacen("web: {", extends, 1);
        assert_eq!(loaded(here(&extending), base), expected, "{base} + {over}");
    }
}
