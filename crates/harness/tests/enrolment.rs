//! Another machine becomes a client, works within its role, and is shut out: by the real program.

mod support;

use std::io::Write;
use std::process::Stdio;

use support::{Home, Run};

const ONE: &str = "name: web\nservices:\n  one: {type: process, binary: FIXTURE, args: [hold]}\n";

/// The daemon's home with a stack that runs, and another home enrolled at it as `ci`, with the context `work`.
fn enrolled(role: &str) -> (Home, Home) {
    let (home, other) = (Home::new(ONE), Home::new(ONE));
    home.ok(&["start"]);
    let invited = home.ok(&["daemon", "invite", "--role", role, "--name", "ci"]);
    assert_eq!(
        invited.stdout.lines().count(),
        1,
        "the token and nothing else"
    );
    enroll(&other, "work", &invited.stdout)
        .expect(0)
        .says(&format!("enrolled as `ci` ({role})"));
    // Used up.
    enroll(&other, "again", &invited.stdout).expect(6);
    (home, other)
}

/// `daemon enroll` with this text on its standard input.
fn enroll(home: &Home, name: &str, token: &str) -> Run {
    let mut command = home.command(&["daemon", "enroll", "-", "--name", name]);
    command.stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program runs");
    let mut input = child.stdin.take().expect("piped");
    input.write_all(token.as_bytes()).expect("written");
    drop(input);
    Run::of(child.wait_with_output().expect("ended"))
}

#[test]
fn an_operator_elsewhere_does_what_he_may_and_is_told_what_he_may_not() {
    let (home, other) = enrolled("operator");
    let there = |arguments: &[&str]| other.run(&[&["--context", "work"], arguments].concat());
    there(&["-p", "web", "status"]).expect(0).shows("one");
    // Refused before anything is stopped.
    there(&["down", "-p", "web", "--yes"])
        .expect(6)
        .says("`stack.forget` needs the role deployer; `ci` is operator");
    home.until("one", "ready");
    there(&["-p", "web", "stop"]).expect(0);
    home.until("one", "idle");
    there(&["daemon", "stop"])
        .expect(6)
        .says("needs the role admin");
    there(&["daemon", "invite"]).expect(6);

    home.ok(&["daemon", "grant", "ci", "observer"]);
    there(&["-p", "web", "restart", "one"])
        .expect(6)
        .says("`ci` is observer");
    let clients = home.ok(&["daemon", "clients", "-o", "json"]).json();
    assert_eq!(clients["items"][0]["name"], "ci");
    assert_eq!(clients["items"][0]["role"], "observer");
    home.ok(&["daemon", "clients"]).shows("ci");

    home.ok(&["daemon", "revoke", "ci"]);
    there(&["-p", "web", "status"])
        .expect(6)
        .says("`ci` was shut out");
    home.run(&["daemon", "revoke", "nobody"]).expect(4);
    home.run(&["daemon", "revoke", "local"]).expect(1);
    other.run(&["--context", "nowhere", "status"]).expect(4);

    let lines = home.ok(&["audit", "-o", "json"]);
    let methods: Vec<String> = lines
        .stdout
        .lines()
        .map(|line| {
            let record: serde_json::Value = serde_json::from_str(line).expect("JSON");
            format!("{} {}", record["method"], record["outcome"]).replace('"', "")
        })
        .collect();
    assert!(
        methods.contains(&"stack.forget forbidden".to_owned()),
        "{methods:?}"
    );
    assert!(
        methods.contains(&"client.revoke ok".to_owned()),
        "{methods:?}"
    );
    home.ok(&["audit", "-n", "3"]).shows("client.revoke");
    home.ok(&["audit", "--verify"]).shows("as it was written");
    home.ok(&["audit", "--since", "1h"]).shows("enrol");

    // Without a daemon the files tell the same, and what was changed in them.
    home.ok(&["daemon", "stop"]);
    home.ok(&["audit", "-n", "1"]).shows("daemon.shutdown");
    let file = home.home().join("state/audit/audit.jsonl");
    let text = std::fs::read_to_string(&file).expect("there");
    std::fs::write(&file, text.replacen("forbidden", "ok", 1)).expect("written");
    home.run(&["audit", "--verify"])
        .expect(1)
        .shows("the line was changed");
}

#[test]
fn a_wrong_token_is_wrong_usage_and_a_dead_daemon_is_five() {
    let (home, other) = (Home::new(ONE), Home::empty());
    enroll(&other, "x", "nonsense")
        .expect(2)
        .says("harness daemon invite");
    home.ok(&["start"]);
    let token = home.ok(&["daemon", "invite"]).stdout;
    other
        .run(&["daemon", "enroll", token.trim()])
        .expect(2)
        .says("can be seen by every user of this machine");
    home.ok(&["daemon", "stop"]);
    enroll(&other, "x", &token).expect(5);
    let file = other.home().join("token");
    std::fs::write(&file, &token).expect("written");
    other
        .run(&["daemon", "enroll", &file.to_string_lossy()])
        .expect(5);
}

#[test]
fn a_verb_about_the_daemon_of_this_machine_refuses_another() {
    let home = Home::new(ONE);
    for verb in [["daemon", "start"], ["daemon", "run"], ["daemon", "logs"]] {
        home.run(&[&["--context", "work"], &verb[..]].concat())
            .expect(2)
            .says("is about the daemon of this machine, and `work` is elsewhere");
    }
    home.run(&["status"]).expect(5);
}

#[test]
fn keys_that_others_can_read_are_refused_with_the_way_out() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new(ONE);
    home.ok(&["start"]);
    let key = home.home().join("config/pki/client-local.pem");
    let mode = |mode| {
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).expect("set");
    };
    mode(0o644);
    home.run(&["status"]).expect(6).says("chmod go=");
    mode(0o600);
    home.ok(&["status"]);
}
