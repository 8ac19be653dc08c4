//! Stacks in short.
//!
//! Owns: what counts as active and ready in a list of stacks.

use service_orchestration::ServiceManager;
use service_orchestration::model::State;
use service_orchestration::spec::StackSpec;

use crate::protocol::StackSummary;

/// Every stack, by name.
pub(super) async fn summaries(manager: &ServiceManager) -> Vec<StackSummary> {
    let mut summaries = Vec::new();
    for stack in manager.stacks().await {
        // One that was forgotten in between is none.
        let Ok(status) = manager.status(&stack.name).await else {
            continue;
        };
        let count = |has: &dyn Fn(&service_orchestration::report::UnitStatus) -> bool| {
            u32::try_from(status.items.iter().filter(|unit| has(unit)).count()).unwrap_or(u32::MAX)
        };
        let StackSpec {
            name,
            description,
            directory,
            files,
            ..
        } = stack;
        summaries.push(StackSummary {
            name,
            description,
            directory,
            files,
            units: count(&|_| true),
            active: count(&|unit| is_active(&unit.state)),
            ready: count(&|unit| unit.ready),
        });
    }
    summaries.sort_by(|one, other| one.name.cmp(&other.name));
    summaries
}

/// Whether a unit in a state of this name may have a process.
pub(super) fn is_active(state: &str) -> bool {
    ACTIVE.iter().any(|active| active.as_str() == state)
}

const ACTIVE: [State; 7] = [
    State::Starting,
    State::Settling,
    State::SetupRequired,
    State::SettingUp,
    State::Ready,
    State::Stopping,
    State::Lost,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_active_states_is_the_models() {
        assert!(ACTIVE.iter().all(|state| state.is_active()));
        let others = [
            State::Idle,
            State::Backoff,
            State::CrashLoop,
            State::Done,
            State::Failed,
            State::Held,
        ];
        assert!(
            others
                .iter()
                .all(|state| !state.is_active() && !is_active(state.as_str()))
        );
    }
}
