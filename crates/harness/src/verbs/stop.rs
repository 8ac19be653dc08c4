//! `stop`: services down, in reverse order, and gone.
//!
//! Owns: the wait until nothing is left, which `restart` and `down` share, and the report of what had to be insisted on.

use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::Args;
use harness_core::protocol::{OrderResult, StopParams, WaitGoal, WaitParams, WaitResult};
use harness_core::report::UnitStatus;
use harness_core::spec::{StackName, UnitName};
use harness_core::{AutoStart, HarnessClient};

use crate::context::Context;
use crate::failure::Failure;
use crate::follow::{Ended, Shown, Watch};
use crate::outcome::{Asked, report};
use crate::render::{Span, note, stop_lines};
use crate::units::{base, means, selected, unit_names};
use crate::{select, time};

/// Stop services in reverse order; returns when they are gone
///
/// Refuses while something that runs needs them, unless told otherwise. Says what had to be killed and what was left.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct StopArgs {
    /// Services and tasks; none means all
    #[arg(value_name = "SVC", add = crate::complete::units())]
    units: Vec<String>,
    /// Time that each has to end by itself, instead of its own
    #[arg(short, long, value_name = "DURATION", value_parser = time::duration)]
    timeout: Option<Duration>,
    /// Do not care about services that need them
    #[arg(long, conflicts_with = "with_dependents")]
    force: bool,
    /// Stop services that need them too
    #[arg(long)]
    with_dependents: bool,
}

const EXAMPLES: &str = "\
Examples:
  harness stop                       the whole stack
  harness stop worker                one service
  harness stop db --with-dependents  `db` and everything that needs it
  harness stop --timeout 2s          kill what has not ended by itself after two seconds";

pub(crate) async fn run(args: StopArgs, context: &Context) -> Result<(), Failure> {
    let client = context.client(AutoStart::WhenActive).await?;
    let stack = select::known_stack(context, &client).await?;
    if !args.units.is_empty() {
        selected(&client.status(&stack).await?, &args.units)?;
    }
    let params = StopParams {
        units: unit_names(&stack, &args.units)?,
        with_dependents: args.with_dependents,
        force: args.force,
        grace_ms: args.timeout.map(time::milliseconds),
        ..StopParams::all(stack.clone())
    };
    let ordered = stop(context, &client, &stack, &params).await?;
    let text = match ordered.moved.len() {
        0 => format!("{stack}: nothing runs"),
        _ if args.units.is_empty() => format!("{stack}: stopped"),
        _ => format!("{stack}: {} stopped", ordered.moved.join(", ")),
    };
    context.tell(&context.messages.paint(Span::Good, &text));
    Ok(())
}

/// Orders units down, waits until they are gone, and reports what did not go by itself.
pub(super) async fn stop(
    context: &Context,
    client: &HarnessClient,
    stack: &StackName,
    params: &StopParams,
) -> Result<OrderResult, Failure> {
    let mut watch = Watch::new(context, client, stack).await?;
    let begun = Utc::now();
    let ordered = client.stop(params).await?;
    let names: Vec<String> = ordered
        .units
        .iter()
        .map(|unit| base(unit).to_owned())
        .collect();
    let wait = WaitParams {
        stack: stack.clone(),
        units: unit_list(stack, &names)?,
        goal: WaitGoal::Stopped,
        any: false,
        ordered_down: true,
    };
    let title = format!("Stopping {stack}");
    let shown = Shown {
        title: &title,
        units: &names,
        is_done: is_gone,
    };
    // Nothing to wait for, and nothing that could be waited for.
    if names.is_empty() {
        return Ok(ordered);
    }
    match watch.until(shown, None, client.wait(&wait)).await? {
        Ended::Done(WaitResult::Reached) => {}
        Ended::Done(WaitResult::Never(blocked)) => {
            if blocked.iter().all(|blocked| blocked.started_again) {
                let units: Vec<&str> = blocked.iter().map(|unit| unit.name.as_str()).collect();
                return Err(Failure::Failed {
                    summary: started_again(&units),
                    exit_code: FAILED,
                });
            }
            let asked = Asked { stack, spec: None };
            return Err(report(context, client, asked, &blocked, FAILED).await?);
        }
        Ended::TimedOut => unreachable!("there is no time limit"),
        Ended::Interrupted(by) => {
            let meanwhile = format!(
                "detached: the daemon goes on stopping `{stack}`; see `harness -p {stack} status`"
            );
            return Err(Failure::Interrupted { by, meanwhile });
        }
    }
    tell_insistence(context, client, stack, &names, begun).await?;
    Ok(ordered)
}

/// Says which of these units did not stop by themselves since `begun`.
pub(super) async fn tell_insistence(
    context: &Context,
    client: &HarnessClient,
    stack: &StackName,
    names: &[String],
    begun: DateTime<Utc>,
) -> Result<(), Failure> {
    let status = client.status(stack).await?;
    let is_meant = |unit: &&UnitStatus| names.iter().any(|name| means(name, &unit.name));
    let units: Vec<&UnitStatus> = status.items.iter().filter(is_meant).collect();
    note(&stop_lines(&context.messages, &units, begun));
    Ok(())
}

/// Names that the daemon gave, as it takes them: each once.
pub(super) fn unit_list(stack: &StackName, names: &[String]) -> Result<Vec<UnitName>, Failure> {
    let mut units = unit_names(stack, names)?;
    units.sort();
    units.dedup();
    Ok(units)
}

fn started_again(units: &[&str]) -> String {
    let were = if units.len() == 1 { "was" } else { "were" };
    format!("{} {were} started again by another order", units.join(", "))
}

fn is_gone(unit: &UnitStatus) -> bool {
    unit.pid.is_none() && matches!(unit.state.as_str(), "idle" | "done" | "failed" | "held")
}

const FAILED: u8 = 1;
