//! Why units are started anew: in what their definitions differ from those before.
//!
//! Owns: saying so, of those that an order moved.

use harness_core::protocol::StartResult;

use crate::context::Context;
use crate::units::base;

/// Says of each unit that was moved in what its definition has changed.
pub(super) fn tell(context: &Context, started: &StartResult) {
    for line in lines(started) {
        context.tell(&line);
    }
}

fn lines(started: &StartResult) -> Vec<String> {
    let moved = &started.ordered.moved;
    let differences = started.applied.differences.iter();
    differences
        .filter(|(unit, _)| moved.iter().any(|name| base(name) == unit.as_str()))
        .map(|(unit, names)| format!("{unit}: changed: {}", names.join(", ")))
        .collect()
}

#[cfg(test)]
mod tests {
    use harness_core::protocol::{ApplyResult, OrderResult};
    use harness_core::spec::UnitName;

    use super::*;

    #[test]
    fn a_unit_that_moves_because_its_definition_changed_is_explained() {
        let unit = |name| UnitName::new(name).expect("a legal name");
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let started = StartResult {
            applied: ApplyResult {
                differences: [
                    (unit("db"), names(&["env.A", "image"])),
                    (unit("tool"), names(&["image"])),
                ]
                .into(),
                ..ApplyResult::default()
            },
            ordered: OrderResult {
                units: names(&["db/1", "db/2", "tool"]),
                moved: names(&["db/1", "db/2"]),
            },
        };
        assert_eq!(lines(&started), ["db: changed: env.A, image"]);
    }
}
