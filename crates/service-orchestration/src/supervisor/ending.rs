//! Asking an attempt to end.
//!
//! Owns: what it is asked with: a signal, or a command of its own.

use std::sync::Arc;
use std::time::Duration;

use async_process::Stdio;

use super::hosts::host_of;
use super::inbox::AttemptNews;
use super::turn::{Reporter, Supervisor};
use crate::executors::{AttemptControl, InsideCommand, StopOrder};
use crate::model::{Index, LADDER_MARGIN};

/// How one attempt is asked to end.
#[derive(Debug)]
pub(super) struct Asking {
    order: StopOrder,
    command: Option<StopCommand>,
}

/// A command that ends an attempt.
#[derive(Debug)]
enum StopCommand {
    /// On this machine.
    Here(std::process::Command),
    /// Where the attempt is.
    There(InsideCommand),
}

impl Supervisor {
    /// How this unit is asked to end.
    pub(super) fn stop_order(&self, unit: Index) -> Asking {
        let entry = self.units.get(unit);
        let stop = &entry.described().stop;
        let command = stop.command.as_ref().and_then(|words| {
            let words: Result<Vec<String>, _> =
                words.iter().map(|word| self.text(entry, word)).collect();
            let stack = self.units.stack(&entry.id.stack)?;
            let env = self.environment(entry, stack).ok()?;
            if host_of(entry).is_some() {
                return Some(StopCommand::There(InsideCommand {
                    words: words.ok()?,
                    env,
                    timeout: entry.grace.unwrap_or(stop.grace),
                }));
            }
            let (program, args) = words.as_ref().ok()?.split_first()?;
            let mut command = std::process::Command::new(program);
            command
                .args(args)
                .env_clear()
                .envs(env)
                .current_dir(&stack.directory);
            if let Some(pid) = entry.facts.pid {
                command.env("HARNESS_PID", pid.to_string());
            }
            Some(StopCommand::Here(command))
        });
        if stop.command.is_some() && command.is_none() {
            tracing::warn!(unit = %entry.id, "its stop command has no value for a reference: the signal is sent instead");
        }
        let grace = entry.grace.unwrap_or(stop.grace);
        Asking {
            order: StopOrder {
                signal: command.is_none().then_some(stop.signal),
                grace: self.left_of(unit, grace),
                scope: stop.scope,
            },
            command,
        }
    }
}

impl Supervisor {
    /// What is left of a grace. An attempt of an earlier daemon may have been asked to end before, and the time since
    /// then counts.
    fn left_of(&self, unit: Index, grace: Duration) -> Duration {
        let deadline = self.world.unit(unit).deadline;
        match deadline.filter(|_| self.units.get(unit).inherited) {
            None => grace,
            Some(deadline) => deadline
                .saturating_sub(LADDER_MARGIN)
                .saturating_sub(self.clock.now())
                .min(grace),
        }
    }
}

/// Gives the order to end, or to be ended by force; reports when it could not be given.
pub(super) async fn give(
    control: Arc<dyn AttemptControl>,
    asking: Option<Asking>,
    reporter: Reporter,
) {
    let result = match asking {
        None => control.kill().await,
        Some(Asking { order, command }) => {
            let given = control.stop(&order).await;
            match (&given, command) {
                (Ok(()), Some(StopCommand::Here(command))) => run(command).await,
                (Ok(()), Some(StopCommand::There(command))) => {
                    if let Err(error) = control.run_inside(command).await {
                        let error = crate::error_chain(&error);
                        tracing::warn!(error, "the stop command cannot be run");
                    }
                }
                (Ok(()) | Err(_), _) => {}
            }
            given
        }
    };
    if let Err(error) = result {
        reporter.report(AttemptNews::Disobeyed(error));
    }
}

/// Runs a stop command. The grace runs meanwhile; a command that outlives the service is ended with this task.
async fn run(command: std::process::Command) {
    let mut command = async_process::Command::from(command);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    match command.status().await {
        Ok(status) if status.success() => {}
        Ok(status) => tracing::warn!(%status, "the stop command failed"),
        Err(error) => tracing::warn!(%error, "the stop command cannot be run"),
    }
}
