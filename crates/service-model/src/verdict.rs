//! Whether a unit has come as far as somebody waits for, may still, or cannot.
//!
//! Owns: what each goal means, and which unit is to blame. It only reads.

use super::face::{Pass, is_barred_below};
use super::life::{Cause, Life};
use super::vocabulary::{Index, State};
use super::world::World;
use crate::{Gate, UnitKind};

/// How far somebody waits for a unit to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// It was launched since it was asked for, or is done, and no new attempt of it is on its way.
    Launched,
    /// It is launched and has not ended.
    Running,
    /// A service is ready and healthy, or has ended with success as it may; a task is done. Of a service that nothing asks
    /// how it is, and that has ended again and again, being up is not enough: it must have lasted until its failures are
    /// forgotten (`reset_after`).
    Ready,
    /// It has ended with success.
    Completed,
    /// No process of it is left, and none comes by itself. A crash loop that somebody wants never comes so far: it ends
    /// the wait at once, and so does a lost unit.
    Stopped,
}

/// Whether a goal is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Reached,
    /// It may yet be.
    Pending,
    /// It will not be, unless somebody does something about it.
    Never {
        /// The unit to blame: the one asked about, or one that it needs, directly or not.
        unit: Index,
        /// What is the matter with that one.
        obstacle: Obstacle,
    },
}

/// Why a unit cannot come further by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// Nobody asked for it.
    NotWanted,
    /// The operator keeps it down.
    Held,
    /// It has failed.
    Failed(Option<Cause>),
    /// It ends again and again.
    CrashLoop(Option<Cause>),
    /// It was killed, and its death was never confirmed.
    Lost,
    /// It has ended with success, where a running one is waited for.
    Ended,
    /// There is no definition of it.
    Undefined,
}

impl World {
    /// Whether a unit has reached a goal, may yet, or cannot. A crash loop counts as cannot, though it is retried.
    pub fn verdict(&self, unit: Index, goal: Goal) -> Verdict {
        let node = self.known(unit);
        let life = &node.life;
        let Some(policy) = &node.policy else {
            let obstacle = Obstacle::Undefined;
            return Verdict::Never { unit, obstacle };
        };
        let is_done = life.state() == State::Done;
        let is_reached = match goal {
            Goal::Launched => match life.state() {
                State::Done => !life.renew,
                // On its way to a new attempt: the one before does not count.
                State::Idle | State::Starting | State::Stopping | State::Held | State::Lost => {
                    false
                }
                State::Settling
                | State::SetupRequired
                | State::SettingUp
                | State::Ready
                | State::Backoff
                | State::CrashLoop
                | State::Failed => life.launched && !life.renew,
            },
            Goal::Running => life.is_up() && life.confirmed,
            Goal::Ready => match policy.kind {
                UnitKind::Service => {
                    let is_ready = life.state() == State::Ready && life.published;
                    is_done || (is_ready && !life.is_doubtful())
                }
                UnitKind::Task => is_done,
            },
            Goal::Completed => is_done,
            Goal::Stopped => return self.stopped(unit, life),
        };
        if is_reached {
            return Verdict::Reached;
        }
        if is_done {
            let obstacle = Obstacle::Ended;
            return Verdict::Never { unit, obstacle };
        }
        match self.to_blame(unit) {
            Some((unit, obstacle)) => Verdict::Never { unit, obstacle },
            None => Verdict::Pending,
        }
    }

    fn stopped(&self, unit: Index, life: &Life) -> Verdict {
        match life.state() {
            State::Done | State::Failed | State::Held => Verdict::Reached,
            State::Idle if !life.wanted => Verdict::Reached,
            State::Lost => Verdict::Never {
                unit,
                obstacle: Obstacle::Lost,
            },
            // It is tried again and again; whoever stops it ends that, and then it is `Idle`.
            State::CrashLoop => Verdict::Never {
                unit,
                obstacle: Obstacle::CrashLoop(life.cause),
            },
            State::Idle
            | State::Starting
            | State::Settling
            | State::SetupRequired
            | State::SettingUp
            | State::Ready
            | State::Stopping
            | State::Backoff => Verdict::Pending,
        }
    }

    /// The unit that keeps this one from coming further, this one itself included, and what is the matter with it.
    fn to_blame(&self, unit: Index) -> Option<(Index, Obstacle)> {
        let mut at = unit;
        loop {
            if let Some(obstacle) = self.obstacle(at) {
                return Some((at, obstacle));
            }
            let node = self.known(at);
            if !is_barred_below(&node.life, node.barred) {
                return None;
            }
            let barred = |edge: &&super::vocabulary::Edge| {
                self.known(edge.on).face.seen_through(edge) == Pass::Barred
            };
            // A count above zero means that there is one; edges lead down, so this ends.
            let edge = node.edges().iter().find(barred)?;
            at = edge.on;
            let other = self.known(at);
            let is_service =
                other.policy.as_ref().map(|policy| policy.kind) == Some(UnitKind::Service);
            if other.life.state() == State::Done && is_service && edge.gate == Gate::Ready {
                return Some((at, Obstacle::Ended));
            }
        }
    }

    fn obstacle(&self, unit: Index) -> Option<Obstacle> {
        let node = self.known(unit);
        let life = &node.life;
        if node.policy.is_none() {
            return Some(Obstacle::Undefined);
        }
        match life.state() {
            State::Failed => Some(Obstacle::Failed(life.cause)),
            State::CrashLoop => Some(Obstacle::CrashLoop(life.cause)),
            State::Lost => Some(Obstacle::Lost),
            State::Held => Some(Obstacle::Held),
            // It is where it should be; what it needed may not be.
            State::Done => None,
            State::Idle
            | State::Starting
            | State::Settling
            | State::SetupRequired
            | State::SettingUp
            | State::Ready
            | State::Stopping
            | State::Backoff => match (life.held, life.wanted) {
                (true, _) => Some(Obstacle::Held),
                (false, false) => Some(Obstacle::NotWanted),
                (false, true) => None,
            },
        }
    }
}
