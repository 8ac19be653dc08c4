//! What must hold of every order that a random world gives, judged from outside.

use service_model::{Effect, Index, Moved, Restored, State};
use service_model::{Gate, UnitKind};

use super::chaos::Chaos;

impl Chaos {
    /// What must hold of each effect when it comes out of a step.
    pub(crate) fn witness(&mut self, effect: &Effect) {
        match effect {
            Effect::Launch(unit, _) => self.witness_launch(*unit),
            Effect::Moved(Moved {
                unit,
                to: State::Stopping,
                ..
            }) => self.witness_stop(*unit),
            Effect::Publish(unit, attempt) => {
                let before = self.published.insert(*unit, *attempt);
                assert_eq!(before, None, "seed {}: {unit:?} published twice", self.seed);
            }
            Effect::Withdraw(unit, attempt) => {
                let before = self.published.remove(unit);
                assert_eq!(
                    before,
                    Some(*attempt),
                    "seed {}: {unit:?} withdrawn unpublished",
                    self.seed
                );
            }
            Effect::Terminate(unit, _) | Effect::Kill(unit, _) => {
                let policy = &self.policies[unit.0 as usize];
                assert!(
                    !policy.attached,
                    "seed {}: attached {unit:?} was signalled",
                    self.seed
                );
            }
            Effect::Probe(..)
            | Effect::CheckSetup(..)
            | Effect::PerformSetup(..)
            | Effect::Detach(..)
            | Effect::Arm { .. }
            | Effect::Moved(_) => {}
        }
    }

    /// A unit that has not moved since it was restored is what it was: what it counts, and when its time is over.
    pub(crate) fn witness_restored(&self, unit: Index, saved: &Restored) {
        let now = self.world.save(unit);
        if (now.state, now.attempt) != (saved.state, saved.attempt) {
            return;
        }
        let counted = |unit: &Restored| {
            let waits = (unit.last_wait, unit.recent.clone());
            (unit.restarts, unit.failures, unit.looping, waits)
        };
        assert_eq!(
            counted(&now),
            counted(saved),
            "seed {}: {unit:?} forgot what it counts",
            self.seed
        );
        assert_eq!(now.cause, saved.cause, "seed {}: {unit:?}", self.seed);
        assert_eq!(
            (now.forced, now.fault),
            (saved.forced, saved.fault),
            "seed {}: {unit:?} is ended otherwise",
            self.seed
        );
        let waits = [State::Backoff, State::CrashLoop, State::Stopping];
        if waits.contains(&now.state) && saved.left.is_some() {
            assert_eq!(
                now.left, saved.left,
                "seed {}: {unit:?} waits for another time",
                self.seed
            );
        }
    }

    fn witness_launch(&self, unit: Index) {
        let view = self.world.unit(unit);
        assert!(
            view.wanted && !view.held,
            "seed {}: {unit:?} launched unasked",
            self.seed
        );
        if !view.gateless {
            self.witness_gates(unit, unit);
        }
    }

    /// What a unit needs itself, or through what has completed, is there.
    fn witness_gates(&self, unit: Index, through: Index) {
        for edge in &self.policies[through.0 as usize].edges {
            let other = self.world.unit(edge.on);
            let is_up = !other.leaving && other.wanted && !other.held && other.confirmed;
            let is_open = match edge.gate {
                _ if !edge.required => continue,
                Gate::Ready if self.policies[edge.on.0 as usize].kind == UnitKind::Service => {
                    is_up && other.state == State::Ready && !other.unhealthy
                }
                Gate::Started if other.state != State::Done => {
                    let launched = [
                        State::Settling,
                        State::SetupRequired,
                        State::SettingUp,
                        State::Ready,
                    ];
                    is_up && launched.contains(&other.state)
                }
                Gate::Started | Gate::Ready | Gate::Completed => other.state == State::Done,
            };
            assert!(
                is_open,
                "seed {}: {unit:?} launched while {:?} is {other:?}",
                self.seed, edge.on
            );
            if other.state == State::Done {
                self.witness_gates(unit, edge.on);
            }
        }
    }

    fn witness_stop(&self, unit: Index) {
        let saved = self.world.save(unit);
        if saved.fault.is_some() || saved.forced || self.killed {
            return;
        }
        let is_found = self.world.unit(unit).confirmed;
        assert!(is_found, "seed {}: {unit:?} stopped unfound", self.seed);
        let (mut seen, mut below) = (vec![unit], vec![unit]);
        while let Some(at) = below.pop() {
            for dependent in self.all() {
                let edges = &self.policies[dependent.0 as usize].edges;
                if !edges.iter().any(|edge| edge.on == at) || seen.contains(&dependent) {
                    continue;
                }
                seen.push(dependent);
                let view = self.world.unit(dependent);
                assert!(
                    !view.leaving,
                    "seed {}: {unit:?} stopped under {dependent:?}: {view:?}",
                    self.seed
                );
                if !view.state.is_active() || view.state == State::Lost {
                    below.push(dependent);
                }
            }
        }
    }
}
