//! The stack of three machines, end to end: a database in a container here, the application on a host, a worker on another.
//!
//! Owns: what it must show: that data flows over all three, at the addresses that each should be told; that this goes on over a
//! killed daemon; and that nothing is left, here or there. The commands are those of the example's README, as they stand.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::example::leftovers::Leftovers;
use crate::failure::Failure;
use crate::fenced;
use crate::recipe::{hosts, setup};
use crate::sandbox::{Sandbox, expect, item};
use crate::step::Step;
use crate::workspace;

const DIRECTORY: &str = "examples/lan";

/// Where the hosts find the program: they share this machine's files.
const HOSTS: [&str; 2] = ["host1", "host2"];

/// Starts it, looks at it, kills the daemon, ends it.
///
/// # Errors
/// The first assertion that does not hold.
pub(crate) fn run() -> Result<String, Failure> {
    setup::run()?;
    let run = Run::new()?;
    for host in HOSTS {
        run.trust(host)?;
    }
    run.harness(&["validate", "--strict"]).run()?;
    let page = workspace::read(&workspace::root().join(DIRECTORY).join("README.md"))?;
    let blocks = fenced::blocks(&page);
    let mut blocks = blocks
        .iter()
        .filter(|block| block.is_in("sh") && block.is_marked("run"));
    let Some(stop) = blocks.next_back() else {
        return Err(Failure::Unmet {
            claim: "the example's README has blocks marked `run`".into(),
            found: "none".into(),
        });
    };
    for block in blocks {
        eprintln!("{DIRECTORY}/README.md:{}", block.line);
        run.within(run.sandbox.step("sh", &["-euc", &block.text]))
            .run()?;
    }
    let status = run.sandbox.status(&run.stack)?;
    // The numbers of processes there mean others here: what is left there is looked for there.
    let leftovers = Leftovers::watch(&run.sandbox);
    run.addresses_are_right(&status)?;
    run.rows_arrive(&status, 0)?;

    run.kill_daemon()?;
    let after = run.sandbox.status(&run.stack)?;
    for name in ["app", "worker"] {
        expect(
            item(&after, name)?["pid"] == item(&status, name)?["pid"],
            &format!("`{name}` goes on without the daemon"),
            &after,
        )?;
    }
    run.addresses_are_right(&after)?;
    let seen = run.rows(&after)?;
    run.rows_arrive(&after, seen)?;

    run.within(run.sandbox.step("sh", &["-euc", &stop.text]))
        .run()?;
    run.sandbox.stop_daemon()?;
    leftovers.expect_none()?;
    run.expect_clean_hosts()?;
    Ok("readings of a worker on host2 became rows of a database here by way of host1, also over a killed daemon".to_owned())
}

struct Run {
    sandbox: Sandbox,
    /// Of its own, because others may try the example on the same engine.
    stack: String,
    /// The set of hosts, and where it lies.
    hosts: (String, PathBuf),
}

impl Run {
    fn new() -> Result<Self, Failure> {
        let sandbox = Sandbox::new()?;
        let stack = format!("lan-{}", std::process::id());
        let directory = hosts::up(&stack)?;
        Ok(Self {
            sandbox,
            hosts: (stack.clone(), directory.into()),
            stack,
        })
    }

    fn harness(&self, arguments: &[&str]) -> Step {
        self.within(self.sandbox.harness(arguments))
    }

    fn within(&self, step: Step) -> Step {
        step.within(&workspace::root().join(DIRECTORY))
            .with("HARNESS_PROJECT", &self.stack)
            .with("LAN_DATABASE", "harness-test/postgres")
    }

    fn address(&self, host: &str) -> Result<String, Failure> {
        let text = workspace::read(&self.hosts.1.join(host).join("address"))?;
        Ok(text.trim().to_owned())
    }

    /// Adds a host by the fingerprint that its owner tells.
    fn trust(&self, host: &str) -> Result<(), Failure> {
        let key = "etc/ssh/ssh_host_ed25519_key.pub";
        let key = self.hosts.1.join("disk").join(host).join("files").join(key);
        let told = Step::new("ssh-keygen", [Path::new("-lf"), &key]).text()?;
        let fingerprint = told.split_whitespace().nth(1).unwrap_or_default();
        let (address, login) = (self.address(host)?, self.hosts.1.join("id_ed25519"));
        let login = login.display().to_string();
        let words = [
            "host",
            "add",
            host,
            "--address",
            &address,
            "--user",
            "root",
            "--key",
            &login,
            "--fingerprint",
            fingerprint,
        ];
        self.harness(&words).run()
    }

    /// Everything is ready, and each was told the address that leads from where it runs.
    fn addresses_are_right(&self, status: &Value) -> Result<(), Failure> {
        for name in ["db", "app", "worker"] {
            let claim = format!("`{name}` is ready");
            expect(item(status, name)?["ready"] == true, &claim, status)?;
        }
        let host1 = self.address("host1")?;
        let app = item(status, "app")?["address"].as_str().unwrap_or_default();
        expect(
            app.starts_with(&format!("{host1}:")),
            "this machine reaches the application at its host's address",
            app,
        )?;
        let said = |name: &str| self.harness(&["logs", "--no-prefix", name]).text();
        let worker = said("worker")?;
        expect(
            worker.contains(&format!("worker: the application is at {app}")),
            "the worker was told the address of host1 on the LAN",
            worker,
        )?;
        let app = said("app")?;
        expect(
            app.contains("app: the database is at 127.0.0.1:"),
            "the application was told its own loopback, from where SSH carries",
            app,
        )?;
        for (asker, other, reason) in [("app", "db", "forward"), ("worker", "app", "lan")] {
            let why = ["net", "why", asker, other, "-o", "json"];
            let why = self.harness(&why).text()?;
            expect(
                why.contains(&format!("\"code\":\"{reason}\"")),
                &format!("`net why {asker} {other}` says `{reason}`"),
                why,
            )?;
        }
        Ok(())
    }

    /// Neither a program of the stack nor one of ours runs there, and what the stack has written is gone.
    fn expect_clean_hosts(&self) -> Result<(), Failure> {
        let config = self.hosts.1.join("ssh_config").display().to_string();
        for host in HOSTS {
            let claim = format!("nothing is left on {host}");
            Sandbox::wait_for(&claim, || {
                let look = ["-F", &config, host, LOOK];
                match Step::new("ssh", look).text() {
                    Ok(left) if left.trim().is_empty() => Ok(()),
                    Ok(left) => Err(left),
                    Err(failure) => Err(failure.to_string()),
                }
            })?;
        }
        Ok(())
    }

    /// How many readings of host2 are rows.
    fn rows(&self, status: &Value) -> Result<u64, Failure> {
        let database = item(status, "db")?["container_id"]
            .as_str()
            .unwrap_or_default();
        let statement = "select count(distinct number) from reading where host = 'host2'";
        let psql = ["psql", "-X", "-A", "-t", "-U", "postgres", "-c", statement];
        let words = ["exec", database].into_iter().chain(psql);
        let said = Step::new("docker", words).text()?;
        said.trim().parse().map_err(|_| Failure::Unreadable {
            what: "the answer of psql".into(),
            detail: said,
        })
    }

    /// There are more than so many, and more come.
    fn rows_arrive(&self, status: &Value, before: u64) -> Result<(), Failure> {
        Sandbox::wait_for("readings of host2 become rows", || {
            match self.rows(status) {
                Ok(rows) if rows > before + 1 => Ok(()),
                Ok(rows) => Err(format!("{rows} rows, and {before} before")),
                Err(failure) => Err(failure.to_string()),
            }
        })
    }

    /// As the kernel does when memory runs out; then waits until another one has taken over.
    fn kill_daemon(&self) -> Result<(), Failure> {
        let text = self.harness(&["daemon", "status", "-o", "json"]).text()?;
        let daemon: Value = serde_json::from_str(&text).unwrap_or_default();
        let pid = daemon["pid"].to_string();
        Step::new("kill", ["-KILL", &pid]).run()?;
        Sandbox::wait_for("the next daemon has found everything", || {
            let status = self.sandbox.status(&self.stack);
            let status = status.map_err(|failure| failure.to_string())?;
            let is_ready = |name| item(&status, name).is_ok_and(|one| one["ready"] == true);
            match ["db", "app", "worker"].into_iter().all(is_ready) {
                true => Ok(()),
                false => Err(status.to_string()),
            }
        })
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // Only when something failed half-way is there anything left to remove.
        if self.sandbox.home().join("h").exists() {
            self.harness(&["down", "--yes", "--volumes"]).succeeds();
        }
        if let Err(failure) = hosts::down(&self.hosts.0) {
            eprintln!("hosts are left: {failure}");
        }
    }
}

/// Names what of the stack or of ours runs there, and what of the stack lies there. The brackets: it does not find itself.
const LOOK: &str = "pgrep -fl '[h]arness-shim|[b]in/lan|[d]ebug/lan'; find /root/.local/state/harness -name 'lan-*'";
