//! `up`: the stack in the foreground, as users of Compose and process-compose know it.

use chrono::Utc;
use clap::Args;
use harness_core::AutoStart;
use harness_core::protocol::{LogParams, Mode, StartParams};
use harness_core::report::{StackStatus, UnitStatus};
use harness_core::spec::UnitName;

use super::definition::{self, Definition, Wish};
use super::foreground::{End, Foreground};
use super::output::{Form, Output};
use super::up_end::{self, Until};
use super::{changes, images, orphans, start};
use crate::context::Context;
use crate::failure::Failure;
use crate::follow::Watch;
use crate::units::base;

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
    /// End when this one has ended, stop the others, and exit as it did
    #[arg(long, value_name = "SVC", conflicts_with_all = ["detach", "wait"], add = crate::complete::units())]
    exit_code_from: Option<String>,
    /// End as soon as one has failed for good, stop the others, and exit as it did
    #[arg(long, visible_alias = "abort-on-container-failure", conflicts_with_all = ["detach", "wait", "exit_code_from"])]
    abort_on_failure: bool,
}

const EXAMPLES: &str = "\
Examples:
  harness up             everything, until Ctrl-C
  harness up api         only `api` and what it needs
  harness up -d          in the background, once it is ready
  harness up --exit-code-from e2e    for CI: until the task `e2e` has ended, whose exit code it is";

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
    let wanted = wanted(&args);
    let wish = Wish {
        units: &wanted,
        profiles: &args.profile,
        no_deps: args.no_deps,
    };
    let Definition {
        stack,
        units,
        secrets,
    } = definition::read(context, wish).await?;
    let counts = match &args.exit_code_from {
        Some(name) => definition::named(&stack, std::slice::from_ref(name))?,
        None => Vec::new(),
    };
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
    if !counts.is_empty() && completed_before(&client.status(&stack.name).await?, &counts) {
        let again = StartParams {
            units: counts,
            again: true,
            ..params
        };
        client.start(&again).await?;
    }
    changes::tell(context, &started);
    images::tell_moved(context, &client, &stack, &started).await;
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
    let until = match (args.exit_code_from, args.abort_on_failure) {
        (Some(name), _) => Until::Ended(name),
        (None, true) => Until::Failed,
        (None, false) => Until::Over,
    };
    let end = foreground
        .until(up_end::reached(&client, &stack.name, &units, &until))
        .await?;
    let end = match end {
        End::Done(first) if until != Until::Over => {
            let verdict = up_end::judge(&foreground, &stack, &until, first.as_deref()).await;
            foreground.end_rest().await?;
            foreground.finish().await?;
            return verdict;
        }
        end => end,
    };
    foreground.finish().await?;
    match end {
        End::Done(_) => up_end::tell(context, &client, &stack, &units).await,
        End::Stopped { by, kept } => Err(Failure::Interrupted {
            by,
            meanwhile: format!("{}: {}", stack.name, stopped(&units, &kept)),
        }),
    }
}

/// The units that are asked for, with the one whose end counts.
fn wanted(args: &UpArgs) -> Vec<String> {
    let mut units = args.units.clone();
    let counts = args.exit_code_from.as_ref();
    if let Some(counts) = counts.filter(|counts| !units.is_empty() && !units.contains(counts)) {
        units.push(counts.clone());
    }
    units
}

/// Whether it is a task that has completed and is not run again by itself: how it ends now is asked for.
fn completed_before(status: &StackStatus, counts: &[UnitName]) -> bool {
    let counts = |unit: &UnitStatus| counts.iter().any(|name| name.as_str() == base(&unit.name));
    let mut done = status.items.iter().filter(|unit| unit.state == "done");
    done.any(counts)
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
