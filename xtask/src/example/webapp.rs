//! The webapp stack, end to end: nginx, an application, PostgreSQL, Redis, a worker.
//!
//! Owns: what it must show. Its data lies in a directory of its own, which is removed in the end.

use std::path::PathBuf;

use serde_json::Value;

use crate::example::leftovers::Leftovers;
use crate::failure::Failure;
use crate::http::{post, request};
use crate::recipe::setup;
use crate::sandbox::{Sandbox, expect, item};
use crate::step::Step;

const STACK: &str = "webapp";
const FILE: &str = "examples/webapp/harness.yaml";
const AS_ROOT: &str = "examples/webapp/as-root.yaml";

/// Starts it, uses it, kills its database, stops it.
///
/// # Errors
/// The first assertion that does not hold.
pub(crate) fn run() -> Result<String, Failure> {
    setup::run()?;
    let run = Run {
        sandbox: Sandbox::new()?,
        data: Data::new(),
        programs: setup::postgresql_programs()?,
    };
    run.start()?;
    let status = run.sandbox.status(STACK)?;
    let mut leftovers = Leftovers::watch(&run.sandbox);
    leftovers.add(&status);
    order_was_kept(&status)?;

    let web = item(&status, "web")?["address"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    answers(
        &web,
        &["\"latest\":\"hello from PostgreSQL\"", "\"visits\":1"],
    )?;
    post(&web, "/notes", "a note").map_err(|error| Failure::Unmet {
        claim: "a note is taken".into(),
        found: error.to_string(),
    })?;
    answers(&web, &["\"latest\":\"a note\"", "\"shouted\":1"])?;

    let restarted = run.kill_database(&status)?;
    leftovers.add(&restarted);
    answers(&web, &["\"latest\":\"a note\"", "\"notes\":2"])?;

    run.harness(&["stop", "-p", STACK]).run()?;
    run.harness(&["down", "-p", STACK, "--yes"]).run()?;
    run.sandbox.stop_daemon()?;
    leftovers.expect_none()?;
    Ok("answered through nginx from PostgreSQL and Redis, outlived its database, left nothing behind".into())
}

struct Run {
    sandbox: Sandbox,
    data: Data,
    programs: PathBuf,
}

impl Run {
    fn harness(&self, arguments: &[&str]) -> Step {
        self.sandbox
            .harness(arguments)
            .with("WEBAPP_DATA", &self.data.directory)
            .with("PG_BIN", &self.programs)
    }

    fn start(&self) -> Result<(), Failure> {
        let mut arguments = vec!["start", "--wait", "--wait-timeout", "2m", "--file", FILE];
        if setup::is_root() {
            arguments.extend(["--file", AS_ROOT]);
        }
        self.harness(&arguments).run()
    }

    /// Kills the database's main process; it comes back, and its clients anew with it.
    fn kill_database(&self, before: &Value) -> Result<Value, Failure> {
        let pid = item(before, "db")?["pid"].to_string();
        Step::new("kill", ["-KILL", &pid]).run()?;
        let is_new = |status: &Value, name: &str| -> bool {
            match (item(before, name), item(status, name)) {
                (Ok(old), Ok(new)) => new["ready"] == true && new["pid"] != old["pid"],
                _ => false,
            }
        };
        let after = Sandbox::wait_for("database and clients run anew and are ready", || {
            let status = self
                .sandbox
                .status(STACK)
                .map_err(|error| error.to_string())?;
            if ["db", "app", "worker"]
                .iter()
                .all(|name| is_new(&status, name))
            {
                Ok(status)
            } else {
                Err(status.to_string())
            }
        })?;
        expect(
            item(&after, "cache")?["pid"] == item(before, "cache")?["pid"],
            "what does not need the database goes on",
            &after,
        )?;
        Ok(after)
    }
}

/// The database's directory. It belongs to the database's user, and lies where that user can reach it.
struct Data {
    directory: PathBuf,
}

impl Data {
    fn new() -> Self {
        let name = format!("harness-webapp-{}", std::process::id());
        Self {
            directory: PathBuf::from("/var/tmp").join(name),
        }
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.directory) {
            eprintln!("cannot remove {}: {error}", self.directory.display());
        }
    }
}

/// Everything is ready or done, and nothing was started before what it needs.
fn order_was_kept(status: &Value) -> Result<(), Failure> {
    for name in ["db", "cache", "app", "worker", "web"] {
        expect(
            item(status, name)?["ready"] == true,
            &format!("`{name}` is ready"),
            status,
        )?;
    }
    for name in ["initdb", "migrate"] {
        expect(
            item(status, name)?["state"] == "done",
            &format!("`{name}` is done"),
            status,
        )?;
    }
    // RFC 3339 in UTC sorts as text, once the mark after the fraction is gone: fractions differ in length.
    let started = |name: &str| -> Result<String, Failure> {
        let time = item(status, name)?["started_at"]
            .as_str()
            .unwrap_or_default();
        Ok(time.trim_end_matches('Z').to_owned())
    };
    for (first, then) in [
        ("initdb", "db"),
        ("db", "migrate"),
        ("migrate", "app"),
        ("app", "web"),
    ] {
        expect(
            started(first)? < started(then)?,
            &format!("`{first}` before `{then}`"),
            status,
        )?;
    }
    Ok(())
}

/// `GET /` comes to hold all of these; the worker needs a moment for its part.
fn answers(address: &str, parts: &[&str]) -> Result<(), Failure> {
    Sandbox::wait_for(
        &format!("GET / answers with {}", parts.join(" and ")),
        || match request("GET", address, "/") {
            Ok(answer) if parts.iter().all(|part| answer.body.contains(part)) => Ok(()),
            Ok(answer) => Err(format!("{} {}", answer.status, answer.body)),
            Err(error) => Err(error.to_string()),
        },
    )
}
