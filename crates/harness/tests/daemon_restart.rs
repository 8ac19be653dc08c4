//! `daemon restart`: another daemon in the place of the one that runs, and nobody notices but who asks for it.

mod support;

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use support::{DEADLINE, Home, Run};
use testkit::eventually_blocking;

/// Ready once there is a file `go`; ends once there is a file `leave`.
const SLOW: &str = "\
name: slow
services:
  api:
    type: process
    binary: /bin/sh
    args: [-c, \"trap '' TERM; echo begun; until [ -e go ]; do sleep 0.02; done; echo listening; until [ -e leave ]; do sleep 0.02; done\"]
    readiness: {log: listening}
    restart: \"no\"
    shutdown_timeout: 20s
";

const IDLERS: &str = "\
name: idlers
services:
  a: {type: process, command: [FIXTURE, ignore-term], stop: {grace: 0s}}
  b: {type: process, command: [FIXTURE, ignore-term], stop: {grace: 0s}}
";

fn daemon(home: &Home) -> Value {
    home.ok(&["daemon", "status", "-o", "json"]).json()
}

/// Reads until a line has this in it; the rest of the output is still to come.
#[track_caller]
fn until_said(reader: &mut impl BufRead, text: &str) {
    let mut line = String::new();
    while !line.contains(text) {
        line.clear();
        let count = reader.read_line(&mut line).expect("it speaks");
        assert_ne!(count, 0, "it ended without saying {text:?}");
    }
}

#[test]
fn the_next_daemon_listens_where_the_last_did_and_runs_the_same_processes() {
    let home = Home::new(IDLERS);
    home.ok(&["start", "--wait"]);
    let (before, pid) = (daemon(&home), home.unit("a")["pid"].clone());

    let said = home.ok(&["daemon", "restart"]);
    let after = daemon(&home);
    assert_ne!(after["pid"], before["pid"]);
    assert_eq!(after["listen"], before["listen"]);
    assert_eq!(home.unit("a")["pid"], pid);
    let expected = format!(
        "version {0} (process {1}) instead of {0} (process {2}), listening on {3}; 2 services taken over",
        env!("CARGO_PKG_VERSION"),
        after["pid"],
        before["pid"],
        after["listen"].as_str().expect("an address"),
    );
    said.says(&expected);

    let told = home.ok(&["daemon", "restart", "-o", "json"]).json();
    assert_eq!(told["before"]["pid"], after["pid"]);
    assert_eq!(told["after"]["pid"], daemon(&home)["pid"]);
    assert_eq!(told["taken_over"], 2);
    let record = home.ok(&["audit"]).stdout;
    assert_eq!(record.matches("daemon.shutdown").count(), 2, "{record}");
}

#[test]
fn where_no_daemon_runs_one_is_started() {
    let home = Home::empty();
    home.ok(&["daemon", "restart"])
        .says("no daemon ran; one does now")
        .says("nothing to take over");
    home.ok(&["daemon", "stop"]);
    let told = home.ok(&["daemon", "restart", "-o", "json"]).json();
    assert_eq!(told["before"], Value::Null);
    assert_eq!(told["after"]["pid"], daemon(&home)["pid"]);
}

#[test]
fn what_waits_goes_on_with_the_next_daemon() {
    let home = Home::new(SLOW);
    let mut start = home.spawn(&["start", "--wait"]);
    let mut progress = BufReader::new(start.stderr.take().expect("piped"));
    until_said(&mut progress, "idle → starting");
    let wait = home.spawn(&["wait", "api", "--timeout", "60s"]);
    let mut logs = home.spawn(&["logs", "-f", "api"]);
    let mut lines = BufReader::new(logs.stdout.take().expect("piped"));
    until_said(&mut lines, "begun");
    let pid = home.unit("api")["pid"].clone();

    home.ok(&["daemon", "restart"]);
    home.ok(&["daemon", "restart"]);
    home.write("go", "");

    Run::of(wait.wait_with_output().expect("it ends"))
        .expect(0)
        .says("api: reached");
    let mut rest = String::new();
    progress.read_to_string(&mut rest).expect("it speaks");
    assert!(rest.contains("slow: 1 ready"), "{rest}");
    assert!(start.wait().expect("it ends").success());
    until_said(&mut lines, "listening");
    logs.kill().expect("it follows");
    logs.wait().expect("it is dead");
    assert_eq!(home.unit("api")["pid"], pid, "it was not started again");

    let mut stop = home.spawn(&["stop"]);
    let mut progress = BufReader::new(stop.stderr.take().expect("piped"));
    until_said(&mut progress, "→ stopping");
    home.ok(&["daemon", "restart"]);
    home.write("leave", "");
    Run::of(stop.wait_with_output().expect("it ends")).expect(0);
    assert_eq!(home.unit("api")["state"], "idle");
}

#[test]
fn questions_and_orders_that_come_meanwhile_wait_for_the_next_daemon() {
    let home = Home::new(IDLERS);
    home.ok(&["start", "--wait"]);
    let is_over = AtomicBool::new(false);
    // The first never starts a daemon, the second changes something.
    let all: [&[&str]; 3] = [&["daemon", "status"], &["start"], &["status"]];
    std::thread::scope(|scope| {
        for arguments in all {
            let (home, is_over) = (&home, &is_over);
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    home.ok(arguments);
                }
            });
        }
        let restarts = || (0..5).map(|_| home.run(&["daemon", "restart"]));
        let restarted: Vec<Run> = restarts().collect();
        is_over.store(true, Ordering::Relaxed);
        for run in restarted {
            run.expect(0);
        }
    });
}

#[test]
fn a_daemon_in_the_foreground_is_left_alone() {
    let home = Home::empty();
    let mut command = home.command(&["daemon", "run"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut foreground = command.spawn().expect("it runs");
    eventually_blocking(DEADLINE, "it answers", || {
        home.run(&["daemon", "status"]).code == 0
    });
    home.run(&["daemon", "restart"])
        .expect(1)
        .says("runs in the foreground")
        .says("daemon stop --keep");
    assert_eq!(daemon(&home)["pid"], foreground.id());
    home.ok(&["daemon", "stop"]);
    foreground.wait().expect("it ends");
}

#[test]
fn when_the_next_does_not_come_up_services_go_on() {
    let home = Home::new(IDLERS);
    home.ok(&["start", "--wait"]);
    let pid = home.unit("a")["pid"].clone();
    let key = home.home().join("config/pki/ca.key");
    let open_to = |mode| std::fs::set_permissions(&key, PermissionsExt::from_mode(mode));
    open_to(0o644).expect("ours");
    home.run(&["daemon", "restart"])
        .expect(6)
        .says("has ended, and no other took its place; what runs goes on")
        .says("others have access")
        .says("harness daemon start");
    open_to(0o600).expect("ours");
    home.ok(&["daemon", "start"]);
    assert_eq!(home.unit("a")["pid"], pid);
}

#[test]
fn only_the_daemon_of_this_machine_is_restarted() {
    let home = Home::empty();
    home.run(&["--context", "elsewhere", "daemon", "restart"])
        .expect(2)
        .says("is about the daemon of this machine");
}
