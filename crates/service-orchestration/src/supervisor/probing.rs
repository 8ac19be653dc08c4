//! Having a running attempt probed.
//!
//! Owns: what its probes are asked with, and what their answers change.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use async_executor::Task;
use futures_lite::StreamExt;
use service_registry::{HostId, Place};

use super::hosts::host_of;
use super::inbox::AttemptNews;
use super::turn::{Reporter, Supervisor};
use super::units::{Probes, UnitEntry};
use crate::executors::LaunchError;
use crate::logs::{AttemptFilter, LogQuery, UnitLog};
use crate::model::{Attempt, Index, Report, State};
use crate::probe::{self, Asked, Checked, Feed, PrepareError, ProbeEvent, Surroundings};
use crate::report::{EventKind, Health};
use crate::spec::{Probe, ProbeAction, TargetSpec};

impl Supervisor {
    /// Begins to probe an attempt.
    pub(super) fn probe(&mut self, unit: Index, attempt: Attempt) {
        self.begin_to_probe(unit, attempt, false);
    }

    /// Asks an attempt anew that could not be asked for a while. What was proven once, and is not asked twice, stands.
    pub(super) fn probe_anew(&mut self, unit: Index, attempt: Attempt) {
        let is_proven = match self.world.unit(unit).state {
            State::Ready | State::SetupRequired | State::SettingUp => true,
            State::Idle
            | State::Starting
            | State::Settling
            | State::Stopping
            | State::Backoff
            | State::CrashLoop
            | State::Done
            | State::Failed
            | State::Lost
            | State::Held => false,
        };
        let entry = self.units.get_mut(unit);
        if entry.facts.paused {
            // Nobody answers there, whoever asks.
            entry.health.verdict = Health::Unhealthy;
            entry.health.reason = Some("paused".into());
            return;
        }
        entry.probes = None;
        self.begin_to_probe(unit, attempt, is_proven);
    }

    fn begin_to_probe(&mut self, unit: Index, attempt: Attempt, is_proven: bool) {
        if !self.is_up(unit, attempt) {
            return;
        }
        let reporter = self.reporter(unit, attempt);
        let entry = self.units.get(unit);
        let mut probes = match self.prepare(entry) {
            Ok(probes) => probes,
            Err(error) => {
                let reason = crate::error_chain(&error);
                tracing::warn!(unit = %entry.id, reason, "its probes cannot be run");
                let health = &mut self.units.get_mut(unit).health;
                health.verdict = Health::Unknown;
                health.reason = Some(reason);
                return;
            }
        };
        if is_proven && probes.keep_repeatable() {
            let was_unhealthy = self.world.unit(unit).unhealthy;
            self.units.get_mut(unit).health.verdict = Health::Healthy;
            self.tell(unit, attempt, Report::Healthy);
            if was_unhealthy {
                self.emit_unit(EventKind::ServiceHealthy, unit, |_| {});
            }
        }
        let entry = self.units.get(unit);
        if entry.described().is_judged_by_image() && !entry.is_judged_by_image() {
            reporter.report(AttemptNews::Unprobed);
        }
        if probes.is_empty() {
            return;
        }
        let entry = self.units.get(unit);
        let feed = probes.feed();
        if entry.health.notified {
            feed.notify();
        }
        let age = entry.facts.started_at.map_or(Duration::ZERO, |started| {
            (self.clock.wall() - started)
                .to_std()
                .unwrap_or(Duration::ZERO)
        });
        let lines = feed.wants_lines().then(|| {
            let log = self.setting.logs.open(&entry.id);
            self.setting
                .spawner
                .spawn(feed_lines(log, attempt, feed.clone()))
        });
        let prober = self.prober.clone();
        let is_inherited = entry.inherited;
        let task = self.setting.spawner.spawn(async move {
            if is_inherited {
                // What an earlier daemon was asking is ended first: never two questions at once.
                prober.settled().await;
            }
            ask(probes, prober, age, reporter, lines).await;
        });
        self.units.get_mut(unit).probes = Some(Probes { _task: task, feed });
    }

    fn prepare(&self, entry: &UnitEntry) -> Result<probe::Probes, PrepareError<LaunchError>> {
        let spec = entry.described();
        let by_image = entry.is_judged_by_image().then(image_probe);
        let readiness = spec.readiness.as_ref().or(by_image.as_ref());
        if readiness.is_none() && spec.liveness.is_none() && spec.startup.is_none() {
            return Ok(probe::Probes::default());
        }
        let from = self.surroundings(entry).map_err(PrepareError::Reference)?;
        let prepare = |probe: Option<&Probe>| {
            probe
                .map(|probe| Asked::prepare(probe, &from, |asked| self.fill(entry, asked)))
                .transpose()
        };
        Ok(probe::Probes {
            startup: prepare(spec.startup.as_ref())?,
            readiness: prepare(readiness)?,
            liveness: prepare(spec.liveness.as_ref())?,
        })
    }

    /// From where an attempt is asked: its own environment and directory, its own user, its own address.
    fn surroundings(&self, entry: &UnitEntry) -> Result<Surroundings, LaunchError> {
        let stack = self
            .units
            .stack(&entry.id.stack)
            .expect("a unit is forgotten before its stack");
        let mut env = self.environment(entry, stack)?;
        if let Some(pid) = entry.facts.pid {
            env.insert("HARNESS_PID".into(), pid.to_string());
        }
        let resolved = self.locate_from(&Place::local(), entry);
        let place = self.place_of(entry);
        let elsewhere = match &place {
            Place::Container { networks, .. } => networks.values().find_map(|network| network.ip),
            _ => self.host_address(entry),
        };
        // Whether a container is published, and where, says nothing of how it is: its own host asks it by its own address.
        let far = match &place {
            Place::Container { host, .. } if *host != HostId::local() => elsewhere,
            _ => None,
        };
        let is_apart =
            elsewhere.is_some() || entry.facts.container_id.is_some() || host_of(entry).is_some();
        let from_here = resolved.as_ref().filter(|_| is_apart && far.is_none());
        let reached = from_here.map(|resolved| {
            let ways = resolved.endpoints();
            ways.map(|(endpoint, way)| (endpoint.port, way)).collect()
        });
        let inside = is_apart
            .then(|| entry.runner.as_ref()?.control.clone())
            .flatten();
        // Where no way leads from here, its own host asks.
        let is_asked_there = resolved.is_none() || far.is_some();
        let dialer = inside.clone().filter(|_| is_asked_there);
        let address = resolved.map(|resolved| resolved.ip());
        let mut from = Surroundings {
            env,
            working_dir: stack.directory.clone(),
            directory: stack.directory.clone(),
            address: address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            reached: reached.unwrap_or_default(),
            elsewhere: elsewhere.filter(|_| far.is_none()),
            dialer,
            there: far.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            inside,
            own_check: entry.facts.own_check,
            instance_id: entry.facts.instance_id.clone(),
            ..Surroundings::default()
        };
        if let TargetSpec::Process(process) = &entry.described().target {
            if let Some(directory) = &process.working_dir {
                from.working_dir = stack.directory.join(self.text(entry, directory)?);
            }
            let account = crate::account::find(process.user.as_deref(), process.group.as_deref());
            let account = account.map_err(|error| LaunchError::NotPermitted {
                program: entry.id.local_name(),
                reason: error.to_string(),
            })?;
            from.user = account.user;
            from.group = account.group;
        }
        Ok(from)
    }

    /// An answer came.
    pub(super) fn probed(&mut self, unit: Index, attempt: Attempt, checked: Checked) {
        let entry = self.units.get_mut(unit);
        if entry.probes.is_none() {
            // It has ended, or is on its way down, since it was asked.
            return;
        }
        let health = &mut entry.health;
        health.verdict = match checked.health {
            probe::Health::Starting => Health::Starting,
            probe::Health::Healthy => Health::Healthy,
            probe::Health::Unhealthy => Health::Unhealthy,
            probe::Health::Unknown => Health::Unknown,
        };
        health.reason = checked.reason;
        health.last_checked = Some(checked.at);
        for event in checked.events {
            match event {
                ProbeEvent::Healthy => {
                    let was_unhealthy = self.world.unit(unit).unhealthy;
                    self.tell(unit, attempt, Report::Healthy);
                    if was_unhealthy {
                        self.emit_unit(EventKind::ServiceHealthy, unit, |_| {});
                    }
                }
                ProbeEvent::Unhealthy => {
                    self.emit_unit(EventKind::ServiceUnhealthy, unit, |_| {});
                    self.tell(unit, attempt, Report::Unhealthy);
                }
                ProbeEvent::Dead => self.tell(unit, attempt, Report::Dead),
                ProbeEvent::HealthChanged(_) => {}
            }
        }
    }
}

/// How a service is asked that its file says nothing of: by the check of its image.
fn image_probe() -> Probe {
    Probe {
        start_interval: UNTOLD,
        ..Probe::new(ProbeAction::Container)
    }
}

/// An engine that runs checks tells what changes; where it does not, this is how soon that shows while a service starts.
const UNTOLD: Duration = Duration::from_secs(1);

/// Asks the probes of an attempt until it is dropped; `lines` is what feeds them.
async fn ask(
    probes: probe::Probes,
    prober: probe::Prober,
    age: Duration,
    reporter: Reporter,
    lines: Option<Task<()>>,
) {
    probe::run(probes, prober, age, |checked| {
        reporter.report(AttemptNews::Probed(checked));
    })
    .await;
    drop(lines);
}

/// Shows an attempt's lines to the probes that wait for one, until none does.
async fn feed_lines(log: UnitLog, attempt: Attempt, feed: Feed) {
    let mut lines = log.follow(LogQuery {
        attempt: Some(AttemptFilter::Number(attempt.0)),
        ..LogQuery::default()
    });
    while feed.wants_lines() {
        match lines.next().await {
            Some(Ok(line)) => feed.line(&line.bytes),
            Some(Err(error)) => {
                tracing::error!(error = %crate::error_chain(&error), "the lines that a probe waits for cannot be read");
                return;
            }
            None => return,
        }
    }
}
