//! `run` of something by the definition of a unit, beside it.
//!
//! Owns: the order of it: what the unit needs is started and waited for by its gates, the daemon makes the run ready, and this
//! program begins it: a process by becoming it, a container by attending to it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::IsTerminal;
use std::os::unix::process::CommandExt;
use std::path::Path;

use futures_lite::future;
use harness_core::protocol::{
    ApplyParams, Holder, Mode, OneOffBegin, OneOffParams, OneOffResult, StartParams, StartResult,
    SubscribeParams, WaitGoal, WaitParams, WaitResult,
};
use harness_core::report::{Event, EventKind, UnitStatus};
use harness_core::spec::{
    Gate, Secret, SecretName, SecretValues, StackName, StackSpec, TargetSpec, UnitName,
};
use harness_core::{AutoStart, HarnessClient, ProgramFile};

use super::definition::Definition;
use super::one_off_attend::Attended;
use super::one_off_failure::OneOffFailure;
use super::variable::Variable;
use super::{changes, orphans};
use crate::context::Context;
use crate::failure::Failure;
use crate::follow::{Ended, Shown, Watch};
use crate::interrupt::Interrupts;
use crate::outcome::{Asked, report};
use crate::select;

/// What is to be run, where it differs from the definition.
#[derive(Debug)]
pub(super) struct OneOff {
    pub(super) no_deps: bool,
    pub(super) env: Vec<Variable>,
    pub(super) user: Option<String>,
    pub(super) workdir: Option<String>,
    pub(super) entrypoint: Option<String>,
    pub(super) no_tty: bool,
    pub(super) command: Vec<OsString>,
}

/// Runs it to its end. Does not return where this program becomes what is run.
///
/// # Errors
/// [`OneOffFailure::Ended`] with anything but 0, and whatever kept it from running.
pub(super) async fn run(
    definition: Definition,
    wish: OneOff,
    context: &Context,
) -> Result<(), Failure> {
    context.dirs_here("run UNIT CMD")?;
    let Definition {
        stack,
        units,
        secrets,
    } = definition;
    let unit = &units[0];
    let no_deps = wish.no_deps;
    let params = params(&stack, unit, wish)?;
    let client = context.client(AutoStart::Always).await?;
    let needed = match no_deps {
        true => BTreeMap::new(),
        false => needed(&stack, unit),
    };
    let mut watch = Watch::new(context, &client, &stack.name).await?;
    let started = start(&client, &stack, &needed, secrets).await?;
    changes::tell(context, &started);
    orphans::settle(context, &client, &stack, &started, false).await?;
    wait(context, &client, &stack, &needed, &mut watch).await?;
    drop(watch);
    let mut interrupts = Interrupts::with_hangup().map_err(Failure::io("listen to signals"))?;
    let made = begin(context, &client, &params);
    let interrupted = async { Err(interrupts.next().await) };
    let made = match future::or(interrupted, async { Ok(made.await) }).await {
        Ok(made) => made?,
        Err(by) => {
            let meanwhile = format!("nothing of {unit} was run");
            return Err(Failure::Interrupted { by, meanwhile });
        }
    };
    match made.begin {
        OneOffBegin::Program(file) => Err(become_it(&file).into()),
        OneOffBegin::Container(container) => {
            let attended = Attended {
                container,
                has_terminal: std::io::stdin().is_terminal(),
            };
            let end = attended.run(&mut interrupts, context).await;
            forget(&client, &stack.name, made.id).await;
            Ok(end?)
        }
    }
}

fn params(stack: &StackSpec, unit: &UnitName, wish: OneOff) -> Result<OneOffParams, Failure> {
    let is_process = matches!(stack.units[unit].target, TargetSpec::Process(_));
    let text = |word: OsString| {
        word.into_string()
            .map_err(|word| OneOffFailure::NotText { word })
    };
    let command: Result<Vec<String>, _> = wish.command.into_iter().map(text).collect();
    let mut env = SecretValues::default();
    for variable in wish.env {
        let (name, value) = variable.value()?;
        let value = Secret::new(text(value)?);
        env.insert(SecretName::of_variable(unit, &name), value);
    }
    let here = |directory: String| {
        let path = select::working_directory().join(directory);
        path.to_string_lossy().into_owned()
    };
    let has_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    Ok(OneOffParams {
        stack: stack.name.clone(),
        unit: unit.clone(),
        command: command?,
        entrypoint: wish.entrypoint.map(|program| match program.is_empty() {
            true => Vec::new(),
            false => vec![program],
        }),
        env,
        user: wish.user,
        working_dir: match is_process {
            true => wish.workdir.map(here),
            false => wish.workdir,
        },
        tty: has_terminal && !wish.no_tty,
        holder: Holder::this().map_err(Failure::io("find out who this process is"))?,
    })
}

/// What a unit needs itself, how far each must have come, and whether it runs without it.
fn needed(stack: &StackSpec, unit: &UnitName) -> BTreeMap<UnitName, (WaitGoal, bool)> {
    let all = stack.units[unit].dependencies.iter();
    let there = all.filter_map(|needs| Some((needs, stack.units.get(&needs.unit)?)));
    let goal = |(needs, other): (
        &harness_core::spec::Dependency,
        &harness_core::spec::ServiceSpec,
    )| {
        let goal = match needs.gate.unwrap_or_else(|| other.default_gate()) {
            Gate::Started => WaitGoal::Running,
            Gate::Ready => WaitGoal::Ready,
            Gate::Completed => WaitGoal::Completed,
        };
        (needs.unit.clone(), (goal, needs.required))
    };
    there.map(goal).collect()
}

/// Defines the stack, and has what is needed started.
async fn start(
    client: &HarnessClient,
    stack: &StackSpec,
    needed: &BTreeMap<UnitName, (WaitGoal, bool)>,
    secrets: SecretValues,
) -> Result<StartResult, Failure> {
    let stack = Box::new(stack.clone());
    if needed.is_empty() {
        let params = ApplyParams {
            stack,
            mode: Mode::Replace,
            secrets,
        };
        return Ok(StartResult {
            applied: client.apply(&params).await?,
            ..StartResult::default()
        });
    }
    let params = StartParams {
        stack,
        mode: Mode::Replace,
        units: needed.keys().cloned().collect(),
        no_deps: false,
        again: false,
        secrets,
    };
    Ok(client.start(&params).await?)
}

/// Waits until each has come as far as it must. What is not required may fail.
async fn wait(
    context: &Context,
    client: &HarnessClient,
    stack: &StackSpec,
    needed: &BTreeMap<UnitName, (WaitGoal, bool)>,
    watch: &mut Watch<'_>,
) -> Result<(), Failure> {
    for (unit, (goal, required)) in needed {
        let params = WaitParams {
            stack: stack.name.clone(),
            units: vec![unit.clone()],
            goal: *goal,
            any: false,
            ordered_down: false,
        };
        let title = format!("Starting {unit}");
        let is_done: fn(&UnitStatus) -> bool = |unit| unit.ready || unit.state == "done";
        let shown = Shown {
            title: &title,
            units: &[],
            is_done,
        };
        match watch.until(shown, None, client.wait(&params)).await? {
            Ended::Done(WaitResult::Reached) => {}
            Ended::Done(WaitResult::Never(_)) if !required => {}
            Ended::Done(WaitResult::Never(blocked)) => {
                let asked = Asked {
                    stack: &stack.name,
                    spec: Some(stack),
                };
                return Err(report(context, client, asked, &blocked, COULD_NOT_RUN).await?);
            }
            Ended::Interrupted(by) => {
                let meanwhile = format!("detached: the daemon goes on starting {unit}");
                return Err(Failure::Interrupted { by, meanwhile });
            }
            Ended::TimedOut => unreachable!("there is no time limit"),
        }
    }
    Ok(())
}

/// Has the run made ready, and tells how that goes on.
async fn begin(
    context: &Context,
    client: &HarnessClient,
    params: &OneOffParams,
) -> Result<OneOffResult, Failure> {
    let subscribe = SubscribeParams {
        stack: Some(params.stack.clone()),
        ..SubscribeParams::default()
    };
    let mut events = client.events(subscribe).await?;
    let mut told = String::new();
    let telling = async {
        while let Some(Ok(event)) = events.next().await {
            if let Some(reason) = preparing(&event, params.holder.pid).filter(|it| *it != told) {
                context.tell(reason);
                reason.clone_into(&mut told);
            }
        }
        future::pending().await
    };
    Ok(future::or(client.begin_one_off(params), telling).await?)
}

/// What is under way for a run of ours.
fn preparing(event: &Event, pid: u32) -> Option<&str> {
    let of_ours = event.event_data.get("pid")?.as_u64()? == u64::from(pid);
    let is_meant = of_ours && event.event_type == EventKind::OneOffPreparing;
    is_meant.then(|| event.event_data.get("reason")?.as_str())?
}

/// Becomes the program that a file names. Returns only when that cannot be.
fn become_it(file: &Path) -> OneOffFailure {
    let unreadable = |source| OneOffFailure::Unreadable {
        file: file.to_owned(),
        source,
    };
    let text = match fs::read(file).and_then(|text| fs::remove_file(file).map(|()| text)) {
        Ok(text) => text,
        Err(source) => return unreadable(source),
    };
    let program: ProgramFile = match serde_json::from_slice(&text) {
        Ok(program) => program,
        Err(error) => return unreadable(error.into()),
    };
    let source = std::process::Command::new(&program.program)
        .args(&program.args)
        .env_clear()
        .envs(&program.env)
        .current_dir(&program.working_dir)
        .exec();
    OneOffFailure::Program {
        program: program.program,
        source,
    }
}

/// Has what is left removed before this program ends. A daemon that is away does so once it comes up.
async fn forget(client: &HarnessClient, stack: &StackName, id: String) {
    let params = harness_core::protocol::OneOffEndParams {
        stack: stack.clone(),
        id: Some(id),
    };
    let ended = async { client.end_one_off(&params).await.is_ok() };
    let too_late = async {
        smol::Timer::after(REMOVAL).await;
        false
    };
    if !future::or(ended, too_late).await {
        tracing::debug!("the daemon removes what is left of the run later");
    }
}

const COULD_NOT_RUN: u8 = 125;

/// A container that has ended is removed in an instant, by a daemon that is there.
const REMOVAL: std::time::Duration = std::time::Duration::from_secs(20);
