//! Clients that wait while their daemon is killed bring up the next one, and go on waiting.

mod support;

use std::io::{BufRead, BufReader, Read};
use std::process::Child;

use rustix::process::{Pid, Signal, kill_process};
use support::{DEADLINE, Home, Run};
use testkit::eventually_blocking;

/// Ready once there is a file `go`; deaf until there is a file `leave`.
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

/// The daemon's process, without starting one.
fn daemon(home: &Home) -> Option<i32> {
    let asked = home.run(&["daemon", "status", "-o", "json"]);
    let pid = (asked.code == 0).then(|| asked.json()["pid"].as_i64())?;
    pid.and_then(|pid| i32::try_from(pid).ok())
}

/// Kills the daemon and waits until somebody else has brought up another.
fn kill_and_await_the_next(home: &Home) {
    let old = daemon(home).expect("one runs");
    let process = Pid::from_raw(old).expect("a process");
    kill_process(process, Signal::KILL).expect("it ran");
    eventually_blocking(DEADLINE, "those who wait bring up the next daemon", || {
        daemon(home).is_some_and(|pid| pid != old)
    });
}

/// Reads until a line has this in it; the rest of the output is still to come.
fn until_said(reader: &mut impl BufRead, text: &str) {
    let mut line = String::new();
    while !line.contains(text) {
        line.clear();
        let count = reader.read_line(&mut line).expect("it speaks");
        assert_ne!(count, 0, "it ended without saying {text:?}");
    }
}

fn end_of(client: Child) -> Run {
    Run::of(client.wait_with_output().expect("it ends"))
}

#[test]
fn who_waits_when_the_daemon_is_killed_starts_the_next_and_goes_on_waiting() {
    let home = Home::new(SLOW);
    let mut start = home.spawn(&["start", "--wait"]);
    let mut progress = BufReader::new(start.stderr.take().expect("piped"));
    until_said(&mut progress, "idle → starting");
    let wait = home.spawn(&["wait", "api", "--timeout", "60s"]);
    let mut logs = home.spawn(&["logs", "-f", "api"]);
    let mut lines = BufReader::new(logs.stdout.take().expect("piped"));
    until_said(&mut lines, "begun");
    let pid = home.unit("api")["pid"].clone();

    kill_and_await_the_next(&home);
    home.write("go", "");

    end_of(wait).expect(0).says("api: reached");
    let mut rest = String::new();
    progress.read_to_string(&mut rest).expect("it speaks");
    assert!(rest.contains("slow: 1 ready"), "{rest}");
    end_of(start).expect(0);
    until_said(&mut lines, "listening");
    logs.kill().expect("it follows");
    logs.wait().expect("it is dead");
    assert_eq!(home.unit("api")["pid"], pid, "it was not started again");

    let mut stop = home.spawn(&["stop"]);
    let mut progress = BufReader::new(stop.stderr.take().expect("piped"));
    until_said(&mut progress, "→ stopping");
    kill_and_await_the_next(&home);
    home.write("leave", "");
    end_of(stop).expect(0);
    assert_eq!(home.unit("api")["state"], "idle");
}

#[test]
fn the_time_that_a_user_gives_holds_across_a_killed_daemon() {
    let home = Home::new(SLOW);
    home.ok(&["start"]);
    let begun = std::time::Instant::now();
    let wait = home.spawn(&["wait", "api", "--timeout", "2s"]);
    kill_and_await_the_next(&home);
    end_of(wait).expect(124);
    assert!(begun.elapsed() < DEADLINE, "{:?}", begun.elapsed());
    home.write("go", "");
    home.write("leave", "");
}

#[test]
fn a_stop_ends_when_another_order_starts_the_unit_again() {
    let home = Home::new(SLOW);
    home.write("go", "");
    home.ok(&["start", "--wait"]);
    let mut stop = home.spawn(&["stop", "api"]);
    let mut progress = BufReader::new(stop.stderr.take().expect("piped"));
    until_said(&mut progress, "→ stopping");
    let start = home.spawn(&["start", "api"]);
    let mut rest = String::new();
    progress.read_to_string(&mut rest).expect("it speaks");
    assert!(
        rest.contains("error: api was started again by another order"),
        "{rest}"
    );
    end_of(stop).expect(1);
    home.write("leave", "");
    end_of(start).expect(0);
}
