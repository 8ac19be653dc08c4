//! Everything that has to pass before a change is taken.
//!
//! Owns: the order. What fails fast and cheaply comes first.

use crate::example;
use crate::failure::Failure;
use crate::recipe::{containers, docs, faults, lint, readme, setup, test};

/// Runs it all and ends in one line that counts what ran.
///
/// # Errors
/// The first recipe that does not pass.
pub(crate) fn run() -> Result<(), Failure> {
    setup::run()?;
    let missing = lint::missing_components();
    let linted = if missing.is_empty() {
        lint::run()?;
        "lint passed".to_owned()
    } else {
        lint::tidy()?;
        format!(
            "LINT NOT RUN: the toolchain lacks {}",
            missing.join(" and ")
        )
    };
    let tally = test::run()?;
    containers::check()?;
    // The same points each time, so that the gate says the same of the same tree; other ones are for the whole run and the soak.
    faults::rows(&["--quick", "--seed", "27312"])?;
    for name in example::NAMES {
        example::run(name)?;
    }
    let run_blocks = readme::run()?;
    let valid_blocks = docs::run()?;
    println!(
        "ci: {tally}; the engine and its images hold; the fault matrix held; {} examples ran; README: {run_blocks} blocks ran; docs: {valid_blocks} blocks valid; {linted}",
        example::NAMES.len(),
    );
    Ok(())
}
