//! What becomes of services while something happens to their host: the real program and hosts of `docker-test-env/hosts`.
//!
//! `cargo nextest run -p harness --features ssh-tests`
#![cfg(feature = "ssh-tests")]

mod support;

use std::time::Duration;

use support::Home;
use support::hosts::trusted;
use testkit::lines::check_lines;
use testkit::{Hosts, eventually_blocking};

/// Longer than a connection is given up after, and a way is found again.
const LONG: Duration = Duration::from_secs(120);

/// Writes on a host, and a clock here.
const STACK: &str = "name: faults\nservices:\n  \
    lines:\n    type: remote\n    host: host1\n    binary: /bin/sh\n    \
    args: [-c, 'echo once >> /root/faults; exec FIXTURE lines 9000 --rate 100']\n    restart: \"no\"\n  \
    clock: {type: process, binary: /bin/sh, args: [-c, 'while echo tick; do sleep 1; done']}\n";

/// How often the clock has ticked.
fn ticks(home: &Home) -> usize {
    home.ok(&["logs", "clock", "--no-prefix"])
        .stdout
        .lines()
        .count()
}

/// So many seconds go by, as the clock tells.
fn pass(home: &Home, seconds: usize) {
    let until = ticks(home) + seconds;
    eventually_blocking(LONG, "the clock ticks", || ticks(home) >= until);
}

fn reason(home: &Home) -> Option<String> {
    home.unit("lines")["reason"].as_str().map(str::to_owned)
}

/// How many lines are here.
fn lines(home: &Home) -> usize {
    let said = home.ok(&["logs", "lines", "--no-prefix", "--stream", "stdout"]);
    said.stdout.lines().count()
}

/// It is known to run, and what it says comes here.
fn until_back(home: &Home) {
    eventually_blocking(LONG, "the host is back", || reason(home).is_none());
    let had = lines(home);
    eventually_blocking(LONG, "its output comes", || lines(home) > had);
}

fn kill_daemon(home: &Home) {
    let pid = home.ok(&["daemon", "status", "-o", "json"]).json()["pid"].to_string();
    let killed = std::process::Command::new("kill")
        .args(["-KILL", &pid])
        .status();
    assert!(killed.expect("it runs").success());
}

#[test]
fn hosts_cut_for_a_while_without_sshd_and_without_a_daemon_start_nothing_twice_and_lose_no_line() {
    let hosts = Hosts::own(1, 0);
    let home = Home::new(STACK);
    trusted(&home, &hosts, "host1");
    home.ok(&["start", "--wait"]);
    let pid = home.unit("lines")["pid"].clone();
    let is_same = |after: &str| {
        let unit = home.unit("lines");
        assert_eq!(
            (&unit["pid"], &unit["state"]),
            (&pid, &"ready".into()),
            "{after}"
        );
    };

    // Shorter than it takes to be missed.
    hosts.act("cut", "host1", &[]);
    pass(&home, 5);
    assert_eq!(reason(&home), None);
    hosts.act("heal", "host1", &[]);
    until_back(&home);
    is_same("a cut of 5 s");

    // Every connection with it; the host starts it again.
    home.run(&["exec", "lines", "--", "pkill", "-KILL", "sshd"]);
    until_back(&home);
    is_same("sshd killed");

    // Long enough, and the daemon that comes up meanwhile cannot ask.
    hosts.act("cut", "host1", &[]);
    let is_away = || reason(&home).is_some_and(|text| text.contains("host1 cannot be reached"));
    eventually_blocking(LONG, "the host is missed", is_away);
    kill_daemon(&home);
    pass(&home, 5);
    let state = home.unit("lines")["state"].clone();
    assert_eq!(state, "ready", "what cannot be asked has not ended");
    hosts.act("heal", "host1", &[]);
    until_back(&home);
    is_same("a cut of 20 s with a killed daemon in it");

    let has_ended = || home.unit("lines")["stopped_at"].is_string();
    eventually_blocking(LONG, "all lines are written", has_ended);
    assert_eq!(home.unit("lines")["exit_code"], 0);
    let written = home.ok(&["logs", "lines", "--no-prefix", "--stream", "stdout"]);
    check_lines(&written.raw, "stdout", 9000).expect("every line, once");
    let once = home
        .ok(&["exec", "lines", "--", "cat", "/root/faults"])
        .stdout;
    assert_eq!(once, "once\n");
    assert_eq!(home.unit("lines")["restarts"], 0);
    home.ok(&["stop"]);
}
