//! Many services that write under one cap.
//!
//! Owns: the look at the sum of all files while they write, with and without a daemon, and the comparison of what is left
//! with what was written.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::fault::{Fault, promise};
use crate::place::Place;
use crate::player::text;
use crate::row::Order;
use crate::wait::{Look, PATIENCE, until};

/// Twenty services that write six times as much as they may keep together, and one that ended before.
pub(crate) fn total(_: &Order) -> Result<String, Fault> {
    let place = Place::new(&stack())?;
    let logs = place.home().join("log");
    place.ok(&["start", "early", "--wait"])?;
    place.until_state("early", "done")?;
    let account = place.account();
    let names: Vec<String> = (0..WRITERS).map(|number| format!("w{number}")).collect();
    let told = |name: &str| -> u64 {
        let attempts = account.attempts(name);
        attempts.iter().map(|attempt| account.told(attempt)).sum()
    };
    let mut most = 0;
    let mut looks = 0;
    let mut until_told = |share: u64, what: &str| {
        until(2 * PATIENCE, what, || {
            let kept = bytes_below(&logs);
            most = most.max(kept);
            looks += 1;
            promise(
                kept <= TOTAL,
                "all logs together stay within their cap",
                || format!("{kept} bytes of {TOTAL}"),
            )?;
            let written: u64 = names.iter().map(|name| told(name)).sum();
            Ok(if written >= LINES * WRITERS * share / 100 {
                Look::Holds(())
            } else {
                Look::NotYet(format!("{written} lines"))
            })
        })
    };
    place.ok(&["start"])?;
    until_told(40, "they have written a part")?;
    // Who writes keeps the cap, so it holds while nobody watches.
    place.kill_daemon()?;
    until_told(100, "they have written everything")?;
    place.daemon_up()?;
    for name in &names {
        place.until_state(name, "done")?;
    }
    let mut left = 0;
    for name in &names {
        let kept = place.kept(name)?;
        left += kept.len();
        promise(
            written(&account.attempts(name)).ends_with(&kept),
            "what is kept of a service is the end of what it wrote, whole",
            || format!("{} bytes of {name}", kept.len()),
        )?;
    }
    let shown = place.ok(&["logs", "w0", "--no-prefix"])?;
    promise(
        shown.stderr.contains("bytes dropped"),
        "readers are told that something is gone",
        || shown.stderr.clone(),
    )?;
    let early = fs::read_dir(logs.join("total/early")).into_iter().flatten();
    let early = early.flatten().filter(|entry| {
        let name = entry.file_name();
        Path::new(&name).extension().is_some_and(|it| it == "idx")
    });
    let early = early.count();
    promise(
        early == 1,
        "rotated segments of what has ended go first",
        || format!("{early} segments"),
    )?;
    place.finish()?;
    Ok(format!(
        "{} KiB written by {WRITERS} services, at most {} KiB in files in {looks} looks, {} KiB allowed; {} KiB of output left",
        LINES * WRITERS * LINE_BYTES / 1024,
        most / 1024,
        TOTAL / 1024,
        left / 1024
    ))
}

fn written(attempts: &[String]) -> Vec<u8> {
    let mut output = String::new();
    for attempt in attempts {
        for number in 0..LINES {
            output.push_str(&text(attempt, number));
            output.push('\n');
        }
    }
    output.into_bytes()
}

/// The bytes of every segment below a directory; what goes meanwhile is gone.
fn bytes_below(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(it) if it.is_dir() => bytes_below(&entry.path()),
            Ok(it) if entry.path().extension().is_none_or(|end| end != "log") => it.len(),
            Ok(_) | Err(_) => 0,
        })
        .sum()
}

fn stack() -> String {
    let mut text = format!(
        "name: total\nsettings: {{log_total: {TOTAL}}}\nservices:\n  early: {{type: process, command: [PLAYER, writer, --count, \"20000\"], restart: \"no\"}}\n"
    );
    for number in 0..WRITERS {
        writeln!(
            text,
            "  w{number}: {{type: process, command: [PLAYER, writer, --rate, \"6000\", --count, \"{LINES}\"], restart: \"no\"}}"
        )
        .expect("a String takes everything");
    }
    text
}

const WRITERS: u64 = 20;
const LINES: u64 = 30_000;
const LINE_BYTES: u64 = 40;
const TOTAL: u64 = 4 << 20;
