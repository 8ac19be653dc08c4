//! Attempts beside a shim, wherever that is.
//!
//! Owns: the words between the contract of executors and that of shims: signals, refusals, ends. Runs nothing.

use std::time::Duration;

use async_trait::async_trait;
use chrono::DateTime;
use command_executor::supervised::{self, Control};
use service_shim::{ExitRecord, Signal, StopPolicy};

use super::{AttemptControl, ControlError, Input, LaunchError, StopOrder};
use crate::report::{ExitInfo, StopInfo};
use crate::spec::StopScope;

/// How an attempt is ended, in the words of whoever stands beside it.
pub(super) fn stop_policy(number: Option<i32>, grace: Duration, of: StopScope) -> StopPolicy {
    StopPolicy {
        signal: signal(number),
        grace,
        scope: scope(of),
    }
}

fn signal(number: Option<i32>) -> Signal {
    // Where something else asks the service to end, the ladder still needs a first rung: SIGCONT does nothing to a
    // process that runs.
    number
        .and_then(Signal::from_number)
        .unwrap_or_else(|| Signal::from_number(SIGCONT).expect("SIGCONT is a signal"))
}

const SIGCONT: i32 = 18;

fn scope(scope: StopScope) -> service_shim::StopScope {
    match scope {
        StopScope::Main => service_shim::StopScope::Main,
        StopScope::Group => service_shim::StopScope::Group,
    }
}

/// What a refusal of the shim means for the one who ordered the launch.
pub(super) fn launch_error(program: String, error: supervised::LaunchError) -> LaunchError {
    use service_shim::StartFailureKind as Kind;
    match error {
        supervised::LaunchError::Refused { kind, message } => match kind {
            Kind::NotFound | Kind::WorkingDirectory => LaunchError::NotRunnable {
                reason: without_program(&program, message),
                program,
            },
            Kind::Permission | Kind::User => LaunchError::NotPermitted {
                reason: without_program(&program, message),
                program,
            },
            _ => LaunchError::Machine {
                program,
                source: message.into(),
            },
        },
        other => LaunchError::Machine {
            program,
            source: other.into(),
        },
    }
}

/// A message of the shim without what our own says before it.
fn without_program(program: &str, message: String) -> String {
    let said = [
        format!("cannot run `{program}` (tried {program}): "),
        format!("cannot run `{program}`: "),
        format!("may not run `{program}`: "),
    ];
    let rest = said.iter().find_map(|said| message.strip_prefix(said));
    rest.map(str::to_owned).unwrap_or(message)
}

/// How an attempt ended, as it is told.
pub(super) fn exit_info(record: &ExitRecord) -> ExitInfo {
    ExitInfo {
        exit_code: record.code,
        signal: record.signal.map(Signal::number),
        exit_unknown: record.exit_unknown,
        detail: None,
        ended_at: i64::try_from(record.ended_at_ns)
            .ok()
            .filter(|ns| *ns > 0)
            .map(DateTime::from_timestamp_nanos),
        stop: record.stop.as_ref().map(|report| StopInfo {
            escalation: match report.escalation {
                service_shim::Escalation::None => "none".into(),
                service_shim::Escalation::TreeTerm => "tree-term".into(),
                service_shim::Escalation::Killed => "killed".into(),
            },
            leftovers: report.leftovers.names.clone(),
            leftover_count: report.leftovers.count,
            took_ms: report.took_ms,
        }),
    }
}

/// The handle of an attempt beside a shim.
#[derive(Debug)]
pub(super) struct ShimControl(pub(super) Control);

#[async_trait]
impl AttemptControl for ShimControl {
    async fn stop(&self, stop: &StopOrder) -> Result<(), ControlError> {
        let policy = stop_policy(stop.signal, stop.grace, stop.scope);
        given(self.0.stop(policy).await)
    }

    async fn kill(&self) -> Result<(), ControlError> {
        given(self.0.kill().await)
    }

    async fn signal(&self, number: i32) -> Result<(), ControlError> {
        given(self.0.signal(number).await)
    }

    async fn feed(&self, input: &Input) -> Result<(), ControlError> {
        feed(&self.0, input).await
    }
}

/// Carries input to whoever stands beside it.
pub(super) async fn feed(control: &Control, input: &Input) -> Result<(), ControlError> {
    while let Some(bytes) = input.next().await {
        given(control.write_stdin(&bytes).await)?;
    }
    given(control.close_stdin().await)
}

/// What came of an order to end. One that has ended meanwhile is as it should be.
pub(super) fn given(result: Result<(), supervised::ControlError>) -> Result<(), ControlError> {
    match result {
        Ok(()) | Err(supervised::ControlError::Ended(_)) => Ok(()),
        Err(error) => Err(ControlError::Unreached(error.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_not_named_twice() {
        let said = "cannot run `/x` (tried /x): No such file or directory";
        assert_eq!(
            without_program("/x", said.to_owned()),
            "No such file or directory"
        );
    }
}
