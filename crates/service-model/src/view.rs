//! What can be seen of a unit: a snapshot, and what it waits for.
//!
//! Owns: nothing; it only reads. The whole story, down to the root causes, tells [`super::why`].

use std::collections::BTreeSet;
use std::time::Duration;

use super::face::{Around, Face, Pass};
use super::life::{Cause, Phase};
use super::vocabulary::{Attempt, Index, State};
use super::world::World;
use crate::{Gate, UnitKind};

/// A unit as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// Where it is in its life.
    pub state: State,
    /// Its latest attempt.
    pub attempt: Attempt,
    /// When it entered the state.
    pub since: Duration,
    /// Automatic restarts since somebody asked for it.
    pub restarts: u32,
    /// Ends in a row that nobody asked for; forgotten once it has been ready for long enough.
    pub failures: u32,
    /// Somebody asked for it.
    pub wanted: bool,
    /// The operator keeps it down.
    pub held: bool,
    /// What it needs does not hold it back.
    pub gateless: bool,
    /// Its readiness was lost, or could not be proven in as many tries as it has.
    pub unhealthy: bool,
    /// It is ready and healthy, and published as such.
    pub published: bool,
    /// Its attempt belongs to this life of the daemon or was found alive in it. Without, gates stay shut.
    pub confirmed: bool,
    /// The running attempt will be followed by a new one.
    pub renew: bool,
    /// It is followed by a new one because this one, which it needs, has begun a new one (`restart: true`).
    pub renewed_for: Option<Index>,
    /// It is on its way down, or will be as soon as those that need it are gone.
    pub leaving: bool,
    /// When the wait of `Backoff` or `CrashLoop` is over.
    pub until: Option<Duration>,
    /// By when it must be ready (a service) or have ended (a task), or be gone when it was asked to end.
    pub deadline: Option<Duration>,
    /// Some attempt was launched since somebody asked for it.
    pub launched: bool,
    /// It was called a crash loop and has not been ready for long enough since.
    pub looping: bool,
    /// The latest failure since somebody asked for it.
    pub cause: Option<Cause>,
}

/// One thing that a unit waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// A gate of another unit that is not open.
    Gate {
        /// Whose.
        on: Index,
        /// Which.
        gate: Gate,
        /// Where that one is.
        state: State,
        /// Whether its readiness is lost or could not be proven.
        unhealthy: bool,
    },
    /// The end of its wait before the next attempt (`Backoff` and `CrashLoop`).
    Backoff {
        /// When it is over.
        until: Duration,
    },
    /// The budget of automatic restarts that all units share.
    Budget {
        /// When its turn comes.
        until: Duration,
    },
    /// Its end waits for the end of these, which need it.
    StopsAfter(Vec<Index>),
    /// The shell has yet to find out whether the attempt of an earlier life of the daemon is alive.
    Adoption,
}

impl World {
    /// A unit as it is now.
    ///
    /// # Panics
    /// When the index was not handed out by this world.
    pub fn unit(&self, unit: Index) -> View {
        let life = &self.known(unit).life;
        View {
            state: life.state(),
            attempt: life.attempt,
            since: life.since,
            restarts: life.counters.restarts,
            failures: life.counters.failures,
            wanted: life.wanted,
            held: life.held,
            gateless: life.gateless,
            unhealthy: life.unhealthy,
            published: life.published,
            confirmed: life.confirmed,
            renew: life.renew,
            renewed_for: life.renewed_for,
            leaving: life.is_leaving(),
            until: life.until(),
            deadline: life.deadline,
            launched: life.launched,
            looping: life.counters.looping,
            cause: life.cause,
        }
    }

    /// Whether a unit is only observed, by the definition that counts now.
    pub fn is_attached(&self, unit: Index) -> Option<bool> {
        let policy = self.known(unit).policy.as_ref();
        policy.map(|policy| policy.attached)
    }

    /// What a unit waits for itself; empty when it waits for nothing but its own process.
    pub fn waiting_for(&self, unit: Index) -> Vec<Waiting> {
        let node = self.known(unit);
        let life = &node.life;
        let mut waiting = Vec::new();
        if !life.confirmed {
            waiting.push(Waiting::Adoption);
        }
        match life.phase {
            Phase::Idle if life.shall_run() && !life.gateless => {
                waiting.extend(self.shut_gates(unit).into_iter().map(|(on, gate)| {
                    let other = &self.known(on).life;
                    let (state, unhealthy) = (other.state(), other.unhealthy);
                    Waiting::Gate {
                        on,
                        gate,
                        state,
                        unhealthy,
                    }
                }));
            }
            Phase::Backoff {
                until,
                budget: true,
            } => waiting.push(Waiting::Budget { until }),
            Phase::Backoff {
                until,
                budget: false,
            }
            | Phase::CrashLoop { until } => {
                waiting.push(Waiting::Backoff { until });
            }
            Phase::Starting
            | Phase::Settling { .. }
            | Phase::SetupRequired
            | Phase::SettingUp
            | Phase::Ready
                if node.blockers > 0 && life.is_leaving() =>
            {
                waiting.push(Waiting::StopsAfter(self.blocking(unit)));
            }
            Phase::Idle
            | Phase::Starting
            | Phase::Settling { .. }
            | Phase::SetupRequired
            | Phase::SettingUp
            | Phase::Ready
            | Phase::Stopping { .. }
            | Phase::Done
            | Phase::Failed
            | Phase::Lost
            | Phase::Held => {}
        }
        waiting
    }

    /// Gates that hold a unit back, in the order of its definition. Of what has completed, those that it needed.
    pub(super) fn shut_gates(&self, unit: Index) -> Vec<(Index, Gate)> {
        let mut gates = Vec::new();
        let mut seen = BTreeSet::from([unit]);
        let mut open = vec![unit];
        while let Some(at) = open.pop() {
            let edges = self.known(at).edges().iter();
            let shut =
                edges.filter(|edge| self.known(edge.on).face.seen_through(edge) != Pass::Open);
            for edge in shut {
                let (on, gate) = (edge.on, edge.gate);
                if !self.is_passed_through(on, gate) {
                    if !gates.contains(&(on, gate)) {
                        gates.push((on, gate));
                    }
                } else if seen.insert(on) {
                    open.push(on);
                }
            }
        }
        gates
    }

    /// Whether what a gate of this unit waits for is not the unit itself but what it needed before it completed.
    fn is_passed_through(&self, unit: Index, gate: Gate) -> bool {
        let node = self.known(unit);
        let is_task = node.policy.as_ref().map(|policy| policy.kind) == Some(UnitKind::Task);
        node.life.phase == Phase::Done && (is_task || gate != Gate::Ready)
    }

    /// Units whose end the end of this one waits for, directly or through some of which nothing runs, in order of their
    /// index.
    pub(super) fn blocking(&self, unit: Index) -> Vec<Index> {
        let mut seen = BTreeSet::new();
        let mut open = vec![unit];
        while let Some(at) = open.pop() {
            for &(on, _) in &self.known(at).dependents {
                let node = self.known(on);
                if node.face.blocks && seen.insert(on) && !node.life.is_leaving() {
                    open.push(on);
                }
            }
        }
        seen.retain(|on| self.known(*on).life.is_leaving());
        seen.into_iter().collect()
    }

    /// A unit's face, computed from its facts and what stands around it.
    pub(super) fn face_of(&self, unit: Index, around: Around) -> Face {
        let node = self.known(unit);
        let kind = node.policy.as_ref().map(|policy| policy.kind);
        Face::of(&node.life, kind, around)
    }
}
