//! The engine killed, restarted, and one that leaves containers running while it is away.

use std::collections::BTreeMap;

use super::stage::Stage;
use crate::asked::Unit;
use crate::fault::{Fault, promise};
use crate::row::Order;
use crate::talk::Ends;
use crate::wait::{Look, PATIENCE, until};

/// While it is away that is said, and nothing is started; when it is back, containers are as their policy says.
pub(crate) fn engine(order: &Order) -> Result<String, Fault> {
    let stage = Stage::new(SERVICES)?;
    stage.place.ok(&["start", "--wait"])?;
    let rounds = order.pick(1, 4);
    let mut killed = BTreeMap::new();
    let mut reason = String::new();
    for _ in 0..rounds {
        for end in [End::Kill, End::Order] {
            killed.extend(under(&stage, end)?);
            reason = ended(&stage, end).map_err(|fault| fault.at(format!("{end:?}")))?;
        }
    }
    // From here on by an engine that leaves them running.
    stage.engine.stop()?;
    stage.engine.up(&["--live-restore"])?;
    restarted(&stage)?;
    for _ in 0..rounds {
        for end in [End::Order, End::Kill] {
            for instance in under(&stage, end)? {
                *killed.entry(instance.0).or_default() += 1;
            }
            survived(&stage, end).map_err(|fault| fault.at(format!("live-restore, {end:?}")))?;
        }
    }
    let away = done(&stage)?;
    let short = killed.len();
    killed.insert(away, 1);
    let lines = stage.finish(&["kept", "once", "brief"], &Ends::But(killed))?;
    Ok(format!(
        "{} ends of the engine, {} that containers survived; {lines} lines, none doubled or out of order, none missing but of {short} \
         attempts under which it was killed; meanwhile: {reason}",
        2 * rounds + 1,
        2 * rounds
    ))
}

/// The attempts under which it is killed.
fn under(stage: &Stage, end: End) -> Result<BTreeMap<String, u32>, Fault> {
    let mut killed = BTreeMap::new();
    if let End::Kill = end {
        for name in UNITS {
            let last = stage.place.account().attempts(name).pop();
            killed.extend(last.map(|attempt| (attempt, 1)));
        }
    }
    Ok(killed)
}

/// One that ends well while its engine is away, which leaves it alone, has ended well. The attempt: what it says
/// meanwhile is never seen by an engine of Docker.
fn done(stage: &Stage) -> Result<String, Fault> {
    let place = &stage.place;
    place.ok(&["start", "--wait", "brief"])?;
    let account = place.account();
    let attempts = account.attempts("brief");
    let told = || attempts.last().map_or(0, |attempt| account.told(attempt));
    until(PATIENCE, "brief has begun", || {
        Ok(crate::wait::seen(told() > 2, &told()))
    })?;
    stage.engine.stop()?;
    until(PATIENCE, "brief has said all", || {
        Ok(crate::wait::seen(told() == 60, &told()))
    })?;
    stage.engine.up(&["--live-restore"])?;
    let brief = place.until_unit("brief", "known to have ended", |unit| {
        !unit.is_up() && unit.is_settled()
    })?;
    promise(
        brief.state() == "done" && brief.0["exit_code"] == 0 && brief.0["restarts"] == 0,
        "what ended well while the engine was away is done",
        || brief.0.to_string(),
    )?;
    Ok(attempts.last().cloned().unwrap_or_default())
}

#[derive(Clone, Copy, Debug)]
enum End {
    Kill,
    Order,
}

impl End {
    fn end(self, stage: &Stage) -> Result<(), Fault> {
        match self {
            Self::Kill => stage.engine.kill(),
            Self::Order => stage.engine.stop(),
        }
    }
}

/// Ends an engine whose containers end with it, and starts it again. Why they were said to be out of reach.
fn ended(stage: &Stage, end: End) -> Result<String, Fault> {
    let before = stage.containers(&UNITS)?;
    end.end(stage)?;
    let reason = said(stage, &before)?;
    stage.engine.up(&[])?;
    restarted(stage)?;
    let now = stage.containers(&UNITS)?;
    promise(
        now == before,
        "a container that ended is started again",
        || format!("{now:?}"),
    )?;
    Ok(reason)
}

/// What is restarted by policy is, and the end of the other is known; it is started again.
fn restarted(stage: &Stage) -> Result<(), Fault> {
    let place = &stage.place;
    place.until_unit("kept", "restarted by its policy", |unit| {
        unit.is_up() && unit.0["ready"] == true && unit.0["restarts"] != 0
    })?;
    let once = place.until_unit("once", "known to have ended", |unit| {
        !unit.is_up() && unit.is_settled()
    })?;
    promise(
        once.0["exit_code"].is_number(),
        "the engine knows the exit code",
        || once.0.to_string(),
    )?;
    promise(
        !gives_engine_as_reason(&once),
        "what has ended is not said to be out of reach",
        || once.0.to_string(),
    )?;
    stage.sound()?;
    place.ok(&["start", "--wait", "once"])?;
    stage.until_more("kept")
}

/// Ends an engine whose containers go on, and starts it again.
fn survived(stage: &Stage, end: End) -> Result<(), Fault> {
    let before = stage.containers(&UNITS)?;
    end.end(stage)?;
    said(stage, &before)?;
    stage.engine.up(&["--live-restore"])?;
    until(PATIENCE, "they are in reach again", || {
        let status = stage.place.status()?;
        let away = status.units().into_iter().find(is_away);
        Ok(match away {
            None => Look::Holds(()),
            Some(unit) => Look::NotYet(unit.0.to_string()),
        })
    })?;
    promise(
        stage.containers(&UNITS)? == before,
        "containers that survived are the same",
        || format!("{before:?}"),
    )?;
    stage.sound()?;
    stage.until_more("kept")
}

/// Without an engine nothing has ended, and nothing is started. What is said of them.
fn said(stage: &Stage, before: &[String]) -> Result<String, Fault> {
    let mut reason = String::new();
    for name in UNITS {
        let unit = stage
            .place
            .until_unit(name, "out of reach, with a reason", is_away)?;
        reason = unit.0["reason"].as_str().unwrap_or_default().to_owned();
    }
    promise(
        stage.containers(&UNITS)? == before,
        "nothing has ended or is started while the engine is away",
        || format!("{before:?}"),
    )?;
    Ok(reason)
}

/// A unit that runs as far as anybody knows, with a reason why nobody does.
pub(super) fn is_away(unit: &Unit) -> bool {
    unit.is_up() && gives_engine_as_reason(unit)
}

fn gives_engine_as_reason(unit: &Unit) -> bool {
    let reason = unit.0["reason"].as_str().unwrap_or_default();
    reason.contains("the container engine at")
}

const UNITS: [&str; 2] = ["kept", "once"];

const SERVICES: &str = "  \
  kept: {TALKER, command: [--rate, \"200\"], restart: {policy: always, backoff: {initial: 50ms, max: 200ms}, crash_loop: {limit: 100, window: 1m}}}
  once: {TALKER, command: [--rate, \"200\"], restart: \"no\"}
  brief: {TALKER, command: [--rate, \"15\", --count, \"60\"], restart: {policy: on-failure}, profiles: [brief]}
";
