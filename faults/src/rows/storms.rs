//! Much of everything: crashes, probes that hang, starts and stops, lines.
//!
//! Owns: the counts, and the daemon's size before and after.

use std::time::{Duration, Instant};

use crate::fault::{Fault, promise};
use crate::invariants::nothing_leaks;
use crate::place::Place;
use crate::proc;
use crate::row::Order;
use crate::wait::{Look, until};

/// Many services that end at once, again and again.
pub(crate) fn crashes(order: &Order) -> Result<String, Fault> {
    let count = order.pick(40, 200);
    let service = |number: usize| {
        format!("  c{number}: {{type: process, command: [sh, -c, \"echo >> starts; exit 1\"]}}\n")
    };
    let services: String = (0..count).map(service).collect();
    let place = Place::new(&format!("name: storm\nservices:\n{services}"))?;
    let begun = Instant::now();
    place.run(&["start"])?;
    let mut slowest = Duration::ZERO;
    let starts = || {
        let text = std::fs::read(place.path().join("starts")).unwrap_or_default();
        text.len()
    };
    let time = order.pick(Duration::from_secs(8), Duration::from_secs(45));
    while begun.elapsed() < time {
        slowest = slowest.max(place.ok(&["status", "-o", "json"])?.took);
        crate::wait::pass(Duration::from_millis(200));
    }
    let (made, seconds) = (starts(), begun.elapsed().as_secs() + 1);
    // Once by `start`, once more at once; from then on all together twenty at once and ten a second.
    let allowed = 2 * count + 20 + 10 * usize::try_from(seconds).unwrap_or(0);
    promise(made <= allowed, "starts stay within the budget", || {
        format!("{made} of {allowed}")
    })?;
    promise(
        slowest < Duration::from_secs(2),
        "the daemon answers meanwhile",
        || format!("{slowest:?}"),
    )?;
    place.ok(&["stop"])?;
    nothing_leaks(&place)?;
    place.finish()?;
    Ok(format!(
        "{count} services, {made} starts of {allowed} allowed in {seconds} s, slowest answer {} ms",
        slowest.as_millis()
    ))
}

/// Probes that never answer.
pub(crate) fn probes(order: &Order) -> Result<String, Fault> {
    let count = 20;
    let service = |number: usize| {
        format!(
            "  p{number}: {{type: process, command: [FIXTURE, hold], readiness: {{command: \"echo >> asked; sleep 1000 & sleep 1000\", timeout: 200ms, start_interval: 100ms}}}}\n"
        )
    };
    let services: String = (0..count).map(service).collect();
    let place = Place::new(&format!("name: storm\nservices:\n{services}"))?;
    place.ok(&["start"])?;
    let wanted = order.pick(100, 1000);
    let mut most = 0;
    let asked = until(Duration::from_secs(120), "that many probes hang", || {
        let sleeping = proc::all()
            .iter()
            .filter(|process| process.command == "sleep 1000")
            .count();
        most = most.max(sleeping);
        let asked = std::fs::read(place.path().join("asked"))
            .unwrap_or_default()
            .len();
        Ok(if asked >= wanted {
            Look::Holds(asked)
        } else {
            Look::NotYet(asked.to_string())
        })
    })?;
    promise(most <= 2 * count, "one probe of a unit at a time", || {
        format!("{most} sleep")
    })?;
    place.ok(&["stop"])?;
    let left: Vec<String> = proc::all()
        .iter()
        .filter(|process| process.command.contains("sleep"))
        .map(proc::Process::described)
        .collect();
    promise(left.is_empty(), "no probe outlives its unit", || {
        left.join(", ")
    })?;
    nothing_leaks(&place)?;
    place.finish()?;
    Ok(format!(
        "{asked} probes timed out, at most {most} processes of them at a time, none left"
    ))
}

/// Starts and stops.
pub(crate) fn cycles(order: &Order) -> Result<String, Fault> {
    let count = 50;
    let service =
        |number: usize| format!("  s{number}: {{type: process, command: [FIXTURE, hold]}}\n");
    let services: String = (0..count).map(service).collect();
    let place = Place::new(&format!("name: cycles\nservices:\n{services}"))?;
    let daemon = place.daemon_up()?;
    let rounds = order.pick(8, 200);
    let mut before = None;
    for round in 0..rounds {
        place.ok(&["start", "--wait"])?;
        place.ok(&["stop"])?;
        // What is filled once is filled by then.
        if round == 3.max(rounds / 4) {
            before = Some(Size::of(daemon));
        }
    }
    let (before, after) = (before.unwrap_or_else(|| Size::of(daemon)), Size::of(daemon));
    promise(
        place.daemon()? == Some(daemon),
        "it is one daemon all the time",
        String::new,
    )?;
    after.is_as(&before)?;
    nothing_leaks(&place)?;
    place.finish()?;
    Ok(format!(
        "{} cycles: {before} before, {after} after",
        rounds * count
    ))
}

/// Lines.
pub(crate) fn lines(order: &Order) -> Result<String, Fault> {
    let count: u64 = order.pick(200_000, 1_000_000);
    let place = Place::new(&format!(
        "\
name: lines
services:
  a: {{type: process, command: [PLAYER, writer, --count, \"{count}\"], restart: \"no\", log: {{max_size: 256MiB}}}}
"
    ))?;
    let daemon = place.daemon_up()?;
    let before = Size::of(daemon);
    let begun = Instant::now();
    place.ok(&["start", "--wait"])?;
    place.until_unit_within(Duration::from_secs(120), "a", "done", |unit| {
        unit.state() == "done"
    })?;
    let took = begun.elapsed();
    let after = Size::of(daemon);
    let lines = place.exact("a")?;
    promise(lines == count, "every line is kept", || lines.to_string())?;
    after.is_as(&before)?;
    place.finish()?;
    Ok(format!(
        "{lines} lines in {} ms: {before} before, {after} after",
        took.as_millis()
    ))
}

/// How large a daemon is.
struct Size {
    anonymous_kib: u64,
    descriptors: usize,
    threads: usize,
}

impl Size {
    fn of(daemon: u32) -> Self {
        // Threads that wait for work end by themselves after a moment.
        let settled = until(
            Duration::from_secs(5),
            "its idle threads have ended",
            || {
                let before = proc::threads(daemon);
                crate::wait::pass(Duration::from_millis(700));
                Ok(crate::wait::seen(proc::threads(daemon) == before, &before))
            },
        );
        // Busy all the time, it is as large as it is.
        drop(settled);
        Self {
            anonymous_kib: proc::anonymous_kib(daemon),
            descriptors: proc::descriptors(daemon),
            threads: proc::threads(daemon),
        }
    }

    fn is_as(&self, before: &Self) -> Result<(), Fault> {
        let holds = self.anonymous_kib <= before.anonymous_kib * 5 / 4 + 4096
            && self.descriptors <= before.descriptors + 4
            // Threads for work that blocks come and go.
            && self.threads <= before.threads + 32;
        promise(
            holds,
            "memory, descriptors and threads stay where they were",
            || format!("{before} before, {self} after"),
        )
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            anonymous_kib,
            descriptors,
            threads,
        } = self;
        write!(
            f,
            "{anonymous_kib} KiB, {descriptors} descriptors, {threads} threads"
        )
    }
}
