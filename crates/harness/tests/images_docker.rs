//! Where images come from, by the real program: builds that take their time, registries with and without passwords,
//! registries that are away; and what the engine enforces of limits.
#![cfg(feature = "docker-tests")]

mod support;

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use support::debris::Debris;
use support::docker::{Stack, docker, is_building};
use support::{DEADLINE, Home};
use testkit::{TempDir, eventually_blocking};

/// A stack of one service, `app`, with these keys.
fn stack(name: &str, keys: &str) -> String {
    let run = support::docker::run();
    format!(
        "name: {name}-{}\nservices:\n  app:\n    type: docker\n    labels: {{harness-test.run: \"{run}\"}}\n    stop_grace_period: 1s\n    {keys}\n",
        std::process::id()
    )
}

fn reason(home: &Home) -> String {
    home.unit("app")["reason"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[track_caller]
fn until_reason(home: &Home, words: &str) {
    eventually_blocking(DEADLINE, words, || reason(home).contains(words));
}

#[test]
fn a_build_tells_its_step_and_its_output_and_a_stop_ends_it() {
    let image = format!("harness-test-built:{}", std::process::id());
    // A number that no other program sleeps.
    let seconds = 100_000 + std::process::id();
    let home = Home::new(&stack(
        "built",
        &format!("image: {image}\n    build: image"),
    ));
    let _down = Stack(&home);
    let file =
        format!("FROM harness-test/busybox\nRUN echo words of the build\nRUN sleep {seconds}\n");
    home.write("image/Dockerfile", &file);
    // It waits for the launch, which is not to come.
    let mut starting = home.spawn(&["start"]);
    eventually_blocking(DEADLINE, "it is started", || {
        home.run(&["status", "-o", "json"]).code == 0
    });
    until_reason(&home, "(step 3 of 3)");
    assert_eq!(home.unit("app")["state"], "starting");
    let expected = format!("it is being launched: building {image} (step 3 of 3)");
    home.ok(&["why", "app"]).shows(&expected);
    let events = home.ok(&["events", "-o", "json"]).stdout;
    let said = events
        .lines()
        .filter(|line| line.contains("service_preparing"));
    let said: String = said.collect();
    assert!(said.contains("words of the build"), "{events}");
    let is_building = || is_building(seconds);
    eventually_blocking(DEADLINE, "the build runs", is_building);
    home.ok(&["stop"]);
    home.until("app", "idle");
    starting.wait().expect("it ends with what it waits for");
    eventually_blocking(DEADLINE, "the build has ended", || !is_building());
    // A build that fails says why, and is not tried again.
    let debris = Debris::of(home.path());
    let file = format!(
        "FROM harness-test/busybox\n{}RUN echo of no use; exit 7\n",
        debris.mark()
    );
    home.write("image/Dockerfile", &file);
    home.run(&["start", "--wait"]).expect(1);
    home.until("app", "failed");
    assert!(reason(&home).contains("exit 7"), "{}", reason(&home));
}

#[test]
fn what_an_image_says_of_its_environment_goes_before_what_is_injected() {
    let image = format!("harness-test-env:{}", std::process::id());
    let keys = format!(
        "image: {image}\n    build: image\n    command: [sh, -c, 'env; exec sleep 1000']\n    depends_on: [db]\n  db:\n    type: process\n    command: [sleep, '1000']\n    ports: [{{ name: sql, port: auto }}]"
    );
    let home = Home::new(&stack("env", &keys));
    let down = Stack(&home);
    let file = "FROM harness-test/busybox\nENV DB_HOST=of-the-image HARNESS_STACK=mine\n";
    home.write("image/Dockerfile", file);
    home.ok(&["start", "--wait"]);
    eventually_blocking(DEADLINE, "it tells its environment", || {
        home.ok(&["logs", "app"])
            .stdout
            .contains("HARNESS_SERVICE=app")
    });
    let told = home.ok(&["logs", "app"]).stdout;
    assert!(told.contains("DB_HOST=of-the-image"), "{told}");
    assert!(told.contains("HARNESS_STACK=mine"), "{told}");
    assert!(told.contains("DB_PORT="), "{told}");
    assert!(!told.contains("DB_URL="), "{told}");
    drop(down);
    docker(&["image", "rm", "--force", &image]);
}

#[test]
fn what_runs_with_another_image_is_restarted_by_a_start_that_builds_and_nothing_else_is() {
    let keys = "build: image\n    command: [sh, -c, 'cat /version; exec sleep 1000']\n  idle:\n    type: process\n    command: [sleep, '1000']";
    let home = Home::new(&stack("again", keys));
    let down = Stack(&home);
    let mark = format!("harness-test.again={}", std::process::id());
    let recipe = |version: &str| {
        let file = format!(
            "FROM harness-test/busybox\nLABEL {mark}\nARG V={version}\nRUN echo version-$V > /version\n"
        );
        home.write("image/Dockerfile", &file);
    };
    let container = || home.unit("app")["container_id"].to_string();
    recipe("one");
    home.ok(&["start", "--wait"]);
    let (first, idle) = (container(), home.unit("idle")["pid"].clone());
    home.ok(&["start", "--build"]);
    assert_eq!(container(), first, "it is made of the same image");
    // A build alone changes nothing that runs, and says nothing where data goes.
    let built = home.ok(&["build", "--build-arg", "V=given", "app"]);
    assert_eq!(built.stdout, "");
    built.says("building ");
    assert_eq!(container(), first);
    recipe("two");
    home.ok(&["up", "-d", "--build"]);
    assert_ne!(container(), first);
    eventually_blocking(DEADLINE, "the new image tells its version", || {
        home.ok(&["logs", "app"]).stdout.contains("version-two")
    });
    assert_eq!(
        home.unit("idle")["pid"],
        idle,
        "what is no container was left alone"
    );
    home.ok(&["pull"]).says("nothing to pull");
    let second = container();
    let debris = Debris::of(home.path());
    let file = format!("FROM harness-test/busybox\n{}RUN exit 7\n", debris.mark());
    home.write("image/Dockerfile", &file);
    home.run(&["start", "--build"])
        .expect(1)
        .says("cannot build");
    assert_eq!(container(), second, "what runs is left alone");
    drop(down);
    // Those that lost their name to a later one, too.
    let label = format!("label={mark}");
    let left = ["image", "ls", "--quiet", "--filter", &label];
    for image in docker(&left).lines() {
        docker(&["image", "rm", "--force", image]);
    }
    assert_eq!(docker(&left), "");
}

#[test]
fn an_image_that_nobody_has_cannot_be_pulled() {
    let home = Home::new(&stack("fetch", "image: 127.0.0.1:9/harness-test/none"));
    home.run(&["pull"])
        .expect(1)
        .says("cannot pull `127.0.0.1:9/harness-test/none`");
}

/// A registry of Debian's on loopback.
struct Registry {
    directory: TempDir,
    port: u16,
    child: Option<Child>,
}

impl Registry {
    fn new(passwords: Option<&str>) -> Self {
        let free = TcpListener::bind(("127.0.0.1", 0)).expect("loopback is there");
        let port = free.local_addr().expect("bound").port();
        drop(free);
        let directory = testkit::temp_dir();
        let place = directory.path().display();
        let mut config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {place}/data}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n"
        );
        if let Some(passwords) = passwords {
            std::fs::write(directory.path().join("passwords"), passwords).expect("written");
            config += &format!("auth: {{htpasswd: {{realm: test, path: {place}/passwords}}}}\n");
        }
        std::fs::write(directory.path().join("config.yml"), config).expect("written");
        let mut registry = Self {
            directory,
            port,
            child: None,
        };
        registry.up();
        registry
    }

    fn up(&mut self) {
        let mut command = Command::new("docker-registry");
        let command = command
            .arg("serve")
            .arg(self.directory.path().join("config.yml"))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.child = Some(command.spawn().expect("docker-registry is installed"));
        eventually_blocking(DEADLINE, "the registry answers", || {
            TcpStream::connect(("127.0.0.1", self.port)).is_ok()
        });
    }

    fn down(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it is ours");
            child.wait().expect("it is ours");
        }
    }

    fn image(&self, name: &str) -> String {
        format!("127.0.0.1:{}/{name}", self.port)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.down();
    }
}

/// Puts busybox there under this name, and takes the name off the engine again.
fn push(image: &str, config: Option<&Path>) {
    docker(&["tag", "harness-test/busybox", image]);
    let config = config.map(|path| path.display().to_string());
    let mut words = Vec::new();
    words.extend(config.iter().flat_map(|path| ["--config", path.as_str()]));
    words.extend(["push", "--quiet", image]);
    docker(&words);
    docker(&["rmi", image]);
}

fn is_on_engine(image: &str) -> bool {
    !docker(&["images", "--quiet", image]).is_empty()
}

/// Sleeps until it is stopped.
fn sleeper(image: &str, pull: &str) -> String {
    format!("image: '{image}'\n    pull: {pull}\n    command: [sleep, '1000']")
}

#[test]
fn an_image_is_pulled_when_its_policy_says_so_and_a_registry_that_is_away_is_waited_for() {
    let mut registry = Registry::new(None);
    let image = registry.image("sleeper:1");
    push(&image, None);
    let home = Home::new(&stack("pulled", &sleeper(&image, "never")));
    let _down = Stack(&home);
    home.run(&["start", "--wait"]).expect(1);
    assert_eq!(home.unit("app")["state"], "failed");
    assert!(reason(&home).contains("`pull: never`"), "{}", reason(&home));
    assert!(!is_on_engine(&image));

    // Nobody answers there: it is tried again.
    registry.down();
    home.write(
        "harness.yaml",
        &stack("pulled", &sleeper(&image, "missing")),
    );
    // Whoever waits for the launch is told once it failed again and again.
    home.run(&["start"]).expect(1).says("connection refused");
    until_reason(&home, "connection refused");
    let state = home.unit("app")["state"].clone();
    assert!(
        ["backoff", "starting", "crash-loop"].contains(&state.as_str().unwrap_or_default()),
        "{state}"
    );
    registry.up();
    // Whoever asks for it again need not wait for its next turn.
    home.ok(&["start"]);
    home.until("app", "ready");
    assert!(is_on_engine(&image));
    let events = home.ok(&["events", "-o", "json"]).stdout;
    assert!(events.contains("\"activity\":\"pulling\""), "{events}");

    // What is there needs no registry, unless it is asked each time.
    registry.down();
    home.ok(&["restart", "app"]);
    home.ok(&["wait", "app"]);
    home.write("harness.yaml", &stack("pulled", &sleeper(&image, "always")));
    home.ok(&["stop"]);
    // Whoever waits for the launch is told once it failed again and again.
    home.run(&["start"]).expect(1).says("connection refused");
    until_reason(&home, "connection refused");
    registry.up();
    // Whoever asks for it again need not wait for its next turn.
    home.ok(&["start"]);
    home.until("app", "ready");

    // One that the registry does not have will not come by waiting.
    home.ok(&["down", "--yes"]);
    let missing = registry.image("sleeper:2");
    home.write(
        "harness.yaml",
        &stack("pulled", &sleeper(&missing, "missing")),
    );
    home.run(&["start", "--wait"]).expect(1);
    assert_eq!(home.unit("app")["state"], "failed");
    assert!(
        reason(&home).contains("manifest unknown"),
        "{}",
        reason(&home)
    );
    home.ok(&["down", "--yes"]);
    docker(&["rmi", &image]);
}

#[test]
fn credentials_are_those_of_dockers_own_configuration() {
    // `tester` with `open-sesame`.
    let registry = Registry::new(Some(PASSWORDS));
    let image = registry.image("secret:1");
    let home = Home::new(&stack("secret", &sleeper(&image, "missing")));
    let _down = Stack(&home);
    let auths = format!(
        r#"{{"auths":{{"127.0.0.1:{}":{{"auth":"dGVzdGVyOm9wZW4tc2VzYW1l"}}}}}}"#,
        registry.port
    );
    home.write("other/config.json", &auths);
    push(&image, Some(&home.path().join("other")));
    home.run(&["start", "--wait"]).expect(1);
    assert_eq!(home.unit("app")["state"], "failed");
    assert!(
        reason(&home).contains("no basic auth credentials"),
        "{}",
        reason(&home)
    );
    // Where `docker login` of the user who runs the daemon writes them.
    home.write(".docker/config.json", &auths);
    home.ok(&["start", "--wait"]);
    let everything =
        home.ok(&["status", "-o", "json"]).stdout + &home.ok(&["events", "-o", "json"]).stdout;
    assert!(!everything.contains("open-sesame") && !everything.contains("dGVzdGVyOm9"));
    home.ok(&["down", "--yes"]);
    docker(&["rmi", &image]);
}

#[test]
fn limits_are_set_and_a_program_that_wants_more_memory_ends_with_that_reason() {
    let keys = "image: harness-test/busybox\n    pull: never\n    restart: {policy: 'no'}\n    \
        limits: {memory: 16m, cpus: 0.5, pids: 40}\n    \
        command: [sh, -c, 'until [ -e /tmp/go ]; do sleep 0.1; done; exec tail /dev/zero']";
    let home = Home::new(&stack("limited", keys));
    let _down = Stack(&home);
    home.ok(&["start", "--wait"]);
    let id = home.unit("app")["container_id"]
        .as_str()
        .expect("a container")
        .to_owned();
    let set = "{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}}";
    assert_eq!(
        docker(&["inspect", "--format", set, &id]),
        "16777216 500000000 40"
    );
    home.ok(&["exec", "app", "--", "touch", "/tmp/go"]);
    home.until("app", "failed");
    let unit = home.unit("app");
    assert_eq!(unit["exit_code"], 137, "{unit}");
    assert!(reason(&home).contains("want of memory"), "{unit}");
    home.ok(&["why", "app"]).shows("want of memory");
}

const PASSWORDS: &str = "tester:$2y$05$4KLBcICeqAsd888aCs6p0e3yOSKc9839BJ0F446XtbgQj/NUp/yPi\n";

#[test]
fn volumes_of_a_stack_that_is_forgotten_can_still_be_removed() {
    let text = stack(
        "kept",
        "image: harness-test/busybox\n    command: [sleep, \"1000\"]\n    volumes: [\"data:/data\"]",
    );
    let home = Home::new(&format!("{text}volumes:\n  data:\n"));
    let _down = Stack(&home);
    home.ok(&["start", "--wait"]);
    home.ok(&["down", "--yes"]);
    let volume = format!("kept-{}_data", std::process::id());
    assert_eq!(named(&volume), volume, "it outlives its stack");
    home.run(&["down", "--yes"]).expect(4);
    home.run(&["down", "--volumes"]).expect(2).says("--yes");
    home.ok(&["down", "--volumes", "--yes"])
        .says(&format!("volumes removed: {volume}"));
    assert_eq!(named(&volume), "");
    home.ok(&["down", "--volumes", "--yes"])
        .says("it has no volumes");
}

#[test]
fn a_service_that_waits_for_a_check_that_its_image_does_not_have_fails_at_once() {
    let text = |image| {
        let keys = format!("image: {image}\n    readiness: {{container: true}}");
        stack("unchecked", &keys)
    };
    let without = text("harness-test/busybox\n    command: [sleep, \"1000\"]");
    let home = Home::new(&without);
    let _down = Stack(&home);
    home.run(&["start", "--wait"])
        .expect(1)
        .says("its image has no check of its own");
    home.until("app", "failed");
    let expected = "give `readiness`/`healthcheck`, or depend on `service_started`";
    assert!(reason(&home).contains(expected), "{}", reason(&home));
    home.ok(&["why", "app"]).shows(expected);
    let label = format!(
        "label=com.docker.compose.project=unchecked-{}",
        std::process::id()
    );
    assert_eq!(
        docker(&["ps", "-aq", "--filter", &label]),
        "",
        "nothing of it runs"
    );
    // With a check the same becomes ready.
    home.write("harness.yaml", &text("harness-test/app"));
    home.ok(&["start", "--wait"]);
}

/// The volume of this name, when there is one.
fn named(volume: &str) -> String {
    let filter = format!("name=^{volume}$");
    docker(&["volume", "ls", "-q", "--filter", &filter])
}
