//! The fault matrix: the program under `faults/`, run against a development build.
//!
//! Owns: building what it needs and running it, as root. What it tries and prints is its own.

use crate::failure::Failure;
use crate::recipe::{base, setup};
use crate::sandbox::build_programs;
use crate::step::Step;
use crate::workspace;

/// Runs rows of the matrix: those named, else all; `--quick` for fewer repetitions, `soak DURATION` again and again.
///
/// # Errors
/// When something does not build, or a row fails.
pub(crate) fn run(arguments: &[&str]) -> Result<(), Failure> {
    build_programs()?;
    if needs_base(arguments) {
        base::build()?;
    }
    rows(arguments)
}

/// Whether a row is meant that takes over services of an earlier commit's programs.
fn needs_base(arguments: &[&str]) -> bool {
    let names: Vec<&str> = arguments
        .iter()
        .copied()
        .filter(|word| word.starts_with(|letter: char| letter.is_ascii_lowercase()))
        .collect();
    match names.as_slice() {
        [] => !arguments.contains(&"--quick"),
        ["list"] => false,
        ["soak"] => true,
        names => names.iter().any(|name| BASE_ROW.starts_with(name)),
    }
}

const BASE_ROW: &str = "upgrade-adopt";

/// The same with what is built already.
///
/// # Errors
/// When a row fails.
pub(crate) fn rows(arguments: &[&str]) -> Result<(), Failure> {
    let program = workspace::programs()?.join("faults").display().to_string();
    let step = if setup::is_root() {
        Step::new(program, arguments)
    } else {
        // Namespaces, mounts and other users are part of the trials.
        let words = ["--", program.as_str()]
            .into_iter()
            .chain(arguments.iter().copied());
        Step::new("sudo", words)
    };
    step.within(&workspace::root()).run()
}
