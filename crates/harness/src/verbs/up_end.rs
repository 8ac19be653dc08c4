//! When `up` is over before somebody interrupts it, and what it exits with.
//!
//! Owns: what counts as the end of a unit, and of all of them. Stops nothing.

use std::collections::BTreeSet;

use harness_core::HarnessClient;
use harness_core::client::ClientError;
use harness_core::protocol::{SubscribeParams, WaitGoal, WaitParams, WaitResult};
use harness_core::report::{StackStatus, UnitStatus};
use harness_core::spec::{StackName, StackSpec};

use super::foreground::Foreground;
use super::run_task::exit_code;
use super::stop::unit_list;
use crate::context::Context;
use crate::failure::Failure;
use crate::outcome::{Asked, report};
use crate::units::{base, selected};

/// What ends `up`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Until {
    /// Nothing runs or will by itself.
    Over,
    /// This one does not run any more and will not by itself.
    Ended(String),
    /// One has failed for good.
    Failed,
}

/// Looks whenever something happens, until the end is there. Answers with the unit that brought it, if one did.
///
/// # Errors
/// When the daemon cannot be asked.
pub(super) async fn reached(
    client: &HarnessClient,
    stack: &StackName,
    units: &[String],
    until: &Until,
) -> Result<Option<String>, ClientError> {
    let params = SubscribeParams {
        stack: Some(stack.clone()),
        ..SubscribeParams::default()
    };
    let mut events = client.events(params).await?;
    loop {
        if let Some(by) = ended(&client.status(stack).await?, units, until) {
            return Ok(by);
        }
        match events.next().await {
            Some(event) => drop(event?),
            None => return Ok(None),
        }
    }
}

/// Whether that is the end, and which unit brought it.
fn ended(status: &StackStatus, units: &[String], until: &Until) -> Option<Option<String>> {
    if status.storage.is_some() {
        return None;
    }
    let ours = || {
        let mut all = status.items.iter();
        std::iter::from_fn(move || all.find(|unit| units.contains(&unit.name)))
    };
    let is_over = || ours().all(is_at_rest).then_some(None);
    match until {
        Until::Over => is_over(),
        Until::Ended(name) => {
            let named = || ours().filter(|unit| base(&unit.name) == name);
            // Of several instances the one that ended badly counts.
            let counts = named()
                .find(|unit| exit_code(unit) != Some(0))
                .or_else(|| named().next());
            let is_over = named().all(|unit| is_stuck(status, unit, &mut BTreeSet::new()));
            is_over.then(|| counts.map(|unit| unit.name.clone()))
        }
        Until::Failed => {
            let failed = ours().find(|unit| unit.state == "failed");
            let failed = failed.map(|unit| Some(unit.name.clone()));
            failed.or_else(is_over)
        }
    }
}

fn is_at_rest(unit: &UnitStatus) -> bool {
    match unit.state.as_str() {
        "done" | "failed" | "held" => true,
        // What waits for others, all of which are at rest, waits for ever.
        "idle" => unit.waiting_for.iter().all(|what| what.unit.is_some()),
        _ => false,
    }
}

/// Whether this one will not move by itself, though others may: it has ended, or what it waits for will not come.
fn is_stuck<'a>(
    status: &'a StackStatus,
    unit: &'a UnitStatus,
    seen: &mut BTreeSet<&'a str>,
) -> bool {
    if unit.state != "idle" || unit.waiting_for.is_empty() {
        return is_at_rest(unit);
    }
    // In a circle nobody begins; there is none in a stack that was accepted.
    if !seen.insert(&unit.name) {
        return true;
    }
    let awaited = unit
        .waiting_for
        .iter()
        .filter_map(|what| what.unit.as_deref());
    let mut awaited = awaited.filter_map(|name| {
        status
            .items
            .iter()
            .find(|other| base(&other.name) == base(name))
    });
    awaited.any(|other| is_stuck(status, other, seen))
}

/// What `up` exits with that ends before its units, said before they are stopped.
///
/// # Errors
/// How the unit ended that brought the end, if that was not well; or when the daemon cannot be asked.
pub(super) async fn judge(
    foreground: &Foreground<'_>,
    stack: &StackSpec,
    until: &Until,
    by: Option<&str>,
) -> Result<(), Failure> {
    let (context, client) = (foreground.context, foreground.client);
    let status = client.status(&stack.name).await?;
    let by = by.and_then(|name| status.items.iter().find(|unit| unit.name == name));
    let Some(unit) = by else {
        return tell(context, client, stack, &foreground.units).await;
    };
    // What waits for ever keeps the exit code of the time before.
    let has_run = unit.stopped_at.is_some() && unit.waiting_for.is_empty();
    match exit_code(unit).filter(|_| has_run) {
        Some(0) if *until != Until::Failed => {
            context.tell(&format!("{}: {} has ended well", stack.name, unit.name));
            Ok(())
        }
        Some(exit_code) if exit_code > 0 => {
            let how = format!("{} ended with exit code {exit_code}", unit.name);
            context.tell(&format!("{}: {how}", stack.name));
            Err(Failure::Ended { exit_code })
        }
        // It never ran, or failed in another way than by its end.
        _ => tell(context, client, stack, &foreground.units).await,
    }
}

/// Says how it ended, all of it by itself.
///
/// # Errors
/// What failed, if something did; or when the daemon cannot be asked.
pub(super) async fn tell(
    context: &Context,
    client: &HarnessClient,
    stack: &StackSpec,
    units: &[String],
) -> Result<(), Failure> {
    let name = &stack.name;
    let status = client.status(name).await?;
    let ended = selected(&status, units)?;
    let is_bad = |unit: &&&UnitStatus| unit.state == "failed" || !unit.waiting_for.is_empty();
    let bad = ended.iter().filter(is_bad);
    let bad: Vec<String> = bad.map(|unit| base(&unit.name).to_owned()).collect();
    if bad.is_empty() {
        context.tell(&format!("{name}: everything has ended"));
        return Ok(());
    }
    let wait = WaitParams {
        stack: name.clone(),
        units: unit_list(name, &bad)?,
        goal: WaitGoal::Ready,
        any: false,
        ordered_down: false,
    };
    match client.wait(&wait).await? {
        WaitResult::Reached => Ok(()),
        WaitResult::Never(blocked) => {
            let spec = Some(stack);
            let asked = Asked { stack: name, spec };
            Err(report(context, client, asked, &blocked, FAILED).await?)
        }
    }
}

const FAILED: u8 = 1;

#[cfg(test)]
mod tests {
    use harness_core::report::WaitingFor;

    use super::*;
    use crate::render::sample;

    #[test]
    fn it_is_over_when_nothing_moves_by_itself() {
        let mut status = sample::stack();
        status.storage = None;
        for unit in &mut status.items {
            unit.state = "done".to_owned();
            unit.waiting_for.clear();
        }
        let units: Vec<String> = status.items.iter().map(|unit| unit.name.clone()).collect();
        let is_over =
            |status: &StackStatus, units: &[String]| ended(status, units, &Until::Over).is_some();
        assert!(is_over(&status, &units));
        let waits = |unit: Option<&str>| WaitingFor {
            unit: unit.map(str::to_owned),
            reason: "it waits".to_owned(),
        };
        status.items[0].state = "idle".to_owned();
        status.items[0].waiting_for = vec![waits(Some("db"))];
        assert!(is_over(&status, &units), "it waits for what is at rest");
        status.items[0].waiting_for = vec![waits(None)];
        assert!(!is_over(&status, &units), "it waits for a time");
        status.items[0].state = "backoff".to_owned();
        assert!(!is_over(&status, &units));
        assert!(is_over(&status, &units[1..]), "others do not matter");
    }

    #[test]
    fn one_that_ends_or_fails_may_end_all() {
        let mut status = sample::stack();
        status.storage = None;
        for unit in &mut status.items {
            unit.state = "ready".to_owned();
            unit.waiting_for.clear();
        }
        let units: Vec<String> = status.items.iter().map(|unit| unit.name.clone()).collect();
        let first = units[0].clone();
        let of_first = Until::Ended(base(&first).to_owned());
        assert_eq!(ended(&status, &units, &of_first), None);
        assert_eq!(ended(&status, &units, &Until::Failed), None);
        status.items[0].state = "idle".to_owned();
        status.items[0].waiting_for = vec![WaitingFor {
            unit: Some(units[1].clone()),
            reason: "it waits".to_owned(),
        }];
        status.items[1].state = "starting".to_owned();
        assert_eq!(ended(&status, &units, &of_first), None, "it will begin");
        status.items[1].state = "failed".to_owned();
        assert!(ended(&status, &units, &of_first).is_some(), "it never will");
        status.items[1].state = "ready".to_owned();
        status.items[0].waiting_for.clear();
        status.items[0].state = "done".to_owned();
        let by_first = Some(Some(first));
        assert_eq!(ended(&status, &units, &of_first), by_first);
        assert_eq!(
            ended(&status, &units, &Until::Failed),
            None,
            "it has not failed"
        );
        status.items[0].state = "failed".to_owned();
        assert_eq!(ended(&status, &units, &Until::Failed), by_first);
        assert_eq!(ended(&status, &units, &Until::Over), None, "others run");
    }
}
