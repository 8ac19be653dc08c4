//! The mixed stack, end to end: a database and a worker in containers, a process between them, a task before it.
//!
//! Owns: what it must show: that data flows both ways, that a change of the process is there within a second, that
//! containers stay as they are meanwhile, and that nothing is left on the engine. The commands are those of the
//! example's README, which is run as it stands, in a copy of the example.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::example::leftovers::Leftovers;
use crate::failure::Failure;
use crate::fenced::{self, Block};
use crate::http::request;
use crate::recipe::setup;
use crate::sandbox::{Sandbox, expect, item};
use crate::step::Step;
use crate::workspace;

const DIRECTORY: &str = "examples/mixed";

/// Within this a change of the process is in effect, at least once in [`CHANGES`] times: others use the machine, too.
const AT_ONCE: Duration = Duration::from_secs(1);

/// How often the process is changed.
const CHANGES: u32 = 3;

/// Starts it, changes it, ends it.
///
/// # Errors
/// The first assertion that does not hold.
pub(crate) fn run() -> Result<String, Failure> {
    setup::run()?;
    let run = Run::new()?;
    run.harness(&["validate", "--strict"]).run()?;
    let blocks = run.blocks()?;
    let Some((start, rest)) = blocks.split_first() else {
        return Err(Failure::Unmet {
            claim: "the example's README has blocks marked `run`".into(),
            found: "none".into(),
        });
    };
    run.block(start)?;
    let status = run.sandbox.status(&run.stack)?;
    let mut leftovers = Leftovers::watch(&run.sandbox);
    leftovers.add(&status);
    order_was_kept(&status)?;
    run.rows_arrive(&status, "1")?;

    let fastest = run.change(&status)?;
    leftovers.add(&run.sandbox.status(&run.stack)?);

    for block in rest {
        run.block(block)?;
    }
    run.sandbox.stop_daemon()?;
    leftovers.expect_none()?;
    run.expect_clean_engine()?;
    Ok(format!(
        "calls from a container became rows of another by way of a process, which was changed in {} ms; left nothing behind",
        fastest.as_millis()
    ))
}

struct Run {
    sandbox: Sandbox,
    /// The copy of the example: what is edited is not the one that is checked in.
    directory: PathBuf,
    /// Of its own, because others may try the example on the same engine.
    stack: String,
}

impl Run {
    fn new() -> Result<Self, Failure> {
        let sandbox = Sandbox::new()?;
        let directory = sandbox.home().join("mixed");
        let from = workspace::root().join(DIRECTORY);
        Step::new("cp", [Path::new("-R"), &from, &directory]).run()?;
        Ok(Self {
            sandbox,
            directory,
            stack: format!("mixed-{}", std::process::id()),
        })
    }

    fn blocks(&self) -> Result<Vec<Block>, Failure> {
        let page = workspace::read(&self.directory.join("README.md"))?;
        Ok(fenced::blocks(&page)
            .into_iter()
            .filter(|block| block.is_in("sh") && block.is_marked("run"))
            .collect())
    }

    fn block(&self, block: &Block) -> Result<(), Failure> {
        eprintln!("{DIRECTORY}/README.md:{}", block.line);
        self.within(self.sandbox.step("sh", &["-euc", &block.text]))
            .run()
    }

    fn harness(&self, arguments: &[&str]) -> Step {
        self.within(self.sandbox.harness(arguments))
    }

    fn within(&self, step: Step) -> Step {
        step.within(&self.directory)
            .with("HARNESS_PROJECT", &self.stack)
            .with("MIXED_DATABASE", "harness-test/postgres")
            .with("MIXED_WORKER", "harness-test/busybox")
    }

    /// The worker's calls, by name and by address, are rows that this version of the application wrote.
    fn rows_arrive(&self, status: &Value, version: &str) -> Result<(), Failure> {
        let database = item(status, "db")?["container_id"]
            .as_str()
            .unwrap_or_default();
        let statement =
            format!("select distinct via from call where version = '{version}' order by via");
        let psql = ["psql", "-X", "-A", "-t", "-U", "postgres", "-c", &statement];
        let claim = format!("rows by name and by address, from version {version}");
        Sandbox::wait_for(&claim, || {
            let arguments = ["exec", database].into_iter().chain(psql);
            match Step::new("docker", arguments).text() {
                Ok(rows) if rows.trim() == "address\nname" => Ok(()),
                Ok(rows) => Err(rows),
                Err(failure) => Err(failure.to_string()),
            }
        })
    }

    /// Changes the application several times; returns how long the fastest took to answer as the new one.
    fn change(&self, before: &Value) -> Result<Duration, Failure> {
        let address = item(before, "app")?["address"].as_str().unwrap_or_default();
        let mut fastest = Duration::MAX;
        for number in 1..=CHANGES {
            let version = format!("1.{number}");
            let edit = format!("s/VERSION=\".*\"/VERSION=\"{version}\"/");
            self.within(self.sandbox.step("sed", &["-i", &edit, "app/serve.sh"]))
                .run()?;
            let begin = Instant::now();
            self.harness(&["restart", "app", "--wait"]).run()?;
            let answer = request("GET", address, "/cgi-bin/health");
            fastest = fastest.min(begin.elapsed());
            let said = answer.map_or_else(|error| error.to_string(), |answer| answer.body);
            expect(
                said.contains(&format!("version {version}")),
                "the new version answers, at the same address, when `restart --wait` returns",
                said,
            )?;
        }
        expect(
            fastest < AT_ONCE,
            "a change is in effect within a second",
            format!("{fastest:?}"),
        )?;
        let after = self.sandbox.status(&self.stack)?;
        for name in ["db", "worker"] {
            expect(
                item(&after, name)?["container_id"] == item(before, name)?["container_id"],
                &format!("`{name}` goes on in its container"),
                &after,
            )?;
        }
        self.rows_arrive(&after, &format!("1.{CHANGES}"))?;
        Ok(fastest)
    }

    /// No container, network or volume of the stack is on the engine.
    fn expect_clean_engine(&self) -> Result<(), Failure> {
        let label = format!("label=com.docker.compose.project={}", self.stack);
        for list in [
            &["ps", "--all", "--quiet"][..],
            &["network", "ls", "--quiet"],
            &["volume", "ls", "--quiet"],
        ] {
            let arguments = list.iter().copied().chain(["--filter", &label]);
            let left = Step::new("docker", arguments).text()?;
            expect(
                left.trim().is_empty(),
                "nothing is left on the engine",
                left,
            )?;
        }
        Ok(())
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // Only when something failed half-way is there anything left to remove.
        if self.sandbox.home().join("h").exists() {
            self.harness(&["down", "--yes", "--volumes"]).succeeds();
        }
    }
}

/// Everything is ready or done, and nothing was started before what it needs.
fn order_was_kept(status: &Value) -> Result<(), Failure> {
    for name in ["db", "app", "worker"] {
        let claim = format!("`{name}` is ready");
        expect(item(status, name)?["ready"] == true, &claim, status)?;
    }
    expect(
        item(status, "migrate")?["state"] == "done",
        "the task is done",
        status,
    )?;
    // RFC 3339 in UTC sorts as text, once the mark after the fraction is gone: fractions differ in length.
    let time = |name: &str, key: &str| -> Result<String, Failure> {
        let time = item(status, name)?[key].as_str().unwrap_or_default();
        Ok(time.trim_end_matches('Z').to_owned())
    };
    expect(
        time("db", "started_at")? < time("migrate", "started_at")?
            && time("migrate", "stopped_at")? <= time("app", "started_at")?
            && time("app", "started_at")? < time("worker", "started_at")?,
        "`db`, then `migrate` to its end, then `app`, then `worker`",
        status,
    )
}
