//! `run`: a task itself, or something once by the definition of a unit.
//!
//! Owns: which of the two is meant. A task that is named alone is meant itself; whatever else is asked for is a run of its
//! own, beside the unit. See the ADR on one-off runs.

use std::ffi::OsString;

use clap::Args;
use harness_core::spec::UnitKind;

use super::definition::{self, Wish};
use super::one_off::OneOff;
use super::variable::Variable;
use super::{one_off, run_task};
use crate::context::Context;
use crate::failure::Failure;

/// Run a task now, or a command by the definition of a service
///
/// `run TASK` runs the task itself, also when it has completed before, and shows what it writes. `run UNIT CMD…` is a one-off
/// run: another command with the image, environment, volumes and networks of UNIT (the environment and directory of a
/// process), at this terminal, beside the unit and never taken for it. It publishes no ports, and nothing of it stays.
/// Both start what is needed first and leave that running, and exit as the command does, with 128 plus the signal that ended
/// it, and with 125 when it could not run.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RunArgs {
    /// Leave alone what it needs
    #[arg(long)]
    no_deps: bool,
    /// With the units of this profile too; may be repeated
    #[arg(long, value_name = "PROFILE")]
    profile: Vec<String>,
    /// Set a variable; `NAME` alone takes its value from here, and shows it to nobody. May be repeated
    #[arg(short, long, value_name = "NAME[=VALUE]", value_parser = Variable::parse)]
    env: Vec<Variable>,
    /// Run as this user of the container: `USER`, `UID` or `USER:GROUP`
    #[arg(short, long, value_name = "USER")]
    user: Option<String>,
    /// Run in this directory: of the container, or, of a process, of this machine
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<String>,
    /// Begin the container with this program instead of its own; the command is its arguments
    #[arg(long, value_name = "PROGRAM")]
    entrypoint: Option<String>,
    /// No terminal, also where there is one
    #[arg(short = 'T', long, visible_alias = "no-TTY")]
    no_tty: bool,
    /// Pass a terminal's input on to the task itself, too; every other input is passed on anyway
    #[arg(short, long)]
    interactive: bool,
    /// A terminal where there is one, which it gets anyway
    #[arg(short, long, hide = true, conflicts_with = "no_tty")]
    tty: bool,
    /// Nothing of it stays anyway
    #[arg(long, hide = true)]
    rm: bool,
    /// The task, or the unit by whose definition the command is run
    #[arg(value_name = "UNIT", add = crate::complete::units())]
    unit: String,
    /// The command and its arguments; without one, that of a service itself
    #[arg(
        value_name = "CMD",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    command: Vec<OsString>,
}

const EXAMPLES: &str = "\
Examples:
  harness run migrate                 the task
  harness run report > report.csv     its standard output, and nothing else
  harness run import < dump.sql       with that as its standard input
  harness run db -- psql -h db        a command by the definition of `db`, beside it
  harness run --no-deps -e DEBUG=1 web sh";

pub(crate) async fn run(args: RunArgs, context: &Context) -> Result<(), Failure> {
    let wanted = [args.unit];
    let wish = Wish {
        units: &wanted,
        profiles: &args.profile,
        no_deps: args.no_deps,
    };
    let is_plain = args.command.is_empty()
        && args.env.is_empty()
        && args.user.is_none()
        && args.workdir.is_none()
        && args.entrypoint.is_none();
    let definition = definition::read(context, wish).await?;
    let unit = &definition.stack.units[&definition.units[0]];
    if is_plain && unit.kind == UnitKind::Task {
        let wish = run_task::Wish {
            no_deps: args.no_deps,
            input: args.interactive,
        };
        return run_task::run(definition, wish, context).await;
    }
    let wish = OneOff {
        no_deps: args.no_deps,
        env: args.env,
        user: args.user,
        workdir: args.workdir,
        entrypoint: args.entrypoint,
        no_tty: args.no_tty,
        command: args.command,
    };
    one_off::run(definition, wish, context).await
}
