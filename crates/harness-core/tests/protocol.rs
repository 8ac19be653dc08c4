//! The calls of version 1 as clients of that version send them. A released line here is never changed: it must be
//! understood for as long as version 1 is.

use harness_core::protocol::method::{NAMES, ROLES};
use harness_core::protocol::{Effect, LogBatch, LogRecord, Request};
use harness_wire::frame::Frame;
use harness_wire::{Role, code};

/// Method, parameters as sent, and the least role.
const CALLS: &[(&str, &str, &str)] = &[
    ("daemon.status", "{}", "observer"),
    ("daemon.shutdown", r#"{"keep":true}"#, "admin"),
    (
        "stack.start",
        r#"{"stack":{"name":"web","description":null,"directory":"/srv","files":[],"environment":{},"networks":{},"units":{}},"mode":"extend","units":["api"],"no_deps":true,"again":true}"#,
        "deployer",
    ),
    (
        "stack.apply",
        r#"{"stack":{"name":"web","description":null,"directory":"/srv","files":[],"environment":{},"networks":{},"units":{}}}"#,
        "deployer",
    ),
    (
        "stack.stop",
        r#"{"stack":"web","units":["api"],"with_dependents":true,"force":true,"grace_ms":1500}"#,
        "operator",
    ),
    ("stack.restart", r#"{"stack":"web","units":[]}"#, "operator"),
    ("stack.status", r#"{"stack":"web"}"#, "observer"),
    ("stack.list", "{}", "observer"),
    (
        "stack.wait",
        r#"{"stack":"web","units":["api"],"goal":"ready","any":true}"#,
        "observer",
    ),
    ("stack.forget", r#"{"stack":"web"}"#, "deployer"),
    ("unit.why", r#"{"stack":"web","unit":"api"}"#, "observer"),
    (
        "unit.hold",
        r#"{"stack":"web","units":["api"]}"#,
        "operator",
    ),
    (
        "unit.release",
        r#"{"stack":"web","units":["api"]}"#,
        "operator",
    ),
    (
        "unit.signal",
        r#"{"stack":"web","units":["api"],"signal":1}"#,
        "operator",
    ),
    (
        "events.subscribe",
        r#"{"since":7,"stack":"web","until_now":true}"#,
        "observer",
    ),
    (
        "logs.read",
        r#"{"stack":"web","units":["api/2"],"tail":10,"since":"2025-01-01T00:00:00Z","until":null,"stream":"stderr","attempt":"previous"}"#,
        "observer",
    ),
    (
        "logs.follow",
        r#"{"stack":"web","attempt":{"number":3}}"#,
        "observer",
    ),
    (
        "unit.start",
        r#"{"stack":"web","units":["api"],"no_deps":true,"again":true}"#,
        "operator",
    ),
    ("client.list", "{}", "admin"),
    (
        "client.invite",
        r#"{"role":"operator","ttl_ms":600000,"name":"ci","address":"10.0.0.7:9443"}"#,
        "admin",
    ),
    ("client.revoke", r#"{"name":"ci"}"#, "admin"),
    (
        "client.set-role",
        r#"{"name":"ci","role":"observer"}"#,
        "admin",
    ),
    ("client.renew", r#"{"request":"-----BEGIN"}"#, "observer"),
    (
        "audit.read",
        r#"{"after":7,"since":"2025-01-01T00:00:00Z","last":true,"limit":50}"#,
        "admin",
    ),
    ("audit.verify", "{}", "admin"),
    ("logs.read-blocks", r#"{"stack":"web"}"#, "observer"),
    (
        "logs.follow-blocks",
        r#"{"stack":"web","units":["api"],"attempt":"last"}"#,
        "observer",
    ),
    (
        "net.resolve",
        r#"{"stack":"web","asker":"api/2","unit":"db"}"#,
        "observer",
    ),
    ("net.status", r#"{"stack":"web"}"#, "observer"),
    ("net.rotate", r#"{"stack":"web"}"#, "operator"),
    (
        "registry.list",
        r#"{"within":"shop","after":"shop:api/2"}"#,
        "observer",
    ),
    (
        "registry.resolve",
        r#"{"name":"shop:api","from":{"container":{"host":"local","networks":{"net":{"ip":"172.18.0.3","gateway":null}}}}}"#,
        "observer",
    ),
    (
        "registry.publish",
        r#"{"name":"shop:api/2","incarnation":7,"lease":"a1","ttl_ms":15000,"endpoints":[{"port":80,"name":"http","scheme":"https"}],"health":"unhealthy","ip":"10.0.0.7","host":"pi"}"#,
        "deployer",
    ),
    ("registry.renew", r#"{"lease":"a1"}"#, "deployer"),
    (
        "registry.withdraw",
        r#"{"name":"shop:api/2","incarnation":7}"#,
        "deployer",
    ),
    (
        "registry.watch",
        r#"{"within":"shop:api","since":"00000000deadbeef.17"}"#,
        "observer",
    ),
    (
        "one-off.begin",
        r#"{"stack":"web","unit":"api","command":["sh","-c","id"],"entrypoint":["env"],"env":{"api/A":"b"},"user":"root","working_dir":"/srv","tty":true,"holder":{"boot_id":"b","pid":7,"start_ticks":8,"pidfd_inode":9}}"#,
        "deployer",
    ),
    (
        "one-off.end",
        r#"{"stack":"web","id":"0123456789ab"}"#,
        "operator",
    ),
    (
        "unit.open-input",
        r#"{"stack":"web","unit":"seed"}"#,
        "deployer",
    ),
    ("unit.input", r#"{"input":7,"base64":"AP8="}"#, "deployer"),
];

fn parse(method: &str, params: &str) -> Result<Request, i64> {
    let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
    let Ok(Frame::Request { method, params, .. }) = Frame::parse(&text, 64) else {
        panic!("a request: {text}");
    };
    Request::parse(&method, &params).map_err(|error| error.code)
}

#[test]
fn every_call_of_version_1_is_understood() {
    let named: Vec<_> = CALLS.iter().map(|(method, ..)| *method).collect();
    assert_eq!(named, NAMES);
    for (method, params, role) in CALLS {
        let call = parse(method, params).unwrap_or_else(|code| panic!("{method}: {code}"));
        assert_eq!((call.method(), call.role().as_str()), (*method, *role));
    }
}

/// What changes something needs more than looking, and is recorded; and nothing else is.
#[test]
fn every_method_has_one_role_and_whoever_only_looks_changes_nothing() {
    let named: Vec<_> = ROLES.iter().map(|(name, ..)| *name).collect();
    assert_eq!(named, NAMES);
    for (name, role, effect) in ROLES {
        let is_own_certificate = *name == "client.renew";
        match effect {
            Effect::Changes => assert!(*role > Role::Observer || is_own_certificate, "{name}"),
            Effect::Reads => assert!(
                *role == Role::Observer
                    // A sign of life, every few seconds: nothing that anybody is told.
                    || *name == "registry.renew"
                    // Bytes, as many as there are, for what was recorded when it was opened.
                    || *name == "unit.input"
                    || name.starts_with("client.")
                    || name.starts_with("audit."),
                "{name}"
            ),
        }
        let is_about_access = name.starts_with("client.") || name.starts_with("audit.");
        assert!(
            !is_about_access || *role == Role::Admin || is_own_certificate,
            "{name}"
        );
    }
}

/// The table of the security model is the program's own.
#[test]
fn the_documented_roles_are_those_of_the_methods() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/security.md");
    let document = std::fs::read_to_string(path).expect("the document");
    for (name, role, effect) in ROLES {
        let recorded = match effect {
            Effect::Changes => "yes",
            Effect::Reads => "no",
        };
        let row = format!("| `{name}` | {role} | {recorded} |");
        assert!(document.contains(&row), "missing: {row}");
    }
    let rows = document.lines().filter(|line| {
        let cell = line
            .strip_prefix("| `")
            .and_then(|rest| rest.split('`').next());
        cell.is_some_and(|cell| cell.contains('.') && !cell.contains(['/', ' ']))
    });
    assert_eq!(rows.count(), ROLES.len(), "a method that does not exist");
}

#[test]
fn what_is_not_known_is_refused_not_ignored() {
    assert_eq!(parse("stack.explode", "{}"), Err(code::METHOD_NOT_FOUND));
    assert_eq!(
        parse("stack.status", r#"{"stack":"web","deep":true}"#),
        Err(code::INVALID_PARAMS)
    );
    assert_eq!(parse("stack.status", "{}"), Err(code::INVALID_PARAMS));
    assert_eq!(
        parse("stack.status", r#"{"stack":"../web"}"#),
        Err(code::INVALID_PARAMS)
    );
    assert_eq!(
        parse("stack.wait", r#"{"stack":"web","goal":"soon"}"#),
        Err(code::INVALID_PARAMS)
    );
}

#[test]
fn hostile_parameters_of_the_registry_are_refused() {
    let long = "x".repeat(64);
    let bad = [
        ("registry.publish", r#"{}"#.to_owned()),
        ("registry.publish", r#"{"name":"api"}"#.to_owned()),
        ("registry.publish", r#"{"name":"../x:api"}"#.to_owned()),
        ("registry.publish", r#"{"name":"shop:a/0"}"#.to_owned()),
        ("registry.publish", format!(r#"{{"name":"shop:{long}"}}"#)),
        (
            "registry.publish",
            r#"{"name":"shop:a","owner":"somebody"}"#.to_owned(),
        ),
        (
            "registry.publish",
            r#"{"name":"shop:a","incarnation":-1}"#.to_owned(),
        ),
        (
            "registry.publish",
            r#"{"name":"shop:a","incarnation":1e300}"#.to_owned(),
        ),
        (
            "registry.publish",
            r#"{"name":"shop:a","endpoints":[{"port":65536}]}"#.to_owned(),
        ),
        (
            "registry.publish",
            r#"{"name":"shop:a","endpoints":[{"port":1,"name":"a b"}]}"#.to_owned(),
        ),
        (
            "registry.publish",
            r#"{"name":"shop:a","endpoints":[{"port":1,"to":"x"}]}"#.to_owned(),
        ),
        (
            "registry.publish",
            r#"{"name":"shop:a","ip":"localhost"}"#.to_owned(),
        ),
        (
            "registry.publish",
            r#"{"name":"shop:a","health":"fine"}"#.to_owned(),
        ),
        (
            "registry.publish",
            r#"{"name":"shop:a","place":{"host":"x"}}"#.to_owned(),
        ),
        ("registry.renew", r#"{"owner":"somebody"}"#.to_owned()),
        (
            "registry.withdraw",
            r#"{"name":"shop:a","force":true}"#.to_owned(),
        ),
        (
            "registry.resolve",
            r#"{"name":"shop:a","from":"there"}"#.to_owned(),
        ),
        (
            "registry.resolve",
            r#"{"name":"shop:a","from":{"host":"a","unit":"b:c"}}"#.to_owned(),
        ),
        (
            "registry.resolve",
            r#"{"name":"shop:a","from":{"container":{"host":"a","privileged":true}}}"#.to_owned(),
        ),
        ("registry.list", r#"{"within":"*"}"#.to_owned()),
        ("registry.list", r#"{"limit":1000000}"#.to_owned()),
        ("registry.watch", r#"{"since":17}"#.to_owned()),
        (
            "registry.watch",
            r#"{"since":"ffffffffffffffffff.1"}"#.to_owned(),
        ),
        (
            "client.invite",
            r#"{"role":"observer","ttl_ms":1,"register":["*"]}"#.to_owned(),
        ),
    ];
    for (method, params) in bad {
        assert_eq!(
            parse(method, &params),
            Err(code::INVALID_PARAMS),
            "{method} {params}"
        );
    }
}

#[test]
fn bytes_that_are_no_text_survive_the_wire() {
    let cursor = r#"{"segment":1,"record":2,"delivered":[3,null]}"#;
    let line = |payload: &str| {
        format!(
            r#"{{"lines":[{{"unit":"api","time":"2025-01-01T00:00:00Z","stream":"stdout","attempt":1,{payload},"cursor":{cursor}}}]}}"#
        )
    };
    for (payload, bytes) in [
        (r#""text":"höher""#, "höher".as_bytes()),
        (r#""base64":"/wBB""#, b"\xff\0A"),
    ] {
        let text = line(payload);
        let batch: LogBatch = serde_json::from_str(&text).expect("a batch");
        assert_eq!(batch.lines[0].bytes, bytes);
        assert_eq!(serde_json::to_string(&batch).expect("JSON"), text);
    }
    assert!(serde_json::from_str::<LogRecord>(&line(r#""base64":"?""#)).is_err());
}
