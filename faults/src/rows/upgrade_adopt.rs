//! Services that an earlier build of the programs has started, under the present build.
//!
//! Owns: the way there and what has to be the same behind it. The earlier build is of the commit in `faults/base-commit`.

use crate::fault::{Fault, promise};
use crate::invariants::{Acknowledged, Checker};
use crate::place::Place;
use crate::row::Order;
use crate::wait::{PATIENCE, until_true};

/// By `daemon restart` of the present program, and once more with the earlier daemon killed.
pub(crate) fn adopt(_: &Order) -> Result<String, Fault> {
    let asked = across(|place| {
        let told = place.ok(&["daemon", "restart", "-o", "json"])?.json()?;
        promise(
            told["taken_over"] == 5,
            "the present daemon takes over what the earlier one ran",
            || told.to_string(),
        )
    })?;
    let killed = across(|place| place.kill_daemon())?;
    Ok(format!(
        "5 services each after `daemon restart` and `kill -9`; {asked} and {killed} lines exact"
    ))
}

fn across(replace: impl Fn(&Place) -> Result<(), Fault>) -> Result<u64, Fault> {
    let mut place = Place::new(STACK)?;
    let mut checker = Checker::new(&place, &["a", "b"])?;
    place.downgrade()?;
    place.ok(&["start", "--wait"])?;
    let before = processes(&place)?;
    place.upgrade();
    replace(&place)?;
    let after = processes(&place)?;
    promise(after == before, "they are the same processes", || {
        format!("{before:?}, then {after:?}")
    })?;
    for unit in ALL {
        let adopted = place.count_events(unit, "service_adopted")?;
        promise(adopted == 1, "each take-over is told of", || {
            format!("{unit}: {adopted}")
        })?;
    }
    checker.check(&place, Acknowledged::Up(&["a", "b"]))?;
    // What an earlier shim sees of an end is understood.
    place.write("leave", "")?;
    until_true(PATIENCE, "the end that was to come is known", || {
        place
            .unit("leaves")
            .is_ok_and(|unit| unit.0["exit_code"] == 7 && unit.state() == "failed")
    })?;
    place.ok(&["signal", "dies", "SIGKILL"])?;
    until_true(PATIENCE, "so is the one by a signal", || {
        place.unit("dies").is_ok_and(|unit| unit.0["signal"] == 9)
    })?;
    // So is what the present daemon says to an earlier shim.
    place.ok(&["restart", "b", "--wait"])?;
    promise(
        place.pid("b")? != before[1] && place.pid("a")? == before[0],
        "only what is restarted is another process",
        String::new,
    )?;
    place.ok(&["stop", "a", "b"])?;
    let lines = place.exact_and_shown("a")? + place.exact_and_shown("b")?;
    place.ok(&["stop", "--timeout", "500ms"])?;
    let deaf = place.unit("deaf")?;
    promise(
        deaf.state() == "idle" && deaf.0["signal"] == 9,
        "a deaf one is killed when its grace is over",
        || deaf.0.to_string(),
    )?;
    checker.check(&place, Acknowledged::Down(&ALL))?;
    place.ok(&["audit", "--verify"])?;
    place.finish()?;
    Ok(lines)
}

fn processes(place: &Place) -> Result<Vec<u32>, Fault> {
    ALL.iter().map(|unit| place.pid(unit)).collect()
}

const ALL: [&str; 5] = ["a", "b", "deaf", "dies", "leaves"];

const STACK: &str = "\
name: earlier
services:
  a: {type: process, command: [PLAYER, writer, --rate, \"500\"]}
  b: {type: process, command: [PLAYER, writer, --rate, \"500\"], dependencies: [a], log: {max_size: 64KiB, max_files: 50}}
  deaf: {type: process, command: [FIXTURE, ignore-term], stop: {grace: 60s}}
  dies: {type: process, command: [/bin/sh, -c, \"exec sleep 1000\"], restart: \"no\"}
  leaves: {type: process, command: [/bin/sh, -c, \"until [ -e leave ]; do sleep 0.02; done; exit 7\"], restart: \"no\"}
";
