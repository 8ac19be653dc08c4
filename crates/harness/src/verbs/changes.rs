//! Why units are started anew: in what their definitions differ from those before.
//!
//! Owns: saying so, of those that an order reached: one that waits for what it needs to be replaced first is moved later.

use harness_core::protocol::StartResult;

use crate::context::Context;
use crate::units::base;

/// Says of each unit that was reached in what its definition has changed.
pub(super) fn tell(context: &Context, started: &StartResult) {
    for line in lines(started) {
        context.tell(&line);
    }
}

fn lines(started: &StartResult) -> Vec<String> {
    let reached = &started.ordered.units;
    let differences = started.applied.differences.iter();
    differences
        .filter(|(unit, _)| reached.iter().any(|name| base(name) == unit.as_str()))
        .map(|(unit, names)| format!("{unit}: changed: {}", names.join(", ")))
        .collect()
}

#[cfg(test)]
mod tests {
    use harness_core::protocol::{ApplyResult, OrderResult};
    use harness_core::spec::UnitName;

    use super::*;

    #[test]
    fn every_unit_that_is_reached_and_whose_definition_changed_is_explained() {
        let unit = |name| UnitName::new(name).expect("a legal name");
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let started = StartResult {
            applied: ApplyResult {
                differences: [
                    (unit("db"), names(&["env.A", "image"])),
                    (unit("tool"), names(&["image"])),
                    (unit("late"), names(&["args"])),
                ]
                .into(),
                ..ApplyResult::default()
            },
            ordered: OrderResult {
                units: names(&["db/1", "db/2", "late"]),
                moved: names(&["db/1", "db/2"]),
            },
        };
        let said = ["db: changed: env.A, image", "late: changed: args"];
        assert_eq!(lines(&started), said);
    }
}
