//! What of a unit outlives the daemon, and how a world goes on from it.
//!
//! Owns: the form that is saved, and what is assumed of an attempt that was alive then: nothing, until the shell has
//! reported `Launched` (found alive) or how it ended. Until then its gates are shut and its end is not ordered; with
//! the report, whatever watched or ended it in the life before begins again.

use std::time::Duration;

use super::backoff::Counters;
use super::face::{Around, Face, Pass};
use super::life::{Cause, Life, Phase, Purpose, Rung};
use super::vocabulary::{Attempt, Effect, Index, State};
use super::world::World;

/// What is saved of a unit, and restored at boot. What a shell does not keep is left at its default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Where it was in its life.
    pub state: State,
    /// Its latest attempt. Never less than any that was ordered.
    pub attempt: Attempt,
    /// Somebody asked for it.
    pub wanted: bool,
    /// The operator keeps it down.
    pub held: bool,
    /// What it needs does not hold it back.
    pub gateless: bool,
    /// Automatic restarts since somebody asked for it.
    pub restarts: u32,
    /// Ends in a row that nobody asked for.
    pub failures: u32,
    /// It was called a crash loop and has not been ready for long enough since.
    pub looping: bool,
    /// Its latest wait between two attempts, which says how long it must be ready before it starts counting anew.
    pub last_wait: Duration,
    /// How long ago its latest automatic restarts were, the first one first: what the crash loop is told by.
    pub recent: Vec<Duration>,
    /// Some attempt was launched since somebody asked for it.
    pub launched: bool,
    /// Its readiness was lost.
    pub unhealthy: bool,
    /// The running attempt was to be followed by a new one.
    pub renew: bool,
    /// Its end was ordered by force.
    pub forced: bool,
    /// Its end was ordered because of this failure.
    pub fault: Option<Cause>,
    /// Its latest failure.
    pub cause: Option<Cause>,
    /// What was left of its wait, its startup timeout, its run timeout or the grace of its stop; `None`: all of a
    /// timeout or a grace, nothing of a wait.
    pub left: Option<Duration>,
    /// Which attempts of what it needs the running attempt was launched upon; what is missing is guessed.
    pub bases: Vec<(Index, Attempt)>,
}

impl Default for Restored {
    /// A unit that never ran and that nobody wants.
    fn default() -> Self {
        Self {
            state: State::Idle,
            attempt: Attempt(0),
            wanted: false,
            held: false,
            gateless: false,
            restarts: 0,
            failures: 0,
            looping: false,
            last_wait: Duration::ZERO,
            recent: Vec::new(),
            launched: false,
            unhealthy: false,
            renew: false,
            forced: false,
            fault: None,
            cause: None,
            left: None,
            bases: Vec::new(),
        }
    }
}

impl World {
    /// What to keep of a unit, so that `restore` in another world goes on from the last step.
    pub fn save(&self, unit: Index) -> Restored {
        let node = self.known(unit);
        let life = &node.life;
        let (forced, fault) = match life.phase {
            Phase::Stopping {
                rung,
                purpose: Purpose::Fault(cause),
            } => (rung == Rung::Forced, Some(cause)),
            Phase::Stopping {
                rung,
                purpose: Purpose::Asked,
            } => (rung == Rung::Forced, None),
            Phase::Idle
            | Phase::Starting
            | Phase::Settling { .. }
            | Phase::SetupRequired
            | Phase::SettingUp
            | Phase::Ready
            | Phase::Backoff { .. }
            | Phase::CrashLoop { .. }
            | Phase::Done
            | Phase::Failed
            | Phase::Lost
            | Phase::Held => (false, None),
        };
        let ends = life.until().or(life.deadline);
        let bases = node.edges().iter().zip(&node.bases);
        Restored {
            state: life.state(),
            attempt: life.attempt,
            wanted: life.wanted,
            held: life.held,
            gateless: life.gateless,
            restarts: life.counters.restarts,
            failures: life.counters.failures,
            looping: life.counters.looping,
            last_wait: life.counters.last_wait,
            recent: life.counters.ages(self.now),
            launched: life.launched,
            unhealthy: life.unhealthy,
            renew: life.renew,
            forced,
            fault,
            cause: life.cause,
            left: ends.map(|ends| ends.saturating_sub(self.now)),
            bases: bases
                .filter_map(|(edge, base)| Some((edge.on, (*base)?)))
                .collect(),
        }
    }

    /// Puts a defined unit where it was in an earlier life of the daemon. Before any step; nothing moves before
    /// `resume`, and what is still to be waited for counts from there.
    pub fn restore(&mut self, unit: Index, saved: Restored) {
        let node = &mut self.nodes[unit.0 as usize];
        let left = saved.left.unwrap_or_default();
        let purpose = saved.fault.map_or(Purpose::Asked, Purpose::Fault);
        let rung = if saved.forced {
            Rung::Forced
        } else {
            Rung::Asked
        };
        let phase = match saved.state {
            State::Idle => Phase::Idle,
            State::Starting => Phase::Starting,
            State::Settling => Phase::Settling { proven: false },
            State::SetupRequired => Phase::SetupRequired,
            State::SettingUp => Phase::SettingUp,
            State::Ready => Phase::Ready,
            State::Stopping => Phase::Stopping { rung, purpose },
            State::Backoff => Phase::Backoff {
                until: left,
                budget: false,
            },
            State::CrashLoop => Phase::CrashLoop { until: left },
            State::Done => Phase::Done,
            State::Failed => Phase::Failed,
            State::Lost => Phase::Lost,
            State::Held => Phase::Held,
        };
        node.life = Life {
            phase,
            attempt: saved.attempt,
            wanted: saved.wanted,
            held: saved.held,
            gateless: saved.gateless,
            renew: saved.renew,
            confirmed: !saved.state.is_active(),
            unhealthy: saved.unhealthy,
            deadline: saved.left,
            launched: saved.launched || phase != Phase::Starting && saved.state.is_active(),
            automatic: saved.failures > 0 && !saved.state.is_active(),
            counters: Counters {
                restarts: saved.restarts,
                failures: saved.failures,
                looping: saved.looping || saved.state == State::CrashLoop,
                last_wait: saved.last_wait,
                // When they were is known once the world goes on.
                recent: saved.recent.into(),
            },
            cause: saved.cause,
            ..Life::default()
        };
        let bases = node
            .policy
            .iter()
            .flat_map(|policy| &policy.edges)
            .map(|edge| {
                let known = saved.bases.iter().find(|(on, _)| *on == edge.on);
                known.map(|&(_, base)| base)
            });
        node.bases = bases.collect();
        self.restored.push(unit);
        self.touch(unit);
    }

    /// Goes on after all units have been restored; also lets whatever may move do so after definitions changed.
    pub fn resume(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        self.now = self.now.max(now);
        let restored = std::mem::take(&mut self.restored);
        for &unit in &restored {
            self.guess_bases(unit);
        }
        self.recall_restarts(&restored);
        for unit in restored {
            let now = self.now;
            let node = &mut self.nodes[unit.0 as usize];
            let Some(policy) = &node.policy else { continue };
            let life = &mut node.life;
            life.since = now;
            if let Phase::Backoff { until, .. } | Phase::CrashLoop { until } = &mut life.phase {
                let after = *until;
                *until = now.saturating_add(after);
                let token = life.token;
                effects.push(Effect::Arm { unit, token, after });
                life.deadline = None;
                continue;
            }
            if life.is_stopping() {
                life.deadline = life.deadline.map(|left| now.saturating_add(left));
                continue;
            }
            let limit = policy.time_limit();
            let may_end = life.state().is_active() && life.phase != Phase::Ready;
            let left = life.deadline.filter(|_| limit.is_some()).or(limit);
            life.deadline = left
                .filter(|_| may_end)
                .map(|left| now.saturating_add(left));
        }
        self.plan(effects);
    }

    /// Puts the latest automatic restarts of these units where they belong in time, and takes them off the budget.
    fn recall_restarts(&mut self, restored: &[Index]) {
        let now = self.now;
        let mut restarts = Vec::new();
        for unit in restored {
            let counters = &mut self.nodes[unit.0 as usize].life.counters;
            let ages = Vec::from(std::mem::take(&mut counters.recent));
            counters.set_ages(&ages, now);
            restarts.extend(&counters.recent);
        }
        restarts.sort_unstable();
        for at in restarts {
            self.budget.reserve(at);
        }
    }

    /// Where it was not saved what a running attempt was launched upon, the state of the other tells: one that is
    /// coming up now was there before, in an earlier attempt; one that is at its gate, or at rest, still is, or was,
    /// in its latest.
    fn guess_bases(&mut self, unit: Index) {
        if !self.known(unit).life.is_running() {
            return;
        }
        for position in 0..self.known(unit).edges().len() {
            let node = self.known(unit);
            let (edge, base) = (node.edges()[position], node.bases[position]);
            let other = &self.known(edge.on);
            let kind = other.policy.as_ref().map(|policy| policy.kind);
            let mut seen = other.life.clone();
            (seen.confirmed, seen.unhealthy, seen.renew) = (true, false, false);
            (seen.wanted, seen.held) = (true, false);
            let face = Face::of(&seen, kind, Around::default());
            let is_there = face.pass(edge.gate) == Pass::Open;
            let upon = match seen.is_running() && !is_there {
                true => seen.attempt.0.saturating_sub(1),
                false => seen.attempt.0,
            };
            let guess = (upon > 0).then_some(Attempt(upon));
            self.nodes[unit.0 as usize].bases[position] = base.or(guess);
        }
    }
}
