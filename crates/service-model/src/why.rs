//! Why a unit is where it is: who waits for whom, down to those that wait for nobody.
//!
//! Owns: the story as data; words and names are the reader's. It only reads. The tree is a list in reading order with
//! depths, because needs form a graph: each unit is explained where it is met first and only named after that.

use std::time::Duration;

use super::life::{Cause, Life, Phase, Purpose, Rung};
use super::vocabulary::{Index, State};
use super::world::World;
use crate::{Gate, UnitKind};

/// The story of one unit: the first reason is its own, those below it explain it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// In reading order; each is explained by those right below it that are one deeper.
    pub reasons: Vec<Reason>,
}

/// One unit's part in the story.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Whose.
    pub unit: Index,
    /// How far down in the tree; 0 is the unit that was asked about.
    pub depth: usize,
    /// The gate of it that the unit above waits for; `None` for the first, and where an end is waited for.
    pub gate: Option<Gate>,
    /// Where it is.
    pub state: State,
    /// Why it is there.
    pub because: Because,
    /// It was explained further above.
    pub repeated: bool,
}

/// Why a unit does not move on by itself, or what moves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because {
    /// There is no definition of it.
    Undefined,
    /// Nobody asked for it.
    NotWanted,
    /// The operator keeps it down.
    Held,
    /// It waits for the gates listed below it.
    Gates,
    /// It is being launched.
    Launching,
    /// It runs, and its readiness has not been proven yet.
    Proving,
    /// It runs, and its readiness is lost or could not be proven so far.
    Unhealthy,
    /// It runs, and its setup is being looked at or performed.
    Setup,
    /// The task runs.
    Working,
    /// It is where it should be.
    Up,
    /// It ended with success.
    Completed,
    /// It shall end, after those listed below it.
    StopsAfter,
    /// Its end was ordered.
    Ending {
        /// By force.
        forced: bool,
        /// Because it failed so; `None`: somebody asked.
        fault: Option<Cause>,
        /// It is started again afterwards.
        again: bool,
    },
    /// It is started again then.
    Backoff {
        /// When.
        until: Duration,
        /// What it failed of.
        cause: Option<Cause>,
    },
    /// It is started again when the budget of all units has a turn for it.
    Budget {
        /// When.
        until: Duration,
    },
    /// It ends again and again, and is tried again only then.
    CrashLoop {
        /// When.
        until: Duration,
        /// What it failed of last.
        cause: Option<Cause>,
    },
    /// It has failed for good.
    Failed {
        /// What of.
        cause: Option<Cause>,
    },
    /// It was killed, and its death was never confirmed: nothing is started over it.
    Lost,
    /// The shell has yet to find out whether its attempt is alive.
    Adoption,
}

impl Because {
    /// Whether the reasons below explain it, so that it is no root cause.
    pub fn is_explained_below(&self) -> bool {
        matches!(self, Self::Gates | Self::StopsAfter)
    }
}

impl Why {
    /// The root causes: those that wait for no other unit.
    pub fn roots(&self) -> impl Iterator<Item = &Reason> {
        let told = self.reasons.iter().filter(|reason| !reason.repeated);
        told.filter(|reason| !reason.because.is_explained_below())
    }
}

impl World {
    /// Why a unit is where it is.
    pub fn why(&self, unit: Index) -> Why {
        let mut reasons = Vec::new();
        let mut told = vec![false; self.nodes.len()];
        let mut open = vec![(unit, 0, None)];
        while let Some((unit, depth, gate)) = open.pop() {
            let repeated = std::mem::replace(&mut told[unit.0 as usize], true);
            let because = self.because(unit);
            reasons.push(Reason {
                unit,
                depth,
                gate,
                state: self.known(unit).life.state(),
                because,
                repeated,
            });
            if repeated {
                continue;
            }
            let below: Vec<(Index, Option<Gate>)> = if because == Because::Gates {
                let gates = self.shut_gates(unit).into_iter();
                gates.map(|(on, gate)| (on, Some(gate))).collect()
            } else if because == Because::StopsAfter {
                let blocking = self.blocking(unit).into_iter();
                blocking.map(|on| (on, None)).collect()
            } else {
                Vec::new()
            };
            // The last is taken first.
            open.extend(
                below
                    .into_iter()
                    .rev()
                    .map(|(on, gate)| (on, depth + 1, gate)),
            );
        }
        Why { reasons }
    }

    fn because(&self, unit: Index) -> Because {
        let node = self.known(unit);
        let life = &node.life;
        let Some(policy) = &node.policy else {
            return Because::Undefined;
        };
        if !life.confirmed {
            return Because::Adoption;
        }
        if life.is_running() && life.is_leaving() {
            return Because::StopsAfter;
        }
        match life.phase {
            Phase::Idle if life.held => Because::Held,
            Phase::Idle if !life.wanted => Because::NotWanted,
            Phase::Idle => Because::Gates,
            Phase::Starting => Because::Launching,
            Phase::Settling { .. } | Phase::SetupRequired | Phase::SettingUp | Phase::Ready => {
                running(life, policy.kind)
            }
            Phase::Stopping { rung, purpose } => Because::Ending {
                forced: rung == Rung::Forced,
                fault: match purpose {
                    Purpose::Fault(cause) => Some(cause),
                    Purpose::Asked => None,
                },
                again: life.shall_run(),
            },
            Phase::Backoff {
                until,
                budget: true,
            } => Because::Budget { until },
            Phase::Backoff {
                until,
                budget: false,
            } => Because::Backoff {
                until,
                cause: life.cause,
            },
            Phase::CrashLoop { until } => Because::CrashLoop {
                until,
                cause: life.cause,
            },
            Phase::Done => Because::Completed,
            Phase::Failed => Because::Failed { cause: life.cause },
            Phase::Lost => Because::Lost,
            Phase::Held => Because::Held,
        }
    }
}

fn running(life: &Life, kind: UnitKind) -> Because {
    if life.unhealthy {
        return Because::Unhealthy;
    }
    match (life.phase == Phase::Ready, kind) {
        (true, _) => Because::Up,
        (false, UnitKind::Task) => Because::Working,
        (false, UnitKind::Service) if life.phase == (Phase::Settling { proven: false }) => {
            Because::Proving
        }
        (false, UnitKind::Service) => Because::Setup,
    }
}
