//! Units that belong to the terminal: `up` and `run` show what they write and end them when they are interrupted.
//!
//! Owns: what Ctrl-C means there: once stops in order, twice kills, thrice leaves what is left to the daemon. A reader
//! who goes away counts as an interrupt: nobody would see what goes on.

use std::collections::BTreeSet;
use std::future::Future;

use futures_lite::future;
use harness_core::HarnessClient;
use harness_core::client::ClientError;
use harness_core::protocol::{StopParams, WaitGoal, WaitParams, WaitResult};
use harness_core::report::{StackStatus, UnitStatus};
use harness_core::spec::StackName;

use super::output::Output;
use super::stop::unit_list;
use crate::context::Context;
use crate::failure::Failure;
use crate::follow::{Ended, Shown, Watch};
use crate::interrupt::Interrupt;
use crate::units::base;

/// Units in the foreground.
#[derive(Debug)]
pub(super) struct Foreground<'a> {
    pub(super) context: &'a Context,
    pub(super) client: &'a HarnessClient,
    pub(super) stack: &'a StackName,
    /// The units, by name: they are ended together.
    pub(super) units: Vec<String>,
    pub(super) watch: Watch<'a>,
    pub(super) output: Output,
}

/// What ended the wait.
#[derive(Debug)]
pub(super) enum End<T> {
    /// The work is done.
    Done(T),
    /// The user had enough, and everything was ended that nothing else which runs needs.
    Stopped {
        /// How the user said so.
        by: Interrupt,
        /// What goes on, because others need it.
        kept: Vec<String>,
    },
}

/// What came of ordering units down.
enum Halt {
    /// They are gone, except these, which others need.
    Gone(Vec<String>),
    /// The user had enough of waiting for that, too.
    Again(Interrupt),
}

enum Step<T> {
    Done(T),
    /// Output can no longer be shown.
    Mute(Failure),
}

/// How hard something is asked to end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Urgency {
    InOrder,
    AtOnce,
}

impl Foreground<'_> {
    /// Shows output until the work is done; an interrupt ends the units.
    ///
    /// # Errors
    /// When the daemon fails, or the user leaves units that do not end.
    pub(super) async fn until<T>(
        &mut self,
        work: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<End<T>, Failure> {
        match self.step(work).await? {
            Ended::Done(Step::Done(value)) => Ok(End::Done(value)),
            Ended::Done(Step::Mute(failure)) => {
                self.end(Interrupt::Term).await?;
                Err(failure)
            }
            Ended::Interrupted(by) => {
                let kept = self.end(by).await?;
                Ok(End::Stopped { by, kept })
            }
            Ended::TimedOut => unreachable!("there is no time limit"),
        }
    }

    /// Ends the units that are left, as an interrupt would.
    ///
    /// # Errors
    /// As [`Self::until`].
    pub(super) async fn end_rest(&mut self) -> Result<(), Failure> {
        self.end(Interrupt::Term).await.map(drop)
    }

    async fn step<T>(
        &mut self,
        work: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<Ended<Step<T>>, Failure> {
        let output = &mut self.output;
        let both = future::or(async { work.await.map(Step::Done) }, async {
            Ok(Step::Mute(output.show().await))
        });
        let shown = Shown {
            title: "",
            units: &self.units,
            is_done: |_| false,
        };
        self.watch.until(shown, None, both).await
    }

    /// Ends the units: in order, at once when that takes the user too long, and leaves them when that does too. Answers
    /// with those that go on, because others need them.
    async fn end(&mut self, by: Interrupt) -> Result<Vec<String>, Failure> {
        let stack = self.stack;
        let mut by = by;
        for (urgency, next) in [
            (Urgency::InOrder, "once more kills what is left"),
            (Urgency::AtOnce, "once more leaves it to the daemon"),
        ] {
            self.context.tell(&format!("stopping {stack}; {next}"));
            match self.stop(urgency).await? {
                Halt::Gone(kept) => return Ok(kept),
                Halt::Again(again) => by = again,
            }
        }
        Err(Failure::Interrupted {
            by,
            meanwhile: format!("left to the daemon; see `harness -p {stack} status`"),
        })
    }

    /// Orders the units down and waits until they are gone, or the user has enough of that too.
    async fn stop(&mut self, urgency: Urgency) -> Result<Halt, Failure> {
        let (client, stack) = (self.client, self.stack);
        let status = client.status(stack).await?;
        let stopping = unneeded(&status, &self.units);
        let kept = self.units.iter().map(|unit| base(unit).to_owned());
        let kept: BTreeSet<String> = kept.filter(|name| !stopping.contains(name)).collect();
        let kept: Vec<String> = kept.into_iter().collect();
        let units = unit_list(stack, &stopping)?;
        if units.is_empty() {
            return Ok(Halt::Gone(kept));
        }
        let params = StopParams {
            units: units.clone(),
            force: urgency == Urgency::AtOnce,
            grace_ms: (urgency == Urgency::AtOnce).then_some(0),
            ..StopParams::all(stack.clone())
        };
        client.stop(&params).await?;
        let wait = WaitParams {
            stack: stack.clone(),
            units,
            goal: WaitGoal::Stopped,
            any: false,
            ordered_down: true,
        };
        let mut is_mute = false;
        loop {
            let waiting = client.wait(&wait);
            let ended = match is_mute {
                false => self.step(waiting).await?,
                true => self.step_mute(waiting).await?,
            };
            match ended {
                Ended::Done(Step::Done(WaitResult::Reached | WaitResult::Never(_))) => {
                    return Ok(Halt::Gone(kept));
                }
                Ended::Done(Step::Mute(_)) => is_mute = true,
                Ended::Interrupted(by) => return Ok(Halt::Again(by)),
                Ended::TimedOut => unreachable!("there is no time limit"),
            }
        }
    }

    async fn step_mute<T>(
        &mut self,
        work: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<Ended<Step<T>>, Failure> {
        let shown = Shown {
            title: "",
            units: &self.units,
            is_done: |_| false,
        };
        let work = async { work.await.map(Step::Done) };
        self.watch.until(shown, None, work).await
    }

    /// Shows what was written and not shown yet.
    ///
    /// # Errors
    /// As [`Output::finish`].
    pub(super) async fn finish(self) -> Result<(), Failure> {
        self.output.finish(self.client).await
    }
}

/// Those of these units that nothing else which runs needs: the others belong to somebody else, too.
fn unneeded(status: &StackStatus, ours: &[String]) -> Vec<String> {
    let mut stopping: BTreeSet<&str> = ours.iter().map(|unit| base(unit)).collect();
    let may_run = |unit: &UnitStatus| !matches!(unit.state.as_str(), "idle" | "done" | "failed");
    loop {
        let is_kept = |name: &str| {
            let mut others = status.items.iter().filter(|unit| {
                base(&unit.name) == name
                    && unit.required_by.iter().any(|needy| {
                        let mut all = status.items.iter();
                        !stopping.contains(base(needy))
                            && all.any(|unit| unit.name == *needy && may_run(unit))
                    })
            });
            others.next().is_some()
        };
        let kept: Vec<&str> = stopping
            .iter()
            .copied()
            .filter(|name| is_kept(name))
            .collect();
        if kept.is_empty() {
            return stopping.into_iter().map(str::to_owned).collect();
        }
        for name in kept {
            stopping.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::sample;

    #[test]
    fn what_others_need_is_left_running() {
        let mut status = sample::stack();
        let names: Vec<String> = status.items.iter().map(|unit| unit.name.clone()).collect();
        for unit in &mut status.items {
            unit.state = "ready".to_owned();
            unit.required_by.clear();
        }
        let [first, second, third] = [0, 1, 2].map(|at| names[at].clone());
        status.items[0].required_by = vec![second.clone()];
        status.items[1].required_by = vec![third.clone()];
        let ours = [first.clone(), second.clone()];
        assert_eq!(unneeded(&status, &ours), Vec::<String>::new());
        status.items[2].state = "idle".to_owned();
        let mut both = ours.to_vec();
        both.sort();
        assert_eq!(unneeded(&status, &ours), both);
    }
}
