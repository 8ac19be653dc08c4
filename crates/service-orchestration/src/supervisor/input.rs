//! Input for runs that are yet to come.
//!
//! Owns: which unit's next run gets which input. It is given to one run, the first that begins while whoever gives it is
//! there: a run after that finds none, since what was taken cannot be taken again.

use std::collections::BTreeMap;

use crate::executors::Input;
use crate::spec::UnitId;

/// What waits for a run, by unit.
#[derive(Debug, Default)]
pub(super) struct Inputs(BTreeMap<UnitId, Input>);

impl Inputs {
    /// The unit's next run gets this. What was meant for it before is closed.
    pub(super) fn expect(&mut self, unit: UnitId, input: Input) {
        if let Some(before) = self.0.insert(unit, input) {
            before.close();
        }
    }

    /// What a run of the unit is given that is launched now. It stays meant for it until [`Inputs::taken`]: a launch may have
    /// to be tried again.
    pub(super) fn of(&mut self, unit: &UnitId) -> Option<Input> {
        let input = self.0.get(unit)?;
        if input.is_abandoned() {
            self.0.remove(unit);
            return None;
        }
        Some(input.clone())
    }

    /// A run of the unit runs.
    pub(super) fn taken(&mut self, unit: &UnitId) {
        self.0.remove(unit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executors::input;
    use crate::spec::{StackName, UnitName};

    fn unit() -> UnitId {
        let stack = StackName::new("shop").expect("a legal name");
        UnitId::single(stack, UnitName::new("seed").expect("a legal name"))
    }

    #[test]
    fn an_input_is_for_one_run_and_for_none_once_its_giver_is_gone() {
        let mut inputs = Inputs::default();
        let (giver, first) = input();
        inputs.expect(unit(), first);
        assert!(inputs.of(&unit()).is_some() && inputs.of(&unit()).is_some());
        inputs.taken(&unit());
        assert!(inputs.of(&unit()).is_none());
        drop(giver);
        let (giver, second) = input();
        inputs.expect(unit(), second);
        drop(giver);
        assert!(inputs.of(&unit()).is_none());
    }
}
