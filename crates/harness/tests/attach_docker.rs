//! Containers that somebody else runs, and what he does with them (image `harness-test/busybox`, see docker-test-env).
//!
//! `cargo nextest run -p harness --features docker-tests`

#![cfg(feature = "docker-tests")]

mod support;

use std::process::Command;

use support::{DEADLINE, Home};
use testkit::eventually_blocking;

/// A container of somebody else, and a stack that observes it.
struct Theirs {
    name: String,
    home: Home,
}

impl Theirs {
    fn new(test: &str) -> Self {
        let name = format!("theirs-{}-{test}", std::process::id());
        let stack = format!(
            "name: {name}\nservices:\n  cache: {{type: docker-attach, container: {name}}}\n"
        );
        let home = Home::new(&stack);
        let theirs = Self { name, home };
        theirs.run();
        theirs
    }

    fn docker(&self, arguments: &[&str]) -> String {
        let told = Command::new("docker").args(arguments).output();
        let told = told.expect("docker is installed");
        assert!(told.status.success(), "{arguments:?}: {told:?}");
        String::from_utf8_lossy(&told.stdout).trim().to_owned()
    }

    /// Runs it anew; its id.
    fn run(&self) -> String {
        let run = std::env::var("HARNESS_TEST_RUN").unwrap_or_default();
        let label = format!("harness-test.run={run}");
        let line = [
            "run", "-d", "--init", "--label", &label, "--name", &self.name,
        ];
        let rest = ["harness-test/busybox", "sleep", "3600"];
        self.docker(&[&line[..], &rest].concat())
    }

    fn until(&self, what: &str, is_so: impl Fn(&serde_json::Value) -> bool) {
        eventually_blocking(DEADLINE, what, || is_so(&self.home.unit("cache")));
    }

    fn until_ready(&self, id: &str) {
        self.until("it is ready again", |cache| {
            cache["state"] == "ready" && cache["container_id"] == id
        });
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        let removed = Command::new("docker")
            .args(["rm", "-f", &self.name])
            .output();
        assert!(removed.is_ok_and(|removed| removed.status.success()));
    }
}

#[test]
fn who_needs_a_container_to_which_no_way_leads_is_told() {
    let theirs = Theirs::new("apart");
    let home = &theirs.home;
    let run = std::env::var("HARNESS_TEST_RUN").unwrap_or_default();
    home.write(
        "harness.yaml",
        &format!(
            "name: {0}
services:
  cache: {{type: docker-attach, container: {0}, ports: [6379]}}
  web:
    type: docker
    image: harness-test/busybox
    init: true
    command: [sleep, '3600']
    depends_on: [cache]
    labels: {{harness-test.run: \"{run}\"}}
",
            theirs.name
        ),
    );
    home.ok(&["-q", "start", "--wait"]);
    let web = home.unit("web");
    let reason = web["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("no way leads from it to `cache`"), "{web}");
    home.ok(&["why", "web"]).shows("no way leads");
    let network = format!("{}_default", theirs.name);
    theirs.docker(&["network", "connect", &network, &theirs.name]);
    theirs.until("it is seen on the network", |_| {
        home.unit("web")["reason"].is_null()
    });
    theirs.docker(&["network", "disconnect", &network, &theirs.name]);
    home.ok(&["down", "--yes"]);
}

#[test]
fn a_container_of_somebody_else_is_seen_again_whenever_it_runs() {
    let theirs = Theirs::new("again");
    let home = &theirs.home;
    home.ok(&["-q", "start", "--wait"]);
    let cache = home.unit("cache");
    let id = cache["container_id"].as_str().expect("it runs").to_owned();

    // A program that ends by TERM: 143, or, by itself, 0.
    theirs.docker(&["restart", "-t", "5", &theirs.name]);
    theirs.until("it was seen to end, and is ready again", |cache| {
        cache["state"] == "ready" && cache["restarts"] == 1
    });

    theirs.docker(&["stop", "-t", "5", &theirs.name]);
    theirs.until("its end is seen, and it is waited for", |cache| {
        let reason = cache["reason"].as_str().unwrap_or_default();
        cache["state"] == "starting" && reason.contains("observed again")
    });
    home.ok(&["why", "cache"]).shows("observed again");
    theirs.docker(&["start", &theirs.name]);
    theirs.until_ready(&id);

    theirs.docker(&["rm", "-f", &theirs.name]);
    theirs.until_ready(&theirs.run());

    let daemon = home.ok(&["daemon", "status", "-o", "json"]).json()["pid"].to_string();
    let killed = Command::new("kill").args(["-s", "KILL", &daemon]).status();
    assert!(killed.expect("it runs").success());
    theirs.docker(&["rm", "-f", &theirs.name]);
    home.ok(&["status"]);
    theirs.until("it is waited for by the next daemon, too", |cache| {
        cache["state"] == "starting"
    });
    theirs.until_ready(&theirs.run());
    home.ok(&["-q", "stop"]);
}
