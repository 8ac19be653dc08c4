//! What is asked of a unit.
//!
//! Owns: what each command makes of what is wanted. Commands only set facts and end waits; who moves because of them,
//! and in which order, is decided by the plan after all units of the command have been asked.

use super::life::{Phase, Purpose};
use super::lifecycle::Event;
use super::vocabulary::{Command, Effect, Index, State};
use super::world::World;
use crate::{Gate, UnitKind};

impl World {
    /// Asks one thing of one unit.
    pub(super) fn command(&mut self, unit: Index, command: Command, effects: &mut Vec<Effect>) {
        match command {
            Command::Start { again, gateless } => self.start(unit, again, gateless, effects),
            Command::Stop => self.stop(unit, effects),
            Command::Kill => {
                self.stop(unit, effects);
                self.apply(unit, Event::Kill, effects);
            }
            Command::Restart => self.restart(unit, effects),
            Command::Hold => {
                self.nodes[unit.0 as usize].life.held = true;
                self.forgive(unit);
            }
            Command::Release => self.nodes[unit.0 as usize].life.held = false,
        }
        self.touch(unit);
    }

    fn start(&mut self, unit: Index, again: bool, gateless: bool, effects: &mut Vec<Effect>) {
        let again = again || self.shall_be_up(unit);
        let life = &mut self.nodes[unit.0 as usize].life;
        let was_wanted = std::mem::replace(&mut life.wanted, true);
        life.gateless = gateless;
        match life.state() {
            State::Failed | State::Backoff | State::CrashLoop => {
                life.begin_anew();
                self.apply(unit, Event::Rest, effects);
            }
            State::Done if again => {
                life.begin_anew();
                life.renew = true;
            }
            State::Done => {}
            State::Idle | State::Held | State::Stopping | State::Lost => {
                if !was_wanted {
                    life.begin_anew();
                }
            }
            State::Starting
            | State::Settling
            | State::SetupRequired
            | State::SettingUp
            | State::Ready => {}
        }
    }

    /// Whether being done is not what was wanted of it: a service that has ended, and whose end nobody waits for.
    fn shall_be_up(&self, unit: Index) -> bool {
        let node = self.known(unit);
        let is_service = node
            .policy
            .as_ref()
            .is_some_and(|policy| policy.kind == UnitKind::Service);
        let mut gates = node
            .dependents
            .iter()
            .map(|&(on, position)| self.known(on).edges()[position].gate);
        is_service && !gates.any(|gate| gate == Gate::Completed)
    }

    fn stop(&mut self, unit: Index, effects: &mut Vec<Effect>) {
        let node = &mut self.nodes[unit.0 as usize];
        node.life.wanted = false;
        node.life.gateless = false;
        node.life.renew = false;
        let is_service = node
            .policy
            .as_ref()
            .is_some_and(|policy| policy.kind == UnitKind::Service);
        // A completed task stays completed; a service that ended is no longer one that may be left alone.
        if node.life.phase == Phase::Done && is_service {
            self.apply(unit, Event::Rest, effects);
        }
        self.forgive(unit);
        self.try_again(unit, effects);
    }

    /// One whose end was never confirmed is asked once more: it may be within reach again.
    fn try_again(&mut self, unit: Index, effects: &mut Vec<Effect>) {
        if self.known(unit).life.phase == Phase::Lost {
            self.apply(unit, Event::Halt, effects);
        }
    }

    fn restart(&mut self, unit: Index, effects: &mut Vec<Effect>) {
        let life = &mut self.nodes[unit.0 as usize].life;
        life.wanted = true;
        let launched = life.launched && life.is_running();
        life.begin_anew();
        life.launched = launched;
        match life.state() {
            State::Failed | State::Backoff | State::CrashLoop => {
                self.apply(unit, Event::Rest, effects)
            }
            State::Done => life.renew = true,
            State::Starting
            | State::Settling
            | State::SetupRequired
            | State::SettingUp
            | State::Ready => life.renew = true,
            State::Stopping => self.forgive(unit),
            State::Idle | State::Held => {}
            State::Lost => self.try_again(unit, effects),
        }
    }

    /// Somebody asked: what the unit was being stopped for no longer decides what comes next.
    fn forgive(&mut self, unit: Index) {
        let life = &mut self.nodes[unit.0 as usize].life;
        if let Phase::Stopping { purpose, .. } = &mut life.phase {
            *purpose = Purpose::Asked;
        }
    }
}
