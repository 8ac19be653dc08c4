//! `up` and `run`: units that belong to the terminal.

mod support;

use std::io::{BufRead, BufReader, Read};
use std::process::Child;

use rustix::process::{Pid, Signal};
use support::{Home, Run};
use testkit::alive;

const TALKERS: &str = "\
name: shop
services:
  db: {type: process, binary: FIXTURE, args: [signals], readiness: {log: ready}}
  api:
    type: process
    binary: FIXTURE
    args: [signals]
    depends_on: [db]
  other: {type: process, binary: FIXTURE, args: [hold]}
tasks:
  seed:
    target: {type: process, binary: /bin/sh, args: [-c, 'echo out; echo err >&2; exit ${CODE:-0}']}
    dependencies: [db]
";

fn interrupt(child: &Child, signal: Signal) {
    rustix::process::kill_process(Pid::from_child(child), signal).expect("it waits");
}

/// Reads lines until one contains this text.
#[track_caller]
fn until(lines: &mut impl Iterator<Item = std::io::Result<String>>, text: &str) {
    let found = lines.any(|line| line.is_ok_and(|line| line.contains(text)));
    assert!(found, "{text}");
}

fn service_pid(home: &Home, unit: &str) -> u32 {
    let pid = home.unit(unit)["pid"].as_u64();
    pid.and_then(|pid| u32::try_from(pid).ok())
        .expect("it runs")
}

#[test]
fn up_shows_what_services_write_and_ctrl_c_stops_them_in_order() {
    let home = Home::new(TALKERS);
    let mut child = home.spawn(&["up"]);
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    until(&mut lines, "api   | ready");
    home.until("seed", "done");
    let pids = ["db", "api", "other"].map(|unit| service_pid(&home, unit));
    interrupt(&child, Signal::INT);
    let rest: Vec<String> = lines.map(|line| line.expect("text")).collect();
    let at = |text: &str| rest.iter().position(|line| line.contains(text));
    let (api, db) = (at("api   | signal TERM"), at("db    | signal TERM"));
    assert!(api.is_some() && api < db, "{rest:?}");
    let mut said = String::new();
    let mut stderr = child.stderr.take().expect("piped");
    stderr.read_to_string(&mut said).expect("text");
    assert_eq!(child.wait().expect("it ends").code(), Some(130), "{said}");
    assert!(said.contains("once more kills what is left"), "{said}");
    assert!(said.contains("api    settling → ready") || said.contains("→ ready"));
    assert!(said.contains("shop: stopped"), "{said}");
    assert!(pids.into_iter().all(|pid| !alive(pid)));
}

const SUITE: &str = "\
name: ci
services:
  web: {type: process, binary: FIXTURE, args: [signals], readiness: {log: ready}}
tasks:
  seed: {target: {type: process, binary: /bin/true}, dependencies: [web]}
  e2e:
    target: {type: process, binary: /bin/sh, args: [-c, 'echo checked; exit ${CODE:-0}']}
    dependencies: [web, {task: seed}]
";

#[test]
fn up_ends_with_the_one_whose_exit_code_counts() {
    let home = Home::new(SUITE);
    home.ok(&["up", "--exit-code-from", "e2e"])
        .shows("e2e  | checked")
        .says("ci: e2e has ended well")
        .says("stopping ci");
    assert_eq!(home.unit("web")["state"], "idle", "the others are stopped");
    home.ok(&["up", "--exit-code-from", "e2e"])
        .shows("e2e  | checked");
    home.write("harness.yaml", &SUITE.replace("${CODE:-0}", "3"));
    home.run(&["up", "seed", "--exit-code-from", "e2e"])
        .expect(3)
        .says("ci: e2e ended with exit code 3");
    assert_eq!(home.unit("web")["state"], "idle");
    home.write("harness.yaml", &SUITE.replace("/bin/true", "/bin/false"));
    home.run(&["up", "--exit-code-from", "e2e"])
        .expect(1)
        .says("task `seed`: it failed: exit code 1")
        .says("blocked: e2e");
    home.run(&["up", "--exit-code-from", "nobody"]).expect(4);
    home.run(&["up", "-d", "--exit-code-from", "e2e"]).expect(2);
}

#[test]
fn up_ends_with_the_first_that_fails_when_it_is_told_to() {
    let home = Home::new(&SUITE.replace("${CODE:-0}", "4"));
    home.run(&["up", "--abort-on-failure"])
        .expect(4)
        .says("ci: e2e ended with exit code 4");
    assert_eq!(home.unit("web")["state"], "idle");
    home.write("harness.yaml", SUITE);
    let mut child = home.spawn(&["up", "--abort-on-failure"]);
    home.until("e2e", "done");
    interrupt(&child, Signal::INT);
    let code = child.wait().expect("it ends").code();
    assert_eq!(
        code,
        Some(130),
        "nothing failed, so it went on until Ctrl-C"
    );
}

#[test]
fn up_of_some_leaves_what_others_use() {
    let home = Home::new(TALKERS);
    home.ok(&["start", "db", "other", "--wait"]);
    home.write(
        "harness.yaml",
        &TALKERS.replace("args: [hold]}", "args: [hold], depends_on: [db]}"),
    );
    home.ok(&["start", "other", "--wait"]);
    let mut child = home.spawn(&["up", "api"]);
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    until(&mut lines, "api | ready");
    interrupt(&child, Signal::TERM);
    assert!(lines.all(|line| line.is_ok()));
    assert_eq!(child.wait().expect("it ends").code(), Some(143));
    assert_eq!(home.unit("api")["state"], "idle");
    assert_eq!(home.unit("db")["state"], "ready");
}

#[test]
fn a_second_ctrl_c_kills_what_does_not_end() {
    let home = Home::new(
        "services:\n  deaf: {type: process, binary: FIXTURE, args: [ignore-term], stop: {grace: 10m}}\n",
    );
    let mut child = home.spawn(&["up"]);
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    until(&mut lines, "pid");
    let pid = service_pid(&home, "deaf");
    interrupt(&child, Signal::INT);
    home.until("deaf", "stopping");
    interrupt(&child, Signal::INT);
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    assert!(!alive(pid));
}

#[test]
fn up_ends_with_its_services_and_tells_how() {
    let home = Home::new(
        "name: jobs\nservices:\n  a: {type: process, binary: FIXTURE, args: [lines, \"2\"], restart: no}\n\
         tasks:\n  t: {target: {type: process, binary: /bin/echo, args: [hello]}}\n",
    );
    home.ok(&["up"])
        .shows("t | hello")
        .shows("a | 000000001")
        .says("jobs: everything has ended");
    home.write(
        "harness.yaml",
        "name: bad\ntasks:\n  t: {target: {type: process, binary: FIXTURE, args: [exit, \"4\"]}}\n  \
         u: {target: {type: process, binary: /bin/true}, dependencies: [t]}\n",
    );
    home.run(&["up"]).expect(1).says("exit code 4");
}

#[test]
fn a_reader_who_leaves_ends_what_is_up() {
    let home = Home::new(TALKERS);
    let mut child = home.spawn(&["up"]);
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    until(&mut lines, "api   | ready");
    let pid = service_pid(&home, "api");
    drop(lines);
    let output = Run::of(child.wait_with_output().expect("it ends"));
    output.expect(0);
    assert!(!alive(pid));
}

#[test]
fn up_in_the_background_is_a_start_that_waits() {
    let home = Home::new(TALKERS);
    let run = home.ok(&["up", "-d"]).says("shop: 4 ready");
    assert_eq!(run.stdout, "");
    assert_eq!(home.unit("api")["state"], "ready");
}

#[test]
fn a_task_runs_again_with_its_output_and_its_exit_code() {
    let home = Home::new(TALKERS);
    for _ in 0..2 {
        let run = home.ok(&["-q", "run", "seed"]);
        assert_eq!(
            (run.stdout.as_str(), run.stderr.as_str()),
            ("out\n", "err\n")
        );
    }
    assert_eq!(home.unit("db")["state"], "ready", "what it needs goes on");
    assert_eq!(home.unit("api")["state"], "idle");
    let with_code = |code: &str| {
        let mut command = home.command(&["run", "seed"]);
        Run::of(command.env("CODE", code).output().expect("runs"))
    };
    let failed = with_code("7").expect(7);
    assert!(failed.stderr.contains("err"), "{}", failed.stderr);
    home.run(&["run", "sede"])
        .expect(4)
        .says("did you mean `seed`");
}

#[test]
fn a_task_that_cannot_run_is_a_hundred_and_twenty_five() {
    let home = Home::new(
        "services:\n  db: {type: process, binary: FIXTURE, args: [exit, \"1\"], restart: no, readiness: {log: x}}\n\
         tasks:\n  t: {target: {type: process, binary: /bin/echo, args: [hello]}, dependencies: [db]}\n  \
         missing: {target: {type: process, binary: no-such-program}}\n  \
         slow: {target: {type: process, binary: FIXTURE, args: [signals]}}\n",
    );
    home.run(&["run", "t"]).expect(125).says("`db`");
    home.run(&["run", "missing"])
        .expect(125)
        .says("no-such-program");
    let mut child = home.spawn(&["run", "slow"]);
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    until(&mut lines, "ready");
    interrupt(&child, Signal::INT);
    until(&mut lines, "signal TERM");
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
}
