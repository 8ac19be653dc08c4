//! Carrying out what the model ordered.
//!
//! Owns: the way from an effect to a task. Never waits: every task reports back through the inbox.

use std::sync::Arc;

use service_registry::{Incarnation, Readiness};
use tracing::Instrument;

use super::address::key;
use super::inbox::AttemptNews;
use super::turn::Supervisor;
use super::units::{Ending, Runner};
use super::{ending, runner, ways};
use crate::executors::LaunchError;
use crate::model::{Attempt, Effect, Index, Report, State};
use crate::report::{EventKind, ExitInfo};
use crate::spec::{TargetKind, UnitId, UnitKind};

impl Supervisor {
    pub(super) fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Launch(unit, attempt) => self.launch(unit, attempt),
            Effect::Probe(unit, attempt) => self.probe(unit, attempt),
            Effect::CheckSetup(unit, attempt) => self.check_setup(unit, attempt),
            Effect::PerformSetup(unit, attempt) => self.perform_setup(unit, attempt),
            Effect::Terminate(unit, attempt) => self.end(unit, attempt, Ending::Terminate),
            Effect::Kill(unit, attempt) => self.end(unit, attempt, Ending::Kill),
            Effect::Detach(unit, attempt) => self.end(unit, attempt, Ending::Detach),
            Effect::Publish(unit, attempt) => self.publish(unit, attempt),
            Effect::Withdraw(unit, attempt) => self.withdraw(unit, attempt),
            Effect::Arm { .. } | Effect::Moved(_) => {
                unreachable!("the turn takes these in when they are decided")
            }
        }
    }

    pub(super) fn launch(&mut self, unit: Index, attempt: Attempt) {
        let reporter = self.reporter(unit, attempt);
        // Its end was ordered while the launch was being kept: that finds that there is nothing to end.
        if !self.is_in(unit, attempt, |state| state == State::Starting) {
            return;
        }
        let entry = self.units.get(unit);
        let target = &entry.described().target;
        let executor = self.setting.executors.get(target.kind());
        if let Some(executor) = executor.filter(|executor| executor.needs_ground(target)) {
            let executor = Arc::clone(executor);
            let span = runner::span(&entry.id, attempt.0);
            match self.ground_order(entry, attempt) {
                Ok(order) => {
                    let preparing = runner::prepare(executor, order, reporter);
                    self.watch(unit, attempt, preparing.instrument(span));
                    let entry = self.units.get_mut(unit);
                    entry.is_preparing = true;
                    // The next launch makes sure by itself.
                    entry.image_since = None;
                }
                Err(error) => reporter.report(AttemptNews::NotLaunched(error)),
            }
            return;
        }
        self.go_on_to_launch(unit, attempt);
    }

    /// Launches an attempt once all is there that its launch needs of hosts.
    fn go_on_to_launch(&mut self, unit: Index, attempt: Attempt) {
        let errands = self.errands(unit);
        let Some(carrier) = self.carrier().filter(|_| !errands.is_empty()) else {
            return self.launch_now(unit, attempt);
        };
        let reporter = self.reporter(unit, attempt);
        let entry = self.units.get(unit);
        let instance_id = entry.facts.instance_id.clone();
        let instance_id = instance_id.expect("an attempt is named when its launch is decided");
        let span = runner::span(&entry.id, attempt.0);
        let running = ways::run(carrier, instance_id, errands, reporter);
        self.watch(unit, attempt, running.instrument(span));
        self.units.get_mut(unit).is_preparing = true;
    }

    /// Nobody can be asked for its launch now: that is no failure of it, and it goes on once somebody can be.
    pub(super) fn launch_later(&mut self, unit: Index, attempt: Attempt, reason: String) {
        let reporter = self.reporter(unit, attempt);
        let entry = self.units.get_mut(unit);
        let tries = entry.facts.postponed;
        let kind = match entry.described().kind {
            UnitKind::Service => EventKind::ServiceStarting,
            UnitKind::Task => EventKind::TaskStarting,
        };
        entry.facts.postponed = tries.saturating_add(1);
        if entry.facts.unreachable.as_ref() != Some(&reason) {
            tracing::warn!(unit = %entry.id, reason, "it cannot be launched yet");
            entry.facts.unreachable = Some(reason.clone());
            self.emit_unit(kind, unit, |data| {
                data.insert("unreachable".into(), reason.into());
            });
        }
        let target = self.units.get(unit).described().target.clone();
        let executor = self.setting.executors.get(target.kind()).cloned();
        let trying = runner::try_later(tries, executor, target, reporter);
        self.watch(unit, attempt, trying);
        // Nothing of it exists: whoever stops it now need not wait.
        self.units.get_mut(unit).is_preparing = true;
        self.tell(unit, attempt, Report::Postponed);
    }

    /// What an attempt stands on is there now.
    pub(super) fn launch_prepared(&mut self, unit: Index, attempt: Attempt) {
        // Its end may have been ordered meanwhile: then it was told to be over.
        if self.is_in(unit, attempt, |state| state == State::Starting) {
            self.go_on_to_launch(unit, attempt);
        }
    }

    fn launch_now(&mut self, unit: Index, attempt: Attempt) {
        let reporter = self.reporter(unit, attempt);
        let entry = self.units.get(unit);
        let instance_id = entry
            .facts
            .instance_id
            .clone()
            .expect("an attempt is named when its launch is decided");
        let kind = entry.described().target.kind();
        let executor = self.setting.executors.get(kind).cloned();
        match (self.launch_order(unit, attempt, instance_id), executor) {
            (Ok(order), Some(executor)) => {
                let span = runner::span(&order.unit, order.attempt);
                let log = self.setting.logs.open(&order.unit);
                let running = runner::launch(executor, order, log, reporter);
                self.watch(unit, attempt, running.instrument(span));
            }
            (Err(error), _) => reporter.report(AttemptNews::NotLaunched(error)),
            (Ok(_), None) => reporter.report(AttemptNews::NotLaunched(LaunchError::WrongTarget {
                executor: "this program",
                target: kind,
            })),
        }
    }

    /// What happens to an attempt from now on is told by this task.
    fn watch(
        &mut self,
        unit: Index,
        attempt: Attempt,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let task = self.setting.spawner.spawn(task);
        let entry = self.units.get_mut(unit);
        entry.is_preparing = false;
        entry.runner = Some(Runner {
            attempt: attempt.0,
            _task: task,
            control: None,
            pending: None,
        });
    }

    /// Whether an attempt is in such a state now. Effects wait until what was decided is kept, and it may have ended
    /// meanwhile.
    fn is_in(&self, unit: Index, attempt: Attempt, state: impl Fn(State) -> bool) -> bool {
        let view = self.world.unit(unit);
        self.units.find(unit).is_some() && view.attempt == attempt && state(view.state)
    }

    /// Whether an attempt runs and is not on its way down.
    pub(super) fn is_up(&self, unit: Index, attempt: Attempt) -> bool {
        self.is_in(unit, attempt, |state| match state {
            State::Settling | State::SetupRequired | State::SettingUp | State::Ready => true,
            State::Idle
            | State::Starting
            | State::Stopping
            | State::Backoff
            | State::CrashLoop
            | State::Done
            | State::Failed
            | State::Lost
            | State::Held => false,
        })
    }

    /// Ends an attempt. One that was never launched is gone at once.
    fn end(&mut self, unit: Index, attempt: Attempt, ending: Ending) {
        let held_back = self.keeper.take_back_launch(unit);
        // It has ended already: nothing may be made up over how it did.
        if !self.is_in(unit, attempt, |state| state == State::Stopping) {
            return;
        }
        let is_known = self.world.unit(unit).confirmed;
        let reporter = self.reporter(unit, attempt);
        let entry = self.units.get_mut(unit);
        if std::mem::take(&mut entry.is_preparing) {
            // Nothing of it was launched.
            entry.runner = None;
        }
        match &mut entry.runner {
            Some(runner) if runner.attempt == attempt.0 && !held_back => match &runner.control {
                Some(control) => {
                    let control = Arc::clone(control);
                    self.give_order(unit, attempt, control, ending);
                }
                None => runner.pending = Some(ending),
            },
            Some(_) | None if is_known => {
                reporter.report(AttemptNews::Exited(ExitInfo::default(), Vec::new()));
            }
            // An attempt of an earlier daemon, which nobody can find: it must be taken for alive.
            Some(_) | None => {}
        }
    }

    /// Gives an order to a running attempt, in a task of its own.
    pub(super) fn give_order(
        &mut self,
        unit: Index,
        attempt: Attempt,
        control: Arc<dyn crate::executors::AttemptControl>,
        ending: Ending,
    ) {
        let reporter = self.reporter(unit, attempt);
        if ending == Ending::Detach {
            // Letting go is all there is to it: nobody watches it any more.
            self.units.get_mut(unit).runner = None;
            reporter.report(AttemptNews::Exited(ExitInfo::default(), Vec::new()));
            return;
        }
        let order = match ending {
            Ending::Terminate => Some(self.stop_order(unit)),
            Ending::Kill | Ending::Detach => None,
        };
        let task = self
            .setting
            .spawner
            .spawn(ending::give(control, order, reporter));
        self.units.get_mut(unit).ordering = Some(task);
    }

    fn publish(&mut self, unit: Index, attempt: Attempt) {
        let Some(entry) = self.units.find(unit) else {
            return;
        };
        let mut published = self.entry_of(entry, Readiness::Ready);
        published.incarnation = Incarnation(attempt.0);
        self.registry.publish(published);
    }

    fn withdraw(&mut self, unit: Index, attempt: Attempt) {
        if let Some(entry) = self.units.find(unit) {
            self.registry
                .withdraw(&key(&entry.id), Incarnation(attempt.0));
        }
    }

    /// What an attempt that ended left behind may go, now that its end is kept.
    pub(super) fn forget_attempt(&mut self, kind: TargetKind, instance_id: String) {
        self.release_ways(&instance_id);
        if let Some(executor) = self.setting.executors.get(kind) {
            self.cleaner.forget(Arc::clone(executor), instance_id);
        }
    }

    /// Whether a container that is kept for a unit may be started again.
    pub(super) fn needs_kept(&self, unit: &UnitId) -> bool {
        let stack = self.units.stack(&unit.stack);
        let is_defined = stack.is_some_and(|stack| {
            stack.units.contains_key(&unit.name) || stack.inactive.contains_key(&unit.name)
        });
        let entry = self.units.index(unit).map(|index| self.units.get(index));
        is_defined && entry.is_some_and(|entry| entry.spec.keeps_container())
    }

    /// Containers that were kept for a unit go with it, once it is known no more.
    pub(super) fn forget_what_was_kept(&mut self, unit: &UnitId) {
        // It has come back meanwhile; or its stack went, and with that all of it goes.
        if self.needs_kept(unit) || self.units.stack(&unit.stack).is_none() {
            return;
        }
        for executor in self.setting.executors.all() {
            self.cleaner.forget_unit(Arc::clone(executor), unit.clone());
        }
    }
}
