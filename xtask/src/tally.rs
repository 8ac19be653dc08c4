//! How many tests ran, read from what the test runners print.
//!
//! Owns: the two summary lines that are understood (`cargo test`, `cargo nextest`). Never runs anything.

use std::fmt;
use std::ops::Add;

/// Counted tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Tally {
    /// What one line of output adds; nothing unless it is a summary.
    pub(crate) fn of_line(line: &str) -> Self {
        let plain = without_colours(line);
        let plain = plain.trim_start();
        if plain.starts_with("test result:") || plain.starts_with("Summary [") {
            Self {
                passed: number_before(plain, "passed"),
                failed: number_before(plain, "failed") + number_before(plain, "timed out"),
                skipped: number_before(plain, "ignored") + number_before(plain, "skipped"),
            }
        } else {
            Self::default()
        }
    }
}

impl Add for Tally {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            skipped: self.skipped + other.skipped,
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "tests: {} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        )
    }
}

/// The number that stands right before `word`; 0 when there is none.
fn number_before(line: &str, word: &str) -> u64 {
    line.find(word)
        .and_then(|at| line[..at].split_whitespace().next_back())
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

fn without_colours(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find('\u{1b}') {
        plain.push_str(&rest[..at]);
        rest = rest[at..].split_once('m').map_or("", |(_, after)| after);
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_runners_are_understood() {
        let cargo = "test result: ok. 12 passed; 1 failed; 2 ignored; 0 measured; 3 filtered out; finished in 0.01s";
        assert_eq!(
            Tally::of_line(cargo),
            Tally {
                passed: 12,
                failed: 1,
                skipped: 2
            }
        );
        let nextest = "\u{1b}[32m     Summary\u{1b}[0m [   1.2s] 40 tests run: 38 passed (1 slow), 1 failed, 1 timed out, 4 skipped";
        assert_eq!(
            Tally::of_line(nextest),
            Tally {
                passed: 38,
                failed: 2,
                skipped: 4
            }
        );
    }

    #[test]
    fn other_lines_count_for_nothing() {
        assert_eq!(Tally::of_line("test a_test ... ok"), Tally::default());
        assert_eq!(Tally::of_line("5 passed the gate"), Tally::default());
    }
}
