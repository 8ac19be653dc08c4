//! How the processes of the random worlds answer orders, and everything they do wrong.

use std::time::Duration;

use service_model::UnitKind;
use service_model::{Attempt, Effect, End, Index, LaunchFailure, Report};

use super::chaos::{Chaos, Happening};
use super::sim::ms;

impl Chaos {
    pub(crate) fn perform(&mut self, effect: Effect) {
        let soon = ms(self.dice.below(50));
        match effect {
            Effect::Launch(unit, attempt) => self.launch(unit, attempt, soon),
            Effect::Probe(unit, attempt) => self.probe(unit, attempt, soon),
            Effect::CheckSetup(unit, attempt) => {
                let report = match self.dice.below(if self.faults { 10 } else { 9 }) {
                    9 => Report::SetupFailed,
                    0..4 => Report::SetupRequired,
                    _ => Report::SetupComplete,
                };
                self.later(soon, Happening::Told(unit, attempt, report));
            }
            Effect::PerformSetup(unit, attempt) => {
                let fails = self.faults && self.dice.percent(15);
                let report = if fails {
                    Report::SetupFailed
                } else {
                    Report::SetupComplete
                };
                self.later(soon, Happening::Told(unit, attempt, report));
            }
            Effect::Terminate(unit, attempt) => {
                let is_deaf = self.faults && self.dice.percent(15);
                if !self.cancels(unit, attempt) && !is_deaf {
                    self.later(soon, Happening::Dies(unit, attempt, End::Success));
                }
            }
            Effect::Kill(unit, attempt) => {
                let survives = self.immortal && self.dice.percent(15);
                if !self.cancels(unit, attempt) && !survives {
                    self.later(ms(1), Happening::Dies(unit, attempt, End::Failure));
                }
            }
            Effect::Detach(unit, attempt) => {
                if !self.cancels(unit, attempt) {
                    self.later(soon, Happening::Dies(unit, attempt, End::Success));
                }
            }
            Effect::Arm { unit, token, after } => self.later(after, Happening::Rings(unit, token)),
            Effect::Publish(..) | Effect::Withdraw(..) | Effect::Moved(_) => {}
        }
    }

    /// A launch that was never performed, because its commit failed, is taken back when its end is ordered.
    fn cancels(&mut self, unit: Index, attempt: Attempt) -> bool {
        let before = self.withheld.len();
        self.withheld
            .retain(|effect| *effect != Effect::Launch(unit, attempt));
        let was_withheld = self.withheld.len() < before;
        if was_withheld {
            let report = Report::LaunchFailed(LaunchFailure::Transient);
            self.later(ms(1), Happening::Told(unit, attempt, report));
        }
        was_withheld
    }

    fn launch(&mut self, unit: Index, attempt: Attempt, soon: Duration) {
        self.launches += 1;
        let living = self.alive.get(&unit);
        assert_eq!(
            living, None,
            "seed {}: two live attempts of {unit:?}",
            self.seed
        );
        if self.faults && self.dice.percent(6) {
            let how = match self.dice.percent(30) {
                true => LaunchFailure::Permanent,
                false => LaunchFailure::Transient,
            };
            return self.later(
                soon,
                Happening::Told(unit, attempt, Report::LaunchFailed(how)),
            );
        }
        self.alive.insert(unit, attempt);
        self.later(soon, Happening::Told(unit, attempt, Report::Launched));
        let is_task = self.policies[unit.0 as usize].kind == UnitKind::Task;
        if is_task || (self.faults && self.dice.percent(30)) {
            let fails = self.faults && self.dice.percent(40);
            let end = if fails { End::Failure } else { End::Success };
            let life = ms(self.dice.below(if self.faults { 1500 } else { 400 }));
            self.later(soon + life, Happening::Dies(unit, attempt, end));
        }
    }

    fn probe(&mut self, unit: Index, attempt: Attempt, soon: Duration) {
        let probed = self.policies[unit.0 as usize].probed;
        let mut after = soon;
        if self.faults {
            for _ in 0..self.dice.below(4) {
                let report = match self.dice.below(8) {
                    0 => Report::Dead,
                    1..3 if probed => Report::Unhealthy,
                    3 if probed => Report::Paused,
                    _ if probed => Report::Healthy,
                    _ => continue,
                };
                after += ms(self.dice.below(700));
                self.later(after, Happening::Told(unit, attempt, report));
            }
        } else if probed {
            self.later(soon, Happening::Told(unit, attempt, Report::Healthy));
        }
    }
}
