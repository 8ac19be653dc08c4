//! The stack files of the project's beginnings, started for real. Their images are those of docker-test-env, under the
//! names that the files use (`docker-test-env/images alias`): PostgreSQL, Redis, IPFS, Graph Node and anvil themselves.
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
const COMPOSE: &str = include_str!("../../harness-config/tests/compose/graph-node.yaml");

/// Long enough for images of some size and for probes that ask every ten seconds.
const WAIT: &str = "--wait-timeout=90s";

/// The key of the first account of a chain of anvil's, as its documentation publishes it.
const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

const JSON: &str = "Content-Type: application/json";

/// A contract that answers 42, and what of it is on the chain then.
const CREATION: &str = "0x600a600c600039600a6000f3602a60005260206000f3";
const CODE: &str = "0x602a60005260206000f3";

/// Where the first contract of [`KEY`]'s account lies on every chain.
const CONTRACT: &str = "0x5FbDB2315678afecb367f032d93F642f64180aa3";

/// One file under a project's name of its own, because names of containers are those of the project.
struct Stack {
    home: Home,
    project: String,
}

impl Stack {
    /// With the run's label on what its containers are, and `more` keys, laid over it as a second file.
    fn new(text: &str, containers: &[&str], more: &str) -> Self {
        let home = Home::empty();
        let run = std::env::var("HARNESS_TEST_RUN").unwrap_or_default();
        let label = |name: &&str| {
            format!(
                "  {name}: {{labels: {{harness-test.run: \"{run}\"}}{more}}}
"
            )
        };
        let labels: String = containers.iter().map(label).collect();
        home.write("stack.yaml", text);
        home.write("labels.yaml", &format!("services:\n{labels}"));
        let directory = home.path().file_name().expect("it has a name");
        let directory = directory.to_string_lossy().to_lowercase();
        let project = format!("fixture-{}", directory.trim_matches(['.', '-', '_']));
        Self { home, project }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let own = [
            "--project",
            &self.project,
            "--file",
            "stack.yaml",
            "--file",
            "labels.yaml",
        ];
        // Before the verb's own, which may end with somebody else's.
        let mut command = self.home.command(&own);
        let bin = self.home.path().join("bin").display().to_string();
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .args(arguments)
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

    /// A program that `docker-test-env` fetches, where the stack's processes find it.
    #[track_caller]
    fn part(&self, name: &str) {
        let parts = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docker-test-env/parts");
        let output = Command::new(parts)
            .args(["unpack", name])
            .arg(self.home.path().join("bin"))
            .output();
        Run::of(output.expect("the script runs")).expect(0);
    }

    /// A script where the stack's processes find it.
    fn script(&self, name: &str, text: &str) {
        let name = format!("bin/{name}");
        self.home.write(&name, &format!("#!/bin/sh\n{text}\n"));
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(self.home.path().join(name), mode).expect("it was written");
    }

    /// Where `harness` says that this machine, or another unit, reaches a port of a unit.
    #[track_caller]
    fn address(&self, unit: &str, port: &str, from: Option<&str>) -> String {
        let mut arguments = vec!["resolve", unit, "--port", port];
        arguments.extend(from.iter().flat_map(|from| ["--from", from]));
        self.ok(&arguments).stdout.trim_end().to_owned()
    }

    /// What IPFS of this stack says to a command of its RPC.
    #[track_caller]
    fn ipfs(&self, command: &str, more: &[&str]) -> String {
        let address = self.address("ipfs", "5001", None);
        let url = format!("http://{address}/api/v0/{command}");
        curl(&[&["-X", "POST", &url], more].concat())
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

#[track_caller]
fn curl(arguments: &[&str]) -> String {
    let output = Command::new("curl")
        .args(["-sSf", "-m", "10"])
        .args(arguments)
        .output();
    Run::of(output.expect("curl is installed")).expect(0).stdout
}

/// What is answered to a question in JSON.
#[track_caller]
fn ask(url: &str, question: &str) -> serde_json::Value {
    let answer = curl(&["-H", JSON, "-d", question, url]);
    serde_json::from_str(&answer).unwrap_or_else(|problem| panic!("{problem}: {answer}"))
}

/// What a node of Ethereum answers to a method with its parameters.
#[track_caller]
fn ethereum(url: &str, method: &str, parameters: &str) -> String {
    let answer = ask(url, &ethereum_question(method, parameters));
    let result = answer["result"].as_str();
    result.unwrap_or_else(|| panic!("{answer}")).to_owned()
}

fn ethereum_question(method: &str, parameters: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{parameters}}}"#)
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
    let stack = Stack::new(&text, &["postgres", "redis"], "");
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
    // It says nothing of when they are ready: the images do.
    let own_check = ", readiness: {container: true}";
    let stack = Stack::new(SEED, &["postgres", "ipfs"], own_check);
    stack.ok(&["start", "postgres", "ipfs", "--wait", WAIT]);
    stack.expect_ready(&["postgres", "ipfs"]);
    assert!(stack.ipfs("version", &[]).contains("Version"));
    // The CID that every IPFS node computes for these six bytes; what is added is there, at the gateway, too.
    let hello = "QmZULkCELmmk5XNfCgTnCyFgAVxBRBXyDHGGMVoLFLiXEN";
    stack.home.write("hello", "hello\n");
    let file = format!("file=@{}", stack.home.path().join("hello").display());
    let added = stack.ipfs("add", &["-F", &file]);
    assert!(added.contains(hello), "{added}");
    let gateway = stack.address("ipfs", "8080", None);
    assert_eq!(
        curl(&[&format!("http://{gateway}/ipfs/{hello}")]),
        "hello\n"
    );
    // The same from the other container, at the address that is right there.
    let inside = stack.address("ipfs", "8080", Some("postgres"));
    assert_ne!(inside, gateway);
    let url = format!("http://{inside}/ipfs/{hello}");
    let asked = ["exec", "postgres", "--", "wget", "-q", "-O", "-", &url];
    assert_eq!(stack.ok(&asked).stdout, "hello\n");
    stack.down();
}

#[test]
fn the_graph_stack_comes_up_in_order_and_its_parts_find_each_other() {
    // The blockchain's port is fixed, and may be taken: another one, everywhere in the file.
    let port = testkit::free_port();
    let text = GRAPH.replace("8545", &port.to_string());
    let stack = Stack::new(&text, &["postgres", "ipfs", "graph-node"], "");
    stack.part("anvil");
    stack.part("cast");
    // The contracts are somebody else's project: one of ours is deployed in their place, to the same chain.
    stack.script(
        "npx",
        &format!(
            "exec cast send --rpc-url \"$ETHEREUM_URL\" --private-key {KEY} --create {CREATION}"
        ),
    );
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
    // The node asks by the names in its settings: containers, and a process of this machine.
    stack
        .ok(&["logs", "graph-node"])
        .shows("Successfully connected to IPFS RPC API at: 'ipfs:5001'")
        .shows("Pool successfully connected to Postgres");
    let chain = format!("http://anvil:{port}");
    let block = ethereum_question("eth_blockNumber", "[]");
    let asked = [
        "exec",
        "graph-node",
        "--",
        "curl",
        "-sS",
        "-H",
        JSON,
        "-d",
        &block,
        &chain,
    ];
    stack.ok(&asked).shows("result");

    // The contract is on the chain, and the node has seen its block.
    let here = format!("http://127.0.0.1:{port}");
    let code = ethereum(&here, "eth_getCode", &format!(r#"["{CONTRACT}","latest"]"#));
    assert_eq!(code, CODE);
    let mined = ethereum(&here, "eth_blockNumber", "[]");
    let mined = u64::from_str_radix(mined.trim_start_matches("0x"), 16).expect("a number");
    assert!(mined >= 1, "the contract's own block at least");
    let status = stack.address("graph-node", "8030", None);
    let url = format!("http://{status}/graphql");
    let question = r#"{"query":"{ indexingStatuses { health chains { network chainHeadBlock { number } } } version { version } }"}"#;
    testkit::eventually_blocking(support::DEADLINE, "the node sees the block", || {
        let answer = ask(&url, question);
        let chain = &answer["data"]["indexingStatuses"][0]["chains"][0];
        assert_eq!(chain["network"], "mainnet", "{answer}");
        let head = chain["chainHeadBlock"]["number"].as_str();
        head.and_then(|head| head.parse().ok())
            .is_some_and(|head: u64| head >= mined)
    });
    // What it serves to applications answers, too, with a query of what it has indexed.
    let served = stack.address("graph-node", "8000", None);
    let answer = ask(
        &format!("http://{served}/subgraphs/name/subgraph-0"),
        r#"{"query":"{ _meta { hasIndexingErrors block { number } } }"}"#,
    );
    assert_eq!(
        answer["data"]["_meta"]["hasIndexingErrors"], false,
        "{answer}"
    );
    assert!(stack.ipfs("version", &[]).contains("Version"));
    stack.down();
}

#[test]
fn the_parts_of_a_compose_file_of_a_graph_start_by_their_own_checks() {
    // Ports of this machine may be taken: free ones. The rest of the file needs contracts and a compiler for them.
    let text = COMPOSE
        .replace("'5432:5432'", "'5432'")
        .replace("'5001:5001'", "'5001'");
    let units = ["postgres", "ipfs", "anvil"];
    let stack = Stack::new(&text, &units, "");
    stack.ok(&["start", "postgres", "ipfs", "anvil", "--wait", WAIT]);
    stack.expect_ready(&units);
    let chain = format!("http://{}", stack.address("anvil", "8545", None));
    assert_eq!(ethereum(&chain, "eth_chainId", "[]"), "0x539");
    let asked = ["exec", "postgres", "--", "psql", "-U", "graph-node", "-Atc"];
    let asked = [&asked[..], &["show shared_preload_libraries"]].concat();
    assert_eq!(stack.ok(&asked).stdout, "pg_stat_statements\n");
    stack.down();
}
