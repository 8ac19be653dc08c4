//! The README's first command.
//!
//! Owns: build, start, show. Uses the user's own home, so that the stack can be looked at afterwards and stays until
//! it is stopped.

use serde_json::Value;

use crate::failure::Failure;
use crate::sandbox::{build_programs, item};
use crate::step::Step;
use crate::workspace;

/// Builds every program, starts the quickstart stack and shows its status and what to try next.
///
/// # Errors
/// When something does not build, or the stack does not become ready.
pub(crate) fn run() -> Result<(), Failure> {
    eprintln!("building (a few minutes the first time)");
    build_programs()?;
    let root = workspace::root();
    let programs = workspace::programs()?;
    let harness = programs.join("harness");
    let file = root.join("examples/quickstart/harness.yaml");
    let file = file.to_string_lossy();
    let verb = |arguments: &[&str]| {
        Step::new(&harness, arguments)
            .within(&root)
            .with("EXAMPLES_BIN", &programs)
            .run()
    };
    verb(&["start", "--wait", "--file", &file])?;
    verb(&["status", "--file", &file])?;
    let status = Step::new(&harness, ["status", "-o", "json", "--file", &file]).text()?;
    println!(
        "
Ask it something:     curl http://{address}/
Give it work:         curl -d 'count these words' http://{address}/texts

The stack runs until you stop it. With {directory} in your PATH:
  harness status -p quickstart          what runs, where, since when
  harness logs -p quickstart -f         what it prints, all services interleaved
  harness events -p quickstart          what happened: the worker failed once and was restarted
  harness down -p quickstart --yes      stop and forget it",
        address = api_address(&status)?,
        directory = programs.display()
    );
    Ok(())
}

/// Where the API of the stack listens, from the status document.
fn api_address(status: &str) -> Result<String, Failure> {
    let unreadable = |detail: String| Failure::Unreadable {
        what: "the answer of `harness status -o json`".into(),
        detail,
    };
    let status: Value =
        serde_json::from_str(status).map_err(|error| unreadable(error.to_string()))?;
    let address = item(&status, "api")?["address"].as_str().map(str::to_owned);
    address.ok_or_else(|| unreadable("`api` has no address".into()))
}
