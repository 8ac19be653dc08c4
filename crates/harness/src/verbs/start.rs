//! `start`: the stack of a file, or some of it, up.
//!
//! Owns: the order of the steps: everything that can be refused is refused before the daemon is asked, and the daemon is
//! asked once, so that a client that dies leaves no half-started stack.

use std::time::Duration;

use chrono::Utc;
use clap::{Args, ValueEnum};
use harness_core::client::ClientError;
use harness_core::protocol::{Mode, StartParams, StartResult, WaitGoal, WaitParams, WaitResult};
use harness_core::report::{Blocked, UnitStatus};
use harness_core::spec::{StackSpec, UnitName};
use harness_core::{AutoStart, HarnessClient};

use super::definition::{self, Definition, Wish};
use super::stop::tell_insistence;
use super::{changes, images, orphans};
use crate::context::Context;
use crate::failure::Failure;
use crate::follow::{Ended, Shown, Watch};
use crate::outcome::{Asked, report, report_late};
use crate::render::{Span, note};
use crate::time;
use crate::units::{base, selected};

/// Start services and what they need; again, it changes nothing
///
/// Starts the daemon if none runs. Returns when everything wanted is launched or has failed; with --wait, when services
/// are ready and tasks completed. Exits with 1 when a unit failed, with 8 when one runs but is unhealthy.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct StartArgs {
    /// Services and tasks; none means all
    #[arg(value_name = "SVC", add = crate::complete::units())]
    pub(super) units: Vec<String>,
    /// Wait until services are ready and tasks completed
    #[arg(long, value_name = "FOR", num_args = 0..=1, require_equals = true, default_missing_value = "ready")]
    pub(super) wait: Option<WaitUntil>,
    /// Give up waiting after this long, with exit code 124; what was started goes on
    #[arg(long, value_name = "DURATION", value_parser = time::duration)]
    pub(super) wait_timeout: Option<Duration>,
    /// Build the images of those that have `build`, and restart what runs with another one
    #[arg(long)]
    pub(super) build: bool,
    /// Leave alone what they need
    #[arg(long)]
    pub(super) no_deps: bool,
    /// Stop what runs and is no longer in the stack file
    #[arg(long)]
    pub(super) remove_orphans: bool,
    /// With the units of this profile too; may be repeated
    #[arg(long, value_name = "PROFILE")]
    pub(super) profile: Vec<String>,
}

/// What `--wait` waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum WaitUntil {
    /// Services are ready, tasks completed.
    Ready,
}

const EXAMPLES: &str = "\
Examples:
  harness start                          everything in harness.yaml
  harness start --wait                   and wait until all of it is ready
  harness start api --wait               only `api` and what it needs
  harness start -f a.yaml -f b.yaml      b.yaml laid over a.yaml
  harness start --wait --wait-timeout 2m";

pub(crate) async fn run(args: StartArgs, context: &Context) -> Result<(), Failure> {
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
    let mut watch = Watch::new(context, &client, &stack.name).await?;
    watch.expect(stack.units.keys().map(UnitName::as_str));
    let params = StartParams {
        stack: Box::new(stack.clone()),
        mode: Mode::Replace,
        units: units.clone(),
        no_deps: args.no_deps,
        again: false,
        secrets,
    };
    let begun = Utc::now();
    let started = client.start(&params).await?;
    drop(params);
    changes::tell(context, &started);
    images::tell_moved(context, &client, &stack, &started).await;
    orphans::settle(context, &client, &stack, &started, args.remove_orphans).await?;
    let mut starting = Starting {
        context,
        client: &client,
        stack: &stack,
        units,
        started,
    };
    let came = match args.wait {
        Some(WaitUntil::Ready) => starting.until_ready(&mut watch, args.wait_timeout).await,
        None => starting.until_launched(&mut watch, args.wait_timeout).await,
    };
    // What was replaced was stopped first.
    let moved = &starting.started.ordered.moved;
    if came.is_ok() && !moved.is_empty() {
        tell_insistence(context, &client, &stack.name, moved, begun).await?;
    }
    came
}

struct Starting<'a> {
    context: &'a Context,
    client: &'a HarnessClient,
    stack: &'a StackSpec,
    /// As the user named them; none means all.
    units: Vec<UnitName>,
    started: StartResult,
}

impl Starting<'_> {
    async fn until_ready(
        &mut self,
        watch: &mut Watch<'_>,
        limit: Option<Duration>,
    ) -> Result<(), Failure> {
        let params = self.wait(self.units.clone(), WaitGoal::Ready);
        let work = self.client.wait(&params);
        let is_done: fn(&UnitStatus) -> bool = |unit| unit.ready || unit.state == "done";
        let waited = self.watched(watch, limit, is_done, work).await?;
        match waited {
            WaitResult::Reached => self.judge(is_done).await,
            WaitResult::Never(blocked) => Err(self.failed(&blocked).await?),
        }
    }

    /// Looks once more at the end: what was ready in the moment in which all of it was may have ended since.
    async fn judge(&self, is_done: fn(&UnitStatus) -> bool) -> Result<(), Failure> {
        let name = &self.stack.name;
        let names: Vec<String> = match self.units.as_slice() {
            [] => self.started.ordered.units.clone(),
            named => named.iter().map(ToString::to_string).collect(),
        };
        let status = self.client.status(name).await?;
        let meant = selected(&status, &names)?;
        let fallen: Vec<&str> = meant
            .iter()
            .filter(|unit| !is_done(unit))
            .map(|unit| unit.name.as_str())
            .collect();
        if fallen.is_empty() {
            self.tell_success(Come::Ready);
            return Ok(());
        }
        let asked = Asked {
            stack: name,
            spec: Some(self.stack),
        };
        drop(report_late(self.context, self.client, asked, &names, is_done).await);
        Err(Failure::Failed {
            summary: fallen_summary(meant.len(), &fallen),
            exit_code: FAILED,
        })
    }

    /// Waits for each unit that can still be launched, also after others have failed.
    async fn until_launched(
        &mut self,
        watch: &mut Watch<'_>,
        limit: Option<Duration>,
    ) -> Result<(), Failure> {
        let is_launched: fn(&UnitStatus) -> bool =
            |unit| unit.pid.is_some() || unit.stopped_at.is_some();
        let mut open: Vec<UnitName> = match self.units.as_slice() {
            [] => self.stack.units.keys().cloned().collect(),
            named => named.to_vec(),
        };
        let mut failed: Vec<Blocked> = Vec::new();
        while !open.is_empty() {
            let params = self.wait(open.clone(), WaitGoal::Launched);
            let work = self.client.wait(&params);
            let waited = self.watched(watch, limit, is_launched, work).await?;
            let WaitResult::Never(blocked) = waited else {
                break;
            };
            let before = open.len();
            open.retain(|unit| {
                !blocked
                    .iter()
                    .any(|blocked| base(&blocked.name) == unit.as_str())
            });
            failed.extend(blocked);
            if open.len() == before {
                break;
            }
        }
        if failed.is_empty() {
            self.tell_success(Come::Started);
            return Ok(());
        }
        Err(self.failed(&failed).await?)
    }

    fn wait(&self, units: Vec<UnitName>, goal: WaitGoal) -> WaitParams {
        WaitParams {
            stack: self.stack.name.clone(),
            units,
            goal,
            any: false,
            ordered_down: false,
        }
    }

    /// The result of a wait. Nothing is shown when nothing moves.
    async fn watched(
        &self,
        watch: &mut Watch<'_>,
        limit: Option<Duration>,
        is_done: fn(&UnitStatus) -> bool,
        work: impl Future<Output = Result<WaitResult, ClientError>>,
    ) -> Result<WaitResult, Failure> {
        let title = format!("Starting {}", self.stack.name);
        let names: Vec<String> = self
            .started
            .ordered
            .units
            .iter()
            .map(|unit| base(unit).to_owned())
            .collect();
        let shown = Shown {
            title: &title,
            units: &names,
            is_done,
        };
        let name = &self.stack.name;
        match watch.until(shown, limit, work).await? {
            Ended::Done(waited) => Ok(waited),
            Ended::TimedOut => {
                let limit = limit.unwrap_or_default();
                let asked = Asked {
                    stack: name,
                    spec: Some(self.stack),
                };
                let late = report_late(self.context, self.client, asked, &names, is_done).await;
                note(&format!(
                    "what was started goes on: see `harness -p {name} status`\n"
                ));
                Err(Failure::TimedOut {
                    what: late.unwrap_or_else(|| format!("stack `{name}` was not ready")),
                    limit,
                })
            }
            Ended::Interrupted(by) => {
                let meanwhile = format!(
                    "detached: the daemon goes on starting `{name}`; see `harness -p {name} status`"
                );
                Err(Failure::Interrupted { by, meanwhile })
            }
        }
    }

    async fn failed(&self, blocked: &[Blocked]) -> Result<Failure, Failure> {
        let are_unhealthy = blocked.iter().all(|blocked| blocked.unhealthy);
        let exit_code = if are_unhealthy { UNHEALTHY } else { FAILED };
        let asked = Asked {
            stack: &self.stack.name,
            spec: Some(self.stack),
        };
        report(self.context, self.client, asked, blocked, exit_code).await
    }

    fn tell_success(&self, how: Come) {
        let ordered = &self.started.ordered;
        let wanted = match self.units.as_slice() {
            [] => ordered.units.len(),
            named => named.len(),
        };
        let text = success(how, wanted, ordered.moved.len(), ordered.units.len());
        let text = format!("{}: {text}", self.stack.name);
        self.context
            .tell(&self.context.messages.paint(Span::Good, &text));
    }
}

/// What is said when some were ready, and are not any more.
fn fallen_summary(all: usize, fallen: &[&str]) -> String {
    let verb = if fallen.len() == 1 { "was" } else { "were" };
    format!(
        "{} {verb} ready and did not stay so; {} of {all} ready",
        fallen.join(", "),
        all - fallen.len()
    )
}

/// How far units have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Come {
    Started,
    Ready,
}

/// What is said of a start that succeeded: of those reached with it, so many were wanted by name, and so many moved.
fn success(how: Come, wanted: usize, moved: usize, reached: usize) -> String {
    match (how, moved) {
        (_, 0) => "already running".to_owned(),
        (Come::Started, _) if moved < reached => {
            format!("{moved} started, {} as before", reached - moved)
        }
        (Come::Started, _) => format!("{moved} started"),
        (Come::Ready, _) if moved < reached => format!("{wanted} ready, {moved} started now"),
        (Come::Ready, _) => format!("{wanted} ready"),
    }
}

const FAILED: u8 = 1;
const UNHEALTHY: u8 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_did_not_stay_ready_is_not_counted() {
        assert_eq!(
            fallen_summary(4, &["web"]),
            "web was ready and did not stay so; 3 of 4 ready"
        );
    }

    #[test]
    fn only_what_moved_counts_as_started() {
        assert_eq!(success(Come::Started, 4, 4, 4), "4 started");
        assert_eq!(success(Come::Started, 4, 1, 4), "1 started, 3 as before");
        assert_eq!(success(Come::Ready, 4, 1, 4), "4 ready, 1 started now");
        assert_eq!(success(Come::Ready, 1, 3, 3), "1 ready");
        assert_eq!(success(Come::Ready, 1, 0, 3), "already running");
    }
}
