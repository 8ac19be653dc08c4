//! The task that watches one attempt.
//!
//! Owns: nothing but the way from an executor's events to the inbox. Dropping it lets go of the attempt, which runs on.

use std::sync::Arc;
use std::time::Duration;

use futures_lite::future;

use super::inbox::AttemptNews;
use super::turn::Reporter;
use crate::executors::{
    Adoption, AttemptControl, AttemptEvent, GroundOrder, Input, LaunchError, LaunchOrder, Progress,
    RunningAttempt, ServiceExecutor, Ticket,
};
use crate::logs::{LogQuery, UnitLog};
use crate::model::Attempt;
use crate::report::ExitInfo;
use crate::spec::{TargetSpec, UnitId};

/// What is traced about one attempt.
pub(super) fn span(unit: &UnitId, attempt: u64) -> tracing::Span {
    tracing::info_span!("attempt", stack = %unit.stack, unit = %unit.local_name(), attempt)
}

/// Launches an attempt and reports what happens to it, to its end.
pub(super) async fn launch(
    executor: Arc<dyn ServiceExecutor>,
    order: LaunchOrder,
    log: UnitLog,
    reporter: Reporter,
) {
    let ticket = Ticket {
        unit: order.unit.clone(),
        attempt: order.attempt,
        instance_id: order.instance_id.clone(),
        details: None,
    };
    let input = order.input.clone();
    match executor.launch(order).await {
        Ok(attempt) => {
            reporter.report(AttemptNews::Launched(attempt.facts(), attempt.control()));
            attend(attempt, input, &log, &reporter).await;
        }
        Err(LaunchError::Unclear(error)) => {
            reporter.report(AttemptNews::NotFound(error));
            adopt(executor, ticket, input, log, reporter).await;
        }
        Err(error) => reporter.report(AttemptNews::NotLaunched(error)),
    }
}

/// Watches an attempt to its end, and carries its input meanwhile.
async fn attend(
    attempt: Box<dyn RunningAttempt>,
    input: Option<Input>,
    log: &UnitLog,
    reporter: &Reporter,
) {
    let control = attempt.control();
    let watching = watch(attempt, log, reporter);
    match input {
        None => watching.await,
        Some(input) => future::or(watching, feed(&*control, &input)).await,
    }
}

/// Carries input to an attempt, and never returns: it is dropped with the attempt.
async fn feed(control: &dyn AttemptControl, input: &Input) {
    if let Err(error) = control.feed(input).await {
        // It has ended, or wants no more: nothing that anybody has to hear of but whoever gives it.
        tracing::debug!(error = %crate::error_chain(&error), "its input is not carried on");
    }
    input.close();
    future::pending().await
}

/// Makes the ground of an attempt, and reports it.
pub(super) async fn prepare(
    executor: Arc<dyn ServiceExecutor>,
    mut order: GroundOrder,
    reporter: Reporter,
) {
    let listener = reporter.clone();
    order.progress = Progress::to(move |making| listener.report(AttemptNews::Preparing(making)));
    reporter.report(match executor.prepare(order).await {
        Ok(ground) => AttemptNews::Prepared(ground),
        Err(error) => AttemptNews::NotLaunched(error),
    });
}

/// Reports that a launch may be tried once more. When whoever is to do it can be reached again nobody tells; when what was
/// not there comes, its executor may.
pub(super) async fn try_later(
    tries: u32,
    executor: Option<Arc<dyn ServiceExecutor>>,
    target: TargetSpec,
    reporter: Reporter,
) {
    let pause = FIRST_TRY.saturating_mul(1 << tries.min(16));
    let coming = async {
        match executor {
            Some(executor) => executor.until_it_comes(&target).await,
            None => future::pending().await,
        }
    };
    let pausing = async {
        async_io::Timer::after(pause.min(LAST_TRY)).await;
    };
    future::or(coming, pausing).await;
    reporter.report(AttemptNews::TryAgain);
}

/// Before a launch that nobody could be asked for is tried once more; twice as long each time.
const FIRST_TRY: Duration = Duration::from_millis(100);

/// The longest such pause.
const LAST_TRY: Duration = Duration::from_secs(5);

/// Finds an attempt again and reports what happened and happens to it, to its end. Looks again, less and less often,
/// while nobody can say what became of it. Its input goes on with this one; absent: it has none.
pub(super) async fn adopt(
    executor: Arc<dyn ServiceExecutor>,
    ticket: Ticket,
    input: Option<Input>,
    log: UnitLog,
    reporter: Reporter,
) {
    let mut pause = FIRST_PAUSE;
    loop {
        match executor.adopt(ticket.clone()).await {
            Ok(Adoption::Alive(attempt)) => {
                reporter.report(AttemptNews::Adopted(attempt.facts(), attempt.control()));
                return attend(attempt, input, &log, &reporter).await;
            }
            Ok(Adoption::Ended(exit)) => return report_end(exit, &log, &reporter).await,
            Ok(Adoption::NeverBegan) => return reporter.report(AttemptNews::NeverBegan),
            Err(error) => reporter.report(AttemptNews::NotFound(error)),
        }
        async_io::Timer::after(pause).await;
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}

/// Between looking for an attempt for the first and the second time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Between looking for an attempt in vain and once more.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Reports that it says to be ready once: it stays so for the attempt, and whatever else it says, as often as it likes,
/// changes nothing and must not fill the inbox.
async fn watch(mut attempt: Box<dyn RunningAttempt>, log: &UnitLog, reporter: &Reporter) {
    let mut is_ready = false;
    loop {
        match attempt.next().await {
            AttemptEvent::Notified { ready, status: _ } => {
                if ready && !std::mem::replace(&mut is_ready, true) {
                    reporter.report(AttemptNews::Ready);
                }
            }
            AttemptEvent::Unreachable(reason) => reporter.report(AttemptNews::Unreachable(reason)),
            AttemptEvent::Reached => reporter.report(AttemptNews::Reached),
            AttemptEvent::Networks { networks, missing } => {
                reporter.report(AttemptNews::Networks(networks, missing));
            }
            AttemptEvent::Paused => reporter.report(AttemptNews::Paused),
            AttemptEvent::Resumed => reporter.report(AttemptNews::Resumed),
            AttemptEvent::Checked => reporter.report(AttemptNews::CheckSaid),
            AttemptEvent::Exited(exit) => {
                return report_end(exit, log, reporter).await;
            }
        }
    }
}

/// Reports an end, and what was said last before one by an exit code that is not zero: whoever hears of a failure wants
/// to know. A signal is answered at once.
async fn report_end(exit: ExitInfo, log: &UnitLog, reporter: &Reporter) {
    let last_output = match exit.exit_code {
        Some(0) | None => Vec::new(),
        Some(_) => last_lines(log, reporter.attempt()).await,
    };
    reporter.report(AttemptNews::Exited(exit, last_output));
}

async fn last_lines(log: &UnitLog, attempt: Attempt) -> Vec<String> {
    let query = LogQuery {
        tail: Some(LAST_LINES),
        ..LogQuery::default()
    };
    let lines = log.read(query).await.unwrap_or_else(|error| {
        tracing::warn!(error = %crate::error_chain(&error), "its last output cannot be read");
        Vec::new()
    });
    let own = lines
        .iter()
        .filter(|line| line.attempt == attempt.0 && line.gap.is_none());
    own.map(|line| {
        let text = String::from_utf8_lossy(&line.bytes);
        text.chars().take(LONGEST_LINE).collect()
    })
    .collect()
}

/// Lines of output that an event of a failure carries.
const LAST_LINES: usize = 10;

/// Characters of each.
const LONGEST_LINE: usize = 400;

#[cfg(test)]
mod tests {
    use super::super::inbox::Inbox;
    use super::*;
    use crate::executors::AttemptFacts;
    use crate::logs::LogStore;
    use crate::model::Index;
    use crate::spec::{StackName, UnitName};

    /// Says so many times that it is ready, and ends.
    struct Chatterer(u32);

    #[async_trait::async_trait]
    impl RunningAttempt for Chatterer {
        fn facts(&self) -> AttemptFacts {
            AttemptFacts::default()
        }

        fn control(&self) -> Arc<dyn AttemptControl> {
            unreachable!("nobody ends it")
        }

        async fn next(&mut self) -> AttemptEvent {
            if self.0 == 0 {
                return AttemptEvent::Exited(ExitInfo::default());
            }
            self.0 -= 1;
            AttemptEvent::Notified {
                ready: !self.0.is_multiple_of(3),
                status: None,
            }
        }
    }

    #[test]
    fn a_flood_of_notifications_is_one_message() {
        let stack = StackName::new("shop").expect("a legal name");
        let name = UnitName::new("db").expect("a legal name");
        let log = LogStore::new("/nonexistent").open(&UnitId::single(stack, name));
        let (sender, inbox) = async_channel::unbounded();
        let reporter = Reporter::new(Index(0), Attempt(1), sender);
        let watching = watch(Box::new(Chatterer(100_000)), &log, &reporter);
        futures_lite::future::block_on(watching);
        let told = std::iter::from_fn(|| inbox.try_recv().ok());
        let told: Vec<AttemptNews> = told
            .filter_map(|message| match message {
                Inbox::Attempt { news, .. } => Some(news),
                Inbox::Request(_)
                | Inbox::Started { .. }
                | Inbox::Image { .. }
                | Inbox::OneOff { .. }
                | Inbox::Committed(_)
                | Inbox::RetryStore => None,
            })
            .collect();
        assert!(
            matches!(told[..], [AttemptNews::Ready, AttemptNews::Exited(..)]),
            "{told:?}"
        );
    }
}
