//! `restart`: a new attempt of each.

use std::time::Duration;

use chrono::Utc;
use clap::Args;
use harness_core::AutoStart;
use harness_core::protocol::{RestartParams, WaitGoal, WaitParams, WaitResult};
use harness_core::report::UnitStatus;

use super::start::WaitUntil;
use super::stop::{tell_insistence, unit_list};
use crate::context::Context;
use crate::failure::Failure;
use crate::follow::{Ended, Shown, Watch};
use crate::outcome::{Asked, report, report_late};
use crate::render::Span;
use crate::units::{base, selected, unit_names};
use crate::{select, time};

/// Stop services and start them again
///
/// Returns when each is launched again; with --wait, when it is ready. Services that need them are restarted only where their dependency says so.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RestartArgs {
    /// Services and tasks; none means all
    #[arg(value_name = "SVC", add = crate::complete::units())]
    units: Vec<String>,
    /// Time that each has to end by itself, instead of its own
    #[arg(short, long, value_name = "DURATION", value_parser = time::duration)]
    timeout: Option<Duration>,
    /// Wait until services are ready and tasks completed
    #[arg(long, value_name = "FOR", num_args = 0..=1, require_equals = true, default_missing_value = "ready")]
    wait: Option<WaitUntil>,
    /// Give up waiting after this long, with exit code 124; the restart goes on
    #[arg(long, value_name = "DURATION", value_parser = time::duration)]
    wait_timeout: Option<Duration>,
}

const EXAMPLES: &str = "\
Examples:
  harness restart api       one service
  harness restart           the whole stack
  harness restart --wait    and wait until all of it is ready
  harness restart -t 2s     kill what has not ended by itself after two seconds
  harness restart schema    run a task once more";

pub(crate) async fn run(args: RestartArgs, context: &Context) -> Result<(), Failure> {
    let client = context.client(AutoStart::WhenActive).await?;
    let stack = select::known_stack(context, &client).await?;
    selected(&client.status(&stack).await?, &args.units)?;
    let mut watch = Watch::new(context, &client, &stack).await?;
    let begun = Utc::now();
    let units = unit_names(&stack, &args.units)?;
    let ordered = client
        .restart(&RestartParams {
            stack: stack.clone(),
            units,
            grace_ms: args.timeout.map(time::milliseconds),
        })
        .await?;
    let (goal, is_done): (WaitGoal, fn(&UnitStatus) -> bool) = match args.wait {
        Some(WaitUntil::Ready) => (WaitGoal::Ready, |unit| unit.ready || unit.state == "done"),
        None => (WaitGoal::Launched, |unit| {
            unit.pid.is_some() && unit.state != "stopping"
        }),
    };
    let names: Vec<String> = ordered
        .units
        .iter()
        .map(|unit| base(unit).to_owned())
        .collect();
    let wait = WaitParams {
        stack: stack.clone(),
        units: unit_list(&stack, &names)?,
        goal,
        any: false,
        ordered_down: false,
    };
    let title = format!("Restarting {stack}");
    let shown = Shown {
        title: &title,
        units: &names,
        is_done,
    };
    match watch
        .until(shown, args.wait_timeout, client.wait(&wait))
        .await?
    {
        Ended::Done(WaitResult::Reached) => {}
        Ended::Done(WaitResult::Never(blocked)) => {
            let asked = Asked {
                stack: &stack,
                spec: None,
            };
            let are_unhealthy = blocked.iter().all(|blocked| blocked.unhealthy);
            let code = if are_unhealthy { UNHEALTHY } else { FAILED };
            return Err(report(context, &client, asked, &blocked, code).await?);
        }
        Ended::TimedOut => {
            let asked = Asked {
                stack: &stack,
                spec: None,
            };
            let late = report_late(context, &client, asked, &names, is_done).await;
            return Err(Failure::TimedOut {
                what: late.unwrap_or_else(|| format!("stack `{stack}` was not restarted")),
                limit: args.wait_timeout.unwrap_or_default(),
            });
        }
        Ended::Interrupted(by) => {
            let meanwhile = format!(
                "detached: the daemon goes on restarting `{stack}`; see `harness -p {stack} status`"
            );
            return Err(Failure::Interrupted { by, meanwhile });
        }
    }
    tell_insistence(context, &client, &stack, &names, begun).await?;
    let how = match args.wait {
        Some(WaitUntil::Ready) => "restarted and ready",
        None => "restarted",
    };
    let text = format!("{stack}: {} {how}", names.len());
    context.tell(&context.messages.paint(Span::Good, &text));
    Ok(())
}

const FAILED: u8 = 1;
const UNHEALTHY: u8 = 8;
