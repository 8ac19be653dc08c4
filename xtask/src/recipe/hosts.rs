//! The hosts that tests log in to: a set of `docker-test-env/hosts` for one run of them.
//!
//! Owns: bringing it up, taking it down, and seeing that tests took their own sets down. What a host is, is the script's.

use crate::failure::Failure;
use crate::recipe::setup;
use crate::step::Step;
use crate::workspace;

/// The variable that tells tests where the set of their run is.
pub(crate) const VARIABLE: &str = "HARNESS_TEST_HOSTS";

/// Brings up the set of a run, and returns where it lies.
///
/// # Errors
/// When it does not come up.
pub(crate) fn up(run: &str) -> Result<String, Failure> {
    let said = script(&["up", run]).text()?;
    let directory = said.trim().strip_prefix(VARIABLE);
    match directory.and_then(|rest| rest.strip_prefix('=')) {
        Some(directory) => Ok(directory.to_owned()),
        None => Err(Failure::Unreadable {
            what: "the answer of docker-test-env/hosts".into(),
            detail: said,
        }),
    }
}

/// Takes the set of a run down.
///
/// # Errors
/// When something of it is left, or [`Failure::Unmet`] when tests have left sets of theirs.
pub(crate) fn down(run: &str) -> Result<(), Failure> {
    script(&["down", run]).text()?;
    let status = script(&["status"]).text()?;
    let left: Vec<&str> = status
        .lines()
        .filter(|line| line.starts_with(run))
        .collect();
    if left.is_empty() {
        return Ok(());
    }
    Err(Failure::Unmet {
        claim: "tests take their hosts down".into(),
        found: left.join("\n"),
    })
}

fn script(arguments: &[&str]) -> Step {
    let path = workspace::root().join("docker-test-env/hosts");
    let path = path.display().to_string();
    if setup::is_root() {
        Step::new(path, arguments)
    } else {
        let words = std::iter::once(path.as_str()).chain(arguments.iter().copied());
        Step::new("sudo", words)
    }
}
