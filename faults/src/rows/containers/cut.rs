//! The way to the engine cut again and again, at random.

use std::time::{Duration, Instant};

use super::stage::Stage;
use crate::chance::Chance;
use crate::fault::{Fault, promise};
use crate::proxy::Proxy;
use crate::row::Order;
use crate::talk::Ends;
use crate::wait::pass;

/// Streams of events and of output, and whatever else is under way: no line is lost, and nothing is started again.
pub(crate) fn cut(order: &Order) -> Result<String, Fault> {
    let mut stage = Stage::new(SERVICES)?;
    let proxy = Proxy::new(stage.place.path())?;
    stage.place.set("DOCKER_HOST", proxy.address());
    let place = &stage.place;
    place.ok(&["start", "--wait"])?;
    let before = stage.containers(&WRITERS)?;
    let mut chance = Chance::new(order.seed);
    let time = Duration::from_secs(order.pick(8, 30));
    let begun = Instant::now();
    let mut cuts = 0;
    while begun.elapsed() < time {
        cuts += proxy.cut(NAMED[chance.below(NAMED.len())]);
        pass(Duration::from_millis(20 + chance.below(400) as u64));
    }
    promise(
        stage.containers(&WRITERS)? == before,
        "nothing is started again",
        || format!("{before:?}"),
    )?;
    for writer in WRITERS {
        stage.until_more(writer)?;
    }
    let mut talkers = WRITERS.to_vec();
    place.ok(&["start", "mayfly"])?;
    proxy.cut("");
    let mayfly = place.until_unit("mayfly", "known to have ended", |unit| {
        !unit.is_up() && unit.is_settled()
    })?;
    promise(mayfly.0["exit_code"] == 7, "its exit is known", || {
        mayfly.0.to_string()
    })?;
    talkers.push("mayfly");
    let lines = stage.finish(&talkers, &Ends::Whole)?;
    promise(cuts > 0, "something was cut", String::new)?;
    Ok(format!(
        "{cuts} connections cut in {} s; {lines} lines, none lost, doubled or torn; nothing started again",
        time.as_secs()
    ))
}

/// Streams more often than all at once.
const NAMED: [&str; 4] = ["/events", "/logs", "/logs", ""];

const WRITERS: [&str; 3] = ["a", "b", "c"];

const SERVICES: &str = "  \
  a: {TALKER, command: [--rate, \"1000\"]}
  b: {TALKER, command: [--rate, \"300\"]}
  c: {TALKER, command: [--rate, \"50\"]}
  mayfly: {TALKER, command: [--rate, \"200\", --count, \"20\", --exit, \"7\"], restart: \"no\", profiles: [short]}
";
