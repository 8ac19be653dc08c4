//! The checks that images bring along, by the real program and a Compose file as it is: who takes them, what is said of
//! them, and how one is switched off. And how a start and a restart tell of what ignored its stop signal.
#![cfg(feature = "docker-tests")]

mod support;

use std::process::Command;

use support::debris::Debris;
use support::docker::docker;
use support::{DEADLINE, Home};
use testkit::eventually_blocking;

/// A Compose project, and the image that its services are made of; both go with this value.
struct Project {
    name: String,
    home: Home,
    image: String,
}

impl Project {
    /// An image with this check, if any, that does nothing for long.
    fn new(name: &str, check: &str) -> Self {
        let project = Self {
            name: format!("checks-{name}-{}", std::process::id()),
            home: Home::empty(),
            image: format!("harness-test-{name}:{}", std::process::id()),
        };
        let file = format!(
            "FROM harness-test/busybox\n{check}\nLABEL harness-test.run={}\nCMD [\"sleep\", \"100000\"]\n",
            run()
        );
        project.home.write("Dockerfile", &file);
        let context = project.home.path().display().to_string();
        docker(&["build", "-q", "-t", &project.image, &context]);
        project
    }

    /// The Compose file with these services; `IMAGE` stands for the image.
    fn compose(&self, services: &str) {
        let services = services.replace("IMAGE", &self.image);
        let text = format!(
            "name: {}\nx-labels: &own {{labels: {{harness-test.run: \"{}\"}}, stop_grace_period: 1s}}\nservices:\n{services}",
            self.name,
            run()
        );
        self.home.write("compose.yaml", &text);
    }

    fn health(&self, unit: &str) -> String {
        let unit = self.home.unit(unit);
        unit["health"].as_str().unwrap_or_default().to_owned()
    }

    #[track_caller]
    fn until_health(&self, unit: &str, health: &str) {
        eventually_blocking(DEADLINE, health, || self.health(unit) == health);
    }

    /// What the engine says of the container of a unit.
    fn inspect(&self, unit: &str, format: &str) -> String {
        let unit = self.home.unit(unit);
        let id = unit["container_id"].as_str().expect("it runs");
        docker(&["inspect", "--format", format, id])
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        let down = self.home.run(&["down", "--yes"]);
        drop(
            Command::new("docker")
                .args(["image", "rm", "-f", &self.image])
                .output(),
        );
        if !std::thread::panicking() {
            assert!(matches!(down.code, 0 | 4), "{down:?}");
        }
    }
}

fn run() -> String {
    support::docker::run()
}

/// Good once `/ok` is there.
const CHECK: &str =
    "HEALTHCHECK --interval=1s --retries=2 CMD test -e /ok || { echo nothing at /ok; exit 3; }";

#[test]
fn a_service_of_a_compose_file_is_judged_by_the_check_of_its_image() {
    let project = Project::new("judged", CHECK);
    let home = &project.home;
    // `after` waits for no more than in Compose: that `web` was started.
    project.compose(
        "  web: {<<: *own, image: IMAGE}\n  after: {<<: *own, image: harness-test/busybox, command: [sleep, '1000'], depends_on: [web]}\n  late: {<<: *own, image: harness-test/busybox, command: [sleep, '1000'], depends_on: {web: {condition: service_started}}}\n",
    );
    home.run(&["up", "-d"])
        .expect(8)
        .says("web")
        .says("its own check fails: exit code 3: nothing at /ok");
    assert_eq!(home.unit("web")["ready"], false);
    assert_eq!(project.health("web"), "unhealthy");
    assert_eq!(
        project.inspect("web", "{{.State.Health.Status}}"),
        "unhealthy"
    );
    home.ok(&["why", "web"])
        .shows("its health check fails: its own check fails: exit code 3: nothing at /ok");
    for unit in ["after", "late"] {
        home.until(unit, "ready");
        assert_eq!(project.health(unit), "none", "its image has no check");
    }
    home.ok(&["exec", "web", "--", "touch", "/ok"]);
    project.until_health("web", "healthy");
    home.until("web", "ready");
    home.ok(&["start", "--wait"]);
    // Whoever comes next finds it as it is, and is told when that changes.
    home.ok(&["daemon", "stop", "--keep"]);
    home.ok(&["daemon", "start"]);
    project.until_health("web", "healthy");
    home.until("web", "ready");
    home.ok(&["exec", "web", "--", "rm", "/ok"]);
    project.until_health("web", "unhealthy");
    home.run(&["status", "--exit-code"]).expect(3);
}

#[test]
fn a_check_that_is_switched_off_or_replaced_is_not_run_by_the_engine_either() {
    let project = Project::new("off", CHECK);
    let home = &project.home;
    project.compose(
        "  off: {<<: *own, image: IMAGE, healthcheck: {disable: true}}\n  none: {<<: *own, image: IMAGE, healthcheck: {test: [NONE]}}\n  own: {<<: *own, image: IMAGE, healthcheck: {test: [CMD, 'true'], interval: 1s}}\n  taken: {<<: *own, image: IMAGE, healthcheck: {start_period: 1s}}\n",
    );
    home.ok(&["start", "off", "none", "own", "--wait"])
        .says("3 ready");
    for (unit, health) in [("off", "none"), ("none", "none"), ("own", "healthy")] {
        assert_eq!(
            project.inspect(unit, "{{.Config.Healthcheck.Test}}"),
            "[NONE]"
        );
        assert_eq!(project.inspect(unit, "{{.State.Health}}"), "<nil>");
        assert_eq!(project.health(unit), health);
    }
    home.ok(&["start", "taken"]);
    project.until_health("taken", "unhealthy");
}

#[test]
fn a_stack_file_takes_the_check_of_an_image_too() {
    let project = Project::new("native", CHECK);
    let home = &project.home;
    home.write(
        "harness.yaml",
        &format!(
            "name: {}\nservices:\n  web: {{type: docker, image: '{}', labels: {{harness-test.run: '{}'}}, stop: {{grace: 1s}}}}\n",
            project.name, project.image,
            run()
        ),
    );
    home.run(&["start", "--wait"])
        .expect(8)
        .says("nothing at /ok");
    home.ok(&["exec", "web", "--", "touch", "/ok"]);
    project.until_health("web", "healthy");
    home.ok(&["start", "--wait"]);
}

#[test]
fn what_ignores_its_stop_signal_is_told_by_a_restart_and_a_replacement_too() {
    let project = Project::new("deaf", "");
    let home = &project.home;
    // Process 1 without a handler is deaf to TERM.
    project.compose("  web: {<<: *own, image: IMAGE}\n");
    home.ok(&["up", "-d"]);
    project.compose("  web: {<<: *own, image: IMAGE, environment: {A: b}}\n");
    home.ok(&["up", "-d"])
        .says("web: changed: env.A")
        .says("web ignored its stop signal for 1.")
        .says("`init: true`");
    home.ok(&["restart"])
        .says("web ignored its stop signal for 1.");
    home.ok(&["restart", "-t", "0"]).says("restarted");
    let started = std::time::Instant::now();
    project.compose("  web: {<<: *own, image: IMAGE, stop_grace_period: 5m}\n");
    home.ok(&["up", "-d"]);
    home.ok(&["restart", "-t", "1"])
        .says("web ignored its stop signal for 1.");
    home.ok(&["restart", "--timeout", "0s"]);
    assert!(
        started.elapsed() < DEADLINE,
        "nobody waited for five minutes"
    );
    home.ok(&["stop", "-t", "1"]);
}

#[test]
fn a_build_that_fails_names_the_service_and_the_step() {
    let project = Project::new("broken", "");
    let home = &project.home;
    let debris = Debris::of(home.path());
    let file = format!(
        "FROM harness-test/busybox\n{}RUN echo of no use; exit 7\n",
        debris.mark()
    );
    home.write("app/Dockerfile", &file);
    project.compose("  b2: {<<: *own, build: ./app}\n");
    home.run(&["up", "-d"])
        .expect(1)
        .says(
            "no image for `b2`: `docker build` failed at step 3 of 3, `RUN echo of no use; exit 7`",
        )
        .says("of no use");
    project.compose("  b2: {<<: *own, build: ./nowhere/./else}\n");
    let directory = home.path().join("nowhere/else").display().to_string();
    home.run(&["up", "-d"])
        .expect(78)
        .says(&format!("there is no directory `{directory}`"));
}
