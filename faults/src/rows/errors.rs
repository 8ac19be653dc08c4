//! Durable steps that fail: the disk answers EIO or ENOSPC.
//!
//! Owns: which calls of the daemon are made to fail, and what it must still do while they do.

use std::time::Duration;

use crate::chance::Chance;
use crate::fault::{Fault, promise};
use crate::invariants::{Acknowledged, Checker};
use crate::place::Place;
use crate::proc;
use crate::row::Order;
use crate::tracer::{Effect, Tracer};
use crate::wait::{Look, PATIENCE, until};

/// Every durable step of the store fails for as long as it is watched.
pub(crate) fn lasting(_: &Order) -> Result<String, Fault> {
    let place = Place::new(STACK)?;
    let mut checker = Checker::new(&place, &["a"])?;
    let mut tried = 0;
    for (names, error, word) in [
        ("fdatasync,fsync", "EIO", "storage-error"),
        ("pwrite64", "ENOSPC", "storage-full"),
        ("pwrite64", "EIO", "storage-error"),
        ("fdatasync,fsync", "ENOSPC", "storage-full"),
    ] {
        without_a_store(&place, names, error, word)
            .map_err(|fault| fault.at(format!("{names} {error}")))?;
        checker.check(&place, Acknowledged::Up(&["b"]))?;
        place.ok(&["stop"])?;
        tried += 1;
    }
    place.finish()?;
    Ok(format!(
        "{tried} kinds of failure; said so, nothing started, stop works, recovered"
    ))
}

/// With `a` up and `b` down: the store begins to fail.
fn without_a_store(
    place: &Place,
    names: &'static str,
    error: &'static str,
    word: &str,
) -> Result<(), Fault> {
    place.ok(&["start", "a", "--wait"])?;
    let daemon = place.daemon_up()?;
    let failing = Effect::Failing {
        names,
        error,
        when: "1+".to_owned(),
    };
    let tracer = Tracer::attach(place, daemon, &failing)?;
    // Not answered before it is kept, which it is not.
    let mut waiting = place.spawn(&["start", "b", "--wait"])?;
    let said = until(PATIENCE, "status tells of the store", || {
        let status = place.status()?;
        Ok(match status.storage() {
            Some(word) => Look::Holds(word.to_owned()),
            None => Look::NotYet(status.0.to_string()),
        })
    })?;
    promise(said == word, &format!("status says {word}"), || said)?;
    let b = place.account().attempts("b");
    let is_up = || {
        proc::marked()
            .iter()
            .any(|process| process.service() == Some("b"))
    };
    promise(
        !is_up(),
        "nothing new is started while state cannot be kept",
        || b.join(", "),
    )?;
    // Without a store: a stop is an end, and ends do not wait.
    let begun = std::time::Instant::now();
    let mut stopping = place.spawn(&["stop", "a"])?;
    until(
        PATIENCE,
        "a is stopped although nothing can be kept",
        || {
            let left: Vec<String> = proc::marked()
                .iter()
                .map(proc::Process::described)
                .collect();
            Ok(crate::wait::seen(left.is_empty(), &left.join(", ")))
        },
    )?;
    promise(
        begun.elapsed() < Duration::from_secs(12),
        "stop needs no disk",
        || format!("{:?}", begun.elapsed()),
    )?;
    tracer.detach()?;
    let ended = |child: &mut std::process::Child| {
        until(
            PATIENCE,
            "a command that waited for the store is answered",
            || {
                let status = child.try_wait().map_err(Fault::io("await", "harness"))?;
                Ok(status.map_or_else(|| Look::NotYet("it waits".to_owned()), Look::Holds))
            },
        )
    };
    let stopped = ended(&mut stopping)?;
    let started = ended(&mut waiting)?;
    promise(
        stopped.success() && started.success(),
        "both are done once the store works again",
        || format!("stop {stopped}, start {started}"),
    )?;
    until(PATIENCE, "the store is in order again", || {
        let status = place.status()?;
        Ok(crate::wait::seen(status.storage().is_none(), &status.0))
    })
}

/// One call fails, once, whichever it is.
pub(crate) fn single(order: &Order) -> Result<String, Fault> {
    let place = Place::new(STACK)?;
    let mut checker = Checker::new(&place, &["a", "b"])?;
    place.daemon_up()?;
    let mut all = Vec::new();
    for (names, error, most) in STEPS {
        all.extend((1..=*most).map(|number| (*names, *error, number)));
    }
    let chosen = Chance::new(order.seed).fairly(&all, order.pick(7, 60), |step| (step.0, step.1));
    for (names, error, number) in &chosen {
        // Seen when the row fails.
        eprintln!("{names} {error} {number}");
        let one = Effect::Failing {
            names,
            error,
            when: number.to_string(),
        };
        let step = || -> Result<(), Fault> {
            let tracer = Tracer::attach(&place, place.daemon_up()?, &one)?;
            // Refused with a reason, or done: either is an answer.
            place.run(&["start", "--wait", "--wait-timeout", "20s"])?;
            tracer.detach()?;
            Ok(())
        };
        let name = || format!("{names} {error} {number}");
        step().map_err(|fault| fault.at(name()))?;
        checker
            .check(&place, Acknowledged::Nothing)
            .map_err(|fault| fault.at(name()))?;
        place
            .ok(&["start", "--wait"])
            .map_err(|fault| fault.at(name()))?;
        place.ok(&["stop"]).map_err(|fault| fault.at(name()))?;
        checker
            .check(&place, Acknowledged::Down(&["a", "b"]))
            .map_err(|fault| fault.at(name()))?;
    }
    place.finish()?;
    Ok(format!("{} of {} single failures", chosen.len(), all.len()))
}

/// What fails, how, and how often it may be called in a thread while a stack starts.
const STEPS: &[(&str, &str, usize)] = &[
    ("fdatasync,fsync", "EIO", 4),
    ("pwrite64", "EIO", 20),
    ("pwrite64", "ENOSPC", 20),
    ("rename,renameat", "EIO", 1),
    ("ftruncate", "ENOSPC", 1),
    ("mkdir,mkdirat", "ENOSPC", 2),
    ("mkdir,mkdirat", "EACCES", 2),
    ("unlink,unlinkat", "EIO", 7),
    ("vfork,clone3,clone", "EAGAIN", 2),
];

const STACK: &str = "\
name: errors
services:
  a: {type: process, command: [PLAYER, writer, --rate, \"40\"]}
  b: {type: process, command: [PLAYER, writer, --rate, \"40\"]}
";
