//! A command in a container or on another host, from its start to its end.
//!
//! Owns: that an interrupt of ours ends the command inside, where the engine would let it go on, and what is made of its
//! end.

use std::time::Duration;

use command_executor::{
    Command, DockerLayer, ExecutionLayer, Executor, Exit, ManagedProcess, ProcessHandle, Signal,
    Target,
};
use futures_lite::future;
use smol::Timer;

use super::exec_failure::ExecFailure;
use crate::context::Context;
use crate::interrupt::{Interrupt, Interrupts};

/// What is run, and how it is reached.
#[derive(Debug)]
pub(super) struct Attended<L> {
    pub(super) layer: L,
    /// The same without a terminal, for signals.
    pub(super) quiet: L,
    pub(super) mark: String,
    pub(super) command: Command,
    /// Whether Ctrl-C reaches the engine's command line, too, which ends of it and says 0.
    pub(super) shares_group: bool,
}

/// What became of a signal.
enum Passed {
    Sent,
    /// Nothing bears the mark: it has ended, or not begun.
    Nobody,
    /// Why it cannot be sent.
    Unable(String),
}

impl<L: ExecutionLayer + Clone + 'static> Attended<L> {
    /// Runs it to its end.
    ///
    /// # Errors
    /// [`ExecFailure::Ended`] with anything but 0.
    pub(super) async fn run(self, context: &Context) -> Result<(), ExecFailure> {
        let mut interrupts = Interrupts::with_hangup().map_err(ExecFailure::Signals)?;
        let group = ManagedProcess::new().own_group(!self.shares_group);
        let target = Target::ManagedProcess(group.kill_on_drop(true));
        let executor = Executor::local().with_layer(self.layer.clone());
        let (_events, handle) = executor.launch(&target, self.command.clone()).await?;
        let mut interrupted = None;
        loop {
            let end = async { Ok(handle.wait().await) };
            match future::or(async { Err(interrupts.next().await) }, end).await {
                Ok(exit) => {
                    if interrupted.is_none() && self.shares_group {
                        interrupted = late(&mut interrupts).await;
                        if interrupted.is_some() {
                            self.pass_on(signal(interrupted), &handle, context).await;
                        }
                    }
                    return self.outcome(exit?, interrupted);
                }
                Err(by) => {
                    let again = interrupted.replace(by).is_some();
                    let signal = if again {
                        Signal::Kill
                    } else {
                        signal(interrupted)
                    };
                    if !self.pass_on(signal, &handle, context).await {
                        return Err(ExecFailure::Ended(by.exit_code()));
                    }
                }
            }
        }
    }

    /// Signals the command and all that it started. Not done when nothing is found while the command line lives: then it
    /// is about to begin, or about to end. Says whether there is an end to be waited for.
    async fn pass_on(
        &self,
        signal: Signal,
        handle: &impl ProcessHandle,
        context: &Context,
    ) -> bool {
        for _ in 0..TRIES {
            match self.send(signal).await {
                Passed::Sent => return true,
                Passed::Unable(reason) => {
                    context.tell(&format!("the command may go on there: {reason}"));
                    return false;
                }
                Passed::Nobody => {}
            }
            let pause = async {
                Timer::after(BETWEEN_TRIES).await;
                false
            };
            let has_ended = async {
                let _told_by_the_caller = handle.wait().await;
                true
            };
            if future::or(has_ended, pause).await {
                return true;
            }
        }
        context.tell("the command may go on there: it was not found");
        false
    }

    async fn send(&self, signal: Signal) -> Passed {
        let executor = Executor::local().with_layer(self.quiet.clone());
        let command = DockerLayer::signal_marked(&self.mark, signal);
        match executor.execute(&Target::Command, command).await {
            Ok(done) if done.exit == Exit::Code(0) => Passed::Sent,
            Ok(done) if done.exit == Exit::Code(1) && done.stderr.is_empty() => Passed::Nobody,
            Ok(done) => {
                let said = [done.stderr, done.stdout].concat();
                Passed::Unable(String::from_utf8_lossy(&said).trim().to_owned())
            }
            Err(error) => Passed::Unable(harness_core::error_chain(&error)),
        }
    }

    fn outcome(&self, exit: Exit, interrupted: Option<Interrupt>) -> Result<(), ExecFailure> {
        let code = match (exit, interrupted) {
            // The engine's command line has ended, and not the command.
            (Exit::Code(0) | Exit::Signal(_), Some(by)) if self.shares_group => by.exit_code(),
            (Exit::Code(code), _) => u8::try_from(code).unwrap_or(1),
            (Exit::Signal(signal), _) => u8::try_from(128 + signal).unwrap_or(1),
            (Exit::Unknown, _) => 1,
        };
        match code {
            0 => Ok(()),
            code => Err(ExecFailure::Ended(code)),
        }
    }
}

/// An interrupt that came together with the end of the command line, which may well be its cause.
async fn late(interrupts: &mut Interrupts) -> Option<Interrupt> {
    let none = async {
        Timer::after(TOGETHER).await;
        None
    };
    future::or(async { Some(interrupts.next().await) }, none).await
}

fn signal(interrupted: Option<Interrupt>) -> Signal {
    match interrupted {
        Some(Interrupt::Int) => Signal::Interrupt,
        Some(Interrupt::Hangup) => Signal::Reload,
        Some(Interrupt::Term) | None => Signal::Terminate,
    }
}

/// Long enough for an engine under load to have begun a command that is asked to end at once.
const TRIES: u32 = 25;
const BETWEEN_TRIES: Duration = Duration::from_millis(200);

/// One turn of whoever waits for signals and ends.
const TOGETHER: Duration = Duration::from_millis(1);
