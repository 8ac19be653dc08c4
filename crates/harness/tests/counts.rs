//! What the daemon and its shims do, as the kernel counts it: figures that do not depend on the machine.
//!
//! Owns: the bounds. Each is what was counted when it was written plus room for the order in which threads come; a change
//! that goes beyond one has to say what it buys.

mod support;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use support::{DEADLINE, Home};
use testkit::{at_rest_blocking, eventually_blocking, next_timer, parent_of, threads_of};

#[test]
fn while_nothing_happens_nobody_wakes() {
    let home = Home::new(&holding(SERVICES));
    home.ok(&["start", "--wait"]);
    let daemon = daemon(&home);
    let mut watched: Vec<u32> = services(&home).into_iter().filter_map(parent_of).collect();
    assert_eq!(watched.len(), SERVICES);
    watched.push(daemon);
    // What was asked once with a limit still has its timer, and a certificate is renewed after months.
    eventually_blocking(DEADLINE, "no timer is set for the next minute", || {
        watched
            .iter()
            .all(|pid| next_timer(*pid).is_none_or(|left| left > NEXT_MINUTE))
    });
    // Nor does anybody wait with a limit of his own.
    at_rest_blocking(DEADLINE, WINDOW, "daemon and shims are idle", || {
        let all: Vec<_> = watched.iter().flat_map(|pid| threads_of(*pid)).collect();
        assert!(all.len() > watched.len(), "all of them are there");
        all
    });
    let names: Vec<String> = threads_of(daemon).into_iter().map(|it| it.name).collect();
    assert!(names.len() <= MOST_THREADS, "{names:?}");
}

#[test]
fn what_starts_and_stops_again_and_again_leaves_nothing_behind() {
    let home = Home::new(&holding(SERVICES));
    let cycles = |count: usize| {
        for _ in 0..count {
            home.ok(&["start", "--wait"]);
            home.ok(&["stop"]);
        }
    };
    cycles(WARM_UP / SERVICES);
    let daemon = daemon(&home);
    let before = Held::of(daemon);
    cycles(CYCLES / SERVICES);
    let mut after = Held::of(daemon);
    // A shim that has just ended, a thread that is about to end.
    eventually_blocking(DEADLINE, "descriptors and threads are as before", || {
        after = Held::of(daemon);
        after.descriptors <= before.descriptors && after.threads <= MOST_THREADS
    });
    let grown = after.anonymous_bytes.saturating_sub(before.anonymous_bytes);
    assert!(grown <= MOST_GROWTH, "{grown} bytes: {before:?}, {after:?}");
}

#[test]
fn a_start_and_a_stop_cost_so_many_system_calls() {
    let few = Traced::cycle(5);
    let many = Traced::cycle(25);
    let for_one = (many.daemon.saturating_sub(few.daemon)) / 20;
    eprintln!("daemon: {for_one} a service; shim: {}", many.shim);
    assert!(for_one <= DAEMON_CALLS, "{for_one}: {:#?}", many.by_name);
    assert!(many.shim <= SHIM_CALLS, "{}", many.shim);
}

/// What a process holds.
#[derive(Debug)]
struct Held {
    descriptors: usize,
    threads: usize,
    anonymous_bytes: u64,
}

impl Held {
    fn of(pid: u32) -> Self {
        let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs");
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let anonymous = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"))
            .and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
        Self {
            descriptors: descriptors.count(),
            threads: threads_of(pid).len(),
            anonymous_bytes: anonymous.expect("Linux counts it") * 1024,
        }
    }
}

/// System calls of one start and one stop of a stack, counted by `strace`.
struct Traced {
    /// Of all threads of the daemon.
    daemon: usize,
    /// Of one shim, from its start to its end, in the mean.
    shim: usize,
    by_name: BTreeMap<String, usize>,
}

impl Traced {
    fn cycle(services: usize) -> Self {
        let home = Home::new(&holding(services));
        let traces = home.path().join("traces");
        std::fs::create_dir(&traces).expect("made");
        let inner = home.command(&["daemon", "run"]);
        let mut command = Command::new("strace");
        command.args(["-f", "-ff", "-qq", "-o"]);
        command
            .arg(traces.join("t"))
            .arg(inner.get_program())
            .args(inner.get_args());
        command.current_dir(home.path()).env_clear();
        for (name, value) in inner.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        command.stdout(std::process::Stdio::null());
        let mut daemon = command
            .spawn()
            .expect("strace is installed: `cargo xtask setup` installs it");
        eventually_blocking(DEADLINE, "the daemon answers", || {
            home.run(&["daemon", "status"]).code == 0
        });
        home.ok(&["start", "--wait"]);
        home.ok(&["stop"]);
        home.ok(&["daemon", "stop"]);
        daemon.wait().expect("it is ours");
        Self::read(&traces)
    }

    fn read(traces: &Path) -> Self {
        let mut all = Self {
            daemon: 0,
            shim: 0,
            by_name: BTreeMap::new(),
        };
        let mut shims = 0;
        for entry in std::fs::read_dir(traces).expect("traced").flatten() {
            let text = std::fs::read(entry.path()).expect("written");
            let text = String::from_utf8_lossy(&text);
            // What a child does before it becomes another program still is its parent's.
            let becomes = text
                .lines()
                .position(|line| is_start_of(line, "/harness-shim\""));
            if let Some(line) = becomes {
                shims += 1;
                all.shim += text.lines().skip(line).filter(|line| is_call(line)).count();
            } else if !text.lines().any(|line| is_start_of(line, "/fixture\"")) {
                for line in text.lines().filter(|line| is_call(line)) {
                    all.daemon += 1;
                    let name = line.split('(').next().unwrap_or_default();
                    *all.by_name.entry(name.to_owned()).or_default() += 1;
                }
            }
        }
        assert!(shims > 0, "shims were traced");
        all.shim /= shims;
        all
    }
}

fn is_start_of(line: &str, program: &str) -> bool {
    line.starts_with("execve(") && line.contains(program) && line.ends_with(" = 0")
}

/// Neither a signal (`---`), nor an end (`+++`), nor the second half of a call.
fn is_call(line: &str) -> bool {
    line.starts_with(|first: char| first.is_ascii_lowercase())
}

fn holding(services: usize) -> String {
    let mut stack = String::from("services:\n");
    for number in 0..services {
        writeln!(
            stack,
            "  s{number}: {{type: process, binary: FIXTURE, args: [hold]}}"
        )
        .expect("memory");
    }
    stack
}

fn daemon(home: &Home) -> u32 {
    let status = home.ok(&["daemon", "status", "-o", "json"]).json();
    pid(&status).expect("a daemon runs")
}

fn services(home: &Home) -> Vec<u32> {
    let status = home.status();
    let units = status["items"].as_array().expect("a list");
    units.iter().filter_map(pid).collect()
}

fn pid(of: &serde_json::Value) -> Option<u32> {
    u32::try_from(of["pid"].as_u64()?).ok()
}

const SERVICES: usize = 20;
const WINDOW: Duration = Duration::from_millis(1500);
const NEXT_MINUTE: Duration = Duration::from_secs(60);

/// Main, supervisor, reactor, the driver of what nobody waits for, two that wait for blocking work.
const MOST_THREADS: usize = 6;

/// Starts and stops of one service until the latest events and the pages of the state store are as many as are held.
const WARM_UP: usize = 1000;
const CYCLES: usize = 300;
const MOST_GROWTH: u64 = 1 << 20;

/// Of the daemon, for one service that starts and stops. 118 to 137 were counted.
const DAEMON_CALLS: usize = 180;
/// Of a shim, from its start to its end. 234 to 236 were counted.
const SHIM_CALLS: usize = 290;
