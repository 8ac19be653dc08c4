//! The older vocabulary of states, as bridges and dashboards know it.
//!
//! Owns: the one table between the model's states and these phases.

use serde::{Deserialize, Serialize};

use crate::model::State;
use crate::spec::UnitKind;

/// A unit's state in the older vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Never started.
    NotStarted,
    /// On its way up, or waiting to be started again.
    Starting,
    /// Up.
    Running,
    /// Up, its setup not performed.
    SetupRequired,
    /// Up, its setup being performed.
    SettingUp,
    /// Up, its setup performed and validated.
    SetupComplete,
    /// On its way down.
    Stopping,
    /// Was up and is not.
    Stopped,
    /// Ended in a way it should not have.
    Failed,
    /// Kept down by the operator.
    Maintenance,
    /// Nobody can say.
    Unknown,
}

impl Phase {
    /// The phase of a unit in this state. `ran` says whether it ever had an attempt, `has_setup` whether it has a
    /// setup at all.
    pub fn of(state: State, kind: UnitKind, ran: bool, has_setup: bool) -> Self {
        match (state, kind) {
            (State::Idle, _) if ran => Self::Stopped,
            (State::Idle, _) => Self::NotStarted,
            (State::Starting | State::Backoff, _) => Self::Starting,
            (State::Settling, UnitKind::Service) => Self::Starting,
            (State::Settling, UnitKind::Task) => Self::Running,
            (State::SetupRequired, _) => Self::SetupRequired,
            (State::SettingUp, _) => Self::SettingUp,
            (State::Ready, _) if has_setup => Self::SetupComplete,
            (State::Ready, _) => Self::Running,
            (State::Stopping, _) => Self::Stopping,
            (State::CrashLoop | State::Failed, _) => Self::Failed,
            (State::Done, _) => Self::Stopped,
            (State::Lost, _) => Self::Unknown,
            (State::Held, _) => Self::Maintenance,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_the_phase_of_the_table() {
        use State as S;
        let service = UnitKind::Service;
        let table = [
            (S::Idle, false, false, Phase::NotStarted),
            (S::Idle, true, false, Phase::Stopped),
            (S::Starting, true, false, Phase::Starting),
            (S::Settling, true, false, Phase::Starting),
            (S::SetupRequired, true, true, Phase::SetupRequired),
            (S::SettingUp, true, true, Phase::SettingUp),
            (S::Ready, true, false, Phase::Running),
            (S::Ready, true, true, Phase::SetupComplete),
            (S::Stopping, true, false, Phase::Stopping),
            (S::Backoff, true, false, Phase::Starting),
            (S::CrashLoop, true, false, Phase::Failed),
            (S::Done, true, false, Phase::Stopped),
            (S::Failed, true, false, Phase::Failed),
            (S::Lost, true, false, Phase::Unknown),
            (S::Held, true, false, Phase::Maintenance),
        ];
        for (state, ran, has_setup, phase) in table {
            assert_eq!(
                Phase::of(state, service, ran, has_setup),
                phase,
                "{state:?}"
            );
        }
        assert_eq!(
            Phase::of(S::Settling, UnitKind::Task, true, false),
            Phase::Running
        );
    }
}
