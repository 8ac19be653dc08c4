//! What is said of ends and restarts that were not a unit's own doing.

mod support;

use support::Home;

const STACK: &str = "name: shop
services:
  db: {type: process, binary: FIXTURE, args: [hold]}
  api:
    type: process
    binary: FIXTURE
    args: [hold]
    depends_on: [{service: db, restart: true}]
tasks:
  slow: {type: process, binary: sleep, args: ['1000'], timeout: 300ms}
  wrong: {type: process, binary: sh, args: ['-c', 'exit 3']}
";

#[test]
fn a_task_that_ran_for_too_long_is_told_as_such() {
    let home = Home::new(STACK);
    home.run(&["run", "slow"])
        .expect(143)
        .says("ran for too long");
    // One that ends by itself says by itself why.
    let run = home.run(&["run", "wrong"]).expect(3);
    assert!(!run.stderr.contains("wrong:"), "{}", run.stderr);
}

#[test]
fn a_restart_along_an_edge_names_what_it_was_for() {
    let home = Home::new(STACK);
    home.ok(&["-q", "start", "db", "api", "--wait"]);
    home.ok(&["-q", "restart", "db", "--wait"]);
    home.until("api", "ready");
    let events = home.ok(&["events", "-o", "json"]);
    let stopping = events.stdout.lines().find(|line| {
        line.contains("\"service_stopping\"") && line.contains("\"service_name\":\"api\"")
    });
    let stopping = stopping.unwrap_or_else(|| panic!("{}", events.stdout));
    assert!(
        stopping.contains("\"cause\":\"dependency-restarted\""),
        "{stopping}"
    );
    assert!(
        stopping.contains("`db`, which it needs, was started anew"),
        "{stopping}"
    );
}
