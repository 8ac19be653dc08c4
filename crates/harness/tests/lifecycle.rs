//! Starting, stopping and looking, with real services.

mod support;

use std::io::{BufRead, BufReader};

use support::Home;
use testkit::alive;

const CHAIN: &str = "\
name: chain
services:
  db:
    type: process
    binary: FIXTURE
    args: [serve, \"0\"]
    readiness: {log: listening}
  api:
    type: process
    binary: FIXTURE
    args: [hold]
    depends_on: [db]
tasks:
  seed:
    target: {type: process, binary: /bin/echo, args: [seeded]}
    dependencies: [db]
";

#[test]
fn a_stack_comes_up_in_order_and_a_second_start_changes_nothing() {
    let home = Home::new(CHAIN);
    let first = home.ok(&["start", "--wait"]).says("chain: 3 ready");
    assert_eq!(first.stdout, "", "progress is no data");
    let ready = first
        .stderr
        .find("db    settling → ready")
        .expect("db is told");
    let after = first
        .stderr
        .find("api   idle → starting")
        .expect("api is told");
    assert!(ready < after, "{}", first.stderr);
    assert!(!first.stderr.contains(['\x1b', '\r']), "{:?}", first.stderr);
    let pid = home.unit("api")["pid"].clone();
    home.ok(&["start", "--wait"]).says("already running");
    home.ok(&["start"]).says("already running");
    assert_eq!(home.unit("api")["pid"], pid);
    home.ok(&["status", "--exit-code"])
        .shows("chain  2 services, 2 ready; 1 task, 1 done");
    let quiet = home.ok(&["-q", "start"]);
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
}

#[test]
fn status_has_one_shape_for_programs() {
    let home = Home::new(CHAIN);
    home.ok(&["start", "--wait"]);
    let status = home.status();
    assert_eq!(
        (&status["schema_version"], &status["stack"]),
        (&1.into(), &"chain".into())
    );
    assert_eq!(status["items"].as_array().map(Vec::len), Some(3));
    let api = home.unit("api");
    for key in [
        "name",
        "kind",
        "target",
        "state",
        "phase",
        "ready",
        "health",
        "pid",
        "restarts",
        "exit_code",
        "signal",
        "started_at",
        "stopped_at",
        "address",
        "ports",
        "waiting_for",
        "required_by",
        "instance_id",
        "last_checked",
        "version",
        "container_id",
    ] {
        assert!(api.get(key).is_some(), "{key} in {api}");
    }
    let one = home.ok(&["status", "api", "-o", "json"]).json();
    assert_eq!(one["items"].as_array().map(Vec::len), Some(1));
    home.ok(&["status", "api"])
        .shows("State: ready")
        .shows("pid ");
    home.ok(&["status", "-o", "wide"]).shows("INSTANCE");
}

#[test]
fn a_stack_is_found_by_name_from_below_and_without_its_file_being_read() {
    let home = Home::new(CHAIN);
    home.ok(&["start"]);
    home.write("deep/down/notes.txt", "");
    let from_below = home
        .command(&["status"])
        .current_dir(home.path().join("deep/down"))
        .output()
        .expect("runs");
    assert!(from_below.status.success());
    let from_elsewhere = home
        .command(&["-p", "chain", "status"])
        .current_dir("/")
        .output()
        .expect("runs");
    assert!(from_elsewhere.status.success());
    let mut by_variable = home.command(&["status"]);
    by_variable
        .current_dir("/")
        .env("HARNESS_FILE", home.path().join("harness.yaml"));
    assert!(by_variable.output().expect("runs").status.success());
    home.write("harness.yaml", "no stack at all: [");
    home.ok(&["status"]).shows("chain");
    home.ok(&["stop"]);
}

#[test]
fn several_stacks_are_listed_when_none_is_meant() {
    let home = Home::empty();
    home.write(
        "a/harness.yaml",
        "name: a\nservices: {x: {type: process, binary: FIXTURE, args: [hold]}}\n",
    );
    home.write(
        "b/harness.yaml",
        "name: b\nservices: {x: {type: process, binary: FIXTURE, args: [hold]}}\n",
    );
    home.ok(&["start", "--file", "a/harness.yaml"]);
    home.ok(&["status"]).shows("a  1 service");
    home.ok(&["start", "--file", "b/harness.yaml"]);
    home.ok(&["status"]).shows("STACK").shows("b/harness.yaml");
    let list = home.ok(&["status", "-o", "json"]).json();
    assert!(
        list["items"].is_array()
            && list["stacks"]
                .as_array()
                .is_some_and(|stacks| stacks.len() == 2)
    );
    home.run(&["stop"]).expect(4).says("-p");
    home.ok(&["-p", "a", "stop"]);
}

#[test]
fn what_others_need_is_stopped_only_on_purpose() {
    let home = Home::new(CHAIN);
    home.ok(&["start", "--wait"]);
    home.run(&["stop", "db"])
        .expect(1)
        .says("api")
        .says("--with-dependents");
    assert_eq!(home.unit("db")["state"], "ready");
    home.ok(&["stop", "db", "--with-dependents"]);
    assert_eq!(
        (
            home.unit("db")["pid"].as_u64(),
            home.unit("api")["pid"].as_u64()
        ),
        (None, None)
    );
    home.ok(&["start", "--wait"]);
    home.ok(&["stop", "db", "--force"]);
    assert!(home.unit("api")["pid"].is_u64());
}

#[test]
fn a_stop_that_had_to_insist_says_so() {
    let home = Home::new(
        "services:\n  deaf: {type: process, binary: FIXTURE, args: [ignore-term], readiness: {log: pid}}\n",
    );
    home.ok(&["start", "--wait"]);
    let pid = home.unit("deaf")["pid"]
        .as_u64()
        .and_then(|pid| u32::try_from(pid).ok())
        .expect("it runs");
    home.ok(&["stop", "--timeout", "300ms"])
        .says("deaf ignored its stop signal")
        .says("was killed");
    assert!(!alive(pid), "gone when stop returns");
}

#[test]
fn a_restart_is_a_new_attempt_and_a_task_runs_once_more() {
    let home = Home::new(CHAIN);
    home.ok(&["start", "--wait"]);
    let before = home.unit("api")["pid"].clone();
    home.ok(&["restart", "api"]);
    home.ok(&["wait", "api", "--timeout", "20s"]);
    assert_ne!(home.unit("api")["pid"], before);
    home.ok(&["restart", "seed"]);
    home.ok(&["wait", "seed", "--for", "completed", "--timeout", "20s"]);
    let lines = home.ok(&["logs", "seed", "--no-prefix"]);
    assert_eq!(lines.stdout, "seeded\nseeded\n");
}

#[test]
fn why_leads_to_the_cause() {
    let home = Home::new(
        "services:\n  web: {type: process, binary: FIXTURE, args: [hold], depends_on: [db]}\n  \
         db: {type: process, binary: FIXTURE, args: [exit, \"4\"], readiness: {log: never}, restart: \"no\"}\n",
    );
    home.run(&["start", "--wait"]).expect(1);
    home.ok(&["why", "web"])
        .shows("web is idle")
        .shows("db failed: exit code 4");
}

#[test]
fn an_orphan_is_named() {
    let home = Home::new(CHAIN);
    home.ok(&["start", "--wait"]);
    home.write("harness.yaml", &CHAIN.replace("  api:", "  backend:"));
    home.ok(&["start"])
        .says("api is no longer in the stack file");
    home.ok(&["stop", "api"]);
}

#[test]
fn a_killed_daemon_is_replaced_and_nothing_notices() {
    let home = Home::new(CHAIN);
    home.ok(&["start", "--wait"]);
    let pid = home.unit("api")["pid"].clone();
    let daemon = home.ok(&["daemon", "status", "-o", "json"]).json();
    let daemon = daemon["pid"]
        .as_i64()
        .and_then(|pid| i32::try_from(pid).ok())
        .expect("a process");
    let daemon = rustix::process::Pid::from_raw(daemon).expect("a process");
    rustix::process::kill_process(daemon, rustix::process::Signal::KILL).expect("it ran");
    assert_eq!(
        home.unit("api")["pid"],
        pid,
        "the next command finds a new daemon and the same service"
    );
    home.ok(&["daemon", "stop", "--keep"]);
    home.ok(&["daemon", "start"]);
    assert_eq!(
        home.unit("api")["pid"],
        pid,
        "and so it does after a daemon that was told to keep it"
    );
}

#[test]
fn the_daemon_in_the_foreground_stops_its_stacks_when_it_is_told_to_end() {
    let home = Home::new(CHAIN);
    let mut daemon = home.spawn(&["daemon", "run"]);
    testkit::eventually_blocking(support::DEADLINE, "it answers", || {
        home.run(&["daemon", "status"]).code == 0
    });
    home.ok(&["start", "--wait"]);
    let pid = home.unit("api")["pid"]
        .as_u64()
        .and_then(|pid| u32::try_from(pid).ok())
        .expect("it runs");
    let process = rustix::process::Pid::from_child(&daemon);
    rustix::process::kill_process(process, rustix::process::Signal::TERM).expect("it runs");
    assert_eq!(daemon.wait().expect("it ends").code(), Some(0));
    assert!(!alive(pid));
    home.run(&["status"]).expect(5);
}

#[test]
fn a_second_signal_hurries_the_daemon() {
    let home = Home::new(
        "services:\n  deaf: {type: process, binary: FIXTURE, args: [ignore-term], readiness: {log: pid}, stop: {grace: 10m}}\n",
    );
    let mut daemon = home.spawn(&["daemon", "run"]);
    testkit::eventually_blocking(support::DEADLINE, "it answers", || {
        home.run(&["daemon", "status"]).code == 0
    });
    home.ok(&["start", "--wait"]);
    let process = rustix::process::Pid::from_child(&daemon);
    let term =
        || rustix::process::kill_process(process, rustix::process::Signal::TERM).expect("it runs");
    term();
    home.until("deaf", "stopping");
    term();
    assert_eq!(daemon.wait().expect("it ends").code(), Some(0));
}

#[test]
fn a_stop_that_takes_too_long_can_be_hurried() {
    let home = Home::new(
        "services:\n  deaf: {type: process, binary: FIXTURE, args: [ignore-term], readiness: {log: pid}, stop: {grace: 10m}}\n",
    );
    home.ok(&["start", "--wait"]);
    let mut patient = home.spawn(&["stop"]);
    home.until("deaf", "stopping");
    home.ok(&["stop", "--timeout", "0s"]);
    assert_eq!(patient.wait().expect("it ends").code(), Some(0));
    assert_eq!(home.unit("deaf")["signal"], 9);
}

/// The process that is beside a service, and whose child it is.
fn shim_of(pid: u32) -> rustix::process::Pid {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let (_, behind_name) = stat.rsplit_once(')').expect("a name in brackets");
    let parent = behind_name
        .split_whitespace()
        .nth(1)
        .and_then(|pid| pid.parse().ok());
    rustix::process::Pid::from_raw(parent.expect("a number")).expect("a process")
}

#[test]
fn a_third_signal_leaves_what_will_not_die_to_the_next_daemon() {
    use rustix::process::{Pid, Signal, kill_process};
    let home = Home::new(
        "services:\n  deaf: {type: process, binary: FIXTURE, args: [ignore-term], readiness: {log: pid}, stop: {grace: 10m}}\n",
    );
    let mut daemon = home.spawn(&["daemon", "run"]);
    testkit::eventually_blocking(support::DEADLINE, "it answers", || {
        home.run(&["daemon", "status"]).code == 0
    });
    home.ok(&["start", "--wait"]);
    let pid = home.unit("deaf")["pid"].clone();
    let service = pid.as_u64().and_then(|pid| u32::try_from(pid).ok());
    // Whoever would kill it is held still.
    let shim = shim_of(service.expect("it runs"));
    kill_process(shim, Signal::STOP).expect("it runs");
    let shim_pid = shim.as_raw_nonzero().get().cast_unsigned();
    testkit::eventually_blocking(support::DEADLINE, "it is held", || {
        testkit::is_stopped(shim_pid)
    });
    let mut said = BufReader::new(daemon.stderr.take().expect("piped")).lines();
    let mut term_until = |text: &str| {
        kill_process(Pid::from_child(&daemon), Signal::TERM).expect("it runs");
        let found = said.any(|line| line.is_ok_and(|line| line.contains(text)));
        assert!(found, "{text}");
    };
    term_until("once more kills what is left");
    term_until("once more leaves it behind");
    term_until("left what still runs to the next daemon");
    assert_eq!(daemon.wait().expect("it ends").code(), Some(143));
    assert!(alive(service.expect("it runs")));
    kill_process(shim, Signal::CONT).expect("it waits");
    home.ok(&["stop", "--timeout", "0s"]);
    assert!(!alive(service.expect("it ran")));
}
