//! The task that watches one attempt.
//!
//! Owns: nothing but the way from an executor's events to the inbox. Dropping it lets go of the attempt, which runs on.

use std::sync::Arc;

use super::inbox::AttemptNews;
use super::turn::Reporter;
use crate::executors::{
    Adoption, AttemptEvent, LaunchOrder, RunningAttempt, ServiceExecutor, Ticket,
};
use crate::spec::UnitId;

/// What is traced about one attempt.
pub(super) fn span(unit: &UnitId, attempt: u64) -> tracing::Span {
    tracing::info_span!("attempt", stack = %unit.stack, unit = %unit.local_name(), attempt)
}

/// Launches an attempt and reports what happens to it, to its end.
pub(super) async fn launch(
    executor: Arc<dyn ServiceExecutor>,
    order: LaunchOrder,
    reporter: Reporter,
) {
    match executor.launch(order).await {
        Ok(attempt) => {
            reporter.report(AttemptNews::Launched(attempt.facts(), attempt.control()));
            watch(attempt, &reporter).await;
        }
        Err(error) => reporter.report(AttemptNews::NotLaunched(error)),
    }
}

/// Finds an earlier daemon's attempt again and reports what happened and happens to it, to its end.
pub(super) async fn adopt(executor: Arc<dyn ServiceExecutor>, ticket: Ticket, reporter: Reporter) {
    match executor.adopt(ticket).await {
        Ok(Adoption::Alive(attempt)) => {
            reporter.report(AttemptNews::Adopted(attempt.facts(), attempt.control()));
            watch(attempt, &reporter).await;
        }
        Ok(Adoption::Ended(exit)) => reporter.report(AttemptNews::Exited(exit)),
        Err(error) => reporter.report(AttemptNews::NotAdopted(error)),
    }
}

async fn watch(mut attempt: Box<dyn RunningAttempt>, reporter: &Reporter) {
    loop {
        match attempt.next().await {
            AttemptEvent::Notified { ready, status: _ } => {
                reporter.report(AttemptNews::Notified { ready })
            }
            AttemptEvent::Exited(exit) => {
                reporter.report(AttemptNews::Exited(exit));
                return;
            }
        }
    }
}
