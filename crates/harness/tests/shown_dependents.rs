//! What happens to those who need a service that dies, and what `why` says meanwhile.

mod shown;
mod support;

use serde_json::Value;
use shown::{DEADLINE, Sandbox};
use testkit::eventually_blocking;

const STACK: &str = "\
services:
  db:
    type: process
    binary: FIXTURE
    args: [hold]
    readiness: {log: pid}
  api:
    type: process
    binary: FIXTURE
    args: [hold]
    readiness: {log: pid}
    depends_on: {db: {condition: service_healthy, restart: true}}
  web:
    type: process
    binary: FIXTURE
    args: [hold]
    depends_on: {api: {condition: service_healthy, restart: true}}
  worker: {type: process, binary: FIXTURE, args: [hold], depends_on: [db]}
  aside: {type: process, binary: FIXTURE, args: [hold]}
";

fn pids<const N: usize>(sandbox: &Sandbox, names: [&str; N]) -> [u32; N] {
    names.map(|name| sandbox.pid(name))
}

#[test]
fn a_killed_database_takes_down_with_it_only_those_who_asked_for_it() {
    let sandbox = Sandbox::new(STACK);
    sandbox.ok(&["start", "--wait"]);
    let [db, api, web] = pids(&sandbox, ["db", "api", "web"]);
    let others = pids(&sandbox, ["worker", "aside"]);
    shown::kill(db);
    let is_new = |old: u32| move |unit: &Value| unit["ready"] == true && unit["pid"] != old;
    sandbox.until("db", "ready again", is_new(db));
    sandbox.until("api", "ready again", is_new(api));
    sandbox.until("web", "ready again", is_new(web));
    assert_eq!(
        pids(&sandbox, ["worker", "aside"]),
        others,
        "nobody asked to be restarted"
    );
    sandbox.ok(&["status", "--exit-code"]);
    // In order: nobody was started before what it needs was ready again.
    let events = sandbox.events();
    let last = |unit: &str, kinds: &[&str]| {
        let is_meant = |event: &Value| {
            event["event_data"]["service_name"] == unit
                && kinds.iter().any(|kind| event["event_type"] == *kind)
        };
        events
            .iter()
            .rposition(is_meant)
            .unwrap_or_else(|| panic!("no {kinds:?} of {unit}"))
    };
    let ready = |unit| last(unit, &["service_ready"]);
    let start = |unit| last(unit, &["service_starting"]);
    assert!(
        ready("db") < start("api") && ready("api") < start("web"),
        "{events:#?}"
    );
}

#[test]
fn a_killed_worker_comes_back_alone() {
    let sandbox = Sandbox::new(STACK);
    sandbox.ok(&["start", "--wait"]);
    let others = pids(&sandbox, ["db", "api", "web", "aside"]);
    let worker = sandbox.pid("worker");
    shown::kill(worker);
    let worker = sandbox.until("worker", "up again", |unit| {
        unit["ready"] == true && unit["pid"] != worker
    });
    assert_eq!(worker["restarts"], 1);
    assert_eq!(pids(&sandbox, ["db", "api", "web", "aside"]), others);
}

#[test]
fn a_killed_child_of_a_probe_is_a_probe_that_failed_and_nothing_more() {
    let sandbox = Sandbox::new(
        "services:\n  \
         db:\n    type: process\n    binary: FIXTURE\n    args: [hold]\n    \
         readiness:\n      command: /bin/sh\n      \
         args: [-c, \"test -e quick || { FIXTURE hold > child & echo $! > pid; mv pid child.pid; wait $!; }\"]\n      \
         interval: 100ms\n      timeout: 50s\n      retries: 1\n      start_period: 50s\n  \
         api: {type: process, binary: FIXTURE, args: [hold], depends_on: [db]}\n",
    );
    // It returns when `api` is launched, too, which waits for the probe.
    let mut client = sandbox.spawn(&["start"]);
    let child = sandbox.path().join("child.pid");
    eventually_blocking(DEADLINE, "the probe has a child", || child.exists());
    sandbox
        .ok(&["why", "api"])
        .shows("api is idle")
        .shows("db is settling");
    let db = sandbox.pid("db");
    sandbox.write("quick", "");
    let child = std::fs::read_to_string(child).expect("written");
    shown::kill(child.trim().parse().expect("a process"));
    sandbox.ok(&["wait", "db", "api", "--timeout", "60s"]);
    assert!(client.wait().expect("it returns").success());
    assert_eq!(sandbox.pid("db"), db, "a readiness probe restarts nobody");
    assert_eq!(sandbox.unit("db")["health"], "healthy");
}

#[test]
fn why_leads_from_what_waits_down_to_the_cause() {
    let sandbox = Sandbox::new(
        "services:\n  \
         web: {type: process, binary: FIXTURE, args: [hold], depends_on: [api]}\n  \
         api: {type: process, binary: FIXTURE, args: [hold], depends_on: [db, cache]}\n  \
         cache: {type: process, binary: FIXTURE, args: [hold]}\n  \
         db: {type: process, binary: FIXTURE, args: [exit, \"4\"], readiness: {log: never}, restart: \"no\"}\n",
    );
    sandbox
        .run(&["start", "--wait"])
        .expect(1)
        .says("exit code 4")
        .says("blocked: ");
    // The start ends as soon as one has failed; until the other is up, it holds up whoever needs it, too.
    sandbox.until_state("cache", "ready");
    let why = sandbox.ok(&["why", "web"]).stdout;
    let places =
        ["web is idle", "api is idle", "db failed: exit code 4"].map(|text| why.find(text));
    assert!(
        places.iter().all(Option::is_some) && places.is_sorted(),
        "{why}"
    );
    assert!(
        !why.contains("cache"),
        "what holds nobody up is no cause:\n{why}"
    );
    assert_eq!(sandbox.unit("web")["waiting_for"][0]["unit"], "api");
    assert_eq!(sandbox.unit("api")["waiting_for"][0]["unit"], "db");
}
