//! `up`: the stack in the foreground, as users of Compose and process-compose know it.

use chrono::Utc;
use clap::Args;
use harness_core::client::ClientError;
use harness_core::protocol::{
    LogParams, Mode, StartParams, SubscribeParams, WaitGoal, WaitParams, WaitResult,
};
use harness_core::report::{StackStatus, UnitStatus};
use harness_core::spec::{StackName, StackSpec, UnitName};
use harness_core::{AutoStart, HarnessClient};

use super::definition::{self, Definition, Wish};
use super::foreground::{End, Foreground};
use super::output::{Form, Output};
use super::stop::unit_list;
use super::{changes, images, orphans, start};
use crate::context::Context;
use crate::failure::Failure;
use crate::follow::Watch;
use crate::outcome::{Asked, report};
use crate::units::{base, selected};

/// Start services, show what they write, and stop them with Ctrl-C
///
/// The first Ctrl-C stops what was started, in order; the second kills what is left; the third leaves it to the daemon.
/// Ends by itself when everything has ended, with 1 if something failed. `up -d` is `start --wait`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct UpArgs {
    /// Services and tasks; none means all
    #[arg(value_name = "SVC", add = crate::complete::units())]
    units: Vec<String>,
    /// Wait until all is ready, and leave it to the daemon: `start --wait`
    #[arg(short, long, conflicts_with = "timestamps")]
    detach: bool,
    /// As Compose has it: the same as --detach
    #[arg(long, hide = true, conflicts_with = "timestamps")]
    wait: bool,
    /// With --detach: give up waiting after this long, with exit code 124; what was started goes on
    #[arg(long, value_name = "DURATION", value_parser = crate::time::duration)]
    wait_timeout: Option<std::time::Duration>,
    /// Build the images of those that have `build`, and restart what runs with another one
    #[arg(long)]
    build: bool,
    /// Leave alone what they need
    #[arg(long)]
    no_deps: bool,
    /// Stop what runs and is no longer in the stack file
    #[arg(long)]
    remove_orphans: bool,
    /// With the units of this profile too; may be repeated
    #[arg(long, value_name = "PROFILE")]
    profile: Vec<String>,
    /// Show times before lines
    #[arg(short, long)]
    timestamps: bool,
}

const EXAMPLES: &str = "\
Examples:
  harness up             everything, until Ctrl-C
  harness up api         only `api` and what it needs
  harness up -d          in the background, once it is ready";

pub(crate) async fn run(args: UpArgs, context: &Context) -> Result<(), Failure> {
    if args.detach || args.wait {
        let args = start::StartArgs {
            units: args.units,
            wait: Some(start::WaitUntil::Ready),
            wait_timeout: args.wait_timeout,
            build: args.build,
            no_deps: args.no_deps,
            remove_orphans: args.remove_orphans,
            profile: args.profile,
        };
        return start::run(args, context).await;
    }
    let wish = Wish {
        units: &args.units,
        profiles: &args.profile,
        no_deps: args.no_deps,
    };
    let Definition {
        stack,
        units,
        secrets,
    } = definition::read(context, wish).await?;
    if args.build {
        let needed = definition::with_needs(&stack, &units, args.no_deps);
        images::renew(context, &stack, &needed).await?;
    }
    let client = context.client(AutoStart::Always).await?;
    let mut watch = Watch::new(context, &client, &stack.name).await?.in_lines();
    watch.expect(stack.units.keys().map(UnitName::as_str));
    let begun = Utc::now();
    let params = StartParams {
        stack: Box::new(stack.clone()),
        mode: Mode::Replace,
        units,
        no_deps: args.no_deps,
        again: false,
        secrets,
    };
    let started = client.start(&params).await?;
    drop(params);
    changes::tell(context, &started);
    orphans::settle(context, &client, &stack, &started, args.remove_orphans).await?;
    let units = started.ordered.units;
    let logs = LogParams {
        units: units.clone(),
        since: Some(begun),
        ..LogParams::all(stack.name.clone())
    };
    let form = Form::named(context, units.iter().map(String::as_str), args.timestamps);
    let mut foreground = Foreground {
        context,
        client: &client,
        stack: &stack.name,
        units: units.clone(),
        watch,
        output: Output::open(&client, logs, form).await?,
    };
    let end = foreground
        .until(until_over(&client, &stack.name, &units))
        .await?;
    foreground.finish().await?;
    match end {
        End::Done(()) => tell_end(context, &client, &stack, &units).await,
        End::Stopped { by, kept } => Err(Failure::Interrupted {
            by,
            meanwhile: format!("{}: {}", stack.name, stopped(&units, &kept)),
        }),
    }
}

/// What is said once what was to be stopped is gone.
fn stopped(units: &[String], kept: &[String]) -> String {
    let (goes, it) = match kept.len() {
        1 => ("goes", "it"),
        _ => ("go", "them"),
    };
    let is_kept = |unit: &String| kept.iter().any(|name| name == base(unit));
    match (kept.is_empty(), units.iter().all(is_kept)) {
        (true, _) => "stopped".to_owned(),
        (false, all_kept) => format!(
            "{}{} {goes} on, because others that run need {it}",
            if all_kept {
                ""
            } else {
                "stopped, except that "
            },
            kept.join(", "),
        ),
    }
}

/// Looks whenever something happens, until nothing of these units runs or will by itself.
async fn until_over(
    client: &HarnessClient,
    stack: &StackName,
    units: &[String],
) -> Result<(), ClientError> {
    let params = SubscribeParams {
        stack: Some(stack.clone()),
        ..SubscribeParams::default()
    };
    let mut events = client.events(params).await?;
    while !is_over(&client.status(stack).await?, units) {
        match events.next().await {
            Some(event) => drop(event?),
            None => return Ok(()),
        }
    }
    Ok(())
}

/// Whether nothing of these units runs or will by itself.
fn is_over(status: &StackStatus, units: &[String]) -> bool {
    let is_at_rest = |unit: &UnitStatus| match unit.state.as_str() {
        "done" | "failed" | "held" => true,
        // What waits for others, all of which are at rest, waits for ever.
        "idle" => unit.waiting_for.iter().all(|what| what.unit.is_some()),
        _ => false,
    };
    let mut ours = status
        .items
        .iter()
        .filter(|unit| units.contains(&unit.name));
    status.storage.is_none() && ours.all(is_at_rest)
}

/// Says how it ended, all of it by itself.
async fn tell_end(
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
    fn what_others_need_is_not_called_stopped() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let ours: Vec<String> = names(&["cache", "web/1", "web/2"]);
        assert_eq!(stopped(&ours, &[]), "stopped");
        assert_eq!(
            stopped(&ours, &names(&["cache"])),
            "stopped, except that cache goes on, because others that run need it"
        );
        assert_eq!(
            stopped(&ours[..1], &names(&["cache"])),
            "cache goes on, because others that run need it"
        );
    }

    #[test]
    fn it_is_over_when_nothing_moves_by_itself() {
        let mut status = sample::stack();
        status.storage = None;
        for unit in &mut status.items {
            unit.state = "done".to_owned();
            unit.waiting_for.clear();
        }
        let units: Vec<String> = status.items.iter().map(|unit| unit.name.clone()).collect();
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
}
