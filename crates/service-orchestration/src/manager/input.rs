//! Input for tasks.
//!
//! Owns: the way from whoever has it to the run. What it is used for, the supervisor decides.

use super::ServiceManager;
use crate::executors::{InputGiver, input};
use crate::spec::UnitId;
use crate::supervisor::Request;

impl ServiceManager {
    /// Opens the standard input of the next run of a unit, which need not be defined yet. It ends with what is returned, and a
    /// run that is launched after that has none. Only one run gets it.
    ///
    /// # Cancellation
    /// Dropping the future opens nothing that lasts.
    pub async fn open_input(&self, unit: UnitId) -> InputGiver {
        let (giver, input) = input();
        // Where the supervisor has ended, nobody ever takes any, and the giver is told.
        self.ask(|reply| Request::Input { unit, input, reply })
            .await;
        giver
    }
}
