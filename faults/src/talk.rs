//! Lines on both outputs, some of them longer than what an engine carries as one, and the check of a log of them.
//!
//! Owns: which line goes where, and what exact means for them: each output has its lines in order, of one attempt after
//! the other, nothing missing, doubled, torn or in between.

use std::io::{self, Write};

use crate::fault::Fault;
use crate::place::Place;
use crate::player::text;

/// Of the lines of an attempt, which have to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// Each that was told of.
    Whole,
    /// Where the engine itself was killed, the end may be missing: it keeps in its memory what it has not written yet.
    Short,
}

/// Writes the line of this number where it belongs.
pub(crate) fn say(instance: &str, number: u64) -> io::Result<()> {
    let line = line(instance, number);
    if is_error(number) {
        return io::stderr().lock().write_all(line.as_bytes());
    }
    let mut output = io::stdout().lock();
    output.write_all(line.as_bytes())?;
    output.flush()
}

fn is_error(number: u64) -> bool {
    number % 3 == 1
}

/// Now and then one that is longer than the 16 KiB of an engine's record, on both outputs.
fn line(instance: &str, number: u64) -> String {
    let text = text(instance, number);
    match number % LONG_EVERY {
        0 | 1 => format!("{text} {}\n", "long ".repeat(LONG_WORDS)),
        _ => format!("{text}\n"),
    }
}

impl Place {
    /// That both outputs of a talker, as they are shown, are exact. How many lines they have.
    pub(crate) fn talked(&self, unit: &str, ends: Ends) -> Result<u64, Fault> {
        let account = self.account();
        // What is told of before the log is read must be in it, once its unit has ended.
        let attempts: Vec<(String, u64)> = account
            .attempts(unit)
            .into_iter()
            .map(|attempt| (account.told(&attempt), attempt))
            .map(|(told, attempt)| (attempt, told))
            .collect();
        let mut lines = 0;
        for is_error in [false, true] {
            let stream = if is_error { "stderr" } else { "stdout" };
            let shown = self.ok(&["logs", unit, "--no-prefix", "--stream", stream])?;
            lines += compare(&shown.stdout, &attempts, is_error, ends).map_err(|found| {
                Fault::broken(format!("the log of {unit} ({stream}) is exact"), found)
            })?;
        }
        Ok(lines)
    }
}

/// The number of lines, or the first thing that is wrong.
fn compare(
    log: &[u8],
    attempts: &[(String, u64)],
    errors: bool,
    ends: Ends,
) -> Result<u64, String> {
    let mut rest = log;
    let mut total = 0;
    for (at, (instance, told)) in attempts.iter().enumerate() {
        let own = (0..).filter(|number| is_error(*number) == errors);
        for number in own {
            let expected = line(instance, number);
            if let Some(after) = rest.strip_prefix(expected.as_bytes()) {
                rest = after;
                total += 1;
                continue;
            }
            match ends {
                Ends::Short => {
                    let torn = torn(rest, &attempts[at + 1..], errors);
                    let fragment = torn.strip_suffix(b"\n").unwrap_or(torn);
                    if expected.as_bytes().starts_with(fragment) {
                        rest = &rest[torn.len()..];
                    }
                }
                Ends::Whole if number < *told => {
                    let found = excerpt(rest);
                    let attempt = at + 1;
                    return Err(format!(
                        "attempt {attempt} told of {told} lines, number {number} is not there but {found}"
                    ));
                }
                Ends::Whole => {}
            }
            break;
        }
    }
    match rest {
        [] => Ok(total),
        rest => Err(format!("after {total} lines: {}", excerpt(rest))),
    }
}

/// What is left before the first line of a later attempt.
fn torn<'a>(rest: &'a [u8], later: &[(String, u64)], errors: bool) -> &'a [u8] {
    let begins = later.iter().filter_map(|(instance, _)| {
        let first = text(instance, u64::from(errors));
        let mut windows = rest.windows(first.len());
        windows.position(|window| window == first.as_bytes())
    });
    &rest[..begins.min().unwrap_or(rest.len())]
}

fn excerpt(rest: &[u8]) -> String {
    let shown = &rest[..rest.len().min(100)];
    let first = rest.iter().position(|byte| *byte == b'\n');
    format!(
        "{} (its line has {} bytes, {} are left)",
        String::from_utf8_lossy(shown).trim_end(),
        first.unwrap_or(rest.len()),
        rest.len()
    )
}

/// 25 KiB: more than one record of an engine, less than two.
const LONG_WORDS: usize = 5 * 1024;
const LONG_EVERY: u64 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    fn log(attempts: &[(&str, u64)], errors: bool) -> Vec<u8> {
        let lines = attempts.iter().flat_map(|(instance, count)| {
            let own = (0..*count).filter(|number| is_error(*number) == errors);
            own.map(|number| line(instance, number))
        });
        lines.collect::<String>().into_bytes()
    }

    fn told(counts: &[(&str, u64)]) -> Vec<(String, u64)> {
        let own = counts.iter();
        own.map(|(instance, count)| ((*instance).to_owned(), *count))
            .collect()
    }

    #[test]
    fn both_outputs_of_attempts_one_after_the_other_are_exact() {
        let attempts = [("one", 70), ("two", 5)];
        for errors in [false, true] {
            let log = log(&attempts, errors);
            assert!(compare(&log, &told(&attempts), errors, Ends::Whole).is_ok());
        }
    }

    #[test]
    fn what_is_lost_doubled_or_torn_is_found() {
        let whole = log(&[("one", 70)], false);
        let attempts = told(&[("one", 70)]);
        let without_first = &whole[whole.iter().position(|byte| *byte == b'\n').unwrap_or(0) + 1..];
        assert!(compare(without_first, &attempts, false, Ends::Short).is_err());
        assert!(
            compare(
                &[&whole[..], &whole].concat(),
                &attempts,
                false,
                Ends::Short
            )
            .is_err()
        );
        let short = &whole[..whole.len() - 10];
        assert!(compare(short, &attempts, false, Ends::Whole).is_err());
        assert!(compare(short, &attempts, false, Ends::Short).is_ok());
        let both = told(&[("one", 70), ("two", 5)]);
        let next = [short, &log(&[("two", 5)], false)].concat();
        assert!(compare(&next, &both, false, Ends::Short).is_ok());
        assert!(compare(&next[1..], &both, false, Ends::Short).is_err());
    }
}
