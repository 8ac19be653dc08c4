//! The probes of one unit together.
//!
//! Owns: which of them may be asked now, and what their verdicts mean for the unit. Pure.
//!
//! Invariants: readiness and liveness are silent until the startup probe has succeeded; `Healthy` and `Unhealthy`
//! alternate.

use std::time::Duration;

use super::{Answer, Rule, Tally, Verdict};

/// What a probe is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Holds the others back until it has succeeded once.
    Startup,
    /// Gates dependents and sets health.
    Readiness,
    /// Restarts when it fails.
    Liveness,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Startup, Self::Readiness, Self::Liveness];
}

/// How a unit is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Health {
    /// Nothing is decided yet.
    #[default]
    Starting,
    /// Well.
    Healthy,
    /// Not well.
    Unhealthy,
    /// It cannot be asked.
    Unknown,
}

impl Health {
    /// As it is shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Unknown => "unknown",
        }
    }

    fn of(verdict: Option<Verdict>) -> Self {
        match verdict {
            None => Self::Starting,
            Some(Verdict::Healthy) => Self::Healthy,
            Some(Verdict::Unhealthy) => Self::Unhealthy,
            Some(Verdict::Unknown) => Self::Unknown,
        }
    }
}

/// What an answer changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeEvent {
    /// Readiness is proven.
    Healthy,
    /// Readiness is lost, or could not be proven in as many tries as it has.
    Unhealthy,
    /// The liveness probe failed, or the startup probe used up its tries: restart it.
    Dead,
    /// What is shown changed.
    HealthChanged(Health),
}

/// How each probe of a unit counts, for those that it has.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Holds the others back until it has succeeded once.
    pub startup: Option<Rule>,
    /// Gates dependents and sets health.
    pub readiness: Option<Rule>,
    /// Restarts when it fails.
    pub liveness: Option<Rule>,
}

/// The probes of one unit during one attempt.
#[derive(Clone, Debug)]
pub struct ProbeSet {
    launched: Duration,
    phase: u32,
    held: Rules,
    startup: Option<Tally>,
    readiness: Option<Tally>,
    liveness: Option<Tally>,
    /// The last that was reported of `Healthy` (true) and `Unhealthy` (false).
    reported_ready: Option<bool>,
    health: Health,
}

impl ProbeSet {
    /// Nothing was asked yet; the unit was launched at `launched`; `phase` is chance.
    pub fn new(rules: Rules, launched: Duration, now: Duration, phase: u32) -> Self {
        let mut set = Self {
            launched,
            phase,
            held: rules,
            startup: None,
            readiness: None,
            liveness: None,
            reported_ready: None,
            health: Health::Starting,
        };
        match set.held.startup.take() {
            Some(rule) => set.startup = Some(set.tally(rule, now, Role::Startup)),
            None => set.release(now),
        }
        set
    }

    /// How the unit is.
    pub fn health(&self) -> Health {
        self.health
    }

    /// What is to be asked next, and when; `None` when nothing is asked (any more).
    pub fn due(&self) -> Option<(Role, Duration)> {
        let due = |role| Some((role, self.active(role)?.due()?));
        Role::ALL
            .into_iter()
            .filter_map(due)
            .min_by_key(|(_, at)| *at)
    }

    /// Whether answers for this role are taken now.
    pub fn takes(&self, role: Role) -> bool {
        self.active(role).is_some()
    }

    /// Asks at once, if it is asked at all.
    pub(super) fn hurry(&mut self, role: Role, now: Duration) {
        let tally = match role {
            Role::Startup => self.startup.as_mut(),
            Role::Readiness => self.readiness.as_mut(),
            Role::Liveness => self.liveness.as_mut(),
        };
        if let Some(tally) = tally {
            tally.hurry(now);
        }
    }

    /// Counts an answer. One for a probe that is held back or does not exist changes nothing.
    pub fn feed(&mut self, role: Role, answer: &Answer, now: Duration) -> Vec<ProbeEvent> {
        let tally = match role {
            Role::Startup => self.startup.as_mut().filter(|tally| !succeeded(tally)),
            Role::Readiness => self.readiness.as_mut(),
            Role::Liveness => self.liveness.as_mut(),
        };
        let Some(changed) = tally.map(|tally| tally.feed(answer, now)) else {
            return vec![];
        };
        let mut events = Vec::new();
        match (role, changed) {
            (_, None) | (_, Some(Verdict::Unknown)) | (Role::Liveness, Some(Verdict::Healthy)) => {}
            (Role::Startup, Some(Verdict::Healthy)) => {
                self.release(now);
                if self.readiness.is_none() {
                    self.report_ready(true, &mut events);
                }
            }
            (Role::Readiness, Some(Verdict::Healthy)) => self.report_ready(true, &mut events),
            (Role::Readiness, Some(Verdict::Unhealthy)) => self.report_ready(false, &mut events),
            (Role::Startup | Role::Liveness, Some(Verdict::Unhealthy)) => {
                events.push(ProbeEvent::Dead);
            }
        }
        let health = self.judge();
        if health != self.health {
            self.health = health;
            events.push(ProbeEvent::HealthChanged(health));
        }
        events
    }

    fn active(&self, role: Role) -> Option<&Tally> {
        match role {
            Role::Startup => self.startup.as_ref().filter(|tally| !succeeded(tally)),
            Role::Readiness => self.readiness.as_ref(),
            Role::Liveness => self.liveness.as_ref(),
        }
    }

    fn release(&mut self, now: Duration) {
        let held = std::mem::take(&mut self.held);
        self.readiness = held
            .readiness
            .map(|rule| self.tally(rule, now, Role::Readiness));
        self.liveness = held
            .liveness
            .map(|rule| self.tally(rule, now, Role::Liveness));
    }

    /// Half an interval lies between two probes of one unit that have the same one.
    fn tally(&self, rule: Rule, now: Duration, role: Role) -> Tally {
        let phase = match role {
            Role::Startup | Role::Readiness => self.phase,
            Role::Liveness => self.phase.wrapping_add(1 << 31),
        };
        Tally::new(rule, self.launched, now, phase)
    }

    fn report_ready(&mut self, ready: bool, events: &mut Vec<ProbeEvent>) {
        if self.reported_ready.replace(ready) != Some(ready) {
            events.push(if ready {
                ProbeEvent::Healthy
            } else {
                ProbeEvent::Unhealthy
            });
        }
    }

    /// A failing liveness probe outweighs all; else readiness says it, else liveness, else the startup probe.
    fn judge(&self) -> Health {
        let startup = self
            .startup
            .as_ref()
            .map(|tally| Health::of(tally.verdict()));
        let readiness = self
            .readiness
            .as_ref()
            .map(|tally| Health::of(tally.verdict()));
        let liveness = self
            .liveness
            .as_ref()
            .map(|tally| Health::of(tally.verdict()));
        match (readiness, liveness, startup) {
            (_, Some(Health::Unhealthy), _) => Health::Unhealthy,
            (Some(readiness), _, _) => readiness,
            (None, None | Some(Health::Starting), Some(startup)) => startup,
            (None, Some(liveness), _) => liveness,
            (None, None, None) => Health::Starting,
        }
    }
}

/// Whether this (startup) probe has done its part.
fn succeeded(tally: &Tally) -> bool {
    tally.verdict() == Some(Verdict::Healthy)
}
