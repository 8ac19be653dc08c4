//! A service that goes to another host with its package.
//!
//! Owns: how its definition changes for that, and back. The stack file is left as it is: the next start of it has the last word.

use harness_core::HarnessClient;
use harness_core::protocol::{ApplyParams, Mode};
use harness_core::spec::{SecretValues, StackSpec, TargetSpec};

use crate::failure::Failure;

/// Where a service is, where it is to go, and what the file says.
#[derive(Debug)]
pub(super) struct Moving {
    file: String,
    from: String,
    to: String,
    there: StackSpec,
    back: StackSpec,
}

impl Moving {
    /// The stack holds the service alone.
    pub(super) fn new(only: &StackSpec, file: String, from: String, to: String) -> Self {
        Self {
            there: on(only, &to),
            back: on(only, &from),
            file,
            from,
            to,
        }
    }

    /// Its next attempt is there.
    ///
    /// # Errors
    /// When the daemon refuses, or cannot be asked.
    pub(super) async fn go(&self, client: &HarnessClient) -> Result<(), Failure> {
        define(client, &self.there).await
    }

    /// Its next attempt is where it was.
    ///
    /// # Errors
    /// As [`Moving::go`].
    pub(super) async fn back(&self, client: &HarnessClient) -> Result<(), Failure> {
        define(client, &self.back).await
    }

    /// What is said of one that has moved.
    pub(super) fn note(&self) -> String {
        let Self { file, from, to, .. } = self;
        match file == to {
            true => format!("it has moved from {from}, to where the stack file has it"),
            false => format!(
                "it has moved from {from}; the stack file says `host: {file}`, and the next `harness start` goes by that"
            ),
        }
    }

    pub(super) fn back_words(&self) -> String {
        format!("going back to {}", self.from)
    }

    pub(super) fn came_back(&self, came: Result<&&'static str, String>) -> String {
        match came {
            Ok(how) => format!("it is on {} again, and {how}", self.from),
            Err(why) => format!("it is on {} again, and not ready either: {why}", self.from),
        }
    }
}

async fn define(client: &HarnessClient, stack: &StackSpec) -> Result<(), Failure> {
    let params = ApplyParams {
        stack: Box::new(stack.clone()),
        mode: Mode::Extend,
        // Those that it needs are known.
        secrets: SecretValues::default(),
    };
    client.apply(&params).await?;
    Ok(())
}

fn on(only: &StackSpec, host: &str) -> StackSpec {
    let mut stack = only.clone();
    for unit in stack.units.values_mut() {
        if let TargetSpec::Remote(remote) = &mut unit.target {
            host.clone_into(&mut remote.host);
        }
    }
    stack
}
