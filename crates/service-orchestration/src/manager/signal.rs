//! Signals to services that run.
//!
//! Owns: who is signalled. Nothing else follows from it: what a service makes of a signal is seen as if somebody else
//! had sent it.

use super::ServiceManager;
use crate::executors::ControlError;
use crate::spec::{StackName, UnitName};
use crate::supervisor::{OrderError, Request};

/// Why a signal was not sent. Others may have been.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignalError {
    /// There are no such units.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// A unit has no process.
    #[error("{} {} not run", .units.join(", "), if .units.len() == 1 { "does" } else { "do" })]
    NotRunning {
        /// Those that have none. Nobody was signalled.
        units: Vec<String>,
    },
    /// A unit cannot be signalled.
    #[error("`{unit}` was not signalled")]
    Refused {
        /// The unit.
        unit: String,
        /// Why.
        #[source]
        source: ControlError,
    },
}

impl ServiceManager {
    /// Sends a signal to the main process of each of these units (of the whole stack when there are none). Answers with
    /// the units that were signalled; of a whole stack those that do not run are left out.
    ///
    /// # Errors
    /// [`SignalError`]; a unit that is named must run.
    ///
    /// # Cancellation
    /// Dropping the future may leave some signalled.
    pub async fn signal(
        &self,
        stack: &StackName,
        units: &[UnitName],
        number: i32,
    ) -> Result<Vec<String>, SignalError> {
        let answer = self.ask(|reply| Request::Controls {
            stack: stack.clone(),
            units: units.to_vec(),
            reply,
        });
        let controls = answer.await.unwrap_or(Err(OrderError::Ended))?;
        let idle = controls.iter().filter(|(_, control)| control.is_none());
        let idle: Vec<String> = idle.map(|(unit, _)| unit.clone()).collect();
        if !idle.is_empty() && (!units.is_empty() || idle.len() == controls.len()) {
            return Err(SignalError::NotRunning { units: idle });
        }
        let mut signalled = Vec::new();
        for (unit, control) in controls {
            let Some(control) = control else {
                continue;
            };
            match control.signal(number).await {
                Ok(()) => signalled.push(unit),
                Err(source) => return Err(SignalError::Refused { unit, source }),
            }
        }
        Ok(signalled)
    }
}
