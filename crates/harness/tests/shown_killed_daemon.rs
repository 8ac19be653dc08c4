//! The daemon, or a shim, is killed while services write: they go on, and nothing is lost, doubled or invented.

mod shown;
mod support;

use serde_json::Value;
use shown::{DEADLINE, Sandbox, started};
use testkit::eventually_blocking;
use testkit::lines::check_lines;

const WRITERS: &str = "\
services:
  fast: {type: process, binary: FIXTURE, args: [lines, \"100000000\", --rate, \"500\"]}
  slow: {type: process, binary: FIXTURE, args: [lines, \"100000000\", --rate, \"50\"]}
  both: {type: process, binary: FIXTURE, args: [lines, \"100000000\", --rate, \"100\", --both]}
  mayfly:
    type: process
    binary: /bin/sh
    args: [-c, \"FIXTURE lines 50 --rate 1000; while ! test -e end-$HARNESS_INSTANCE_ID; do :; done; exit 7\"]
    restart: \"no\"
";

const ENDLESS: [&str; 3] = ["fast", "slow", "both"];

/// That the log holds the writer's lines from the first on, each once; the last may be unfinished.
#[track_caller]
fn assert_exact(sandbox: &Sandbox, unit: &str) -> usize {
    let log = sandbox.log(unit);
    let whole = log
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    let lines = log[..whole].iter().filter(|byte| **byte == b'\n').count();
    if let Err(fault) = check_lines(&log[..whole], "stdout", lines as u64) {
        panic!("{unit}: {fault}");
    }
    lines
}

/// Their processes, each with when it was started.
fn identities(sandbox: &Sandbox) -> Vec<(u32, String)> {
    let pids = ENDLESS.map(|name| sandbox.pid(name));
    pids.map(|pid| (pid, started(pid))).into()
}

fn kill_ten_times(sandbox: &Sandbox) {
    sandbox.ok(&["start", "--wait"]);
    let writers = identities(sandbox);
    let mut heard = [0; ENDLESS.len()];
    for round in 1..=10 {
        let mayfly = sandbox.until("mayfly", "runs", |unit| unit["pid"].is_u64());
        let daemon = sandbox.daemon();
        shown::kill(daemon);
        // It ends while nobody but its shim is there to see it.
        let id = mayfly["instance_id"].as_str().expect("it runs");
        sandbox.write(&format!("end-{id}"), "");
        let pid = mayfly["pid"]
            .as_u64()
            .and_then(|pid| u32::try_from(pid).ok())
            .expect("it runs");
        eventually_blocking(DEADLINE, "it has ended", || !testkit::alive(pid));

        assert_eq!(
            identities(sandbox),
            writers,
            "round {round}: the same processes"
        );
        assert_ne!(sandbox.daemon(), daemon, "round {round}: another daemon");
        let mayfly = sandbox.until_state("mayfly", "failed");
        assert_eq!(
            (&mayfly["exit_code"], &mayfly["exit_unknown"]),
            (&7.into(), &false.into())
        );
        for (name, heard) in ENDLESS.into_iter().zip(&mut heard) {
            let before = *heard;
            eventually_blocking(DEADLINE, &format!("{name} writes on"), || {
                *heard = assert_exact(sandbox, name);
                *heard > before
            });
        }
        let mayfly = sandbox.log("mayfly");
        for run in mayfly.chunks(mayfly.len() / round) {
            check_lines(run, "stdout", 50).expect("each run wrote fifty lines");
        }
        sandbox.ok(&["start", "mayfly"]);
    }
    let events = sandbox.events();
    let numbers: Vec<u64> = events
        .iter()
        .map(|event| event["seq"].as_u64().expect("a number"))
        .collect();
    let is_gapless = numbers.windows(2).all(|pair| pair[1] == pair[0] + 1);
    assert!(is_gapless, "{numbers:?}");
    assert_eq!(numbers.first(), Some(&1), "from the first on");
    for name in ENDLESS {
        let unit = sandbox.unit(name);
        assert_eq!(
            (&unit["state"], &unit["restarts"]),
            (&"ready".into(), &0.into())
        );
        assert_eq!(
            sandbox.events_of(name, "service_adopted").len(),
            10,
            "{name}"
        );
    }
}

#[test]
fn a_daemon_killed_ten_times_while_services_write_costs_nothing() {
    kill_ten_times(&Sandbox::new(WRITERS));
}

#[test]
fn nor_does_it_for_a_user_without_a_cgroup() {
    kill_ten_times(&Sandbox::unprivileged(WRITERS));
}

#[test]
fn a_killed_shim_costs_nothing_and_no_exit_is_invented() {
    Sandbox::each(WRITERS, |sandbox| {
        sandbox.ok(&["start", "--wait"]);
        let writers = identities(sandbox);
        for name in ENDLESS {
            shown::kill(sandbox.shim(name));
        }
        let before = ENDLESS.map(|name| assert_exact(sandbox, name));
        for (name, before) in ENDLESS.into_iter().zip(before) {
            eventually_blocking(DEADLINE, &format!("{name} is heard again"), || {
                assert_exact(sandbox, name) > before
            });
        }
        assert_eq!(
            identities(sandbox),
            writers,
            "the services have noticed nothing"
        );

        // And without any daemon that could help: both gone, then the service ends.
        let mayfly = sandbox.until("mayfly", "runs", |unit| unit["pid"].is_u64());
        let shim = sandbox.shim("mayfly");
        shown::kill(sandbox.daemon());
        shown::kill(shim);
        let id = mayfly["instance_id"].as_str().expect("it runs");
        sandbox.write(&format!("end-{id}"), "");
        let pid = mayfly["pid"]
            .as_u64()
            .and_then(|pid| u32::try_from(pid).ok())
            .expect("it runs");
        eventually_blocking(DEADLINE, "it has ended", || !testkit::alive(pid));
        let mayfly = sandbox.until("mayfly", "known to have ended", |unit| {
            unit["pid"].is_null()
        });
        let is_right = mayfly["exit_code"] == 7 && mayfly["exit_unknown"] == false;
        let is_unknown = mayfly["exit_code"] == Value::Null && mayfly["exit_unknown"] == true;
        assert!(is_right || is_unknown, "{mayfly}");
        check_lines(&sandbox.log("mayfly"), "stdout", 50).expect("all it wrote");
        assert_eq!(identities(sandbox), writers);
    });
}

#[test]
fn a_probe_under_way_does_not_outlive_the_daemon_that_asked_it() {
    let sandbox = Sandbox::new(
        "services:\n  db:\n    type: process\n    binary: FIXTURE\n    args: [hold]\n    \
         readiness: {command: /bin/sh, args: [-c, \"echo > asked; FIXTURE hold; true\"], timeout: 500s}\n",
    );
    // It waits for what the probe says.
    let mut client = sandbox.spawn(&["start", "--wait"]);
    let asked = sandbox.path().join("asked");
    eventually_blocking(DEADLINE, "the probe is under way", || asked.exists());
    shown::kill(sandbox.daemon());
    drop(client.kill());
    drop(client.wait());
    std::fs::remove_file(&asked).expect("it was written");
    sandbox.until_state("db", "settling");
    eventually_blocking(DEADLINE, "the next daemon asks", || asked.exists());
    // One service, and one probe at a time; the sandbox proves that none of it is left in the end.
    eventually_blocking(DEADLINE, "the last daemon's probe is gone", || {
        sandbox.services_running() == 2
    });
}
