//! What a unit shows to the units at the other ends of its edges.
//!
//! Owns: which gates a unit opens, which it cannot open as things stand, and whether it holds back the stop of what it
//! needs. All of it follows from the unit's own facts, from how many of its own gates are shut or barred, and from
//! whether somebody holds it back. What is at rest passes on what stands around it: order holds through a task that has
//! completed, and through whatever does not run.

use super::life::{Life, Phase};
use super::vocabulary::{Attempt, Edge, State};
use crate::{Gate, UnitKind};

/// What a unit shows to its neighbours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Face {
    started: Pass,
    ready: Pass,
    completed: Pass,
    /// The attempt that the gates are about.
    pub(super) attempt: Attempt,
    /// It is on its way down, and what it needs waits for that.
    pub(super) blocks: bool,
}

/// What stands around a unit, as far as its own face follows from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Around {
    /// Edges whose gate is shut.
    pub(super) shut: u32,
    /// Edges whose gate is shut and cannot open as things stand.
    pub(super) barred: u32,
    /// Edges of dependents that go down first.
    pub(super) blockers: u32,
}

/// Whether one gate lets dependents pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Pass {
    Open,
    /// Not now.
    Shut,
    /// Not before somebody does something about it.
    #[default]
    Barred,
}

impl Face {
    /// The face of a unit; `kind` is `None` for one that is not defined.
    pub(super) fn of(life: &Life, kind: Option<UnitKind>, around: Around) -> Self {
        let Some(kind) = kind else {
            return Self::default();
        };
        let stays = life.shall_run() && !life.renew && life.confirmed;
        let is_done = life.phase == Phase::Done && !life.renew;
        let is_ready = stays && life.phase == Phase::Ready && !life.unhealthy;
        let is_barred = match is_done {
            true => around.barred > 0,
            false => is_hopeless(life, around.barred),
        };
        let otherwise = match is_barred {
            true => Pass::Barred,
            false => Pass::Shut,
        };
        // What has ended needs nothing any more; whoever comes after it needs what it needed.
        let passes = is_done && around.shut == 0;
        let open_if = |is_open: bool| if is_open { Pass::Open } else { otherwise };
        Self {
            started: open_if(passes || (stays && life.is_up())),
            ready: match (is_done, kind) {
                // A task is as ready as it will ever be; a service that has ended is not.
                (true, UnitKind::Task) => open_if(passes),
                (true, UnitKind::Service) => Pass::Barred,
                (false, _) => open_if(is_ready),
            },
            completed: open_if(passes),
            attempt: life.attempt,
            blocks: life.holds_back(around.blockers),
        }
    }

    pub(super) fn pass(&self, gate: Gate) -> Pass {
        match gate {
            Gate::Started => self.started,
            Gate::Ready => self.ready,
            Gate::Completed => self.completed,
        }
    }

    /// What this face means to the unit at the other end of this edge.
    pub(super) fn seen_through(&self, edge: &Edge) -> Pass {
        match (self.pass(edge.gate), edge.required) {
            (Pass::Barred, false) => Pass::Open,
            (pass, _) => pass,
        }
    }
}

/// Whether it cannot come further as things stand.
fn is_hopeless(life: &Life, barred: u32) -> bool {
    if !life.shall_run() {
        return true;
    }
    match life.state() {
        State::Failed | State::CrashLoop | State::Lost | State::Held => true,
        State::Idle => is_stuck(life, barred),
        State::Starting
        | State::Settling
        | State::SetupRequired
        | State::SettingUp
        | State::Ready
        | State::Stopping
        | State::Backoff
        | State::Done => false,
    }
}

/// Whether whoever waits for it waits, through it, at a gate that cannot open as things stand.
pub(super) fn is_barred_below(life: &Life, barred: u32) -> bool {
    is_stuck(life, barred) || (life.phase == Phase::Done && barred > 0)
}

/// Whether it waits at a gate that cannot open as things stand.
fn is_stuck(life: &Life, barred: u32) -> bool {
    life.phase == Phase::Idle && life.shall_run() && !life.gateless && barred > 0
}
