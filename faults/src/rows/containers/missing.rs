//! Images and engines that are not there.

use super::engine::is_away;
use super::stage::Stage;
use crate::fault::{Fault, promise};
use crate::proxy::Proxy;
use crate::row::Order;
use crate::talk::Ends;

/// What is missing is said, with an exit code; what is there again is used without being asked.
pub(crate) fn missing(_order: &Order) -> Result<String, Fault> {
    let mut stage = Stage::new(SERVICES)?;
    let proxy = Proxy::new(stage.place.path())?;
    stage.place.set("DOCKER_HOST", proxy.address());
    refused(&stage, "never", "pull: never")?;
    refused(&stage, "remote", "127.0.0.1:1")?;
    // The image comes: the next order starts it.
    stage
        .engine
        .docker(&["tag", "harness-test/busybox", "harness-test/not-there"])?;
    stage.place.ok(&["start", "--wait", "never"])?;
    stage.place.ok(&["stop"])?;
    stage.sound()?;
    let said = engine(&stage, &proxy)?;
    let lines = stage.finish(&["a", "brief"], &Ends::Whole)?;
    Ok(format!(
        "2 images missing, one of them found later; without an engine: {said}; {lines} lines exact"
    ))
}

/// `start` says why, and so does the state that it leaves.
fn refused(stage: &Stage, unit: &str, why: &str) -> Result<(), Fault> {
    let run = stage.place.run(&["start", "--wait", unit])?;
    promise(
        run.code == 1 && run.stderr.contains(why),
        &format!("`start {unit}` fails and says `{why}`"),
        || format!("{}: {}", run.code, run.stderr),
    )?;
    let known = stage.place.unit(unit)?;
    let reason = known.0["reason"].as_str().unwrap_or_default();
    promise(
        reason.contains(why) && !known.is_up(),
        "its state has the reason",
        || known.0.to_string(),
    )?;
    stage.place.ok(&["stop", unit])?;
    stage.sound()
}

/// No engine at `start`; then one; then none under a running container; then one again.
fn engine(stage: &Stage, proxy: &Proxy) -> Result<String, Fault> {
    let place = &stage.place;
    proxy.close()?;
    let run = place.run(&["start", "--wait", "--wait-timeout", "2s", "once"])?;
    let said = run.stderr.trim().to_owned();
    promise(
        run.code != 0 && said.contains("engine.sock"),
        "`start` without an engine says where none answers, and waits as long as it may",
        || format!("{}: {said}", run.code),
    )?;
    let once = place.unit("once")?;
    promise(
        once.state() == "starting" && once.0["restarts"] == 0,
        "it waits, and nothing counts as a failure",
        || once.0.to_string(),
    )?;
    place.ok(&["stop", "once"])?;
    // It waits for what comes of it, as a user would.
    let mut waiting = place.spawn(&["start", "--wait", "a"])?;
    place.until_unit("a", "waiting for an engine, with the reason", |unit| {
        let reason = unit.0["reason"].as_str().unwrap_or_default();
        unit.state() == "starting" && reason.contains("engine.sock")
    })?;
    proxy.open()?;
    place.until_unit("a", "started by itself once an engine is there", |unit| {
        unit.is_up() && unit.0["ready"] == true && unit.0["restarts"] == 0
    })?;
    let waited = waiting.wait().map_err(Fault::io("await", place.path()))?;
    promise(waited.success(), "who waited for it is told", || {
        waited.to_string()
    })?;
    stage.until_more("a")?;
    let before = stage.container("a")?;
    place.ok(&["start", "--wait", "brief"])?;
    let brief = stage.container("brief")?;
    proxy.close()?;
    place.until_unit("a", "out of reach", is_away)?;
    stage.engine.docker(&["wait", &brief])?;
    proxy.open()?;
    let brief = place.until_unit("brief", "known to have ended", |unit| {
        !unit.is_up() && unit.is_settled()
    })?;
    promise(
        brief.state() == "done" && brief.0["exit_code"] == 0,
        "what ended well out of reach is done",
        || brief.0.to_string(),
    )?;
    place.until_unit("a", "in reach again", |unit| !is_away(unit) && unit.is_up())?;
    promise(
        stage.container("a")? == before,
        "what was out of reach is the same",
        || before.clone(),
    )?;
    stage.sound()?;
    let mut lines = said.lines().map(str::trim);
    let why = lines.find(|line| line.contains("engine.sock"));
    Ok(format!("`{}`", why.unwrap_or_default()))
}

const SERVICES: &str = "  \
  a: {TALKER, command: [--rate, \"200\"], restart: {policy: on-failure, backoff: {initial: 50ms, max: 500ms}, crash_loop: {limit: 100, window: 1m}}}
  once: {TALKER, command: [--rate, \"200\"], profiles: [once], restart: \"no\"}
  brief: {TALKER, command: [--rate, \"20\", --count, \"60\"], restart: {policy: on-failure}, profiles: [brief]}
  never: {type: docker, image: harness-test/not-there, pull: never, command: [sleep, \"1000\"], profiles: [n], restart: \"no\", stop: {grace: 100ms}}
  remote: {type: docker, image: \"127.0.0.1:1/none/none:1\", command: [sleep, \"1000\"], profiles: [r], restart: \"no\"}
";
