//! Every exit code of the table, by the real program.

mod support;

use std::io::{BufRead, BufReader};

use rustix::process::{Pid, Signal};
use support::{Home, Run};

const ONE: &str = "services:\n  one: {type: process, binary: FIXTURE, args: [hold]}\n";

#[test]
fn usage_errors_are_two_and_say_what_was_meant() {
    let home = Home::empty();
    home.run(&["statsu"]).expect(2).says("status");
    home.run(&["status", "--ouput", "json"])
        .expect(2)
        .says("--output");
    home.run(&["status", "-o", "jsn"]).expect(2).says("json");
    home.run(&["--progress", "fancy", "status"])
        .expect(2)
        .says("plain");
    home.run(&["wait", "api", "--for", "redy"])
        .expect(2)
        .says("did you mean `ready`?");
    home.run(&["logs", "--since", "yesterday"])
        .expect(2)
        .says("2026-01-31T12:00:00Z");
    home.run(&["logs", "-g", "("])
        .expect(2)
        .says("no regular expression");
    home.run(&[]).expect(2);
    home.run(&["daemon"]).expect(2);
}

#[test]
fn without_a_daemon_looking_is_five_and_says_what_starts_one() {
    let home = Home::new(ONE);
    for arguments in [
        &["status"][..],
        &["stop"],
        &["logs"],
        &["events"],
        &["why", "one"],
        &["daemon", "status"],
    ] {
        home.run(arguments).expect(5).says("harness start");
    }
    home.ok(&["daemon", "stop"]);
}

#[test]
fn what_does_not_exist_is_four() {
    let home = Home::new(ONE);
    home.run(&["start", "onee"])
        .expect(4)
        .says("did you mean `one`?");
    home.ok(&["start"]);
    for arguments in [
        &["status", "onee"][..],
        &["logs", "onee"],
        &["stop", "onee"],
        &["why", "onee"],
        &["wait", "onee"],
    ] {
        home.run(arguments).expect(4).says("did you mean `one`?");
    }
    home.run(&["-p", "nowhere", "status"])
        .expect(4)
        .says("there is no stack `nowhere`");
    home.write(
        "other/harness.yaml",
        "name: other\nservices: {x: {type: process, binary: x}}\n",
    );
    home.run(&["--file", "other/harness.yaml", "status"])
        .expect(4)
        .says("has not been started");
    let nowhere = Home::empty();
    nowhere
        .run(&["start"])
        .expect(4)
        .says("there is no harness.yaml");
}

#[test]
fn a_wrong_file_is_seventy_eight_with_every_error() {
    let home = Home::new("services:\n  a: {type: dokcer}\n  b: {type: process, binray: x}\n");
    for arguments in [&["start"][..], &["config", "render"]] {
        home.run(arguments)
            .expect(78)
            .says("harness.yaml:2:")
            .says("did you mean `binary`?");
    }
    home.run(&["validate"])
        .expect(78)
        .shows("did you mean `docker`?")
        .shows("did you mean `binary`?");
    home.run(&["start", "--file", "missing.yaml"])
        .expect(78)
        .says("missing.yaml");
    home.write(
        "unset.yaml",
        "services:\n  a: {type: process, binary: \"${NOT_SET_ANYWHERE}\"}\n",
    );
    home.run(&["start", "--file", "unset.yaml"])
        .expect(78)
        .says("unset.yaml:2:");
}

#[test]
fn a_target_that_cannot_be_run_is_sixty_nine_only_when_it_is_needed() {
    let home = Home::new(
        "services:\n  web: {type: process, binary: FIXTURE, args: [hold]}\n  db: {type: remote, host: elsewhere, binary: postgres}\n",
    );
    home.run(&["start"])
        .expect(69)
        .says("`db` cannot be run here");
    home.ok(&["start", "web"]);
    home.ok(&["validate"]);
    home.run(&["validate", "--strict"]).expect(78);
}

#[test]
fn a_task_that_fails_is_one_and_its_last_lines_are_shown() {
    let home = Home::new(
        "services:\n  api: {type: process, binary: FIXTURE, args: [hold], depends_on: [seed]}\n\
         tasks:\n  seed: {target: {type: process, binary: /bin/sh, args: [-c, \"echo no such table; exit 3\"]}}\n",
    );
    let run = home.run(&["start", "--wait"]).expect(1);
    let run = run
        .says("task `seed`")
        .says("no such table")
        .says("exit code 3")
        .says("blocked: api");
    run.says("harness.yaml:4:3").says("harness logs seed");
    home.run(&["wait", "api", "--timeout", "20s"])
        .expect(8)
        .says("seed");
    home.run(&["wait", "seed", "--for", "exit=0", "--timeout", "20s"])
        .expect(8)
        .says("exit code 3, not 0");
    home.ok(&["wait", "seed", "--for", "exit=3", "--timeout", "20s"]);
    home.run(&["status", "--exit-code"]).expect(3);
}

#[test]
fn a_program_that_is_not_there_is_one_without_wait_too() {
    let home = Home::new(
        "services:\n  gone: {type: process, binary: /nowhere/program, restart: \"no\"}\n  \
         here: {type: process, binary: FIXTURE, args: [hold]}\n",
    );
    home.run(&["start"])
        .expect(1)
        .says("service `gone`")
        .says("/nowhere/program");
    assert!(
        home.unit("here")["pid"].is_u64(),
        "the others are launched all the same"
    );
}

#[test]
fn unhealthy_is_eight() {
    let home = Home::new(
        "services:\n  api:\n    type: process\n    binary: FIXTURE\n    args: [hold]\n    \
         readiness: {command: /bin/false, interval: 50ms, retries: 2}\n",
    );
    home.run(&["start", "--wait", "--wait-timeout", "20s"])
        .expect(8)
        .says("service `api`");
    home.run(&["status", "--exit-code"])
        .expect(3)
        .shows("unhealthy");
}

#[test]
fn a_time_limit_is_a_hundred_and_twenty_four_and_the_work_goes_on() {
    let home = Home::new(
        "services:\n  slow:\n    type: process\n    binary: FIXTURE\n    args: [hold]\n    \
         readiness: {log: never-written}\n  late: {type: process, binary: FIXTURE, args: [hold], depends_on: [slow]}\n",
    );
    // Which one, where it is, why, and who waits for it.
    home.run(&["start", "--wait", "--wait-timeout", "2s"])
        .expect(124)
        .says("service `slow`: it is settling: it is not ready yet")
        .says("last output:")
        .says("blocked: late")
        .says("`late`, `slow` of stack ")
        .says("were not ready within 2s")
        .says("goes on");
    assert!(home.unit("slow")["pid"].is_u64());
    home.run(&["wait", "slow", "--timeout", "200ms"])
        .expect(124)
        .says("it is settling: ")
        .says("was not ready within 200ms");
}

#[test]
fn ctrl_c_while_waiting_detaches() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        // Of its own, so that what is launched was launched by this client, which then listens to signals.
        let home = Home::new(
            "services:\n  slow:\n    type: process\n    binary: FIXTURE\n    args: [hold]\n    \
             readiness: {log: never-written}\n",
        );
        let mut child = home.spawn(&["start", "--wait"]);
        home.command(&["daemon", "start"])
            .output()
            .expect("the daemon comes");
        testkit::eventually_blocking(support::DEADLINE, "it is launched", || {
            home.run(&["status", "-o", "json"])
                .stdout
                .contains("\"settling\"")
        });
        rustix::process::kill_process(Pid::from_child(&child), signal).expect("it waits");
        let mut said = String::new();
        for line in BufReader::new(child.stderr.take().expect("piped")).lines() {
            said += &line.expect("text");
        }
        assert_eq!(child.wait().expect("it ends").code(), Some(code), "{said}");
        assert!(said.contains("detached"), "{said}");
        assert!(home.unit("slow")["pid"].is_u64(), "the service goes on");
    }
}

#[test]
fn what_would_ask_needs_yes_where_nobody_can_be_asked() {
    let home = Home::new(ONE);
    home.ok(&["start"]);
    home.run(&["down"]).expect(2).says("--yes");
    home.ok(&["down", "--yes"]);
    home.run(&["status"]).expect(4).says("has not been started");
}

#[test]
fn errors_are_documents_where_output_is() {
    let home = Home::new(ONE);
    let run: Run = home.run(&["status", "-o", "json"]).expect(5);
    assert_eq!(run.stdout, "");
    let error: serde_json::Value = serde_json::from_str(&run.stderr).expect("one document");
    assert_eq!(error["error"]["exit_code"], 5);
}
