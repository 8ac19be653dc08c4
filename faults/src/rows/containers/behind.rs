//! Containers that others remove, stop, kill and pause.

use super::stage::Stage;
use crate::asked::Unit;
use crate::fault::{Fault, promise};
use crate::row::Order;
use crate::talk::Ends;

/// Each has a state and a reason; what is to be restarted is.
pub(crate) fn removed(_order: &Order) -> Result<String, Fault> {
    let stage = Stage::new(SERVICES)?;
    stage.place.ok(&["start", "--wait"])?;
    let mut said = Vec::new();
    for (words, code) in BEHIND {
        let say = |fault: Fault| fault.at(format!("docker {}", words.join(" ")));
        let unit = once(&stage, words, *code).map_err(say)?;
        stage.sound().map_err(say)?;
        if let Some(reason) = unit.0["reason"].as_str() {
            said.push(format!("{}: {reason}", words[0]));
        }
    }
    paused(&stage)?;
    unseen(&stage)?;
    // Removed while it is stopped by order: that is its end, and no error.
    let lines = stage.finish(&["kept"], &Ends::Whole)?;
    Ok(format!(
        "{} ways and `pause`; {lines} lines exact; {}",
        BEHIND.len(),
        said.join("; ")
    ))
}

/// What others do, and the exit code that the engine knows then.
const BEHIND: &[(&[&str], Option<i64>)] = &[
    (&["rm", "--force"], Some(137)),
    (&["stop", "--time=0"], Some(137)),
    (&["kill"], Some(137)),
    (&["kill", "--signal=KILL"], Some(137)),
];

/// Removed while nobody looks: that is said. What it wrote meanwhile went with it, so it is the one whose lines are not counted.
fn unseen(stage: &Stage) -> Result<(), Fault> {
    let place = &stage.place;
    place.ok(&["start", "--wait"])?;
    let container = stage.container("once")?;
    place.kill_daemon()?;
    stage.engine.docker(&["rm", "--force", &container])?;
    let once = place.until_unit("once", "known to have ended", |unit| {
        !unit.is_up() && unit.is_settled()
    })?;
    let reason = once.0["reason"].as_str().unwrap_or_default();
    promise(
        reason.contains("removed while the daemon did not run"),
        "a removal that nobody saw is named",
        || once.0.to_string(),
    )
}

/// Does it to one that is restarted and to one that is not. The latter afterwards, started again.
fn once(stage: &Stage, words: &[&str], code: Option<i64>) -> Result<Unit, Fault> {
    let (place, engine) = (&stage.place, stage.engine);
    let before = stage.containers(&["kept", "once"])?;
    let restarts = place.unit("kept")?.0["restarts"].clone();
    let mut words = words.to_vec();
    words.extend(before.iter().map(String::as_str));
    engine.docker(&words)?;
    place.until_unit("kept", "restarted by its policy", |unit| {
        unit.is_up() && unit.0["ready"] == true && unit.0["restarts"] != restarts
    })?;
    stage.until_more("kept")?;
    let once = place.until_unit("once", "known to have ended", |unit| {
        !unit.is_up() && unit.is_settled()
    })?;
    let is_told = match code {
        // The engine's event may come after it is asked: then it is unknown, and never invented.
        Some(code) => once.0["exit_code"] == code || once.0["exit_unknown"] == true,
        None => true,
    };
    promise(
        is_told && once.state() == "failed",
        "its end has a state, and a code that is right or unknown",
        || once.0.to_string(),
    )?;
    place.ok(&["start", "--wait", "once"])?;
    Ok(once)
}

/// `stop` ends one that somebody has paused.
fn paused(stage: &Stage) -> Result<(), Fault> {
    let (place, engine) = (&stage.place, stage.engine);
    let before = stage.containers(&["kept", "once"])?;
    let mut words = vec!["pause"];
    words.extend(before.iter().map(String::as_str));
    engine.docker(&words)?;
    promise(
        stage.containers(&["kept", "once"])? == before,
        "a paused container has not ended",
        || place.daemon_log(),
    )?;
    for name in ["kept", "once"] {
        let unit = place.until_unit(name, "not ready, with the reason", |unit| {
            unit.0["ready"] == false && unit.0["reason"] == "paused"
        })?;
        promise(
            unit.0["health"] == "unhealthy",
            "a paused container is unhealthy",
            || unit.0.to_string(),
        )?;
    }
    words[0] = "unpause";
    engine.docker(&words)?;
    for name in ["kept", "once"] {
        place.until_unit(name, "ready again", |unit| unit.0["ready"] == true)?;
    }
    words[0] = "pause";
    engine.docker(&words)?;
    place.ok(&["stop"])?;
    stage.sound()?;
    place.ok(&["start", "--wait"])?;
    Ok(())
}

const SERVICES: &str = "  \
  kept: {TALKER, command: [--rate, \"200\"], restart: {policy: always, backoff: {initial: 50ms, max: 200ms}, crash_loop: {limit: 100, window: 1m}}}
  once: {TALKER, command: [--rate, \"200\"], restart: \"no\"}
";
