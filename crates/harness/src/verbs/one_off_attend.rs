//! A container of a one-off run, from its start to its end.
//!
//! Owns: the engine's command line that starts it and is its terminal, and that signals reach what runs inside.

use std::ffi::OsString;
use std::time::Duration;

use command_executor::{
    Command, Executor, Exit, ManagedProcess, OutputMode, ProcessHandle, StdinMode, Target,
};
use container_engine::{ContainerId, Discovery, Engine, EngineError};
use futures_lite::future;
use smol::Timer;

use super::exec_failure::ExecFailure;
use super::one_off_failure::OneOffFailure;
use crate::context::Context;
use crate::interrupt::{Interrupt, Interrupts};

/// What is begun.
#[derive(Debug)]
pub(super) struct Attended {
    pub(super) container: String,
    /// Whether a terminal is our input: then the engine's command line hears Ctrl-C, too, and passes it on.
    pub(super) has_terminal: bool,
}

impl Attended {
    /// Starts it, and waits for its end.
    ///
    /// # Errors
    /// [`OneOffFailure::Ended`] with anything but 0, and whatever kept it from being started.
    pub(super) async fn run(
        &self,
        interrupts: &mut Interrupts,
        context: &Context,
    ) -> Result<(), OneOffFailure> {
        let engine = Engine::discover(&Discovery::from_env()).map_err(ExecFailure::from)?;
        let id = ContainerId::new(self.container.as_str());
        match engine.inspect(&id).await {
            Ok(_) => {}
            Err(EngineError::NotFound { .. }) => {
                let engine = engine.address().to_string();
                return Err(OneOffFailure::NotThere { engine });
            }
            Err(error) => return Err(ExecFailure::from(error).into()),
        }
        let handle = {
            let mut words = engine.cli().into_iter();
            let program = words.next().unwrap_or_else(|| OsString::from("docker"));
            let mut command = Command::new(program);
            command
                .args(words)
                .args(["start", "--attach", "--interactive"])
                .arg(&self.container)
                .stdin(StdinMode::Inherit)
                .stdout(OutputMode::Inherit)
                .stderr(OutputMode::Inherit);
            // Whoever reads from a terminal must be among those that it sends Ctrl-C to.
            let group = ManagedProcess::new().own_group(!self.has_terminal);
            let target = Target::ManagedProcess(group.kill_on_drop(true));
            let launched = Executor::local().launch(&target, command).await;
            launched.map_err(ExecFailure::from)?.1
        };
        let mut times = 0;
        let exit = loop {
            let end = async { Ok(handle.wait().await) };
            match future::or(end, async { Err(interrupts.next().await) }).await {
                Ok(exit) => break exit.map_err(ExecFailure::from)?,
                Err(by) => {
                    times += 1;
                    self.pass_on(&engine, &id, by, times, context).await;
                }
            }
        };
        self.outcome(&engine, &id, exit).await
    }

    /// The first one as it is, unless the command line does so; the next one kills: what runs inside as process 1 may
    /// be deaf to the first.
    async fn pass_on(
        &self,
        engine: &Engine,
        id: &ContainerId,
        by: Interrupt,
        times: u32,
        context: &Context,
    ) {
        let signal = match (by, times) {
            (_, 2..) => "KILL",
            (Interrupt::Int, _) if self.has_terminal => return,
            (Interrupt::Int, _) => "INT",
            (Interrupt::Hangup, _) => "HUP",
            (Interrupt::Term, _) => "TERM",
        };
        for _ in 0..TRIES {
            match engine.kill(id, signal).await {
                // It is about to be started, or has ended.
                Err(EngineError::NotRunning { .. } | EngineError::Conflict { .. }) => {
                    Timer::after(BETWEEN_TRIES).await;
                }
                Ok(()) | Err(EngineError::NotFound { .. }) => return,
                Err(error) => {
                    let error = harness_core::error_chain(&error);
                    context.tell(&format!("the signal could not be passed on: {error}"));
                    return;
                }
            }
        }
    }

    async fn outcome(
        &self,
        engine: &Engine,
        id: &ContainerId,
        exit: Exit,
    ) -> Result<(), OneOffFailure> {
        // The engine knows it better than its command line, which says 1 of what could not be started.
        let seen = engine.inspect(id).await.ok();
        let known = seen.filter(|seen| !seen.state.status.is_alive());
        let unstarted = known.as_ref().and_then(|seen| seen.state.error.as_deref());
        let unstarted = unstarted.map(|reason| i64::from(shells_code(reason)));
        let ended = known.as_ref().and_then(|seen| seen.state.exit_code);
        let code = match (ended.or(unstarted), exit) {
            (Some(code), _) if code != 0 => u8::try_from(code).unwrap_or(1),
            (_, Exit::Code(code)) => u8::try_from(code).unwrap_or(1),
            (_, Exit::Signal(signal)) => u8::try_from(128 + signal).unwrap_or(1),
            (_, Exit::Unknown) => 1,
        };
        match code {
            0 => Ok(()),
            code => Err(OneOffFailure::Ended(code)),
        }
    }
}

/// What a shell would make of a command that could not be started.
fn shells_code(reason: &str) -> u8 {
    match ["not found", "no such file"]
        .iter()
        .any(|words| reason.contains(words))
    {
        true => 127,
        false => 126,
    }
}

/// Long enough for an engine under load to have started what is interrupted at once.
const TRIES: u32 = 10;
const BETWEEN_TRIES: Duration = Duration::from_millis(100);
