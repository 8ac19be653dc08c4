//! Who may move: level-triggered, looked at only around what changed, in topological order.
//!
//! Owns: the queue of units to look at, and what is cached of each one's neighbours. A step first spreads facts until
//! nothing changes any more (`refresh`), then lets one unit move (`decide`), and begins again: no decision rests on a
//! fact that is out of date. Costs are in edges of units that changed, not in units.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::face::{Face, Pass};
use super::graph::base_on;
use super::life::Phase;
use super::lifecycle::Event;
use super::vocabulary::{Attempt, Effect, Index};
use super::world::World;

/// Units to look at.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Their face may have changed.
    stale: Vec<Index>,
    /// They may have to move; lowest rank first.
    due: BinaryHeap<Reverse<(u32, Index)>>,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.stale.is_empty() && self.due.is_empty()
    }
}

impl World {
    /// A fact of a unit changed: its face is looked at again, and whether it may move.
    pub(super) fn touch(&mut self, unit: Index) {
        let node = &mut self.nodes[unit.0 as usize];
        if !node.is_changed {
            node.is_changed = true;
            self.changed.push(unit);
        }
        self.reconsider(unit);
    }

    /// Something around a unit changed.
    pub(super) fn reconsider(&mut self, unit: Index) {
        let node = &mut self.nodes[unit.0 as usize];
        if !node.is_stale {
            node.is_stale = true;
            self.queue.stale.push(unit);
        }
        self.look_at(unit);
    }

    fn look_at(&mut self, unit: Index) {
        let node = &mut self.nodes[unit.0 as usize];
        if !node.is_due {
            node.is_due = true;
            self.queue.due.push(Reverse((node.rank, unit)));
        }
    }

    /// Lets every unit move that may, until none may.
    pub(super) fn plan(&mut self, effects: &mut Vec<Effect>) {
        if self.unranked {
            self.rank();
            let due = std::mem::take(&mut self.queue.due).into_vec();
            let ranked = due
                .into_iter()
                .map(|Reverse((_, unit))| Reverse((self.nodes[unit.0 as usize].rank, unit)));
            self.queue.due = ranked.collect();
        }
        loop {
            while let Some(unit) = self.queue.stale.pop() {
                self.nodes[unit.0 as usize].is_stale = false;
                self.refresh(unit);
            }
            let Some(Reverse((_, unit))) = self.queue.due.pop() else {
                return;
            };
            self.nodes[unit.0 as usize].is_due = false;
            self.decide(unit, effects);
        }
    }

    /// Computes a unit's face and, when it changed, tells its neighbours.
    fn refresh(&mut self, unit: Index) {
        let face = self.face_of(unit, self.known(unit).around());
        let node = &mut self.nodes[unit.0 as usize];
        let before = std::mem::replace(&mut node.face, face);
        if face == before {
            return;
        }
        let dependents = std::mem::take(&mut node.dependents);
        for &(dependent, position) in &dependents {
            self.tell_dependent(dependent, position, before, face);
        }
        self.nodes[unit.0 as usize].dependents = dependents;
        if face.blocks != before.blocks {
            for position in 0..self.nodes[unit.0 as usize].edges().len() {
                let on = self.nodes[unit.0 as usize].edges()[position].on;
                let other = &mut self.nodes[on.0 as usize];
                let had_blockers = other.blockers > 0;
                match face.blocks {
                    true => other.blockers += 1,
                    false => other.blockers -= 1,
                }
                if had_blockers != (other.blockers > 0) {
                    self.reconsider(on);
                }
            }
        }
    }

    fn tell_dependent(&mut self, dependent: Index, position: usize, before: Face, face: Face) {
        let node = &mut self.nodes[dependent.0 as usize];
        let edge = node
            .policy
            .as_ref()
            .expect("an edge belongs to a definition")
            .edges[position];
        let (was, is) = (before.seen_through(&edge), face.seen_through(&edge));
        node.shut = node.shut + u32::from(is != Pass::Open) - u32::from(was != Pass::Open);
        node.barred = node.barred + u32::from(is == Pass::Barred) - u32::from(was == Pass::Barred);
        if was != is {
            self.reconsider(dependent);
        }
        if let Some(attempt) = base_on(&face, &edge) {
            self.stand_upon(dependent, position, attempt, edge.restart);
        }
    }

    /// What the unit needs is there: if it is not what its running attempt was launched upon, it may have to be renewed.
    fn stand_upon(&mut self, unit: Index, position: usize, attempt: Attempt, restart: bool) {
        let node = &mut self.nodes[unit.0 as usize];
        let on = node.edges()[position].on;
        let base = node.bases[position].replace(attempt);
        if base == Some(attempt) {
            return;
        }
        // None: it was launched without the other, which comes up for the first time since.
        if restart && base.is_some() && node.life.is_running() {
            node.life.renew = true;
            node.life.renewed_for = Some(on);
        }
        self.touch(unit);
    }

    /// Lets one unit move as far as it may.
    fn decide(&mut self, unit: Index, effects: &mut Vec<Effect>) {
        while let Some(order) = self.order(unit) {
            let event = match order {
                Event::Go => self.go_or_wait(unit),
                order => order,
            };
            self.apply(unit, event, effects);
        }
    }

    /// What a unit has to do as things stand: the one place that says so.
    pub(super) fn order(&self, unit: Index) -> Option<Event> {
        let node = &self.nodes[unit.0 as usize];
        let life = &node.life;
        node.policy.as_ref()?;
        match life.phase {
            Phase::Idle if life.held => Some(Event::Keep),
            Phase::Idle => (life.wanted && (life.gateless || node.shut == 0)).then_some(Event::Go),
            Phase::Held => (!life.held).then_some(Event::Free),
            Phase::Starting
            | Phase::Settling { .. }
            | Phase::SetupRequired
            | Phase::SettingUp
            | Phase::Ready => {
                let may_leave = life.is_leaving() && life.confirmed && node.blockers == 0;
                may_leave.then_some(Event::Halt)
            }
            Phase::Backoff { .. } | Phase::CrashLoop { .. } | Phase::Failed if life.held => {
                Some(Event::Keep)
            }
            Phase::Backoff { .. } | Phase::CrashLoop { .. } => {
                (!life.wanted).then_some(Event::Rest)
            }
            Phase::Done => life.renew.then_some(Event::Rest),
            Phase::Failed | Phase::Stopping { .. } | Phase::Lost => None,
        }
    }

    /// Begins an attempt, unless it is an automatic restart for which the budget has no token yet.
    fn go_or_wait(&mut self, unit: Index) -> Event {
        let life = &self.nodes[unit.0 as usize].life;
        if life.automatic && !life.paid && life.counters.failures > 1 {
            let wait = self.budget.reserve(self.now);
            if wait > Duration::ZERO {
                return Event::Throttle(self.now.saturating_add(wait));
            }
        }
        let edges = self.nodes[unit.0 as usize].edges();
        let bases = edges
            .iter()
            .map(|edge| base_on(&self.nodes[edge.on.0 as usize].face, edge));
        self.nodes[unit.0 as usize].bases = bases.collect();
        Event::Go
    }
}
