//! Taking in what happened to an attempt.
//!
//! Owns: the facts that are shown and kept of it, and what the model is told. Stale news is dropped at the door.

use std::sync::Arc;

use super::commit::Deferred;
use super::found::BY_SOMEBODY_ELSE;
use super::inbox::{AttemptNews, SetupNews};
use super::turn::Supervisor;
use super::units::Runner;
use crate::executors::{AttemptControl, AttemptFacts, LaunchError, Making};
use crate::model::{Attempt, End, Index, Input, LaunchFailure, Report, State};
use crate::report::{EventKind, ExitInfo, Health};
use crate::spec::{TargetKind, UnitKind};

impl Supervisor {
    pub(super) fn notice(&mut self, unit: Index, attempt: Attempt, news: AttemptNews) {
        let is_stale = self.units.find(unit).is_none() || self.world.unit(unit).attempt != attempt;
        if is_stale {
            return;
        }
        match news {
            AttemptNews::Preparing(making) => self.preparing(unit, making),
            AttemptNews::Prepared(ground) => {
                let entry = self.units.get_mut(unit);
                entry.facts.networks = ground.networks;
                // What was said meanwhile is no output of the attempt.
                entry.facts.reason = None;
                entry.last_output = Vec::new();
                if let Some(host) = ground.host {
                    self.learn_host(*host);
                }
                self.launch_prepared(unit, attempt);
                return;
            }
            AttemptNews::Errands(done) => {
                self.errands_done(unit, done);
                self.launch_prepared(unit, attempt);
                return;
            }
            AttemptNews::Unreachable(reason) => {
                let entry = self.units.get_mut(unit);
                tracing::warn!(unit = %entry.id, reason, "it cannot be reached");
                entry.health.verdict = Health::Unknown;
                entry.health.reason = Some(reason.clone());
                entry.facts.unreachable = Some(reason);
            }
            AttemptNews::Reached => {
                let entry = self.units.get_mut(unit);
                entry.facts.unreachable = None;
                entry.health.reason = None;
                self.probe_anew(unit, attempt);
            }
            AttemptNews::Networks(networks, missing) => {
                self.networked(unit, attempt, networks, missing);
            }
            AttemptNews::Paused => self.paused(unit, attempt),
            AttemptNews::Resumed => {
                let entry = self.units.get_mut(unit);
                entry.facts.paused = false;
                entry.health.reason = None;
                self.probe_anew(unit, attempt);
            }
            AttemptNews::TryAgain => {
                self.launch(unit, attempt);
                return;
            }
            AttemptNews::Launched(facts, control) => self.launched(unit, attempt, facts, control),
            AttemptNews::NotLaunched(error) => self.not_launched(unit, attempt, &error),
            AttemptNews::Adopted(facts, control) => self.adopted(unit, attempt, facts, control),
            AttemptNews::NotFound(error) => {
                let reason = crate::error_chain(&error);
                tracing::error!(unit = %self.units.get(unit).id, reason, "it must be taken for alive");
                self.units.get_mut(unit).facts.reason = Some(reason);
                self.adoption_settled(unit);
            }
            AttemptNews::NeverBegan => self.never_began(unit, attempt),
            AttemptNews::Exited(exit, last_output) => {
                self.units.get_mut(unit).last_output = last_output;
                self.exited(unit, attempt, exit);
            }
            AttemptNews::Ready => self.notified(unit),
            // Of one that was frozen meanwhile it is said again once it goes on.
            AttemptNews::Unprobed if self.units.get(unit).facts.paused => {}
            AttemptNews::Unprobed => self.tell(unit, attempt, Report::Unprobed),
            AttemptNews::CheckSaid => {
                if let Some(probes) = &self.units.get(unit).probes {
                    probes.feed.ask_again();
                }
                return;
            }
            AttemptNews::Probed(checked) => {
                // Most answers change nothing that is kept; those that do move the unit.
                self.probed(unit, attempt, checked);
                return;
            }
            AttemptNews::Disobeyed(error) => {
                let reason = crate::error_chain(&error);
                tracing::warn!(unit = %self.units.get(unit).id, reason, "an order did not reach it");
                self.units.get_mut(unit).facts.reason = Some(reason);
            }
            AttemptNews::Setup(news) => self.setup_went_on(unit, attempt, news),
        }
        self.record(unit);
    }

    /// What an attempt stands on is being made. Should that fail, what was said last is why.
    pub(super) fn preparing(&mut self, unit: Index, making: Making) {
        let entry = self.units.get_mut(unit);
        if !entry.is_preparing && entry.imaging.is_none() {
            return;
        }
        entry.facts.reason = Some(making.what);
        if !making.output.is_empty() {
            entry.last_output.clone_from(&making.output);
        }
        self.emit_unit(EventKind::ServicePreparing, unit, |data| {
            data.insert("activity".into(), making.activity.as_str().into());
            data.insert("output".into(), making.output.into());
        });
    }

    pub(super) fn tell(&mut self, unit: Index, attempt: Attempt, report: Report) {
        self.step(Input::Report {
            unit,
            attempt,
            report,
        });
    }

    fn launched(
        &mut self,
        unit: Index,
        attempt: Attempt,
        facts: AttemptFacts,
        control: Arc<dyn AttemptControl>,
    ) {
        self.take_control(unit, facts, &control);
        let id = &self.units.get(unit).id;
        self.inputs.taken(id);
        self.tell(unit, attempt, Report::Launched);
        self.give_pending_order(unit, attempt, control);
        self.end_if_ordered_before(unit);
    }

    fn adopted(
        &mut self,
        unit: Index,
        attempt: Attempt,
        facts: AttemptFacts,
        control: Arc<dyn AttemptControl>,
    ) {
        self.take_control(unit, facts, &control);
        let pid = self.units.get(unit).facts.pid;
        self.emit_unit(EventKind::ServiceAdopted, unit, |data| {
            data.insert("pid".into(), pid.into());
        });
        self.tell(unit, attempt, Report::Launched);
        if self.world.unit(unit).unhealthy && !self.policy(unit).probed {
            // Nothing but having been frozen speaks against it, and if it still is, that is told next.
            self.tell(unit, attempt, Report::Healthy);
        }
        self.give_pending_order(unit, attempt, control);
        self.adoption_settled(unit);
    }

    fn take_control(
        &mut self,
        unit: Index,
        facts: AttemptFacts,
        control: &Arc<dyn AttemptControl>,
    ) {
        let entry = self.units.get_mut(unit);
        entry.facts.pid = facts.pid;
        entry.facts.container_id = facts.container_id;
        entry.facts.attached = facts.ticket;
        entry.facts.networks = facts.networks;
        entry.facts.is_on_host = facts.is_on_host;
        entry.see_ports(facts.ports);
        entry.facts.own_check = facts.own_check;
        entry.facts.is_again = facts.is_again;
        entry.facts.reason = facts
            .is_by_somebody_else
            .then(|| BY_SOMEBODY_ELSE.to_owned())
            .or(facts.note);
        entry.facts.unreachable = None;
        entry.facts.paused = false;
        entry.facts.off_network = None;
        entry.facts.postponed = 0;
        if let Some(runner) = &mut entry.runner {
            runner.control = Some(Arc::clone(control));
        }
        if let Some(host) = facts.host {
            self.learn_host(*host);
        }
    }

    /// An end that was ordered before the attempt could be told.
    fn give_pending_order(
        &mut self,
        unit: Index,
        attempt: Attempt,
        control: Arc<dyn AttemptControl>,
    ) {
        let pending = match &mut self.units.get_mut(unit).runner {
            Some(Runner { pending, .. }) => pending.take(),
            None => None,
        };
        if let Some(ending) = pending {
            self.give_order(unit, attempt, control, ending);
        }
    }

    fn not_launched(&mut self, unit: Index, attempt: Attempt, error: &LaunchError) {
        if let LaunchError::Unreachable { source, .. } = error
            && self.world.unit(unit).state == State::Starting
        {
            let reason = crate::error_chain(&**source);
            return self.launch_later(unit, attempt, reason);
        }
        if let LaunchError::NoSuchProcess(reason) = error
            && self.is_awaited_again(unit)
        {
            let reason = format!("{reason}: it is observed again as soon as one does");
            return self.launch_later(unit, attempt, reason);
        }
        let failure = match error {
            LaunchError::PortTaken { port, .. } => self.port_taken(unit, *port),
            error if error.is_final() => LaunchFailure::Permanent,
            _ => LaunchFailure::Transient,
        };
        let now = self.clock.wall();
        let entry = self.units.get_mut(unit);
        entry.runner = None;
        entry.facts.reason = Some(crate::error_chain(error));
        entry.facts.stopped_at = Some(now);
        entry.facts.exit = None;
        self.forget_left_behind(unit);
        self.units.get_mut(unit).running = None;
        self.tell_watchers(unit, attempt, &ExitInfo::default());
        self.tell(unit, attempt, Report::LaunchFailed(failure));
    }

    /// Whether it is somebody else's container that was observed before: its end is no failure, nor that it does not run now.
    fn is_awaited_again(&self, unit: Index) -> bool {
        let view = self.world.unit(unit);
        let kind = self.units.get(unit).described().target.kind();
        kind == TargetKind::DockerAttach && view.state == State::Starting && view.launched
    }

    /// An earlier daemon died over its launch: the order stands, and is carried out by the next attempt.
    fn never_began(&mut self, unit: Index, attempt: Attempt) {
        if self.world.unit(unit).state != State::Starting {
            let unknown = ExitInfo {
                exit_unknown: true,
                ..ExitInfo::default()
            };
            return self.exited(unit, attempt, unknown);
        }
        self.units.get_mut(unit).runner = None;
        self.forget_left_behind(unit);
        self.units.get_mut(unit).running = None;
        self.tell_watchers(unit, attempt, &ExitInfo::default());
        self.tell(unit, attempt, Report::NeverBegan);
        self.adoption_settled(unit);
    }

    /// A port that we chose is chosen anew the next time; one that the file names stays taken until somebody does
    /// something.
    fn port_taken(&mut self, unit: Index, port: u16) -> LaunchFailure {
        let chosen = &mut self.units.get_mut(unit).facts.chosen_ports;
        let had = chosen.len();
        chosen.retain(|_, own| *own != port);
        match chosen.len() < had {
            true => LaunchFailure::Transient,
            false => LaunchFailure::Permanent,
        }
    }

    /// It was frozen by somebody else: nobody asks it anything meanwhile, and nobody is sent to it.
    fn paused(&mut self, unit: Index, attempt: Attempt) {
        let entry = self.units.get_mut(unit);
        entry.facts.paused = true;
        entry.probes = None;
        entry.health.verdict = Health::Unhealthy;
        entry.health.reason = Some("paused".into());
        if entry.described().kind == UnitKind::Service {
            self.emit_unit(EventKind::ServiceUnhealthy, unit, |_| {});
            self.tell(unit, attempt, Report::Paused);
        }
    }

    fn exited(&mut self, unit: Index, attempt: Attempt, mut exit: ExitInfo) {
        let ended_at = *exit.ended_at.get_or_insert_with(|| self.clock.wall());
        let entry = self.units.get_mut(unit);
        // What ends a service from outside is no success of it, whatever its exit code. The work of a task is done or not.
        let by_itself = exit.detail.is_none() || entry.described().kind == UnitKind::Task;
        let end = match exit.exit_code {
            Some(code) if by_itself && entry.described().success_exit_codes.contains(&code) => {
                End::Success
            }
            Some(_) | None => End::Failure,
        };
        entry.runner = None;
        entry.probes = None;
        entry.ordering = None;
        entry.facts.pid = None;
        entry.facts.stopped_at = Some(ended_at);
        entry.facts.exit = Some(exit.clone());
        entry.facts.unreachable = None;
        entry.facts.postponed = 0;
        entry.facts.paused = false;
        entry.facts.off_network = None;
        for attachment in entry.facts.networks.values_mut() {
            // Its engine may give it to another.
            attachment.ip = None;
        }
        let is_of_its_start = entry.facts.reason.as_deref() == Some(BY_SOMEBODY_ELSE);
        if exit.detail.is_some() || is_of_its_start {
            entry.facts.reason.clone_from(&exit.detail);
        }
        entry.health = super::units::HealthFacts::default();
        self.forget_left_behind(unit);
        self.units.get_mut(unit).running = None;
        self.tell_watchers(unit, attempt, &exit);
        self.tell(unit, attempt, Report::Exited(end));
        self.adoption_settled(unit);
        self.look_for_a_later_start(unit);
    }

    /// What the attempt left behind goes once its end is kept.
    fn forget_left_behind(&mut self, unit: Index) {
        let entry = self.units.get(unit);
        if let Some(instance_id) = entry.facts.instance_id.clone() {
            let kind = entry.described().target.kind();
            self.keeper.defer(Deferred::Forget(kind, instance_id));
        }
        let entry = self.units.get(unit);
        if entry.described().keeps_container() && !self.needs_kept(&entry.id) {
            // Nothing will be launched any more that its container would be kept for.
            let id = entry.id.clone();
            self.keeper.defer(Deferred::ForgetUnit(id));
        }
    }

    fn notified(&mut self, unit: Index) {
        let entry = self.units.get_mut(unit);
        entry.health.notified = true;
        if let Some(probes) = &entry.probes {
            probes.feed.notify();
        }
    }

    fn setup_went_on(&mut self, unit: Index, attempt: Attempt, news: SetupNews) {
        let report = match news {
            SetupNews::Complete => Report::SetupComplete,
            SetupNews::Required => Report::SetupRequired,
            SetupNews::Failed(reason) => {
                let reason = format!("its setup failed: {reason}");
                self.units.get_mut(unit).facts.reason = Some(reason);
                Report::SetupFailed
            }
        };
        self.tell(unit, attempt, report);
    }

    pub(super) fn check_setup(&mut self, unit: Index, attempt: Attempt) {
        self.run_setup(unit, attempt, |hook| async move {
            match hook.check().await {
                Ok(true) => SetupNews::Complete,
                Ok(false) => SetupNews::Required,
                Err(error) => SetupNews::Failed(crate::error_chain(&error)),
            }
        });
    }

    pub(super) fn perform_setup(&mut self, unit: Index, attempt: Attempt) {
        self.run_setup(unit, attempt, |hook| async move {
            match hook.perform().await {
                Ok(()) => SetupNews::Complete,
                Err(error) => SetupNews::Failed(crate::error_chain(&error)),
            }
        });
    }

    fn run_setup<F>(
        &mut self,
        unit: Index,
        attempt: Attempt,
        act: impl FnOnce(crate::setup::SetupHook) -> F,
    ) where
        F: Future<Output = SetupNews> + Send + 'static,
    {
        let reporter = self.reporter(unit, attempt);
        if !self.is_up(unit, attempt) {
            return;
        }
        let Some(hook) = self.units.get(unit).described().setup.clone() else {
            reporter.report(AttemptNews::Setup(SetupNews::Complete));
            return;
        };
        let going = act(hook);
        let task = self.setting.spawner.spawn(async move {
            let news = going.await;
            reporter.report(AttemptNews::Setup(news));
        });
        self.units.get_mut(unit).ordering = Some(task);
    }
}
