//! `exec`: a command where a service runs.
//!
//! Owns: which container is meant, and what of the surroundings the command gets. The daemon is asked for its status and
//! nothing else: the command is run by the engine's own command line, with the rights of whoever calls us.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;

use chrono::Utc;
use clap::Args;
use command_executor::{Command, DockerLayer, OutputMode, StdinMode};
use container_engine::{ContainerId, Discovery, Engine, EngineError};
use harness_core::AutoStart;
use harness_core::hosts::{HostCall, engine_socket};
use harness_core::report::UnitStatus;

use super::exec_attend::Attended;
use super::exec_failure::ExecFailure;
use super::exec_remote;
use super::variable::Variable;
use crate::context::Context;
use crate::failure::Failure;
use crate::select;
use crate::units::selected;

/// Run a command in the container of a service or on its host, and exit as it does
///
/// The command gets a terminal where standard input and output are one, and its exit code is ours. Ctrl-C and SIGTERM
/// reach the command; without a terminal of its own, the second one kills it. It is run by the engine's own command line
/// (docker or podman), with your own rights; on another host by ssh, with the login of `harness host`. A process of this
/// machine has no inside: run its commands in any shell.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ExecArgs {
    /// Run as this user of the container: `USER`, `UID` or `USER:GROUP`
    #[arg(short, long, value_name = "USER")]
    user: Option<String>,
    /// Run in this directory of the container
    #[arg(short, long, value_name = "DIR")]
    pub(super) workdir: Option<PathBuf>,
    /// Set a variable; `NAME` alone takes its value from here, and shows it to nobody. May be repeated
    #[arg(short, long, value_name = "NAME[=VALUE]", value_parser = Variable::parse)]
    pub(super) env: Vec<Variable>,
    /// No terminal, also where there is one
    #[arg(short = 'T', long)]
    no_tty: bool,
    /// Pass standard input on, which is done anyway
    #[arg(short, long, hide = true)]
    interactive: bool,
    /// A terminal where there is one, which it gets anyway
    #[arg(short, long, hide = true, conflicts_with = "no_tty")]
    tty: bool,
    /// The service or task
    #[arg(value_name = "SVC", add = crate::complete::units())]
    unit: String,
    /// The command and its arguments
    #[arg(
        value_name = "CMD",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub(super) command: Vec<OsString>,
}

const EXAMPLES: &str = "\
Examples:
  harness exec db -- psql -U postgres
  harness exec -u root -w /etc web -- sh
  harness exec -e PGPASSWORD db -- pg_dump shop > shop.sql    the value from your environment";

pub(crate) async fn run(args: ExecArgs, context: &Context) -> Result<(), Failure> {
    context.dirs_here("exec")?;
    let client = context.client(AutoStart::WhenActive).await?;
    let stack = select::known_stack(context, &client).await?;
    let status = client.status(&stack).await?;
    let units = selected(&status, std::slice::from_ref(&args.unit))?;
    let has_terminal = std::io::stdin().is_terminal();
    let tty = !args.no_tty && has_terminal && std::io::stdout().is_terminal();
    let mark = format!("{}-{}", std::process::id(), Utc::now().timestamp_micros());
    let engine = match &units[..] {
        [unit, ..] if unit.is_container() => engine_of(unit, context)?,
        _ => {
            if let Some(host) = host(&args, &units)? {
                let terminals = (has_terminal, tty);
                return exec_remote::run(args, &host, mark, terminals, context).await;
            }
            Engine::discover(&Discovery::from_env()).map_err(ExecFailure::from)?
        }
    };
    let container = running(&engine, &units).await?;
    let attended = attended(args, &engine, &container, mark, (has_terminal, tty))?;
    Ok(attended.run(context).await?)
}

/// The engine that runs a container: that of this machine, or that of its host, to which the daemon leads.
fn engine_of(unit: &UnitStatus, context: &Context) -> Result<Engine, Failure> {
    match &unit.host {
        Some(host) => {
            let dirs = context.dirs_here("exec")?;
            Ok(Engine::at_socket(&engine_socket(dirs.run(), host)))
        }
        None => Ok(Engine::discover(&Discovery::from_env()).map_err(ExecFailure::from)?),
    }
}

/// The other host that one of these units runs on.
fn host(args: &ExecArgs, units: &[&UnitStatus]) -> Result<Option<HostCall>, ExecFailure> {
    let mut there = units.iter().filter(|unit| unit.host.is_some());
    let Some(unit) = there.next() else {
        return Ok(None);
    };
    if args.user.is_some() {
        return Err(ExecFailure::NotThatUser {
            unit: unit.name.clone(),
        });
    }
    let login = unit.login.clone();
    Ok(unit.host.clone().map(|name| HostCall {
        name,
        user: login.as_ref().and_then(|login| login.user.clone()),
        port: login.as_ref().and_then(|login| login.port),
        key: login.and_then(|login| login.ssh_key),
    }))
}

/// The first container of these units that runs.
async fn running(engine: &Engine, units: &[&UnitStatus]) -> Result<ContainerId, ExecFailure> {
    let mut failure = None;
    for unit in units {
        if !unit.is_container() {
            return Err(ExecFailure::NotAContainer {
                unit: unit.name.clone(),
                target: unit.target.clone(),
            });
        }
        let unit_name = || unit.name.clone();
        let Some(id) = &unit.container_id else {
            failure.get_or_insert(ExecFailure::NotRunning { unit: unit_name() });
            continue;
        };
        let id = ContainerId::new(id.as_str());
        let seen = match engine.inspect(&id).await {
            Ok(seen) => Some(seen),
            Err(EngineError::NotFound { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let has_ended = unit.stopped_at.is_some();
        match seen {
            Some(seen) if seen.state.status.is_alive() => return Ok(id),
            None if !has_ended => {
                failure = Some(ExecFailure::NotThere {
                    unit: unit_name(),
                    engine: engine.address().to_string(),
                });
            }
            Some(_) | None => {
                failure.get_or_insert(ExecFailure::NotRunning { unit: unit_name() });
            }
        }
    }
    Err(failure.expect("a name that is selected means a unit"))
}

fn attended(
    args: ExecArgs,
    engine: &Engine,
    container: &ContainerId,
    mark: String,
    (has_terminal, tty): (bool, bool),
) -> Result<Attended<DockerLayer>, ExecFailure> {
    let mut layer = DockerLayer::new(container.as_str())
        .with_cli(engine.cli())
        .with_mark(&mark);
    if let Some(user) = args.user {
        layer = layer.with_user(user);
    }
    if let Some(directory) = args.workdir {
        layer = layer.with_working_dir(directory);
    }
    let (program, arguments) = args
        .command
        .split_first()
        .expect("the command line asks for a word at least");
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(StdinMode::Inherit)
        .stdout(OutputMode::Inherit)
        .stderr(OutputMode::Inherit);
    for variable in args.env {
        let (name, value) = variable.value()?;
        command.env(name, value);
    }
    Ok(Attended {
        quiet: layer.clone(),
        layer: layer.with_tty(tty),
        mark,
        command,
        // Whoever reads from a terminal must be among those that it sends Ctrl-C to.
        shares_group: has_terminal,
    })
}
