//! Formatting, clippy, and the rules of this workspace.
//!
//! Owns: which checks make up `lint`. The rules themselves stand in [`crate::tidy`].

use crate::failure::Failure;
use crate::step::Step;
use crate::tidy::check;
use crate::workspace;

/// All three, the cheapest first.
///
/// # Errors
/// The first check that does not pass.
pub(crate) fn run() -> Result<(), Failure> {
    Step::cargo(&["fmt", "--all", "--check"])
        .within(&workspace::root())
        .run()?;
    tidy()?;
    Step::cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ])
    .within(&workspace::root())
    .run()
}

/// The rules of CODE-POLICY.md that a machine can hold.
///
/// # Errors
/// [`Failure::Untidy`] with every place that breaks one.
pub(crate) fn tidy() -> Result<(), Failure> {
    let findings = check::workspace()?;
    if findings.is_empty() {
        println!("tidy: nothing to mend");
        Ok(())
    } else {
        Err(Failure::Untidy { findings })
    }
}

/// The parts of the toolchain that `lint` needs and this one lacks.
pub(crate) fn missing_components() -> Vec<&'static str> {
    [("rustfmt", "fmt"), ("clippy", "clippy")]
        .into_iter()
        .filter(|(_, verb)| !Step::cargo(&[verb, "--version"]).succeeds())
        .map(|(component, _)| component)
        .collect()
}
