//! The fault matrix: the program under `faults/`, run against a development build.
//!
//! Owns: building what it needs and running it, as root. What it tries and prints is its own.

use crate::failure::Failure;
use crate::recipe::setup;
use crate::sandbox::build_programs;
use crate::step::Step;
use crate::workspace;

/// Runs rows of the matrix: those named, else all; `--quick` for fewer repetitions, `soak DURATION` again and again.
///
/// # Errors
/// When something does not build, or a row fails.
pub(crate) fn run(arguments: &[&str]) -> Result<(), Failure> {
    build_programs()?;
    rows(arguments)
}

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
