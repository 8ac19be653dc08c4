//! What the rows have as services: programs that keep an account of their own of what they did.
//!
//! Owns: the account, in the directory `account` of the working directory: who was started in which order, how many lines
//! each has written, and who found another of the same unit alive. The account is written without the programs under
//! test, so it can be held against them.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use testkit::lines::line;

use crate::talk;

/// What a service writes as its line of this number.
pub(crate) fn text(instance: &str, number: u64) -> String {
    line(instance, number)
}

/// The files of the account.
#[derive(Clone, Debug)]
pub(crate) struct Account(PathBuf);

impl Account {
    pub(crate) fn of(directory: &Path) -> Self {
        Self(directory.join("account"))
    }

    /// The attempts of a unit, in the order in which they began to write.
    pub(crate) fn attempts(&self, unit: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.0.join(format!("{unit}.attempts")));
        text.unwrap_or_default()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// How many lines an attempt has certainly written; it may have written one more.
    pub(crate) fn told(&self, instance: &str) -> u64 {
        let text = std::fs::read_to_string(self.0.join(format!("{instance}.told")));
        text.ok()
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(0)
    }

    /// Who found another attempt of its unit alive.
    pub(crate) fn violations(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.0.join("violations"));
        text.unwrap_or_default()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    fn append(&self, name: &str, line: &str) -> io::Result<()> {
        let path = self.0.join(name);
        let mut file = OpenOptions::new().append(true).create(true).open(path)?;
        file.write_all(format!("{line}\n").as_bytes())
    }
}

/// Runs as the service that the arguments say. Returns the exit code.
///
/// `writer [--rate N] [--count N] [--exit CODE] [--talk]`: takes the lock of its unit, then writes lines. Without a count it
/// writes for ever; without a rate, as fast as it can. With `--talk` they are those of [`crate::talk`]. `storm`: starts itself again and again, each of which does the same.
pub(crate) fn play(arguments: &[String]) -> i32 {
    let number = |name: &str| -> Option<u64> {
        let at = arguments.iter().position(|word| word == name)?;
        arguments.get(at + 1)?.parse().ok()
    };
    let part = arguments.first().map(String::as_str);
    let played = match part {
        Some("writer") => writer(
            number("--rate"),
            number("--count").unwrap_or(u64::MAX),
            arguments.iter().any(|word| word == "--talk"),
        ),
        Some("storm") => storm(number("--seconds").unwrap_or(60)).map(Some),
        Some(_) | None => return 64,
    };
    match played {
        Ok(Some(())) => number("--exit")
            .and_then(|code| i32::try_from(code).ok())
            .unwrap_or(0),
        Ok(None) => DOUBLE,
        Err(error) => {
            eprintln!("player: {error}");
            1
        }
    }
}

/// Forks for as long as the system lets it, in sessions of its own every other time. Refuses to where nothing stops it.
fn storm(seconds: u64) -> io::Result<()> {
    if !is_bounded() {
        return Err(io::Error::other("no limit on processes is in force here"));
    }
    let own = std::env::current_exe()?;
    let arguments = ["play", "storm", "--seconds"];
    let begun = Instant::now();
    let mut children = Vec::new();
    // However it ends, it ends.
    while begun.elapsed() < Duration::from_secs(seconds) {
        let left = seconds.saturating_sub(begun.elapsed().as_secs());
        let mut command = match children.len() % 2 {
            0 => std::process::Command::new(&own),
            _ => {
                let mut command = std::process::Command::new("setsid");
                command.arg(&own);
                command
            }
        };
        match command.args(arguments).arg(left.to_string()).spawn() {
            Ok(child) => children.push(child),
            // As full as it gets: for the next free place.
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
        children.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
    }
    Ok(())
}

/// Whether this process can have only so many others beside it.
fn is_bounded() -> bool {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let of_user = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max processes"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    let is_root = rustix::process::geteuid().is_root();
    let of_user = of_user.filter(|_| !is_root);
    let of_group = std::env::var_os("STORM_GROUP")
        .and_then(|group| std::fs::read_to_string(Path::new(&group).join("pids.max")).ok())
        .and_then(|text| text.trim().parse::<u64>().ok());
    of_user
        .into_iter()
        .chain(of_group)
        .any(|most| most <= MOST_PROCESSES)
}

/// A limit beyond this is none.
const MOST_PROCESSES: u64 = 1000;

/// `None` when another attempt of the unit is alive.
fn writer(rate: Option<u64>, count: u64, talks: bool) -> io::Result<Option<()>> {
    let unit = std::env::var("HARNESS_SERVICE").unwrap_or_default();
    let instance = std::env::var("HARNESS_INSTANCE_ID").or_else(|_| of_chance())?;
    let account = Account::of(&std::env::current_dir()?);
    std::fs::create_dir_all(&account.0)?;
    // Held as long as this process lives, and inherited by nobody: it has no children.
    let lock = File::create(account.0.join(format!("{unit}.lock")))?;
    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        account.append(
            "violations",
            &format!("{unit} {instance} found another alive"),
        )?;
        return Ok(None);
    }
    let told = File::create(account.0.join(format!("{instance}.told")))?;
    account.append(&format!("{unit}.attempts"), &instance)?;
    let begun = Instant::now();
    let mut output = io::stdout().lock();
    for number in 0..count {
        if talks {
            talk::say(&instance, number)?;
        } else {
            let line = format!("{}\n", text(&instance, number));
            // One write a line: what is shorter than a page goes into a pipe whole or not at all.
            output.write_all(line.as_bytes())?;
            output.flush()?;
        }
        told.write_all_at(format!("{:020}\n", number + 1).as_bytes(), 0)?;
        if let Some(rate) = rate {
            let due = Duration::from_secs_f64((number + 1) as f64 / rate as f64);
            std::thread::sleep(due.saturating_sub(begun.elapsed()));
        }
    }
    Ok(Some(()))
}

/// Runs of one container share its environment: each names itself.
fn of_chance() -> io::Result<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/uuid")?;
    Ok(text.replace('-', "").chars().take(12).collect())
}

/// What a service ends with that found another of its unit alive.
const DOUBLE: i32 = 99;
