//! Telling people and programs how units stand, and why.
//!
//! Owns: the sentences. Reads the model and the facts; changes nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use super::hosts::{host_of, login_of};
use super::journal::began_anew;
use super::network;
use super::turn::Supervisor;
use super::units::UnitEntry;
use crate::model::{Because, Cause, Goal, Index, Reason, State, Verdict, Waiting};
use crate::report::{
    Health, Phase, SCHEMA_VERSION, StackStatus, UnitStatus, WaitingFor, Why, WhyReason,
};
use crate::spec::{Gate, StackName, UnitKind, UnitName};
use crate::supervisor::OrderError;

impl Supervisor {
    pub(super) fn status(&self, stack: &StackName) -> Result<StackStatus, OrderError> {
        if self.units.stack(stack).is_none() {
            return Err(OrderError::UnknownStack {
                stack: stack.to_string(),
            });
        }
        let mut required_by: BTreeMap<&UnitName, Vec<String>> = BTreeMap::new();
        for entry in self.units.of_stack(stack) {
            for dependency in &entry.spec.dependencies {
                required_by
                    .entry(&dependency.unit)
                    .or_default()
                    .push(entry.id.local_name());
            }
        }
        let items = self.units.of_stack(stack).map(|entry| {
            let dependents = required_by.get(&entry.id.name).cloned().unwrap_or_default();
            self.unit_status(entry, dependents)
        });
        Ok(StackStatus {
            schema_version: SCHEMA_VERSION,
            stack: stack.clone(),
            storage: self.keeper.trouble().map(str::to_owned),
            items: items.collect(),
            one_offs: self.one_offs_of(stack),
        })
    }

    fn unit_status(&self, entry: &UnitEntry, required_by: Vec<String>) -> UnitStatus {
        let view = self.world.unit(entry.index);
        let facts = &entry.facts;
        let exit = facts.exit.clone().unwrap_or_default();
        UnitStatus {
            name: entry.id.local_name(),
            kind: entry.spec.kind,
            target: entry.described().target.kind().to_string(),
            host: host_of(entry).map(|host| host.to_string()),
            login: login_of(entry),
            state: self.state_name(entry.index, view.state).to_owned(),
            phase: Phase::of(
                view.state,
                entry.spec.kind,
                view.attempt.0 > 0,
                entry.described().setup.is_some(),
            ),
            ready: match entry.spec.kind {
                UnitKind::Service => view.published,
                UnitKind::Task => view.state == State::Done,
            },
            health: self.health(entry),
            health_reason: entry.health.reason.clone(),
            last_checked: entry.health.last_checked,
            pid: facts.pid,
            container_id: facts.container_id.clone(),
            restarts: view.restarts,
            exit_code: exit.exit_code,
            signal: exit.signal,
            exit_unknown: exit.exit_unknown,
            started_at: facts.started_at,
            stopped_at: facts.stopped_at,
            address: self.address_of(entry),
            ports: self.ports_of(entry),
            waiting_for: self.waiting_for(entry.index),
            required_by,
            instance_id: facts.instance_id.clone(),
            version: None,
            reason: facts.unreachable.clone().or_else(|| match facts.paused {
                true => Some("paused".to_owned()),
                false => network::off(entry)
                    .or_else(|| facts.reason.clone())
                    .or_else(|| self.without_way(entry))
                    .or_else(|| self.without_mesh(entry)),
            }),
            stop: exit.stop,
            ended_at: facts.stopped_at.or(exit.ended_at),
        }
    }

    fn health(&self, entry: &UnitEntry) -> Health {
        let spec = entry.described();
        let has_probe = spec.readiness.is_some()
            || spec.liveness.is_some()
            || spec.startup.is_some()
            || entry.is_judged_by_image();
        match (has_probe, self.world.verdict(entry.index, Goal::Running)) {
            (_, Verdict::Reached) if entry.facts.paused => Health::Unhealthy,
            (true, Verdict::Reached) if entry.health.verdict == Health::None => Health::Starting,
            (true, Verdict::Reached) => entry.health.verdict,
            (false, _) | (true, Verdict::Pending | Verdict::Never { .. }) => Health::None,
        }
    }

    fn waiting_for(&self, unit: Index) -> Vec<WaitingFor> {
        let name = |unit: Index| {
            let entry = self.units.find(unit);
            entry.map_or_else(
                || "a unit that is gone".into(),
                |entry| entry.id.local_name(),
            )
        };
        let mut waiting = Vec::new();
        for what in self.world.waiting_for(unit) {
            match what {
                Waiting::Gate {
                    on,
                    gate,
                    state,
                    unhealthy,
                } => waiting.push(WaitingFor {
                    unit: Some(name(on)),
                    reason: format!(
                        "{} is {} (needs {})",
                        name(on),
                        condition(state, unhealthy),
                        gate_name(gate)
                    ),
                }),
                Waiting::Backoff { until } => waiting.push(WaitingFor {
                    unit: None,
                    reason: format!("restarts in {}", self.time_until(until)),
                }),
                Waiting::Budget { until } => waiting.push(WaitingFor {
                    unit: None,
                    reason: format!(
                        "restarts in {} (too many restarts at once)",
                        self.time_until(until)
                    ),
                }),
                Waiting::StopsAfter(units) => {
                    waiting.extend(units.into_iter().map(|unit| WaitingFor {
                        unit: Some(name(unit)),
                        reason: format!("{} must be gone first", name(unit)),
                    }))
                }
                Waiting::Adoption => waiting.push(WaitingFor {
                    unit: None,
                    reason: "it is being looked for after a restart of the daemon".into(),
                }),
            }
        }
        waiting
    }

    /// Why a unit is where it is, down to the causes.
    pub(super) fn explain(&self, unit: Index) -> Why {
        let reasons = self.world.why(unit).reasons;
        let told = reasons.iter().map(|reason| WhyReason {
            name: self
                .units
                .find(reason.unit)
                .map_or_else(|| "?".into(), |entry| entry.id.local_name()),
            depth: u32::try_from(reason.depth).unwrap_or(u32::MAX),
            state: self.state_name(reason.unit, reason.state).to_owned(),
            reason: self.because_sentence(reason),
            repeated: reason.repeated,
        });
        Why {
            schema_version: SCHEMA_VERSION,
            reasons: told.collect(),
        }
    }

    fn because_sentence(&self, reason: &Reason) -> String {
        let unit = reason.unit;
        let sentence = match &reason.because {
            Because::Undefined => "it is not defined".into(),
            Because::NotWanted => "nobody has started it, or it was stopped".into(),
            Because::Held => "it is kept down by the operator".into(),
            Because::Gates => "it waits for what it needs".into(),
            Because::Launching => match self.unreachable(unit) {
                Some(reason) => format!("it is launched once that is possible: {reason}"),
                None => self.launch_sentence(unit),
            },
            Because::Working | Because::Up if self.is_paused(unit) => PAUSED.into(),
            Because::Up if self.unreachable(unit).is_some() => {
                let reason = self.unreachable(unit).unwrap_or_default();
                format!("it was up when it could be asked last: {reason}")
            }
            Because::Proving => self.health_sentence(unit),
            Because::Unhealthy => self.health_sentence(unit),
            Because::Setup => "its setup is being performed".into(),
            Because::Working => "the task runs".into(),
            Because::Up => match self.units.find(unit).and_then(|entry| {
                network::off(entry)
                    .or_else(|| self.without_way(entry))
                    .or_else(|| self.without_mesh(entry))
            }) {
                Some(reason) => format!("it is up, but {reason}"),
                None => "it is up".into(),
            },
            Because::Completed => "it has completed".into(),
            Because::StopsAfter => "it stops once those that need it are gone".into(),
            Because::Ending {
                forced,
                fault,
                again,
            } => {
                let how = if *forced {
                    "it is being killed"
                } else {
                    "it is being stopped"
                };
                let because = fault.map(|cause| cause_words(cause).to_owned());
                let because = because.or_else(|| Some(began_anew(&self.renewed_for(unit)?)));
                let why = because.map_or_else(String::new, |why| format!(" because {why}"));
                let then = if *again {
                    ", and will be started again"
                } else {
                    ""
                };
                format!("{how}{why}{then}")
            }
            Because::Backoff { until, cause } => {
                let ended = self.failure_sentence(unit, "it ended", *cause);
                format!(
                    "{ended}; it is started again in {}",
                    self.time_until(*until)
                )
            }
            Because::Budget { until } => {
                format!(
                    "too many units restart at once; its turn comes in {}",
                    self.time_until(*until)
                )
            }
            Because::CrashLoop { until, cause } => {
                let ended = self.failure_sentence(unit, "it ends again and again", *cause);
                format!("{ended}; it is tried again in {}", self.time_until(*until))
            }
            Because::Failed { cause } => self.failure_sentence(unit, "it failed", *cause),
            Because::Lost => {
                "it was killed, and its death was not confirmed: nothing is started over it".into()
            }
            Because::Adoption => "it is being looked for after a restart of the daemon".into(),
        };
        match reason.gate {
            Some(gate) => format!("{sentence} (needs {})", gate_name(gate)),
            None => sentence,
        }
    }

    /// A state as it is shown. What is frozen is where it was for the model, and not so for anybody else.
    fn state_name(&self, unit: Index, state: State) -> &'static str {
        match state {
            State::Settling | State::SetupRequired | State::SettingUp | State::Ready
                if self.is_paused(unit) =>
            {
                "paused"
            }
            state => state.as_str(),
        }
    }

    fn is_paused(&self, unit: Index) -> bool {
        self.units
            .find(unit)
            .is_some_and(|entry| entry.facts.paused)
    }

    fn unreachable(&self, unit: Index) -> Option<&str> {
        self.units.find(unit)?.facts.unreachable.as_deref()
    }

    /// What a launch is busy with, where it takes its time.
    fn launch_sentence(&self, unit: Index) -> String {
        let entry = self.units.find(unit).filter(|entry| entry.is_preparing);
        let busy = entry.and_then(|entry| entry.facts.reason.as_ref());
        busy.map_or_else(
            || "it is being launched".into(),
            |reason| format!("it is being launched: {reason}"),
        )
    }

    /// What is the matter with a unit that runs and is not ready.
    pub(super) fn health_sentence(&self, unit: Index) -> String {
        let Some(entry) = self.units.find(unit) else {
            return "it is not defined".into();
        };
        if entry.facts.paused {
            return PAUSED.to_owned();
        }
        let health = &entry.health;
        let said = match health.verdict {
            Health::Unhealthy => "its health check fails",
            Health::Unknown => "its health check cannot be run",
            Health::None | Health::Starting | Health::Healthy => "it is not ready yet",
        };
        match &health.reason {
            Some(reason) => format!("{said}: {reason}"),
            None => said.to_owned(),
        }
    }

    /// What is the matter with a unit that does not run.
    pub(super) fn failure_sentence(&self, unit: Index, what: &str, cause: Option<Cause>) -> String {
        let Some(entry) = self.units.find(unit) else {
            return what.to_owned();
        };
        let facts = &entry.facts;
        let exit = facts.exit.as_ref();
        let detail = match cause {
            Some(Cause::Exited(_)) | None => match (exit, &facts.reason) {
                (_, Some(reason)) => Some(reason.clone()),
                (Some(exit), None) => exit_words(exit),
                (None, None) => None,
            },
            Some(Cause::NotLaunched(_)) => facts.reason.clone(),
            Some(Cause::Unhealthy | Cause::Dead) => facts
                .reason
                .clone()
                .or_else(|| entry.health.reason.clone())
                .or_else(|| cause.map(|c| cause_words(c).into())),
            Some(cause @ (Cause::StartupTimeout | Cause::RunTimeout | Cause::SetupFailed)) => facts
                .reason
                .clone()
                .or_else(|| Some(cause_words(cause).into())),
        };
        match detail {
            Some(detail) => format!("{what}: {detail}"),
            None => what.to_owned(),
        }
    }

    fn time_until(&self, at: Duration) -> String {
        remaining(at.saturating_sub(self.clock.now()))
    }
}

/// A time that is left, in words that stand behind "in". One that would be rounded to nothing is a moment.
fn remaining(left: Duration) -> String {
    match left.as_millis() {
        0..50 => "a moment".to_owned(),
        _ => format!("{:.1}s", left.as_secs_f64()),
    }
}

/// How an attempt ended, in words.
pub(super) fn exit_words(exit: &crate::report::ExitInfo) -> Option<String> {
    match (exit.exit_code, exit.signal, exit.exit_unknown) {
        (Some(code), _, _) => Some(format!("exit code {code}")),
        (None, Some(signal), _) => Some(format!("signal {signal}")),
        (None, None, true) => Some("nobody saw how".into()),
        (None, None, false) => None,
    }
}

fn cause_words(cause: Cause) -> &'static str {
    match cause {
        Cause::Exited(_) => "it ended",
        Cause::NotLaunched(_) => "it could not be launched",
        Cause::Unhealthy => "its health check failed",
        Cause::Dead => "its liveness probe failed",
        Cause::StartupTimeout => "it was not ready in time",
        Cause::RunTimeout => "it ran for too long",
        Cause::SetupFailed => "its setup failed",
    }
}

/// We pause nothing.
const PAUSED: &str = "it was paused by somebody else";

fn condition(state: State, unhealthy: bool) -> &'static str {
    match (state, unhealthy) {
        (State::Settling | State::Ready, true) => "unhealthy",
        (state, _) => state.as_str(),
    }
}

fn gate_name(gate: Gate) -> &'static str {
    match gate {
        Gate::Started => "started",
        Gate::Ready => "ready",
        Gate::Completed => "completed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_happens_in_no_time() {
        assert_eq!(remaining(Duration::from_millis(49)), "a moment");
        assert_eq!(remaining(Duration::from_millis(100)), "0.1s");
        assert_eq!(remaining(Duration::from_secs(2)), "2.0s");
    }
}
