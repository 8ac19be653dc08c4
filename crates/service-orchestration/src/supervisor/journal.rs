//! What is kept and told of a change.
//!
//! Owns: the way from a change of state to a record and an event.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::describe::exit_words;
use super::turn::Supervisor;
use super::units::Now;
use crate::model::{Cause, End, Index, LaunchFailure, Moved, State};
use crate::report::{EventKind, ExitInfo};
use crate::spec::{StackName, UnitKind};

impl Supervisor {
    /// A unit went from one state to another.
    pub(super) fn moved(&mut self, moved: Moved) {
        if self.units.find(moved.unit).is_none() {
            return;
        }
        let id = &self.units.get(moved.unit).id;
        tracing::debug!(
            stack = %id.stack,
            unit = %id.local_name(),
            attempt = moved.attempt.0,
            from = moved.from.as_str(),
            to = moved.to.as_str(),
            "moved"
        );
        if moved.to == State::Starting {
            self.begin_attempt(moved.unit);
        }
        if !moved.to.is_active() || moved.to == State::Stopping {
            // What is on its way down is not asked how it is.
            self.units.get_mut(moved.unit).probes = None;
        }
        if moved.to == State::Failed && self.world.unit(moved.unit).looping {
            self.name_crash_loop(moved.unit);
        }
        let delay = self.delay(&moved);
        let renewed_for = self.renewed_for(moved.unit);
        for kind in self.kinds(&moved) {
            self.emit_unit(kind, moved.unit, |data| {
                describe(data, &moved);
                if let Some(other) = &renewed_for {
                    data.insert("cause".into(), "dependency-restarted".into());
                    data.insert("reason".into(), began_anew(other).into());
                }
                if let (EventKind::ServiceRestarting | EventKind::TaskRestarting, Some(delay)) =
                    (kind, delay)
                {
                    let milliseconds = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
                    data.insert("delay_ms".into(), milliseconds.into());
                }
            });
        }
        self.record(moved.unit);
    }

    /// Whose new attempt is why this unit gets one, too.
    pub(super) fn renewed_for(&self, unit: Index) -> Option<String> {
        let other = self.units.find(self.world.unit(unit).renewed_for?)?;
        Some(other.id.local_name())
    }

    /// A new attempt gets a name, and the traces of the one before are wiped off.
    fn begin_attempt(&mut self, unit: Index) {
        let entry = self.units.get_mut(unit);
        entry.running = Some(Arc::clone(&entry.spec));
        entry.facts.launched_hash = Some(entry.hash.clone());
        let policy = self.policy(unit);
        if self.world.is_attached(unit) != Some(policy.attached) {
            self.world
                .define_all(vec![(unit, policy)])
                .expect("only what it is differs, so no circle can come to be");
        }
        if let Err(error) = self.choose_ports(unit) {
            // The launch tries again, and fails if it cannot either.
            tracing::warn!(unit = %self.units.get(unit).id, error = %crate::error_chain(&error), "no port could be chosen");
        }
        let now = self.clock.wall();
        let entry = self.units.get_mut(unit);
        entry.facts.instance_id = Some(crate::host::instance_id());
        entry.facts.started_at = Some(now);
        entry.facts.stopped_at = None;
        entry.facts.reason = None;
        entry.inherited = false;
        entry.last_output = Vec::new();
        entry.facts.pid = None;
        entry.facts.container_id = None;
        entry.facts.attached = None;
        entry.health = super::units::HealthFacts::default();
    }

    /// It is not tried again: what is said of it must name the loop and not only the last end.
    fn name_crash_loop(&mut self, unit: Index) {
        let facts = &mut self.units.get_mut(unit).facts;
        let last = facts
            .reason
            .take()
            .or_else(|| facts.exit.as_ref().and_then(exit_words));
        let last = last.map_or_else(String::new, |last| format!(": {last}"));
        facts.reason = Some(format!("crash loop, and it is not tried again{last}"));
    }

    /// How long it rests before it is started again, if it is.
    fn delay(&self, moved: &Moved) -> Option<Duration> {
        let unit = self.world.unit(moved.unit);
        if moved.to == State::Backoff {
            return Some(unit.until?.saturating_sub(self.clock.now()));
        }
        // The first restart is decided in the step that takes in the end.
        let is_at_once = moved.to == State::Idle && unit.restarts > moved.restarts;
        is_at_once.then_some(Duration::ZERO)
    }

    /// The events that a change of state is told by.
    fn kinds(&self, moved: &Moved) -> Vec<EventKind> {
        use EventKind as E;
        let entry = self.units.get(moved.unit);
        let is_task = entry.described().kind == UnitKind::Task;
        let pick = |service, task| if is_task { task } else { service };
        let mut kinds = Vec::new();
        if moved.from == State::Starting
            && matches!(
                moved.to,
                State::Settling | State::Ready | State::SetupRequired
            )
        {
            let again = moved.restarts > 0 && !is_task;
            kinds.push(if again {
                E::ServiceRestarted
            } else {
                pick(E::ServiceStarted, E::TaskStarted)
            });
        }
        if moved.to == State::Ready && entry.described().setup.is_some() {
            kinds.push(E::ServiceSetupComplete);
        }
        let kind = match moved.to {
            State::Starting => Some(pick(E::ServiceStarting, E::TaskStarting)),
            State::Settling => None,
            State::SetupRequired => Some(E::ServiceSetupRequired),
            State::SettingUp => Some(E::ServiceSettingUp),
            State::Ready => (!is_task).then_some(E::ServiceReady),
            State::Stopping => Some(pick(E::ServiceStopping, E::TaskStopping)),
            State::Idle if !was_up(moved.from) => None,
            // It never began: nothing has stopped.
            State::Idle if moved.from == State::Starting && entry.inherited => None,
            State::Idle if self.delay(moved).is_none() => {
                Some(pick(E::ServiceStopped, E::TaskStopped))
            }
            State::Idle | State::Backoff => Some(pick(E::ServiceRestarting, E::TaskRestarting)),
            State::CrashLoop => Some(E::ServiceCrashLoop),
            State::Done => Some(pick(E::ServiceCompleted, E::TaskCompleted)),
            State::Failed => Some(pick(E::ServiceFailed, E::TaskFailed)),
            State::Lost => Some(E::ServiceLost),
            State::Held => Some(E::ServiceHeld),
        };
        kinds.extend(kind);
        kinds
    }

    /// An event about a unit, into the next write; listeners hear of it once it is kept.
    pub(super) fn emit_unit(
        &mut self,
        kind: EventKind,
        unit: Index,
        more: impl FnOnce(&mut Map<String, Value>),
    ) {
        let state = self.world.unit(unit).state;
        let entry = self.units.get(unit);
        let facts = &entry.facts;
        let mut data = Map::new();
        data.insert("service_name".into(), entry.id.local_name().into());
        data.insert("instance_id".into(), facts.instance_id.clone().into());
        data.insert("state".into(), state.as_str().into());
        let needs = entry.spec.dependencies.iter();
        data.insert(
            "dependencies".into(),
            needs.map(|dependency| dependency.unit.as_str()).collect(),
        );
        data.insert("pid".into(), facts.pid.into());
        if let Some(reason) = &facts.reason {
            data.insert("reason".into(), reason.clone().into());
        }
        if facts.stopped_at.is_some()
            && let Some(exit) = &facts.exit
        {
            add_exit(&mut data, exit);
        }
        if matches!(
            kind,
            EventKind::ServiceCrashLoop | EventKind::ServiceFailed | EventKind::TaskFailed
        ) {
            data.insert("last_output".into(), entry.last_output.clone().into());
        }
        if matches!(
            kind,
            EventKind::ServiceStarted | EventKind::ServiceRestarted
        ) && entry.described().keeps_container()
        {
            data.insert("container_kept".into(), facts.is_again.into());
        }
        if kind == EventKind::ServiceReady {
            data.insert("address".into(), self.address_of(entry).into());
        }
        if matches!(
            kind,
            EventKind::ServiceUnhealthy | EventKind::ServiceHealthy
        ) {
            data.insert("health_status".into(), entry.health.verdict.as_str().into());
            data.insert("health_reason".into(), entry.health.reason.clone().into());
        }
        more(&mut data);
        let stack = entry.id.stack.clone();
        let event = self.hub.make(kind, Some(stack), data, self.clock.wall());
        self.keeper.batch().events.push(event);
    }

    /// An event that is about no unit.
    pub(super) fn emit_plain(
        &mut self,
        kind: EventKind,
        stack: Option<&StackName>,
        data: Map<String, Value>,
    ) {
        let event = self.hub.make(kind, stack.cloned(), data, self.clock.wall());
        self.keeper.batch().events.push(event);
    }

    /// What is kept of a unit, into the next write, when it is not what was kept of it last.
    pub(super) fn record(&mut self, unit: Index) {
        let life = self.world.save(unit);
        let now = Now {
            boot_id: self.boot_id.as_deref(),
            time: self.world.now(),
        };
        let Some(entry) = self.units.find(unit) else {
            return;
        };
        let mut record = entry.record(&life, now);
        let bases = life.bases.iter().filter_map(|(on, base)| {
            let other = self.units.find(*on)?;
            Some((other.id.clone(), base.0))
        });
        record.bases = bases.collect();
        if entry.kept.as_ref() == Some(&record) {
            return;
        }
        let id = entry.id.clone();
        self.units.get_mut(unit).kept = Some(record.clone());
        self.keeper.batch().units.insert(id, Some(record));
    }

    /// What the model changed without a move, into the next write.
    pub(super) fn record_changed(&mut self) {
        for unit in self.world.take_changed() {
            if self.units.find(unit).is_some() {
                self.record(unit);
            }
        }
    }
}

fn was_up(state: State) -> bool {
    match state {
        State::Starting
        | State::Settling
        | State::SetupRequired
        | State::SettingUp
        | State::Ready
        | State::Stopping
        | State::Lost => true,
        State::Idle
        | State::Backoff
        | State::CrashLoop
        | State::Done
        | State::Failed
        | State::Held => false,
    }
}

fn describe(data: &mut Map<String, Value>, moved: &Moved) {
    data.insert("state".into(), moved.to.as_str().into());
    data.insert("previous_state".into(), moved.from.as_str().into());
    data.insert("attempt".into(), moved.attempt.0.into());
    data.insert("restarts".into(), moved.restarts.into());
    if let Some(cause) = &moved.cause {
        data.insert("cause".into(), cause_name(cause).into());
    }
}

/// Why a unit is restarted along an edge that says so.
pub(super) fn began_anew(other: &str) -> String {
    format!("`{other}`, which it needs, was started anew (`restart: true`)")
}

/// A failure, as programs read it.
pub(super) fn cause_name(cause: &Cause) -> &'static str {
    match cause {
        Cause::Exited(End::Success) => "ended",
        Cause::Exited(End::Failure) => "exited",
        Cause::NotLaunched(LaunchFailure::Permanent | LaunchFailure::Transient) => "not-launched",
        Cause::Unhealthy => "unhealthy",
        Cause::Dead => "liveness-failed",
        Cause::StartupTimeout => "startup-timeout",
        Cause::RunTimeout => "timeout",
        Cause::SetupFailed => "setup-failed",
    }
}

fn add_exit(data: &mut Map<String, Value>, exit: &ExitInfo) {
    data.insert("exit_code".into(), exit.exit_code.into());
    data.insert("signal".into(), exit.signal.into());
    if exit.exit_unknown {
        data.insert("exit_unknown".into(), true.into());
    }
    if let Some(stop) = &exit.stop {
        data.insert("stop".into(), serde_json::json!(stop));
    }
}
