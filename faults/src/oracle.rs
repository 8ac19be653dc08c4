//! Logs against the account that the writers keep themselves.
//!
//! Owns: what exact means: the log of a unit is the lines of its attempts, one attempt after the other, each from its
//! first line on, nothing missing, doubled, torn or in between.

use std::fs;
use std::path::PathBuf;

use crate::fault::{Fault, promise};
use crate::place::Place;
use crate::player::text;
use crate::proc;

impl Place {
    /// Every byte of standard output that is kept of a unit, read from the segments themselves.
    pub(crate) fn kept(&self, unit: &str) -> Result<Vec<u8>, Fault> {
        let mut segments = Vec::new();
        let logs = self.home().join("log");
        for stack in fs::read_dir(&logs).into_iter().flatten().flatten() {
            for file in fs::read_dir(stack.path().join(unit))
                .into_iter()
                .flatten()
                .flatten()
            {
                let path: PathBuf = file.path();
                if path.extension().is_some_and(|extension| extension == "out") {
                    segments.push(path);
                }
            }
        }
        segments.sort();
        let mut bytes = Vec::new();
        for path in segments {
            bytes.extend(fs::read(&path).map_err(Fault::io("read", &path))?);
        }
        Ok(bytes)
    }

    /// That the log of a writer is exact; answers with its number of lines. Attempts that have ended must be there to
    /// their last line, the present one as far as its account went before the log was read.
    pub(crate) fn exact(&self, unit: &str) -> Result<u64, Fault> {
        let account = self.account();
        let attempts = account.attempts(unit);
        let mut told: Vec<u64> = attempts
            .iter()
            .map(|attempt| account.told(attempt))
            .collect();
        let is_live = attempts.last().is_some_and(|last| self.is_live(last));
        if let (true, Some(told)) = (is_live, told.last_mut()) {
            // What is still in the pipe is on its way, and asked for elsewhere.
            *told = 0;
        }
        compare(&self.kept(unit)?, &attempts, &told, is_live)
            .map_err(|found| Fault::broken(format!("the log of {unit} is exact"), found))
    }

    /// Whether an attempt may still write: it runs, or its end is not recorded yet.
    fn is_live(&self, instance: &str) -> bool {
        let run = self.home().join("run").join(instance);
        let is_marked = || {
            let marked = proc::marked();
            marked
                .iter()
                .any(|process| process.instance() == Some(instance))
        };
        (run.exists() && !run.join("exit.json").exists()) || is_marked()
    }

    /// That it is exact, and that the program shows the same bytes.
    pub(crate) fn exact_and_shown(&self, unit: &str) -> Result<u64, Fault> {
        let lines = self.exact(unit)?;
        let kept = self.kept(unit)?;
        let shown = self
            .ok(&["logs", unit, "--no-prefix", "--stream", "stdout"])?
            .stdout;
        promise(
            shown.starts_with(&kept),
            &format!("`logs {unit}` shows every byte that is kept"),
            || format!("{} of {} bytes", shown.len(), kept.len()),
        )?;
        Ok(lines)
    }

    /// Waits until the log has all that a running writer has told of by now.
    pub(crate) fn until_heard(&self, unit: &str) -> Result<u64, Fault> {
        use crate::wait::{Look, PATIENCE, until};
        let account = self.account();
        let told: u64 = account
            .attempts(unit)
            .iter()
            .map(|attempt| account.told(attempt))
            .sum();
        until(
            PATIENCE,
            &format!("the log of {unit} has {told} lines"),
            || {
                let heard = self.exact(unit)?;
                Ok(if heard >= told {
                    Look::Holds(heard)
                } else {
                    Look::NotYet(heard.to_string())
                })
            },
        )
    }
}

/// The number of whole lines, or the first thing that is wrong. While the last attempt is live, its last line may be half
/// there: a line that does not fit into a segment goes on in the next, which is made in between.
fn compare(log: &[u8], attempts: &[String], told: &[u64], is_live: bool) -> Result<u64, String> {
    let mut attempt = 0;
    let mut number = 0;
    let mut total = 0;
    let complete = |attempt: usize, number: u64| -> Result<(), String> {
        let told = told.get(attempt).copied().unwrap_or(0);
        if number < told {
            return Err(format!(
                "attempt {} wrote {told} lines, {number} are there",
                attempt + 1
            ));
        }
        Ok(())
    };
    for line in log.split_inclusive(|byte| *byte == b'\n') {
        let Some(line) = line.strip_suffix(b"\n") else {
            let expected = attempts.last().map(|last| {
                let is_begun = attempt + 1 == attempts.len();
                text(last, if is_begun { number } else { 0 })
            });
            if is_live && expected.is_some_and(|expected| expected.as_bytes().starts_with(line)) {
                break;
            }
            return Err(format!(
                "line {total} is torn: {}",
                String::from_utf8_lossy(line)
            ));
        };
        loop {
            let Some(instance) = attempts.get(attempt) else {
                let line = String::from_utf8_lossy(line);
                return Err(format!("line {total} was not written by anybody: {line}"));
            };
            if line == text(instance, number).as_bytes() {
                number += 1;
                break;
            }
            // It must be the first line of a later attempt, and this one complete.
            let is_of_this = String::from_utf8_lossy(line).contains(instance.as_str());
            if is_of_this {
                let line = String::from_utf8_lossy(line);
                return Err(format!(
                    "attempt {}: after {number} lines comes {line}",
                    attempt + 1
                ));
            }
            complete(attempt, number)?;
            attempt += 1;
            number = 0;
        }
        total += 1;
    }
    for at in attempt..attempts.len() {
        complete(at, if at == attempt { number } else { 0 })?;
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(lines: &[(&str, u64)]) -> Vec<u8> {
        let text = lines.iter().map(|(who, number)| text(who, *number) + "\n");
        text.collect::<String>().into_bytes()
    }

    fn told(log: &[u8], told: &[u64]) -> Result<u64, String> {
        compare(log, &["one".to_owned(), "two".to_owned()], told, false)
    }

    #[test]
    fn attempts_one_after_the_other_are_exact() {
        let whole = log(&[("one", 0), ("one", 1), ("two", 0)]);
        assert_eq!(told(&whole, &[2, 1]), Ok(3));
        // One more than was told of: killed between writing and telling.
        assert_eq!(told(&whole, &[1, 1]), Ok(3));
        // An attempt that was killed before its first line.
        assert_eq!(told(&log(&[("two", 0)]), &[0, 1]), Ok(1));
    }

    #[test]
    fn what_is_lost_doubled_torn_or_foreign_is_found() {
        assert!(told(&log(&[("one", 0), ("two", 0)]), &[2, 1]).is_err());
        assert!(told(&log(&[("one", 0), ("one", 0)]), &[0, 0]).is_err());
        assert!(told(&log(&[("one", 1)]), &[0, 0]).is_err());
        assert!(told(&log(&[("one", 0)]), &[1, 1]).is_err());
        assert!(told(&log(&[("three", 0)]), &[0, 0]).is_err());
        let mut torn = log(&[("one", 0)]);
        torn.pop();
        assert!(told(&torn, &[0, 0]).is_err());
        let live = |log: &[u8]| compare(log, &["one".to_owned()], &[0], true);
        assert_eq!(live(&torn), Ok(0), "the rest is on its way");
        torn[0] ^= 1;
        assert!(live(&torn).is_err());
    }
}
