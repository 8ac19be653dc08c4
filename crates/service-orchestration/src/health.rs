//! Health checks for embedding programs: one question, or a stream of what becomes of it.
//!
//! Owns: the small vocabulary of embedders. Asking and counting is [`crate::probe`]'s business; nothing runs here but
//! what the caller polls.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;

use crate::config::HealthCheck;
use crate::host;
pub use crate::probe::{Answer, CustomProbe, Rule};
use crate::probe::{
    Asked, Checked, Health, PrepareError, ProbeEvent, Prober, Probes, Surroundings, ask, run,
};
use crate::spec::{MASK, Placeholder, Probe};

/// How a service is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HealthStatus {
    /// Well.
    Healthy,
    /// Not well, and why.
    Unhealthy(String),
    /// It could not be asked.
    Unknown,
}

impl From<Answer> for HealthStatus {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Good => Self::Healthy,
            Answer::Bad(reason) => Self::Unhealthy(reason),
            Answer::NotYet(_) | Answer::Unknown(_) => Self::Unknown,
        }
    }
}

/// Asks health checks once each, at most 64 programs at a time. Cheap to clone.
#[derive(Clone, Debug)]
pub struct HealthChecker {
    prober: Prober,
    surroundings: Arc<Surroundings>,
}

impl Default for HealthChecker {
    fn default() -> Self {
        Self::new()
    }
}

impl HealthChecker {
    /// Commands run in this process's working directory with the general part of its environment (PATH, HOME, …).
    pub fn new() -> Self {
        let directory = host::own_directory();
        Self::in_surroundings(Surroundings {
            env: host::own_environment(),
            working_dir: directory.clone(),
            directory,
            ..Surroundings::default()
        })
    }

    /// Commands run in these surroundings.
    pub fn in_surroundings(surroundings: Surroundings) -> Self {
        Self {
            prober: Prober::new(),
            surroundings: Arc::new(surroundings),
        }
    }

    /// Runs the check's command once: 0 is healthy, anything else and an overrun of its timeout are not.
    ///
    /// # Cancellation
    /// Dropping the future ends the command and everything it started.
    pub async fn check(&self, check: &HealthCheck) -> HealthStatus {
        match self.prepare(check) {
            Some(asked) => ask(&asked, &self.prober).await.into(),
            None => HealthStatus::Unknown,
        }
    }

    /// Asks a probe of the caller's own once; no answer within `timeout` is unhealthy.
    pub async fn check_custom(
        &self,
        probe: Arc<dyn CustomProbe>,
        timeout: Duration,
    ) -> HealthStatus {
        let asked = Asked::custom(probe, every(timeout, timeout));
        ask(&asked, &self.prober).await.into()
    }

    fn prepare(&self, check: &HealthCheck) -> Option<Asked> {
        let prepared: Result<_, PrepareError<Infallible>> =
            Asked::prepare(&Probe::from(check), &self.surroundings, |placeholder| {
                Ok(match placeholder {
                    Placeholder::Reference(reference) => reference.to_string(),
                    Placeholder::Secret(_) => MASK.to_owned(),
                })
            });
        prepared.ok()
    }
}

/// How a service is, as often as it changes: a stream that asks whenever it is due, while it is polled. Dropping it
/// ends the check.
///
/// The first status comes as soon as there is one: healthy after the first good answer, unhealthy after as many bad
/// ones as the check has retries.
pub struct HealthMonitor {
    asking: Pin<Box<dyn Future<Output = ()> + Send>>,
    // A lock only because the stream must be `Send`: both sides are polled by the same task.
    found: Arc<Mutex<VecDeque<HealthStatus>>>,
}

impl HealthMonitor {
    /// Runs this check every `interval` seconds.
    pub fn new(checker: &HealthChecker, check: &HealthCheck) -> Self {
        Self::monitor(checker, checker.prepare(check))
    }

    /// Asks a probe of the caller's own, counted by this rule; see [`every`].
    pub fn custom(checker: &HealthChecker, probe: Arc<dyn CustomProbe>, rule: Rule) -> Self {
        Self::monitor(checker, Some(Asked::custom(probe, rule)))
    }

    /// Without anything that could be asked, the only status is unknown.
    fn monitor(checker: &HealthChecker, readiness: Option<Asked>) -> Self {
        let found = Arc::new(Mutex::new(VecDeque::new()));
        let sink = found.clone();
        if readiness.is_none() {
            sink.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push_back(HealthStatus::Unknown);
        }
        let probes = Probes {
            readiness,
            ..Probes::default()
        };
        let report = move |checked: Checked| {
            let mut found = sink.lock().unwrap_or_else(PoisonError::into_inner);
            found.extend(status(checked));
        };
        Self {
            asking: Box::pin(run(probes, checker.prober.clone(), Duration::ZERO, report)),
            found,
        }
    }

    fn take(&self) -> Option<HealthStatus> {
        self.found
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front()
    }
}

impl Stream for HealthMonitor {
    type Item = HealthStatus;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<HealthStatus>> {
        if let Some(status) = self.take() {
            return Poll::Ready(Some(status));
        }
        let is_over = self.asking.as_mut().poll(context).is_ready();
        match self.take() {
            Some(status) => Poll::Ready(Some(status)),
            None if is_over => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

impl fmt::Debug for HealthMonitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HealthMonitor")
            .field("found", &self.found)
            .finish_non_exhaustive()
    }
}

/// A rule for a probe of one's own: asked once in `interval`, three bad answers in a row are unhealthy.
pub fn every(interval: Duration, timeout: Duration) -> Rule {
    Rule {
        interval,
        timeout,
        retries: 3,
        start_period: Duration::ZERO,
        start_interval: interval.min(Duration::from_millis(250)),
        success_threshold: 1,
        is_counted: false,
        pushed: false,
    }
}

fn status(checked: Checked) -> Option<HealthStatus> {
    let changed = checked
        .events
        .iter()
        .any(|event| matches!(event, ProbeEvent::HealthChanged(_)));
    match checked.health {
        _ if !changed => None,
        Health::Starting => None,
        Health::Healthy => Some(HealthStatus::Healthy),
        Health::Unhealthy => Some(HealthStatus::Unhealthy(checked.reason.unwrap_or_default())),
        Health::Unknown => Some(HealthStatus::Unknown),
    }
}
