//! Lines on both outputs, some of them longer than what an engine carries as one, and the check of a log of them.
//!
//! Owns: which line goes where, and what exact means for them: each output has its lines in order, of one attempt after
//! the other, nothing missing, doubled, torn or in between.

use std::collections::BTreeMap;
use std::io::{self, Write};

use crate::fault::Fault;
use crate::place::Place;
use crate::player::text;

/// Of the lines of attempts, which have to be there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Ends {
    /// Each that was told of.
    #[default]
    Whole,
    /// Each of all attempts but these, which wrote while the engine itself was killed, or away to their end: what it has
    /// read and not written yet is lost with it, as is what it never read. Some in a row each time, of each output.
    But(BTreeMap<String, u32>),
}

impl Ends {
    /// How often lines of this attempt may be missing.
    fn gaps(&self, instance: &str) -> u32 {
        match self {
            Self::Whole => 0,
            Self::But(killed) => killed.get(instance).copied().unwrap_or(0),
        }
    }
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
    pub(crate) fn talked(&self, unit: &str, ends: &Ends) -> Result<u64, Fault> {
        // What is told of before the log is read must be in it, once its unit has ended.
        self.compared(unit, ends, &self.attempts(unit))
    }

    /// The same while the last attempt goes on: what it has told of may still be on its way.
    pub(crate) fn talks(&self, unit: &str, ends: &Ends) -> Result<u64, Fault> {
        let mut attempts = self.attempts(unit);
        if let Some((_, told)) = attempts.last_mut() {
            *told = 0;
        }
        self.compared(unit, ends, &attempts)
    }

    /// The attempts of a unit, with the number of lines that each has told of.
    fn attempts(&self, unit: &str) -> Vec<(String, u64)> {
        let account = self.account();
        let attempts = account.attempts(unit).into_iter();
        attempts
            .map(|attempt| (account.told(&attempt), attempt))
            .map(|(told, attempt)| (attempt, told))
            .collect()
    }

    fn compared(&self, unit: &str, ends: &Ends, attempts: &[(String, u64)]) -> Result<u64, Fault> {
        let mut lines = 0;
        for is_error in [false, true] {
            let stream = if is_error { "stderr" } else { "stdout" };
            let shown = self.ok(&["logs", unit, "--no-prefix", "--stream", stream])?;
            lines += compare(&shown.stdout, attempts, is_error, ends).map_err(|found| {
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
    ends: &Ends,
) -> Result<u64, String> {
    let mut rest = log;
    let mut total = 0;
    for (at, (instance, told)) in attempts.iter().enumerate() {
        let mut gaps = ends.gaps(instance);
        let mut number = of_output(0, errors);
        loop {
            let expected = line(instance, number);
            if let Some(after) = rest.strip_prefix(expected.as_bytes()) {
                rest = after;
                total += 1;
                number = of_output(number + 1, errors);
                continue;
            }
            if gaps > 0 {
                gaps -= 1;
                // A line that was torn by it, then the first one after it: of this attempt, or of a later one.
                let (torn, next) = after_gap(rest, instance, number, *told, errors);
                let torn = match next {
                    Some(_) => torn,
                    None => first_of(rest, &attempts[at + 1..], errors),
                };
                let fragment = torn.strip_suffix(b"\n").unwrap_or(torn);
                if expected.as_bytes().starts_with(fragment) {
                    rest = &rest[torn.len()..];
                    if let Some(next) = next {
                        number = next;
                        continue;
                    }
                    break;
                }
            }
            if number < *told {
                let found = excerpt(rest);
                let attempt = at + 1;
                return Err(format!(
                    "attempt {attempt} told of {told} lines, number {number} is not there but {found}"
                ));
            }
            break;
        }
    }
    match rest {
        [] => Ok(total),
        rest => Err(format!("after {total} lines: {}", excerpt(rest))),
    }
}

/// The first number from here on whose line goes to that output.
fn of_output(from: u64, errors: bool) -> u64 {
    let mut numbers = from..from + 3;
    let found = numbers.find(|number| is_error(*number) == errors);
    found.expect("every third line is an error, and the others are none")
}

/// What is left of a line before the next whole one of this attempt, and the number of that, which is among the first that
/// come after.
fn after_gap<'a>(
    rest: &'a [u8],
    instance: &str,
    number: u64,
    told: u64,
    errors: bool,
) -> (&'a [u8], Option<u64>) {
    let later = (number + 1..=told).filter(|number| is_error(*number) == errors);
    for next in later.take(MOST_LOST) {
        let found = position(rest, text(instance, next).as_bytes());
        if let Some(at) = found {
            return (&rest[..at], Some(next));
        }
    }
    (rest, None)
}

/// What is left before the first line of a later attempt.
fn first_of<'a>(rest: &'a [u8], later: &[(String, u64)], errors: bool) -> &'a [u8] {
    let begins = later
        .iter()
        .filter_map(|(instance, _)| position(rest, text(instance, u64::from(errors)).as_bytes()));
    &rest[..begins.min().unwrap_or(rest.len())]
}

fn position(rest: &[u8], wanted: &[u8]) -> Option<usize> {
    let mut windows = rest.windows(wanted.len());
    windows.position(|window| window == wanted)
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

/// Lines of one output that an engine can have had in its hands: those that a pipe holds.
const MOST_LOST: usize = 1024;

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
            assert!(compare(&log, &told(&attempts), errors, &Ends::Whole).is_ok());
        }
    }

    #[test]
    fn what_is_lost_doubled_or_torn_is_found() {
        let whole = log(&[("one", 70)], false);
        let attempts = told(&[("one", 70)]);
        let killed = |times| Ends::But(BTreeMap::from([("one".to_owned(), times)]));
        let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
        let without = |from: usize, to: usize| [&lines[..from], &lines[to..]].concat().concat();
        let is_exact = |log: &[u8], ends: &Ends| compare(log, &attempts, false, ends).is_ok();
        assert!(!is_exact(&without(0, 1), &Ends::Whole));
        assert!(is_exact(&without(5, 9), &killed(1)));
        assert!(!is_exact(&without(5, 9), &killed(0)));
        let twice = [&without(5, 9)[..], &whole].concat();
        assert!(!is_exact(&twice, &killed(9)), "nothing comes twice");
        let again = [&lines[..5], &lines[7..9], &lines[12..]].concat().concat();
        assert!(!is_exact(&again, &killed(1)) && is_exact(&again, &killed(2)));
        let short = &whole[..whole.len() - 10];
        assert!(!is_exact(short, &Ends::Whole) && is_exact(short, &killed(1)));
        let both = told(&[("one", 70), ("two", 5)]);
        let next = [short, &log(&[("two", 5)], false)].concat();
        assert!(compare(&next, &both, false, &killed(1)).is_ok());
        assert!(compare(&next[1..], &both, false, &killed(1)).is_err());
        // Of an attempt under which no engine was killed nothing may be missing.
        let end = &next[..next.len() - 3];
        assert!(compare(end, &both, false, &killed(1)).is_err());
    }
}
