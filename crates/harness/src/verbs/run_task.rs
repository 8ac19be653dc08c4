//! `run` of a task itself: now, in the foreground.
//!
//! Owns: what its end means for whoever waits for it.

use chrono::Utc;
use futures_lite::future;
use harness_core::protocol::{LogParams, Mode, StartParams, WaitGoal, WaitParams, WaitResult};
use harness_core::report::UnitStatus;
use harness_core::{AutoStart, HarnessClient};

use super::definition::Definition;
use super::foreground::{End, Foreground};
use super::output::{Form, Output};
use super::{changes, orphans, task_input};
use crate::context::Context;
use crate::failure::Failure;
use crate::follow::Watch;
use crate::outcome::{Asked, report};

/// How it is meant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    /// What it needs is left alone.
    pub(super) no_deps: bool,
    /// It gets the input of a terminal, too.
    pub(super) input: bool,
}

/// Runs the one unit that is wanted, and waits for its end.
///
/// # Errors
/// [`Failure::Ended`] with its exit code, and whatever kept it from running.
pub(super) async fn run(
    definition: Definition,
    wish: Wish,
    context: &Context,
) -> Result<(), Failure> {
    let Definition {
        stack,
        units,
        secrets,
    } = definition;
    let client = context.client(AutoStart::Always).await?;
    let watch = Watch::new(context, &client, &stack.name).await?.silent();
    let input = task_input::open(&client, &stack.name, &units[0], wish.input).await?;
    let begun = Utc::now();
    let params = StartParams {
        stack: Box::new(stack.clone()),
        mode: Mode::Replace,
        units: units.clone(),
        no_deps: wish.no_deps,
        again: true,
        secrets,
    };
    let started = client.start(&params).await?;
    drop(params);
    changes::tell(context, &started);
    orphans::settle(context, &client, &stack, &started, false).await?;
    let task = units[0].to_string();
    let status = client.status(&stack.name).await?;
    let ran_before = |unit: &UnitStatus| unit.started_at.is_some_and(|from| from < begun);
    let mut running = status.items.iter().filter(|unit| unit.pid.is_some());
    if running.any(|unit| unit.name == task && ran_before(unit)) {
        let without = match input {
            Some(_) => ", without our standard input",
            None => "",
        };
        context.tell(&format!(
            "{task} runs already: this is the rest of it{without}"
        ));
    }
    let logs = LogParams {
        units: vec![task.clone()],
        since: Some(begun),
        ..LogParams::all(stack.name.clone())
    };
    let mut foreground = Foreground {
        context,
        client: &client,
        stack: &stack.name,
        units: vec![task.clone()],
        watch,
        output: Output::open(&client, logs, Form::own(context)).await?,
    };
    let wait = WaitParams {
        stack: stack.name.clone(),
        units,
        goal: WaitGoal::Completed,
        any: false,
        ordered_down: false,
    };
    let passing_on = async {
        task_input::pass_on(input, &task, context).await;
        unreachable!("it goes on until the task has ended")
    };
    let end = foreground
        .until(future::or(client.wait(&wait), passing_on))
        .await?;
    foreground.finish().await?;
    match end {
        End::Done(WaitResult::Reached) => Ok(()),
        End::Done(WaitResult::Never(blocked)) => {
            let own = blocked.iter().all(|blocked| blocked.culprit == task);
            match ending(&client, &stack.name, &task).await?.filter(|_| own) {
                Some(Ending {
                    exit_code,
                    was_ended,
                }) => {
                    // By itself it said what it had to say.
                    if let Some(blocked) = blocked.first().filter(|_| was_ended) {
                        context.tell(&format!("{task}: {}", blocked.reason));
                    }
                    Err(Failure::Ended { exit_code })
                }
                None => {
                    let asked = Asked {
                        stack: &stack.name,
                        spec: Some(&stack),
                    };
                    Err(report(context, &client, asked, &blocked, COULD_NOT_RUN).await?)
                }
            }
        }
        End::Stopped { by, .. } => Err(Failure::Interrupted {
            by,
            meanwhile: format!("{task} was stopped"),
        }),
    }
}

/// How the task ended.
struct Ending {
    /// What a shell would make of it.
    exit_code: u8,
    /// Whether it was ended, and not by itself.
    was_ended: bool,
}

/// How the task ended; nothing when it has not run.
async fn ending(
    client: &HarnessClient,
    stack: &harness_core::spec::StackName,
    task: &str,
) -> Result<Option<Ending>, Failure> {
    let status = client.status(stack).await?;
    let unit = status.items.iter().find(|unit| unit.name == task);
    let unit = unit.filter(|unit| unit.stopped_at.is_some());
    Ok(unit.and_then(|unit| {
        Some(Ending {
            exit_code: exit_code(unit)?,
            was_ended: unit.stop.is_some(),
        })
    }))
}

/// What a shell would make of how a unit ended.
pub(super) fn exit_code(unit: &UnitStatus) -> Option<u8> {
    let of_signal = || unit.signal.map(|signal| 128 + signal);
    let code = unit.exit_code.or_else(of_signal)?;
    u8::try_from(code).ok()
}

const COULD_NOT_RUN: u8 = 125;
