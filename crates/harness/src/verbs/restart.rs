//! `restart`: a new attempt of each.

use chrono::Utc;
use clap::Args;
use harness_core::AutoStart;
use harness_core::protocol::{RestartParams, WaitGoal, WaitParams, WaitResult};
use harness_core::report::UnitStatus;

use super::stop::{tell_insistence, unit_list};
use crate::context::Context;
use crate::failure::Failure;
use crate::follow::{Ended, Shown, Watch};
use crate::outcome::{Asked, report};
use crate::render::Span;
use crate::select;
use crate::units::{base, selected, unit_names};

/// Stop services and start them again
///
/// Returns when each is launched again. Services that need them are restarted only where their dependency says so.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RestartArgs {
    /// Services and tasks; none means all
    #[arg(value_name = "SVC")]
    units: Vec<String>,
}

const EXAMPLES: &str = "\
Examples:
  harness restart api       one service
  harness restart           the whole stack
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
        })
        .await?;
    let names: Vec<String> = ordered
        .units
        .iter()
        .map(|unit| base(unit).to_owned())
        .collect();
    let wait = WaitParams {
        stack: stack.clone(),
        units: unit_list(&stack, &names)?,
        goal: WaitGoal::Launched,
        any: false,
    };
    let title = format!("Restarting {stack}");
    let is_done: fn(&UnitStatus) -> bool = |unit| unit.pid.is_some() && unit.state != "stopping";
    let shown = Shown {
        title: &title,
        units: &names,
        is_done,
    };
    match watch.until(shown, None, client.wait(&wait)).await? {
        Ended::Done(WaitResult::Reached) => {}
        Ended::Done(WaitResult::Never(blocked)) => {
            let asked = Asked {
                stack: &stack,
                spec: None,
            };
            return Err(report(context, &client, asked, &blocked, FAILED).await?);
        }
        Ended::TimedOut => unreachable!("there is no time limit"),
        Ended::Interrupted(by) => {
            let meanwhile = format!(
                "detached: the daemon goes on restarting `{stack}`; see `harness -p {stack} status`"
            );
            return Err(Failure::Interrupted { by, meanwhile });
        }
    }
    tell_insistence(context, &client, &stack, &names, begun).await?;
    let text = format!("{stack}: {} restarted", names.len());
    context.tell(&context.messages.paint(Span::Good, &text));
    Ok(())
}

const FAILED: u8 = 1;
