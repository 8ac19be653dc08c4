//! The daemon killed again and again while containers write.

use std::time::Duration;

use super::stage::Stage;
use crate::chance::Chance;
use crate::fault::{Fault, promise};
use crate::row::Order;
use crate::talk::Ends;
use crate::wait::pass;

/// Every line is kept, and an end that came while no daemon was there is known.
pub(crate) fn daemon(order: &Order) -> Result<String, Fault> {
    let stage = Stage::new(SERVICES)?;
    let place = &stage.place;
    place.ok(&["start", "--wait"])?;
    let before = stage.containers(&WRITERS)?;
    let kills = order.pick(6, 20);
    let mut chance = Chance::new(order.seed);
    for round in 0..kills {
        let say = |fault: Fault| fault.at(format!("kill {}", round + 1));
        place.ok(&["start", "mayfly"]).map_err(say)?;
        pass(Duration::from_millis(chance.below(120) as u64));
        place.kill_daemon().map_err(say)?;
        // The mayfly lives 100 ms: in some rounds it ends now.
        pass(Duration::from_millis(chance.below(300) as u64));
        let mayfly = place
            .until_unit("mayfly", "known to have ended", |unit| {
                !unit.is_up() && unit.is_settled()
            })
            .map_err(say)?;
        promise(mayfly.0["exit_code"] == 7, "its exit is known", || {
            mayfly.0.to_string()
        })
        .map_err(say)?;
        promise(
            stage.containers(&WRITERS).map_err(say)? == before,
            "containers notice nothing",
            || format!("{before:?}"),
        )
        .map_err(say)?;
        stage.sound().map_err(say)?;
    }
    let mut talkers = WRITERS.to_vec();
    talkers.push("mayfly");
    let lines = stage.finish(&talkers, &Ends::Whole)?;
    Ok(format!(
        "{kills} kills, as many exits known; {lines} lines on two outputs, none lost, doubled or torn"
    ))
}

const WRITERS: [&str; 4] = ["a", "b", "c", "d"];

const SERVICES: &str = "  \
  a: {TALKER, command: [--rate, \"1000\"]}
  b: {TALKER, command: [--rate, \"300\"]}
  c: {TALKER, command: [--rate, \"50\"]}
  d: {TALKER, command: [--rate, \"5\"]}
  mayfly: {TALKER, command: [--rate, \"200\", --count, \"20\", --exit, \"7\"], restart: \"no\", profiles: [short]}
";
