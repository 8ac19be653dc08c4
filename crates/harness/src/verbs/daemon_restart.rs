//! `daemon restart`: this program's daemon in the place of the one that runs, after an upgrade mostly.
//!
//! Owns: the arguments and the words. How one takes the other's place, harness-core decides.

use clap::Args;
use harness_core::client::{Replaced, replace_daemon};
use harness_core::protocol::{DaemonInfo, SCHEMA_VERSION};

use super::daemon::Format;
use super::daemon_run::PROGRAM;
use crate::context::Context;
use crate::failure::Failure;
use crate::render::{Span, json_line, print};

/// Replace the daemon by one of this version; services go on
///
/// It listens where the last one did. Commands that are given meanwhile wait for it, and those that wait for something
/// go on. Where no daemon runs, one is started.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct RestartArgs {
    /// How to show what was done
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        env = "HARNESS_OUTPUT",
        hide_env_values = true,
        default_value = "text"
    )]
    pub(super) output: Format,
}

const EXAMPLES: &str = "\
Examples:
  harness daemon restart                       after an upgrade of this program
  HARNESS_LOG=debug harness daemon restart     the next daemon says more";

pub(super) async fn restart(args: RestartArgs, context: &Context) -> Result<(), Failure> {
    let dirs = context.dirs_here("daemon restart")?;
    let replaced = replace_daemon(&dirs, &context.daemon_program(None)?, PROGRAM).await?;
    match args.output {
        Format::Json => print(&json_line(&document(&replaced))),
        Format::Text => {
            let text = sentence(&replaced);
            context.tell(&context.messages.paint(Span::Good, &text));
            Ok(())
        }
    }
}

fn document(replaced: &Replaced) -> serde_json::Value {
    let of = |info: &DaemonInfo| {
        serde_json::json!({
            "program": info.program,
            "version": info.version,
            "pid": info.pid,
            "listen": info.listen,
            "started_at": info.started_at,
        })
    };
    serde_json::json!({
        "schema_version": SCHEMA_VERSION,
        "before": replaced.before.as_ref().map(of),
        "after": of(&replaced.after),
        "taken_over": taken_over(&replaced.after),
    })
}

fn sentence(replaced: &Replaced) -> String {
    let Replaced { before, after } = replaced;
    let taken = match taken_over(after) {
        0 => "nothing to take over".to_owned(),
        1 => "1 service taken over".to_owned(),
        count => format!("{count} services taken over"),
    };
    match before {
        Some(before) => format!(
            "the daemon is another: version {} (process {}) instead of {} (process {}), listening on {}; {taken}",
            after.version, after.pid, before.version, before.pid, after.listen
        ),
        None => format!(
            "no daemon ran; one does now: version {} (process {}), listening on {}; {taken}",
            after.version, after.pid, after.listen
        ),
    }
}

/// Adoption comes before the first answer: what is active then was taken over.
fn taken_over(info: &DaemonInfo) -> u32 {
    info.stacks.iter().map(|stack| stack.active).sum()
}
