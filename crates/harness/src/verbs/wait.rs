//! `wait`: returns once units have come as far as asked, or never can.
//!
//! Owns: the conditions, and the one that the daemon does not know: an exit code.

use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use harness_core::client::ClientError;
use harness_core::protocol::{SubscribeParams, WaitGoal, WaitParams, WaitResult};
use harness_core::report::{Blocked, UnitStatus};
use harness_core::spec::StackName;
use harness_core::{AutoStart, HarnessClient};

use crate::context::Context;
use crate::failure::Failure;
use crate::follow::{Ended, Shown, Watch};
use crate::outcome::{Asked, report, report_late};
use crate::render::Span;
use crate::units::{selected, unit_names};
use crate::{select, time};

/// Wait until services have come as far as asked
///
/// Exits with 8 as soon as one never can, and with 124 when the time is over.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct WaitArgs {
    /// Services and tasks
    #[arg(value_name = "NAME", required = true, add = crate::complete::units())]
    units: Vec<String>,
    /// ready, running, stopped, completed, or exit=N
    #[arg(long = "for", value_name = "CONDITION", default_value = "ready")]
    condition: Condition,
    /// Give up after this long
    #[arg(long, value_name = "DURATION", value_parser = time::duration)]
    timeout: Option<Duration>,
    /// One of them is enough
    #[arg(long)]
    any: bool,
}

const EXAMPLES: &str = "\
Examples:
  harness wait api --timeout 30s
  harness wait schema seed --for completed
  harness wait worker --for exit=0
  harness wait blue green --any";

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    Goal(WaitGoal),
    /// It has ended with this code.
    Exit(i32),
}

/// Why a text is no condition.
#[derive(Clone, Debug, thiserror::Error)]
#[error("write ready, running, stopped, completed or exit=N{}", similar.map(|name| format!(" (did you mean `{name}`?)")).unwrap_or_default())]
struct ConditionError {
    similar: Option<&'static str>,
}

const GOALS: [(&str, WaitGoal); 4] = [
    ("ready", WaitGoal::Ready),
    ("running", WaitGoal::Running),
    ("stopped", WaitGoal::Stopped),
    ("completed", WaitGoal::Completed),
];

impl FromStr for Condition {
    type Err = ConditionError;

    fn from_str(text: &str) -> Result<Self, ConditionError> {
        if let Some((_, goal)) = GOALS.iter().find(|(name, _)| *name == text) {
            return Ok(Self::Goal(*goal));
        }
        let code = text
            .strip_prefix("exit=")
            .and_then(|code| code.parse().ok());
        let similar = || crate::units::similar(text, GOALS.iter().map(|(name, _)| *name));
        code.map(Self::Exit)
            .ok_or_else(|| ConditionError { similar: similar() })
    }
}

pub(crate) async fn run(args: WaitArgs, context: &Context) -> Result<(), Failure> {
    let client = context.client(AutoStart::WhenActive).await?;
    let stack = select::known_stack(context, &client).await?;
    // A wrong name is to be told before anything is waited for.
    selected(&client.status(&stack).await?, &args.units)?;
    let mut watch = Watch::new(context, &client, &stack).await?;
    let names = args.units.join(", ");
    let title = format!("Waiting for {names}");
    let is_done: fn(&UnitStatus) -> bool = |unit| unit.ready || unit.state == "done";
    let shown = Shown {
        title: &title,
        units: &args.units,
        is_done,
    };
    let ended = match args.condition {
        Condition::Goal(goal) => {
            let units = unit_names(&stack, &args.units)?;
            let params = WaitParams {
                stack: stack.clone(),
                units,
                goal,
                any: args.any,
                ordered_down: false,
            };
            watch
                .until(shown, args.timeout, client.wait(&params))
                .await?
        }
        Condition::Exit(code) => {
            let work = wait_for_exit(&client, &stack, &args.units, code, args.any);
            watch.until(shown, args.timeout, work).await?
        }
    };
    match ended {
        Ended::Done(WaitResult::Reached) => {
            context.tell(
                &context
                    .messages
                    .paint(Span::Good, &format!("{names}: reached")),
            );
            Ok(())
        }
        Ended::Done(WaitResult::Never(blocked)) => {
            let asked = Asked {
                stack: &stack,
                spec: None,
            };
            Err(report(context, &client, asked, &blocked, NEVER).await?)
        }
        Ended::TimedOut => {
            let asked = Asked {
                stack: &stack,
                spec: None,
            };
            let late = match args.condition {
                Condition::Goal(WaitGoal::Ready) => {
                    report_late(context, &client, asked, &args.units, is_done).await
                }
                Condition::Goal(_) | Condition::Exit(_) => None,
            };
            Err(Failure::TimedOut {
                what: late.unwrap_or_else(|| format!("{names} did not come so far")),
                limit: args.timeout.unwrap_or_default(),
            })
        }
        Ended::Interrupted(by) => Err(Failure::Interrupted {
            by,
            meanwhile: "no longer waiting; nothing was changed".to_owned(),
        }),
    }
}

/// Looks whenever something happens, until each unit (or one, when any is enough) has ended with this code.
async fn wait_for_exit(
    client: &HarnessClient,
    stack: &StackName,
    names: &[String],
    code: i32,
    any: bool,
) -> Result<WaitResult, ClientError> {
    let params = SubscribeParams {
        stack: Some(stack.clone()),
        ..SubscribeParams::default()
    };
    let mut events = client.events(params).await?;
    loop {
        let status = client.status(stack).await?;
        let units = selected(&status, names).unwrap_or_default();
        let is_reached = |unit: &&UnitStatus| has_ended(unit) && unit.exit_code == Some(code);
        let blocked: Vec<Blocked> = units
            .iter()
            .filter_map(|unit| never_exits(unit, code))
            .collect();
        let (reached, hopeless) = match any {
            true => (units.iter().any(is_reached), blocked.len() == units.len()),
            false => (units.iter().all(is_reached), !blocked.is_empty()),
        };
        if reached {
            return Ok(WaitResult::Reached);
        }
        if hopeless {
            return Ok(WaitResult::Never(blocked));
        }
        match events.next().await {
            Some(event) => drop(event?),
            None => return Ok(WaitResult::Never(Vec::new())),
        }
    }
}

fn has_ended(unit: &UnitStatus) -> bool {
    unit.stopped_at.is_some() && unit.pid.is_none()
}

/// Whether a unit ended in another way and stays there.
fn never_exits(unit: &UnitStatus, code: i32) -> Option<Blocked> {
    let is_final =
        has_ended(unit) && matches!(unit.state.as_str(), "done" | "failed" | "crash-loop");
    (is_final && unit.exit_code != Some(code)).then(|| Blocked {
        name: unit.name.clone(),
        culprit: unit.name.clone(),
        reason: match (unit.exit_code, unit.signal) {
            (Some(other), _) => format!("it ended with exit code {other}, not {code}"),
            (None, Some(signal)) => format!("it ended by signal {signal}"),
            (None, None) => "nobody saw how it ended".to_owned(),
        },
        unhealthy: false,
        started_again: false,
    })
}

const NEVER: u8 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read_and_slips_recognised() {
        assert_eq!(
            "exit=-1".parse::<Condition>().ok(),
            Some(Condition::Exit(-1))
        );
        assert_eq!(
            "stopped".parse::<Condition>().ok(),
            Some(Condition::Goal(WaitGoal::Stopped))
        );
        let error = "redy".parse::<Condition>().expect_err("a slip");
        assert!(
            error.to_string().contains("did you mean `ready`?"),
            "{error}"
        );
    }
}
