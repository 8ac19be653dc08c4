//! The quickstart stack, end to end.
//!
//! Owns: what it must show: readiness, references, a task, a visible restart, and a clean end.

use crate::example::leftovers::Leftovers;
use crate::failure::Failure;
use crate::http::request;
use crate::sandbox::{Sandbox, expect, item};

const STACK: &str = "quickstart";
const FILE: &str = "examples/quickstart/harness.yaml";

/// Starts it, uses it, stops it.
///
/// # Errors
/// The first assertion that does not hold.
pub(crate) fn run() -> Result<String, Failure> {
    let sandbox = Sandbox::new()?;
    sandbox.harness(&["validate", "--strict", FILE]).run()?;
    sandbox
        .harness(&["start", "--wait", "--file", FILE])
        .run()?;
    let status = sandbox.status(STACK)?;
    for name in ["store", "api", "worker"] {
        expect(
            item(&status, name)?["ready"] == true,
            &format!("`{name}` is ready"),
            &status,
        )?;
    }
    expect(
        item(&status, "seed")?["state"] == "done",
        "the task is done",
        &status,
    )?;
    let restarts = &item(&status, "worker")?["restarts"];
    expect(*restarts == 1, "the worker was restarted once", restarts)?;

    sandbox
        .harness(&["start", "--wait", "--file", FILE])
        .run()?;
    let again = sandbox.status(STACK)?;
    expect(
        item(&again, "api")?["pid"] == item(&status, "api")?["pid"],
        "a second start changes nothing",
        &again,
    )?;

    let address = item(&status, "api")?["address"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let answer = fetch("GET", &address, "/")?;
    expect(
        answer.contains("\"texts\":3,\"counted\":3,\"words\":27"),
        "every text is counted",
        &answer,
    )?;

    let mut leftovers = Leftovers::watch(&sandbox);
    leftovers.add(&status);
    sandbox.harness(&["down", "-p", STACK, "--yes"]).run()?;
    sandbox.stop_daemon()?;
    leftovers.expect_none()?;
    Ok("started, failed once and was restarted, counted 27 words, left nothing behind".into())
}

fn fetch(method: &str, address: &str, path: &str) -> Result<String, Failure> {
    Sandbox::wait_for(&format!("{method} {path} is answered"), || {
        match request(method, address, path) {
            Ok(answer) if answer.status < 300 => Ok(answer.body),
            Ok(answer) => Err(format!("{} {}", answer.status, answer.body)),
            Err(error) => Err(error.to_string()),
        }
    })
}
