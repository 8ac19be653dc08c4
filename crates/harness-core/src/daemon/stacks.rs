//! Stacks in short.
//!
//! Owns: what a list of stacks says of each, and what counts as active.

use service_orchestration::ServiceManager;
use service_orchestration::model::State;
use service_orchestration::supervisor::StackOverview;

use crate::protocol::StackSummary;

/// Every stack, by name.
pub(super) async fn summaries(manager: &ServiceManager) -> Vec<StackSummary> {
    let summary = |overview: StackOverview| StackSummary {
        name: overview.stack.name.clone(),
        description: overview.stack.description.clone(),
        directory: overview.stack.directory.clone(),
        files: overview.stack.files.clone(),
        sources: overview.stack.sources.clone(),
        units: overview.units,
        active: overview.active,
        ready: overview.ready,
    };
    manager.overview().await.into_iter().map(summary).collect()
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
