//! Images that are made ready while their units wait, by the real program.
#![cfg(feature = "docker-tests")]

mod support;

use support::docker::{Stack, docker, is_building};
use support::{DEADLINE, Home};
use testkit::eventually_blocking;

fn reason(home: &Home) -> String {
    home.unit("app")["reason"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// Two services whose images are built, and that wait for one that takes its time.
fn waiting(name: &str) -> (Home, String) {
    let image = format!("harness-test-{name}:{}", std::process::id());
    let run = support::docker::run();
    let labels = format!("labels: {{harness-test.run: \"{run}\"}}\n    stop_grace_period: 1s");
    let text = format!(
        "name: {name}-{}\nservices:\n  app:\n    type: docker\n    {labels}\n    image: {image}-a\n    build: a\n    command: [sleep, '1000']\n    depends_on: [gate]\n  other:\n    type: docker\n    {labels}\n    image: {image}-b\n    build: b\n    command: [sleep, '1000']\n    depends_on: [gate]\n  needy:\n    type: process\n    command: [sleep, '1000']\n    depends_on: [app]\n  gate:\n    type: process\n    command: [sleep, '1000']\n    readiness: {{command: [test, -e, open], interval: 100ms, retries: 3000}}\n",
        std::process::id()
    );
    (Home::new(&text), image)
}

#[test]
fn images_are_built_while_their_units_wait_and_a_failure_is_told_at_once() {
    let (home, image) = waiting("early");
    let _down = Stack(&home);
    let good = "FROM harness-test/busybox\nRUN echo good\n";
    home.write(
        "a/Dockerfile",
        "FROM harness-test/busybox\nRUN echo of no use; exit 7\n",
    );
    home.write("b/Dockerfile", good);
    let mut starting = home.spawn(&["start"]);
    eventually_blocking(DEADLINE, "it is started", || {
        home.run(&["status", "-o", "json"]).code == 0
    });
    home.until("app", "failed");
    assert!(reason(&home).contains("exit 7"), "{}", reason(&home));
    let is_there = |name: &str| !docker(&["images", "-q", name]).is_empty();
    let other = format!("{image}-b");
    eventually_blocking(DEADLINE, "the other is built", || is_there(&other));
    assert_eq!(home.unit("gate")["ready"], false, "nobody's turn has come");
    assert_eq!(home.unit("other")["state"], "idle");
    home.ok(&["why", "needy"]).shows("app");
    home.write("open", "");
    home.until("other", "ready");
    assert_eq!(home.unit("app")["state"], "failed");
    assert_eq!(home.unit("needy")["state"], "idle");
    assert_eq!(starting.wait().expect("it ends").code(), Some(1));
    // Mended, and asked for once more.
    home.write("a/Dockerfile", good);
    home.ok(&["start", "--wait"]);
    docker(&["image", "rm", "--force", &format!("{image}-a"), &other]);
}

#[test]
fn a_stop_ends_a_build_whose_unit_still_waits() {
    let (home, image) = waiting("unneeded");
    let _down = Stack(&home);
    let seconds = 200_000 + std::process::id();
    home.write(
        "a/Dockerfile",
        &format!("FROM harness-test/busybox\nRUN sleep {seconds}\n"),
    );
    home.write("b/Dockerfile", "FROM harness-test/busybox\n");
    let mut starting = home.spawn(&["start"]);
    let is_building = || is_building(seconds);
    eventually_blocking(DEADLINE, "the build runs", is_building);
    assert_eq!(home.unit("app")["state"], "idle");
    assert!(reason(&home).contains("building"), "{}", reason(&home));
    home.ok(&["stop"]);
    starting.wait().expect("it ends with what it waits for");
    eventually_blocking(DEADLINE, "the build has ended", || !is_building());
    docker(&["image", "rm", "--force", &format!("{image}-b")]);
}
