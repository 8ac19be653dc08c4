//! `signal`, `kill`, `ls`, `graph`, `restart --wait`, `start --remove-orphans`.

mod support;

use support::Home;
use testkit::eventually_blocking;

const SHOP: &str = "\
name: shop
services:
  db: {type: process, binary: FIXTURE, args: [signals], readiness: {log: ready}}
  api:
    type: process
    binary: FIXTURE
    args: [hold]
    restart: always
    depends_on: {db: {condition: service_healthy, restart: true}}
tasks:
  seed: {target: {type: process, binary: /bin/echo, args: [seeded]}, dependencies: [db]}
";

#[test]
fn a_signal_reaches_the_service_and_changes_nothing_else() {
    let home = Home::new(SHOP);
    home.ok(&["start", "--wait"]);
    let pid = home.unit("db")["pid"].clone();
    home.ok(&["signal", "db", "usr1"])
        .says("shop: SIGUSR1 sent to db");
    eventually_blocking(support::DEADLINE, "it is told", || {
        home.ok(&["logs", "db"]).stdout.contains("signal USR1")
    });
    assert_eq!(home.unit("db")["pid"], pid);
    home.run(&["signal", "seeds", "HUP"])
        .expect(4)
        .says("did you mean `seed`");
    home.run(&["signal", "db", "NOPE"])
        .expect(2)
        .says("not a signal");
    home.run(&["signal", "seed", "HUP"])
        .expect(1)
        .says("seed does not run");
}

#[test]
fn what_is_killed_comes_back_where_its_policy_says_so() {
    let home = Home::new(SHOP);
    home.ok(&["start", "--wait"]);
    let pid = home.unit("api")["pid"].clone();
    home.ok(&["kill", "api"]).says("SIGKILL sent to api");
    eventually_blocking(support::DEADLINE, "it is back", || {
        let api = home.unit("api");
        api["state"] == "ready" && api["pid"] != pid
    });
    assert_eq!(home.unit("api")["signal"], 9);
}

#[test]
fn stacks_are_listed() {
    let home = Home::new(SHOP);
    home.run(&["ls"]).expect(5);
    home.ok(&["start"]);
    home.ok(&["-p", "copy", "start", "db"]);
    home.ok(&["ls"]).shows("shop").shows("harness.yaml");
    assert_eq!(home.ok(&["ls", "-o", "name"]).stdout, "copy\nshop\n");
    let list = home.ok(&["ls", "-o", "json"]).json();
    assert_eq!(list["schema_version"], 1);
    assert_eq!(list["items"][1]["units"], 3);
}

#[test]
fn the_graph_shows_gates_and_states_with_and_without_a_daemon() {
    let home = Home::new(SHOP);
    home.ok(&["graph"])
        .shows("needs db (ready, restarts with it)");
    home.run(&["daemon", "status"]).expect(5);
    home.ok(&["start", "--wait"]);
    let text = home.ok(&["graph"]).stdout;
    let seed = text.lines().find(|line| line.contains("seed"));
    assert_eq!(seed, Some("  seed  task     done   needs db (ready)"));
    home.ok(&["graph", "-o", "dot"])
        .shows("\"api\" -> \"db\" [label=\"ready, restart\"");
    home.ok(&["graph", "-o", "mermaid"]).shows("flowchart LR");
    let graph = home.ok(&["graph", "-o", "json"]).json();
    assert_eq!(graph["nodes"].as_array().map(Vec::len), Some(3));
    assert_eq!(graph["edges"][0]["gate"], "ready");
}

#[test]
fn a_restart_can_wait_until_all_is_ready() {
    let home = Home::new(SHOP);
    home.ok(&["start", "--wait"]);
    let pid = home.unit("db")["pid"].clone();
    home.ok(&["restart", "db", "--wait"])
        .says("shop: 1 restarted and ready");
    let db = home.unit("db");
    assert!(db["ready"] == true && db["pid"] != pid, "{db}");
    home.write(
        "harness.yaml",
        &SHOP.replace("{log: ready}", "{log: never}"),
    );
    home.ok(&["start"]);
    home.run(&["restart", "db", "--wait", "--wait-timeout", "200ms"])
        .expect(124);
}

#[test]
fn orphans_are_removed_on_request() {
    let home = Home::new(SHOP);
    home.ok(&["start", "--wait"]);
    home.write("harness.yaml", &SHOP.replace("  api:", "  backend:"));
    home.ok(&["start"]).says("start --remove-orphans");
    home.ok(&["start", "--remove-orphans"])
        .says("shop: api removed");
    let status = home.status();
    let names: Vec<_> = status["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|unit| unit["name"].clone())
        .collect();
    assert_eq!(names, ["backend", "db", "seed"]);
}

#[test]
fn a_port_that_is_not_declared_is_no_address() {
    let home = Home::new(SHOP);
    home.ok(&["start", "--wait"]);
    home.run(&["port", "db"])
        .expect(4)
        .says("`db` declares no port");
}

#[test]
fn why_knows_what_stands_behind_a_profile() {
    let home = Home::new(
        "\
name: shop
services:
  api: {type: process, binary: FIXTURE, args: [hold]}
  tool: {type: process, binary: FIXTURE, args: [hold], profiles: [debug]}
",
    );
    home.ok(&["start", "--wait"]);
    home.run(&["why", "tool"])
        .expect(4)
        .says("`tool` is in the stack file under the profile `debug`")
        .says("harness start --profile debug");
    home.run(&["why", "nobody"])
        .expect(4)
        .says("there is no service or task `nobody`");
}
