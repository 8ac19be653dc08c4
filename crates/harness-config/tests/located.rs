//! What is wrong, and exactly where.
//!
//! Each text carries its marks: `«H0204»` stands before the character that the diagnostic names, `` is a
//! warning, `«file H0104»` is about the whole file. A text without marks is right.

mod support;

use harness_config::load;
use service_orchestration::spec::TargetKind;
use support::{lines, sources};

/// The text without its marks, and the marks as `line:column code`, in order.
fn unmark(marked: &str) -> (String, Vec<String>) {
    let mut text = String::new();
    let mut marks = Vec::new();
    let mut rest = marked;
    while let Some((before, tail)) = rest.split_once('«') {
        text.push_str(before);
        let (mark, tail) = tail.split_once('»').expect("a mark is closed");
        let seen = text.trim_start_matches('\u{feff}');
        let line = seen.matches('\n').count() + 1;
        let column = seen.rsplit('\n').next().unwrap_or(seen).chars().count() + 1;
        marks.push(match mark.strip_prefix("file ") {
            Some(code) => format!("0:0 {code}"),
            None => format!("{line}:{column} {mark}"),
        });
        rest = tail;
    }
    text.push_str(rest);
    (text, marks)
}

fn check(cases: impl IntoIterator<Item = String>) {
    let mut failures = String::new();
    for marked in cases {
        let (text, mut expected) = unmark(&marked);
        let sources = sources(&text).runs(TargetKind::Docker);
        let loaded = load(&sources.runs(TargetKind::DockerAttach));
        let found = loaded.diagnostics.iter().map(|d| {
            let mark = if d.is_error() { "" } else { "W " };
            format!("{}:{} {mark}{}", d.line, d.column, d.code)
        });
        let mut found: Vec<String> = found.collect();
        found.sort();
        expected.sort();
        if found != expected {
            failures += &format!("{marked}\n  found {found:?}\n{}\n", lines(&loaded));
        }
        let is_good = loaded.diagnostics.iter().all(|d| !d.is_error());
        assert_eq!(loaded.stack.is_some(), is_good, "{marked}");
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn a_liveness_probe_that_can_never_fail_is_told_and_a_startup_probe_is_not() {
    let service = |probe: &str| format!("services: {{a: {{type: process, binary: x, {probe}}}}}");
    check([
        service("liveness: {«W H0306»log: pid}"),
        service("liveness: {«W H0306»notify: true}"),
        service("startup: {log: pid}, readiness: {notify: true}, liveness: {command: x}"),
    ]);
}

#[test]
fn text_that_is_no_stack_is_refused_where_it_goes_wrong() {
    check([
        "«file H0104»",
        "«file H0104»\u{feff}",
        "«file H0104»# only a comment\n",
        "«file H0104»null",
        "«H0104»[a]",
        "«H0104»just text",
        "«file H0202»name: x\n",
        "«file H0202»services: {}\n",
        "services:\n  a: {type: process, binary: x}\n«H0104»---\nservices: {}\n",
        "services:\n  a: «H0101»[\n",
        "services:\n«H0101»\ta: 1\n",
        "services:\n  a: {type: process, binary: «H0103»!x y}\n",
        "services:\n  a: {type: process, binary: «H0103»!!str y}\n",
        "services:\n  a: {type: process, binary: «H0101»*nope}\n",
        "services:\n  ? «H0107»[a]\n  : {type: process, binary: x}\n  b: {type: process, binary: x}\n",
        "services: &s\n  a: «H0106»*s\n",
        "services:\n  a:\n    <<: «H0106»1\n    type: process\n    binary: x\n",
        "version: «H0209»3\nservices: {a: {type: process, binary: x}}",
        "«H0204»nmae: x\nservices: {a: {type: process, binary: x}}",
        "name: «H0208»-x\nservices: {a: {type: process, binary: x}}",
        "services: «H0201»[a]",
        "services: {«H0208»a b: {type: process, binary: x}}",
        "volumes: {v: , w: {external: true}}\nservices: {a: {type: process, binary: x}}",
        "volumes: {v: {external: true, «H0206»driver: nfs}, «H0208»'a b': , w: «H0201»x}\nservices: {a: {type: process, binary: x}}",
        "settings: {«W H0305»log_level: debug}\nservices: {a: {type: process, binary: x}}",
        "settings: {log_total: «H0203»100k}\nservices: {a: {type: process, binary: x}}",
        "settings: {«W H0305»log_level: «H0203»loud, startup_timeout: «H0203»0}\nservices: {a: {type: process, binary: x}}",
    ].map(str::to_owned));
}

#[test]
fn targets_take_their_own_fields_only() {
    check([
        "services: {«H0202»a: }",
        "services: {a: «H0201»x}",
        "services: {a: «H0202»{}}",
        "services: {a: «H0202»{env: {}}}",
        "services: {a: {«H0202»type: }}",
        "services: {a: {type: «H0201»[process]}}",
        "services: {a: {type: «H0205»proces}}",
        "services: {a: {type: «H0302»systemd}}",
        "services: {a: «H0202»{type: process}}",
        "services: {a: «H0202»{type: process, binary: }}",
        "services: {a: {type: process, binary: «H0202»''}}",
        "services: {a: {type: process, binary: «H0201»[x]}}",
        "services: {a: {type: process, binary: x, args: «H0201»y}}",
        "services: {a: {type: process, binary: x, args: [«H0201»{b: c}]}}",
        "services: {a: {type: process, binary: x, «H0206»image: y}}",
        "services: {a: {type: process, binary: x, «H0206»timeout: 5}}",
        "tasks: {a: {type: process, binary: x, «H0206»restart: always}}",
        "services: {a: {«H0207»type: process, binary: x, target: {type: process, binary: x}}}",
        "services: {a: {target: «H0201»x}}",
        "services: {a: {«H0202»target: {binary: x}}}",
        "services: {a: {target: {type: process, binary: x}, «H0206»args: [y]}}",
        "services: {a: {target: {type: process, binary: x, «H0206»restart: always}}}",
        "services: {a: {target: {type: process, binary: x, env: {A: 1}}, «H0207»env: {B: 2}}}",
        "services: {a: {target: {type: process, binary: x, env: {A: 1}}, «H0207»environment: {B: 2}}}",
        "services: {a: {type: process, binary: x, env: {}, «H0207»environment: {}}}",
        "services: {a: «H0202»{type: process-attach}}",
        "services: {a: {type: process-attach, pid: «H0203»0}}",
        "services: {a: {type: process-attach, pid: 1, «H0207»process_name: x}}",
        "services: {a: «H0202»{type: docker}}",
        "services: {a: {type: docker, image: x, volumes: [«H0203»1, {«H0204»a: b, type: volume, target: /x}]}}",
        r#"services: {a: {type: docker, image: x, command: «H0203»"sh -c 'x"}}"#,
        "services: {a: {type: docker, image: x, ports: [{target: 5, «H0204»publshed: 6}]}}",
        "services: {a: «H0202»{type: docker-attach}}",
        "services: {a: «H0202»{type: remote, binary: x}}",
        "services: {a: {type: remote, host: h, binary: x, «H0207»package: y}}",
        "services: {a: {type: remote, host: h, port: «H0203»ssh, binary: x}}",
        "services: {a: «H0202»{type: wireguard, host: h}}",
        "tasks: {a: «H0202»{}}",
        "tasks: {a: {task_type: «W H0304»t}}",
        "tasks: {a: {«H0202»action: {x: 1}, type: process, binary: x}}",
        "tasks: {a: {task_type: t, action: 1, «H0207»config: 2}}",
    ].map(str::to_owned));
}

#[test]
fn policies_and_probes_are_checked_where_they_stand() {
    let around = |rest: &str| {
        format!(
            "services:\n  a: {{type: process, binary: x, ports: [{{name: web, port: 80}}], {rest}}}\n"
        )
    };
    check(
        [
            "restart: no",
            "restart: false",
            "restart: «H0203»often",
            "restart: «H0203»on-failure:x",
            "restart: {policy: always, «H0206»max_retries: 3}",
            "restart: {«H0204»when: always}",
            "restart: {backoff: {jitter: «H0203»200}}",
            "restart: always, «H0207»restart_policy: no",
            "stop: {signal: «H0203»SIGFOO}",
            "stop: {signal: INT}, «H0207»stop_signal: TERM",
            "stop_grace_period: 5, «H0207»shutdown_timeout: 6",
            "replicas: «H0302»2",
            "replicas: 1",
            "«H0302»priority: 1, «H0302»category: core",
            "«H0302»limits: {memory: 1g}, «H0302»hooks: {a: b}, «H0302»watch: [src], mqtt: {}",
            "log: {max_size: «H0203»1k}",
            "log: {mode: «H0203»syslog}",
            "log: {max_files: «H0203»0}",
            "networks: [local, «H0302»other]",
            "network: «H0502»lcoal",
            "labels: {a: 1, b: «H0201»[c]}",
            "«H0202»on_unhealthy: restart",
            "«H0202»health_check: {}",
            "health_check: {command: 'true'}, «H0207»readiness: {command: 'true'}",
            "health_check: {command: x, «H0207»tcp: 80}",
            "health_check: {tcp: 80, «H0206»args: [x]}",
            "health_check: {tcp: «H0203»nope}",
            "health_check: {tcp: web}",
            "health_check: {tcp: {port: «H0203»70000}}",
            "health_check: {tcp: {port: 80, «H0207»timeout: 1}, timeout: 2}",
            "health_check: {http: {«H0207»path: /, url: 'http://x/'}}",
            "health_check: {http: «H0203»'https://x/'}",
            "health_check: {http: {status: [«H0203»99]}}",
            "health_check: {http: {port: «H0203»admin}}",
            "health_check: {log: «H0203»'('}",
            "health_check: {notify: «H0203»false}",
            "health_check: {«H0206»container: true}",
            "health_check: {«H0302»mqtt: {topic: x}}",
            "health_check: {test: [«H0203»curl, x]}",
            "health_check: {test: [NONE]}",
            "health_check: {command: x, interval: «H0203»0}",
            "health_check: {command: x, retries: «H0203»0}",
            "health_check: {command: x, «H0204»intervall: 3}",
            "liveness: {command: x, «H0206»on_unhealthy: restart}",
        ]
        .map(around),
    );
}

#[test]
fn ports_and_environment_are_checked_item_by_item() {
    check([
        "services: {a: {binary: x, ports: [«H0203»http]}}",
        "services: {a: {binary: x, ports: [«H0203»'80:80']}}",
        "services: {a: {binary: x, ports: [«H0203»0, «H0203»65536]}}",
        "services: {a: {binary: x, ports: «H0201»80}}",
        "services: {a: {binary: x, ports: [80, «H0207»80]}}",
        "services: {a: {binary: x, ports: [{port: auto}, auto]}}",
        "services: {a: {binary: x, ports: [80, 80/udp, auto/udp, {name: dns, port: 53, protocol: udp}, «H0207»80/udp]}}",
        "services: {a: {binary: x, ports: [«H0203»80/sctp, «H0203»'80:80/udp', {port: «H0203»80/udp}, {port: 1, protocol: «H0203»icmp}]}}",
        "services: {a: {binary: x, ports: [{name: q, port: 53, protocol: udp}], readiness: {tcp: {port: «H0203»q}}}}",
        "services: {a: {binary: x, ports: [53/udp], readiness: {tcp: «H0202»{}}}}",
        "services: {a: {type: docker-attach, container: x, ports: [5432, 53/udp, {name: sql, port: 1}]}}",
        "services: {a: {type: docker-attach, container: x, ports: [«H0203»'1:2', «H0203»auto, «H0203»http]}}",
        "services:\n  a: {type: docker-attach, container: x}\n  b: {binary: x, depends_on: [a], env: {A: '${a.port}', B: '«H0407»${a.port.sql}'}}\n",
        "services:\n  a: {binary: x, ports: [80]}\n  b: {binary: x, ports: [80/udp]}\n",
        "services:\n  a: {image: x, container_name: nn}\n  b: {image: x, container_name: «H0207»nn}\n  c: {image: x, container_name: mm}\n",
        "services:\n  a: {image: x, container_name: nn, profiles: [one]}\n  b: {image: x, container_name: nn, profiles: [two]}\n",
        "services: {a: {binary: x, ports: [«H0202»{name: h}]}}",
        "services: {a: {binary: x, env: «H0201»x}}",
        "services: {a: {binary: x, env: {A: «H0201»[1]}}}",
        "services: {a: {binary: x, env: {«H0203»'A B': 1}}}",
        "services: {a: {binary: x, env: ['A=1', «H0203»'=2']}}",
        "services: {a: {binary: x, env_file: «H0212»nope.env}}",
        "services: {a: {binary: x, env_file: «H0201»{path: x}}}",
        "services: {a: {binary: x, env_file: [{path: x, required: false}]}}",
        "services:\n  a: {binary: x, ports: [80]}\n  b: {binary: x, ports: [«W H0501»80]}\n",
        "services:\n  a: {binary: x}\n  b: {binary: x, env: {A_HOST: «W H0503»a, URL: «W H0503»'http://a/', X: a}}\n",
        // Said of what listens, or is spoken to: not of what only has to be there.
        "services:\n  «W H0506»a: {binary: x, readiness: {tcp: {port: 80}}}\n  b: {type: docker, image: y, depends_on: [a]}\n  c: {type: docker, image: y, network_mode: host, depends_on: [a]}\n",
        "services:\n  «W H0506»a: {binary: x}\n  b: {type: docker, image: y, depends_on: [a], env: {A: '${a.host}:80'}}\n",
        "services:\n  «W H0506»a: {binary: x}\n  b: {type: docker, image: y, depends_on: [a], command: [get, 'http://a:80/']}\n",
        "services:\n  a: {binary: x}\n  b: {type: docker, image: y, depends_on: [a]}\n",
        "services:\n  a: {binary: x, readiness: {log: up}}\n  b: {type: docker, image: y, depends_on: [a], env: {NAME: a}}\n",
        "services:\n  a: {binary: x, ports: [«W H0506»53/udp]}\n  b: {type: docker, image: y, depends_on: [a], env: {DNS_HOST: '${a.host}'}}\n",
        "services:\n  a: {binary: x, ports: [80]}\n  b: {type: docker, image: y, depends_on: [a]}\n",
        "networks: {«W H0504»n: {type: lan, nodes: [«H0202»{name: x}]}}\nservices: {a: {binary: x}}",
        "networks: {n: {type: «H0203»lna}}\nservices: {a: {binary: x}}",
        "networks: {n: «H0202»{subnet: 10.0.0.0/8}}\nservices: {a: {binary: x}}",
        "networks: {n: {type: local, subnet: «H0203»10.0.0.0/8}}\nservices: {a: {binary: x}}",
        "networks: {n: {type: local, «H0206»nodes: []}}\nservices: {a: {binary: x}}",
    ].map(str::to_owned));
}

#[test]
fn dependencies_name_what_is_there() {
    let around = |rest: &str| {
        format!(
            "tasks: {{t: {{binary: x}}}}\nservices:\n  db: {{binary: x}}\n  a: {{binary: x, {rest}}}\n"
        )
    };
    check(
        [
            "dependencies: [db, t]",
            "dependencies: [«H0402»dbb]",
            "dependencies: [{service: «H0403»t}]",
            "dependencies: [{task: «H0403»db}]",
            "dependencies: [{task: «H0207»t, service: db}]",
            "dependencies: [«H0202»{condition: started}]",
            "dependencies: [db, «H0404»db]",
            "depends_on: {db: , t: }",
            "depends_on: {db: {condition: «H0203»healthyy}}",
            "depends_on: «H0201»db",
            "depends_on: [«H0401»a]",
            "optional_deps: [db, «H0402»nope]",
            "dependencies: [db], optional_deps: [«H0404»db]",
        ]
        .map(around),
    );
}

#[test]
fn names_and_cycles_are_found_across_units() {
    check([
        "services: {a: {binary: x}}\ntasks: {«H0405»a: {binary: x}}",
        "services:\n  a: {binary: x, depends_on: [«H0401»b]}\n  b: {binary: x, depends_on: [c, d]}\n  c: {binary: x, depends_on: [a]}\n  d: {binary: x, depends_on: [«H0401»d]}\n",
    ].map(str::to_owned));
}

#[test]
fn variables_and_references_are_located_inside_their_text() {
    let around = |rest: &str| {
        format!(
            "tasks: {{t: {{binary: x}}}}\nservices:\n  graph-node: {{binary: x, ports: [{{name: web, port: 1}}]}}\n  quiet: {{binary: x}}\n  a:\n    binary: x\n    depends_on: [graph-node, t, quiet]\n    args: [{rest}]\n"
        )
    };
    check([
        "'${SET} ${UNSET:-d} ${EMPTY:-d} ${EMPTY-} ${SET:+x} ${UNSET+y} $HOME $(x) $$ $'",
        "'é «H0210»${UNSET}'",
        "'«H0210»${UNSET}', '«H0210»${UNSET2}'",
        "'«H0210»${UNSET} and «H0210»${UNSET2}'",
        "'«H0210»${EMPTY:?must be set}'",
        "'${EMPTY?must be set}'",
        "'${A:-${B:-«H0210»${C}}}'",
        "'x «H0211»${'",
        "'«H0211»${}'",
        "'«H0211»${a b}'",
        "'«H0211»${1A}'",
        "\"x\\n«H0210»${UNSET}\"",
        "'${graph-node.port} ${graph-node.port.web} ${graph-node.url} ${t.address} ${quiet.ip}'",
        "'«H0406»${graph-nod.url}'",
        "'«H0406»${nope.ip}'",
        "'«H0407»${graph-node.prot}'",
        "'«H0407»${graph-node.port.wbe}'",
        "'«H0407»${quiet.port}'",
        "'${HOST-db.example.com}'",
        "'${HOST:-${graph-node.ip}}'",
        "'${HOST:-«H0407»${graph-node.ipp}}'",
    ].map(around));
}

#[test]
fn places_inside_text_hold_in_every_style() {
    check([
        "services:\n  b: {binary: x, ports: [1]}\n  a: {binary: x, args: ['«W H0408»${b.port}']}\n",
        "services:\n  a: {binary: x, ports: ['${PORT}'], args: ['${a.port}']}\n",
        "services:\n  a: {binary: x, ports: [«H0203»'${SET}']}\n",
        "services:\n  b: {binary: x}\n  a: {binary: x, user: «H0213»'«W H0408»${b.ip}'}\n",
        "services:\n  a:\n    binary: x\n    args:\n      - |\n        first $1\n        then «H0210»${UNSET}\n",
        "services:\n  a:\n    binary: x\n    args:\n      - >-\n        folded\n        é «H0210»${UNSET:?x}\n",
        "services:\n  a:\n    binary: x\n    args:\n      - plain on\n        «H0210»${UNSET} lines\n",
        "name: '«H0210»${UNSET}'\nservices: {a: {binary: x}}\n",
        "x-any: '${UNSET}'\nservices: {a: {binary: x}}\n",
        "services:\r\n  a: {binary: x,\r\n    args: ['é «H0210»${UNSET}']}\r\n",
    ].map(str::to_owned));
}

#[test]
fn containers_are_checked_key_by_key() {
    let around = |rest: &str| {
        format!(
            "volumes: {{data: }}\nservices:\n  a: {{type: docker, image: x, {rest}}}\n  db: {{type: docker, image: y}}\n"
        )
    };
    check(
        [
            "build: {context: ., dockerfile: D, args: {A: 1, B: , C: x}, target: t}",
            "build: «H0203»'https://example.com/x.git'",
            "build: {context: ., «H0204»dockerfil: x, «H0302»ssh: [default]}",
            "build: {args: {A: «H0213»'${db.ip}'}}, depends_on: [db]",
            "pull: always",
            "pull: «H0203»daily",
            "pull_policy: if_not_present",
            "pull: «H0202»build",
            "pull: always, «H0207»pull_policy: never",
            "ports: [80, '81:80', '127.0.0.1::82/udp', '8000-8001:90-91']",
            "ports: [«H0203»'80-82:90-91', «H0203»'80/sctp', «H0203»auto]",
            "ports: [«H0203»'1-1001']",
            "ports: ['1-600', «H0102»'601-1200']",
            "ports: [80, «H0207»80]",
            "ports: ['80:80', '81:80', «H0207»'81:82']",
            "ports: ['0.0.0.0:80:80', «H0207»'127.0.0.1:80:81']",
            "ports: ['127.0.0.1:80:80', '127.0.0.2:80:81']",
            "ports: ['53:53', '53:53/udp']",
            "ports: [{target: 80, published: auto, host_ip: 0.0.0.0, name: web}]",
            "ports: [{target: 80, host_ip: «H0203»web}]",
            "ports: [{target: 80, «H0302»mode: host}]",
            "ports: [«H0202»{published: 80}]",
            "ports: [80], expose: [80, 81, '82-83/udp', {target: 84, name: web}]",
            "ports: [{target: 80, name: web}], expose: [«H0207»{target: 81, name: web}]",
            "expose: [«H0203»'80:81']",
            "volumes: ['data:/data', './x:/x:ro', '/y', {type: tmpfs, target: /z, tmpfs: {size: 1m, mode: 1777}}]",
            "volumes: [«H0505»'dat:/data']",
            "volumes: [{type: volume, source: data, target: /a}, «H0505»{type: volume, source: dat, target: /b}]",
            "volumes: ['data:/x', «H0207»'./y:/x/'], tmpfs: [«H0207»/x]",
            "volumes: [«H0203»data, «H0203»'data:x', «H0203»'data:/', «H0203»'data:/x:nocopy']",
            "volumes: [«H0213»'./${db.ip}:/x'], depends_on: [db]",
            "volumes: [«H0203»'~/x:/x']",
            "volumes: [{type: «H0203»npipe, target: /x}]",
            "volumes: [{type: bind, source: ./x, target: /x, bind: {create_host_path: false, propagation: rslave}}]",
            "volumes: [«H0202»{type: bind, target: /x}]",
            "volumes: [{type: tmpfs, «H0206»source: x, target: /x}]",
            "volumes: [{type: volume, target: /x, «H0206»tmpfs: {size: 1m}}]",
            "volumes: [{type: volume, target: «H0203»x, «H0302»volume: {nocopy: true}}]",
            "tmpfs: '/run:size=64m,mode=1777,noexec,uid=5'",
            "tmpfs: [/run, «H0203»'/tmp:huge=always', «H0203»run]",
            "tmpfs: «H0203»'/run:mode=9'",
            "network: host, ports: [80, '81:81']",
            "network: host, ports: [«H0206»'81:80']",
            "network_mode: host, ports: [«H0206»'0.0.0.0:80:80']",
            "network_mode: none, ports: [«H0206»80]",
            "network_mode: «H0302»'service:db'",
            "network: «H0502»other",
            "network_mode: other",
            "networks: {default: {aliases: [w, x.y]}}",
            "networks: [default]",
            "networks: {default: {«H0302»ipv4_address: 10.0.0.1}}",
            "networks: {default: , «H0302»other: }",
            "networks: [«H0207»default], network_mode: host",
            "networks: {default: {aliases: [«H0208»'a b']}}",
            "container_name: «H0208»'a b', hostname: «H0208»a_b",
            "extra_hosts: ['h:10.0.0.1', 'i=::1', 'j:host-gateway', «H0203»'k']",
            "extra_hosts: {h: 10.0.0.1, i: [10.0.0.2, ::1], j: «H0203»web}",
            "limits: {memory: 512m, cpus: 0.5, pids: 100, ulimits: {nofile: 1024, core: {soft: 0, hard: -1}}}",
            "limits: {memory: «H0203»1m, cpus: «H0203»0, pids: «H0203»0, «H0204»disk: 1g}",
            "limits: {memory: 512m}, «H0207»mem_limit: 1g",
            "cpus: 1.5, deploy: {resources: {limits: {«H0207»cpus: '2'}}}",
            "deploy: {resources: {limits: {memory: 50M}, «H0302»reservations: {memory: 20M}}, «H0302»replicas: 2}",
            "pids_limit: 100, ulimits: {«H0204»nofil: 10, nproc: «H0203»{soft: 10, hard: 5}}",
            "privileged: true, cap_add: [NET_ADMIN, «H0203»'A B'], cap_drop: [ALL], read_only: «H0201»1",
            "security_opt: [no-new-privileges], sysctls: {net.core.somaxconn: 1024}, group_add: [video, 44]",
            "sysctls: [a.b=1, «H0203»c]",
            "devices: [/dev/fuse, '/dev/a:/dev/b:r', {source: /dev/c}, «H0203»fuse]",
            "init: true, tty: true, shm_size: 64m",
            "«H0302»platform: linux/amd64, «H0302»dns: 1.1.1.1, «H0302»stdin_open: true",
            "stop: {scope: «H0206»group}",
            "stop: {scope: main, signal: INT, grace: 1s, command: [x]}",
            "log: {mode: «H0206»file}",
            "health_check: {«H0206»notify: true}",
            "health_check: {container: true}",
            "env: {PG_HOST: db, URL: 'http://db:1/'}, depends_on: [db]",
        ]
        .map(around),
    );
}

#[test]
fn a_port_of_this_machine_has_one_owner() {
    check(
        [
            "services:\n  a: {type: docker, image: x, ports: ['80:1']}\n  b: {type: docker, image: x, ports: [«W H0501»'80:2']}\n",
            "services:\n  a: {binary: x, ports: [80]}\n  b: {type: docker, image: x, ports: [«W H0501»'0.0.0.0:80:2']}\n",
            "services:\n  a: {binary: x, ports: [80]}\n  b: {type: docker, image: x, network: host, ports: [«W H0501»80]}\n",
            "services:\n  a: {binary: x, ports: [80]}\n  b: {type: docker, image: x, ports: [80]}\n  c: {type: docker, image: x, ports: ['192.0.2.1:80:1']}\n",
        ]
        .map(str::to_owned),
    );
}

#[test]
fn keys_of_containers_stand_nested_too() {
    check(
        [
            "services: {a: {target: {type: docker, image: x, network: host, limits: {memory: 1g}, cap_add: [ALL]}}}",
            "services: {a: {target: {type: docker, image: x}, limits: {memory: 1g}, network_mode: host}}",
            "services: {a: {target: {type: docker, image: x, limits: {memory: 1g}}, «H0207»limits: {memory: 2g}}}",
            "services: {a: {target: {type: docker, image: x, network: other, «H0207»network_mode: host}}}",
            "services: {a: {binary: x, «H0206»mem_limit: 1g, networks: {local: {«H0206»aliases: [b]}}}}",
            "services: {a: {type: docker-attach, container: c, log: {mode: «H0206»file}, health_check: {«H0206»notify: true}}}",
        ]
        .map(str::to_owned),
    );
}
