//! Everything that has to pass before a change is taken.
//!
//! Owns: the order. What fails fast and cheaply comes first and ends it; what takes minutes runs to its end, whichever other
//! part has failed: a run says all that is wrong.

use crate::example;
use crate::failure::Failure;
use crate::recipe::{containers, docs, faults, lint, readme, setup, test};

/// Runs it all and ends in one line that counts what ran.
///
/// # Errors
/// The parts that do not pass.
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
    let mut parts = Parts::default();
    let tally = parts.take("tests", test::run());
    parts.take("the engine and its images", containers::check());
    // The same points each time, so that the gate says the same of the same tree; other ones are for the whole run and the soak.
    let rows = faults::rows(&["--quick", "--seed", "27312"]);
    parts.take("the fault matrix", rows);
    for name in example::NAMES {
        parts.take(&format!("example {name}"), example::run(name));
    }
    let run_blocks = parts.take("README", readme::run());
    let valid_blocks = parts.take("docs", docs::run());
    parts.verdict()?;
    println!(
        "ci: {}; the engine and its images hold; the fault matrix held; {} examples ran; README: {} blocks ran; docs: {} blocks valid; {linted}",
        tally.unwrap_or_default(),
        example::NAMES.len(),
        run_blocks.unwrap_or_default(),
        valid_blocks.unwrap_or_default(),
    );
    Ok(())
}

/// What has not passed so far.
#[derive(Default)]
struct Parts {
    failed: Vec<String>,
}

impl Parts {
    /// What a part gave; nothing when it failed, which is said at once and at the end.
    fn take<T>(&mut self, part: &str, outcome: Result<T, Failure>) -> Option<T> {
        outcome
            .map_err(|failure| {
                println!("ci: {part} FAILED: {failure}");
                self.failed.push(format!("{part}: {failure}"));
            })
            .ok()
    }

    fn verdict(self) -> Result<(), Failure> {
        match self.failed.is_empty() {
            true => Ok(()),
            false => Err(Failure::Parts {
                failed: self.failed,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_fails_is_told_at_the_end_and_the_others_are_taken() {
        let mut parts = Parts::default();
        let unmet = Failure::Unmet {
            claim: "all is well".into(),
            found: "a hole".into(),
        };
        assert_eq!(parts.take::<u32>("the roof", Err(unmet)), None);
        assert_eq!(parts.take("the cellar", Ok(7)), Some(7));
        let verdict = parts.verdict().expect_err("one failed").to_string();
        assert!(verdict.contains("the roof") && verdict.contains("a hole"));
        assert!(!verdict.contains("cellar"), "{verdict}");
        assert!(Parts::default().verdict().is_ok());
    }
}
