//! A wall clock that jumps.
//!
//! Owns: the jumps, by libfaketime and a file that it reads at every look. The monotonic clock goes on as it is, as it does
//! when somebody sets the time of a machine.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::fault::{Fault, promise};
use crate::place::Place;
use crate::proc;
use crate::row::Order;
use crate::wait::pass;

/// An hour, and ten years, there and back.
pub(crate) fn jumps(_: &Order) -> Result<String, Fault> {
    let mut place = Place::new(STACK)?;
    let file = place.path().join("clock");
    let set = |jump: &str| fs::write(&file, format!("{jump}\n")).map_err(Fault::io("write", &file));
    set("+0")?;
    place.set("LD_PRELOAD", library()?.display().to_string());
    place.set("FAKETIME_TIMESTAMP_FILE", file.display().to_string());
    place.set("FAKETIME_NO_CACHE", "1");
    place.set("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    place.ok(&["start", "--wait"])?;
    let steady = place.pid("steady")?;
    let mut slowest = Duration::ZERO;
    for jump in ["+3600", "-3600", "+0"] {
        set(jump)?;
        let place_of = |fault: Fault| fault.at(format!("clock {jump} s"));
        let asked = asked(&place);
        // The time itself is what is tried: probes every 200 ms, timeouts that do not come.
        pass(Duration::from_millis(900));
        let more = self::asked(&place) - asked;
        promise(
            (2..=8).contains(&more),
            "probes keep their interval",
            || format!("{more} in 0.9 s"),
        )
        .map_err(place_of)?;
        let unit = place.unit("steady").map_err(place_of)?;
        promise(
            unit.pid() == Some(steady),
            "nothing is restarted by a clock",
            || unit.0.to_string(),
        )
        .map_err(place_of)?;
        promise(
            unit.0["health"] == "healthy",
            "nothing becomes unhealthy by a clock",
            || unit.0.to_string(),
        )
        .map_err(place_of)?;
        // A grace of half a second is one by any clock.
        place.ok(&["start", "deaf", "--wait"]).map_err(place_of)?;
        let begun = Instant::now();
        place.ok(&["stop", "deaf"]).map_err(place_of)?;
        let took = begun.elapsed();
        slowest = slowest.max(took);
        let is_right = (Duration::from_millis(450)..Duration::from_secs(4)).contains(&took);
        promise(is_right, "a grace lasts what it says", || {
            format!("{took:?}")
        })
        .map_err(place_of)?;
        // Backoff, too: restarted at once the first time, whatever the clock says.
        let crasher = place.pid("crasher").map_err(place_of)?;
        proc::kill(crasher);
        place
            .until_unit("crasher", "restarted", |unit| {
                unit.pid().is_some_and(|pid| pid != crasher)
            })
            .map_err(place_of)?;
    }
    for jump in ["+315360000", "-315360000", "+315360000", "+0"] {
        set(jump)?;
        let place_of = |fault: Fault| fault.at(format!("clock {jump} s"));
        let asked = asked(&place);
        // By this clock no certificate is valid any more, or yet: the daemon makes new ones for whoever owns its files.
        let unit = place.unit("steady").map_err(place_of)?;
        promise(
            unit.pid() == Some(steady) && unit.0["health"] == "healthy",
            "the owner is answered, and nothing is restarted by a clock",
            || unit.0.to_string(),
        )
        .map_err(place_of)?;
        pass(Duration::from_millis(900));
        let more = self::asked(&place) - asked;
        promise(
            (2..=8).contains(&more),
            "probes keep their interval",
            || format!("{more} in 0.9 s"),
        )
        .map_err(place_of)?;
        place.ok(&["restart", "deaf"]).map_err(place_of)?;
    }
    set("+0")?;
    promise(
        place.pid("steady")? == steady,
        "nothing is restarted by a clock",
        String::new,
    )?;
    let restarts = place.unit("crasher")?.0["restarts"].as_u64().unwrap_or(0);
    promise(restarts <= 6, "no storm of restarts", || {
        restarts.to_string()
    })?;
    place.finish()?;
    Ok(format!(
        "7 jumps: one process, probes on time, every command answered, slowest 0.5 s grace {} ms",
        slowest.as_millis()
    ))
}

fn asked(place: &Place) -> usize {
    fs::read(place.path().join("asked"))
        .unwrap_or_default()
        .len()
}

fn library() -> Result<PathBuf, Fault> {
    let entries = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let mut candidates: Vec<PathBuf> = entries
        .map(|entry| entry.path().join("faketime/libfaketimeMT.so.1"))
        .collect();
    candidates.push("/usr/lib/faketime/libfaketimeMT.so.1".into());
    candidates
        .into_iter()
        .find(|path| path.is_file())
        .ok_or_else(|| Fault::Missing {
            what: "libfaketimeMT.so.1".to_owned(),
            advice: "run `cargo xtask setup`",
        })
}

const STACK: &str = "\
name: clock
services:
  steady:
    type: process
    command: [FIXTURE, hold]
    startup_timeout: 5s
    readiness: {command: \"echo >> asked\", interval: 200ms, timeout: 2s}
    liveness: {command: \"true\", interval: 200ms, timeout: 2s}
  crasher: {type: process, command: [FIXTURE, hold], restart: {policy: always, crash_loop: {limit: 100, window: 1m}}}
  deaf: {type: process, command: [FIXTURE, ignore-term], stop: {grace: 500ms}, restart: \"no\"}
";
