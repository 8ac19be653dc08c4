//! Daemons, clients and stacks that come and go while others stay.

mod shown;
mod support;

use shown::{DEADLINE, Sandbox, started};
use testkit::{alive, eventually_blocking};

const CHAIN: &str = "\
name: chain
services:
  db: {type: process, binary: FIXTURE, args: [lines, \"100000000\", --rate, \"100\"]}
  api: {type: process, binary: FIXTURE, args: [hold], depends_on: [db]}
";

#[test]
fn what_a_daemon_keeps_the_next_one_adopts() {
    Sandbox::each(CHAIN, |sandbox| {
        sandbox.ok(&["start", "--wait"]);
        let daemon = sandbox.daemon();
        let pids = ["db", "api"].map(|name| sandbox.pid(name));
        let starts = pids.map(started);
        sandbox.ok(&["daemon", "stop", "--keep"]);
        eventually_blocking(DEADLINE, "the daemon is gone", || !alive(daemon));
        assert!(pids.into_iter().all(alive));
        // Any question brings the next daemon up.
        assert_eq!(["db", "api"].map(|name| sandbox.pid(name)), pids);
        assert_eq!(pids.map(started), starts);
        assert_ne!(sandbox.daemon(), daemon);
        for name in ["db", "api"] {
            assert_eq!(sandbox.unit(name)["state"], "ready");
            assert_eq!(
                sandbox.events_of(name, "service_adopted").len(),
                1,
                "{name}"
            );
        }
        sandbox.ok(&["start", "--wait"]).says("already running");
        sandbox.ok(&["stop"]);
        assert!(!pids.into_iter().any(alive));
    });
}

#[test]
fn a_needed_service_is_not_stopped_by_mistake() {
    let sandbox = Sandbox::new(CHAIN);
    sandbox.ok(&["start", "--wait"]);
    let pids = ["db", "api"].map(|name| sandbox.pid(name));
    sandbox
        .run(&["stop", "db"])
        .expect(1)
        .says("api")
        .says("--with-dependents");
    assert_eq!(["db", "api"].map(|name| sandbox.pid(name)), pids);
    sandbox.ok(&["stop", "api"]);
    sandbox.ok(&["stop", "db"]);
    assert!(!pids.into_iter().any(alive));
}

#[test]
fn stacks_of_one_daemon_do_not_touch_each_other() {
    let sandbox = Sandbox::new(
        "name: one\nservices: {same: {type: process, binary: FIXTURE, args: [hold]}}\n",
    );
    sandbox.write(
        "other.yaml",
        "name: two\nservices: {same: {type: process, binary: /bin/sh, args: [-c, \"echo of two; exec FIXTURE hold\"]}}\n",
    );
    sandbox.ok(&["start", "--wait"]);
    sandbox.ok(&["start", "--wait", "--file", "other.yaml"]);
    let pid = |stack: &str| {
        let status = sandbox.ok(&["-p", stack, "status", "-o", "json"]).json();
        assert_eq!(status["stack"], stack);
        assert_eq!(status["items"].as_array().map(Vec::len), Some(1));
        status["items"][0]["pid"].as_u64()
    };
    let (one, two) = (pid("one"), pid("two"));
    assert!(one.is_some() && two.is_some() && one != two);
    let of_one = sandbox.ok(&["-p", "one", "logs", "--no-prefix"]).stdout;
    assert!(!of_one.contains("of two"), "{of_one}");
    sandbox.ok(&["-p", "two", "restart"]);
    sandbox.ok(&["-p", "two", "wait", "same", "--timeout", "60s"]);
    assert_eq!(pid("one"), one);
    sandbox.ok(&["-p", "two", "stop"]);
    assert_eq!((pid("one"), pid("two")), (one, None));
    sandbox.ok(&["-p", "two", "down", "--yes"]);
    sandbox.run(&["-p", "two", "status"]).expect(4);
    assert_eq!(pid("one"), one);
}

#[test]
fn a_client_killed_while_it_waits_leaves_no_half_started_stack() {
    let sandbox = Sandbox::new(
        "services:\n  \
         db: {type: process, binary: /bin/sh, args: [-c, \"while ! test -e go; do :; done; echo up; exec FIXTURE hold\"], readiness: {log: up}}\n  \
         api: {type: process, binary: FIXTURE, args: [hold], depends_on: [db]}\n  \
         web: {type: process, binary: FIXTURE, args: [hold], depends_on: [api]}\n",
    );
    let mut client = sandbox.spawn(&["start", "--wait"]);
    // Asking too early would be answered by no daemon, which is what the client is about to change.
    eventually_blocking(DEADLINE, "the stack is with the daemon", || {
        let status = sandbox.run(&["status", "-o", "json"]);
        status.code == 0 && status.stdout.contains("\"settling\"")
    });
    client.kill().expect("it waits");
    client.wait().expect("it is gone");
    sandbox.write("go", "");
    sandbox.ok(&["wait", "web", "--timeout", "60s"]);
    sandbox.ok(&["status", "--exit-code"]);
}

#[test]
fn a_start_while_the_daemon_dies_brings_the_stack_up_once() {
    let sandbox = Sandbox::new(CHAIN);
    for round in 0..5 {
        sandbox.ok(&["daemon", "start"]);
        let daemon = sandbox.daemon();
        let mut client = sandbox.spawn(&["start", "--wait", "--wait-timeout", "60s"]);
        shown::kill(daemon);
        let code = client.wait().expect("it ends").code();
        // A client that lost its daemon in the middle of its order cannot know what became of it, and may say so; the
        // next one must find things in order.
        assert!(code.is_some(), "round {round}: it was not killed itself");
        sandbox.ok(&["start", "--wait"]);
        let pids = ["db", "api"].map(|name| sandbox.pid(name));
        let marked = |name: &str| {
            let id = sandbox.unit(name)["instance_id"]
                .as_str()
                .map(str::to_owned)
                .expect("it runs");
            testkit::processes_with_env(&format!("HARNESS_INSTANCE_ID={id}"))
        };
        assert!(marked("db").contains(&pids[0]) && marked("api").contains(&pids[1]));
        assert_eq!(
            sandbox.services_running(),
            2,
            "round {round}: each exactly once"
        );
        sandbox.ok(&["stop"]);
        assert_eq!(sandbox.services_running(), 0, "round {round}");
    }
}
