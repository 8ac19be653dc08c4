//! The stack files of the project's beginnings, started for real. Their images are those of docker-test-env, under the
//! names that the files use (`docker-test-env/images alias`).
//!
//! `cargo nextest run -p harness --features docker-tests`
//!
//! What is changed in a file is said where it is done; everything else is as it was written.

#![cfg(feature = "docker-tests")]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use support::{Home, Run};

const SERVICES: &str = include_str!("../../harness-config/tests/fixtures/services.yaml");
const SEED: &str = include_str!("../../harness-config/tests/fixtures/seed-001.yaml");
const GRAPH: &str = include_str!("../../harness-config/tests/fixtures/graph-stack-with-tasks.yaml");

/// Long enough for images of some size and for probes that ask every ten seconds.
const WAIT: &str = "--wait-timeout=90s";

/// Takes one HTTP request on standard input, and answers that all is well.
const ANSWER: &str = r#"cr=$(printf '\r')
while read -r name value && [ "$name" != "$cr" ]; do
  case $name in Content-Length:) length=${value%"$cr"} ;; esac
done
head -c "${length:-0}" >/dev/null
printf 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}'"#;

/// One file under a project's name of its own, because names of containers are those of the project.
struct Stack {
    home: Home,
    project: String,
}

impl Stack {
    /// With the run's label on what its containers are, laid over it as a second file.
    fn new(text: &str, containers: &[&str]) -> Self {
        let home = Home::empty();
        let run = std::env::var("HARNESS_TEST_RUN").unwrap_or_default();
        let label =
            |name: &&str| format!("  {name}: {{labels: {{harness-test.run: \"{run}\"}}}}\n");
        let labels: String = containers.iter().map(label).collect();
        home.write("stack.yaml", text);
        home.write("labels.yaml", &format!("services:\n{labels}"));
        let directory = home.path().file_name().expect("it has a name");
        let directory = directory.to_string_lossy().to_lowercase();
        let project = format!("fixture-{}", directory.trim_matches(['.', '-', '_']));
        Self { home, project }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.home.command(arguments);
        let bin = self.home.path().join("bin").display().to_string();
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .args(["--project", &self.project])
            .args(["--file", "stack.yaml", "--file", "labels.yaml"])
            .env("PATH", format!("{bin}:{path}"))
            .env("DEPLOYER_PRIVATE_KEY", "none");
        command
    }

    #[track_caller]
    fn ok(&self, arguments: &[&str]) -> Run {
        let output = self.command(arguments).output().expect("the program runs");
        Run::of(output).expect(0)
    }

    #[track_caller]
    fn unit(&self, name: &str) -> serde_json::Value {
        let status = self.ok(&["status", "-o", "json"]).json();
        let items = status["items"].as_array().expect("a list").clone();
        let found = items.into_iter().find(|unit| unit["name"] == name);
        found.unwrap_or_else(|| panic!("no {name} in {status}"))
    }

    #[track_caller]
    fn expect_ready(&self, units: &[&str]) {
        for name in units {
            let unit = self.unit(name);
            assert_eq!(unit["state"], "ready", "{unit}");
            assert!(unit["container_id"].is_string(), "{unit}");
        }
    }

    /// When it was started; text that sorts as time does.
    #[track_caller]
    fn started(&self, name: &str) -> String {
        let unit = self.unit(name);
        let time = unit["started_at"].as_str().expect("it was started");
        time.trim_end_matches('Z').to_owned()
    }

    /// A program of the stack that is not on this machine, and what stands for it.
    fn stand_in(&self, name: &str, script: &str) {
        let name = format!("bin/{name}");
        self.home.write(&name, &format!("#!/bin/sh\n{script}\n"));
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(self.home.path().join(name), mode).expect("it was written");
    }

    /// Nothing of the stack is on the engine when it is down.
    #[track_caller]
    fn down(&self) {
        self.ok(&["down", "--yes", "--volumes"]);
        let filter = format!("label=com.docker.compose.project={}", self.project);
        for kind in [
            &["ps", "-aq"][..],
            &["network", "ls", "-q"],
            &["volume", "ls", "-q"],
        ] {
            let left = docker(&[kind, &["--filter", &filter]].concat());
            assert_eq!(left, "", "{kind:?}");
        }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Best effort: the test's own failure is the one to report.
            let _ = self.command(&["down", "--yes", "--volumes"]).output();
        }
    }
}

#[track_caller]
fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output();
    Run::of(output.expect("docker is installed"))
        .expect(0)
        .stdout
}

/// Files of a container's user, which only a container may be allowed to remove.
fn remove(directory: &Path) {
    let mount = format!("{}:/data", directory.display());
    docker(&[
        "run",
        "--rm",
        "--pull=never",
        "-v",
        &mount,
        "harness-test/busybox",
        "sh",
        "-c",
        "rm -rf /data/*",
    ]);
}

#[test]
fn the_services_of_the_first_file_start_become_ready_and_stop() {
    // `/tmp/postgres-data` is everybody's: the data of this run lie in a directory of its own.
    let data = testkit::temp_dir();
    let text = SERVICES.replace("/tmp/postgres-data", &data.path().display().to_string());
    assert_ne!(text, SERVICES);
    let stack = Stack::new(&text, &["postgres", "redis"]);
    stack.ok(&["start", "--wait", WAIT]);
    stack.expect_ready(&["postgres", "redis"]);
    let api = stack.unit("api");
    assert_eq!(api["state"], "done", "{api}");
    assert_eq!(api["exit_code"], 0, "{api}");
    for needed in ["postgres", "redis"] {
        assert!(
            stack.started(needed) < stack.started("api"),
            "{needed} first"
        );
    }
    stack
        .ok(&["logs", "api"])
        .shows("API server would run here");

    let id = stack.unit("postgres")["container_id"].clone();
    let id = id.as_str().expect("it has one");
    let asked = [
        "exec", id, "psql", "-U", "postgres", "-d", "myapp", "-Atc", "select 1",
    ];
    assert_eq!(docker(&asked), "1\n");
    assert!(
        data.path().join("PG_VERSION").exists(),
        "its data are there"
    );

    stack.ok(&["stop"]);
    assert_eq!(stack.unit("postgres")["state"], "idle");
    assert!(data.path().join("PG_VERSION").exists(), "they outlive it");
    stack.down();
    remove(data.path());
}

#[test]
fn the_containers_of_the_first_graph_stack_start() {
    // The rest of the file needs an implementation of an action, and somebody else's container.
    let stack = Stack::new(SEED, &["postgres", "ipfs"]);
    stack.ok(&["start", "postgres", "ipfs", "--wait", WAIT]);
    stack.expect_ready(&["postgres", "ipfs"]);
    stack.down();
}

#[test]
fn the_graph_stack_comes_up_in_order_and_its_parts_find_each_other() {
    // The blockchain's port is fixed, and may be taken: another one, everywhere in the file.
    let port = testkit::free_port();
    let text = GRAPH.replace("8545", &port.to_string());
    let stack = Stack::new(&text, &["postgres", "ipfs", "graph-node"]);
    // As the real one is told to in the file, it listens on every address.
    let bin = stack.home.path().join("bin/answer");
    stack.stand_in("answer", ANSWER);
    stack.stand_in(
        "anvil",
        &format!("exec busybox nc -ll -p {port} -e '{}'", bin.display()),
    );
    stack.stand_in("npx", "echo \"deployed in $PWD\"");
    stack.home.write("contracts/graph-contracts/README", "");

    // With all that it needs; not: what is attached to, what is remote, and the task that nobody needs.
    stack.ok(&["start", "graph-node", "--wait", WAIT]);
    stack.expect_ready(&["postgres", "ipfs", "graph-node"]);
    assert_eq!(stack.unit("anvil")["state"], "ready");
    assert_eq!(stack.unit("deploy-graph-contracts")["state"], "done");
    assert_eq!(stack.unit("deploy-tap-contracts")["state"], "idle");
    for needed in ["postgres", "ipfs", "anvil", "deploy-graph-contracts"] {
        assert!(
            stack.started(needed) < stack.started("graph-node"),
            "{needed} first"
        );
    }
    assert!(stack.started("anvil") < stack.started("deploy-graph-contracts"));
    // The image asks by the names in its settings: containers, and a process that listens on loopback only.
    let logs = stack.ok(&["logs", "graph-node"]);
    logs.shows("logged in to postgres as graph-node")
        .shows("reached ipfs:5001")
        .shows(&format!("reached http://anvil:{port}"));
    stack.down();
}
