//! What others do to the networks of our containers (image `harness-test/busybox`, see docker-test-env).
//!
//! `cargo nextest run -p harness --features docker-tests`

#![cfg(feature = "docker-tests")]

mod support;

use support::docker::docker;
use support::{DEADLINE, Home};
use testkit::eventually_blocking;

#[test]
fn a_container_that_somebody_takes_off_its_network_says_so_and_is_put_back_by_a_restart() {
    let run = std::env::var("HARNESS_TEST_RUN").unwrap_or_default();
    let name = format!("off-{}", std::process::id());
    let service = format!(
        "type: docker, image: harness-test/busybox, init: true, command: [sleep, '3600'], labels: {{harness-test.run: \"{run}\"}}"
    );
    let home = Home::new(&format!(
        "name: {name}\nservices:\n  db: {{{service}, ports: [5432]}}\n  web: {{{service}, depends_on: [db]}}\n"
    ));
    home.ok(&["-q", "start", "--wait"]);
    let network = format!("{name}_default");
    let container = format!("{name}-db-1");
    let says = |text: &str| {
        let reason = home.unit("db")["reason"].as_str().map(str::to_owned);
        reason.unwrap_or_default().contains(text)
    };
    docker(&["network", "disconnect", &network, &container]);
    eventually_blocking(DEADLINE, "its state says so", || says(&network));
    home.ok(&["why", "db"]).shows("off its network");

    docker(&["network", "connect", "--alias", "db", &network, &container]);
    eventually_blocking(DEADLINE, "and that it is back", || !says(&network));

    docker(&["network", "disconnect", &network, &container]);
    eventually_blocking(DEADLINE, "its state says so again", || says(&network));
    home.ok(&["-q", "restart", "db", "--wait"]);
    assert!(!says(&network), "{}", home.unit("db"));
    let asked = docker(&["exec", &format!("{name}-web-1"), "nslookup", "db"]);
    assert!(asked.contains("Address"), "{asked}");
    home.ok(&["down", "--yes"]);
}
