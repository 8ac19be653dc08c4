//! How a unit is restarted.
//!
//! Owns: the policy and its defaults, each with its source. It is part of what a unit is told to be, so it is wire and
//! journal form too: fields are only added, with a default.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// When and how often a unit that ended is started again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restart {
    /// After which ends.
    pub when: RestartWhen,
    /// How long to wait between automatic restarts; the first is immediate.
    pub backoff: Backoff,
    /// When restarting is called a crash loop.
    pub crash_loop: CrashLoop,
}

/// After which ends a unit is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartWhen {
    /// Never.
    Never,
    /// After a failure, at most `max` times in a row (`None`: without end).
    OnFailure {
        /// Restarts in a row before the unit has failed for good.
        max: Option<u32>,
    },
    /// After every end that nobody asked for, a successful one too.
    Always,
    /// As `Always`, but a unit that was stopped stays down when the daemon comes up again.
    UnlessStopped,
}

impl Default for RestartWhen {
    fn default() -> Self {
        Self::OnFailure { max: None }
    }
}

/// Growing waits between automatic restarts: the n-th wait is `initial × factor^(n-1)`, at most `cap`, with jitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backoff {
    /// The wait before the second restart.
    pub initial: Duration,
    /// What each wait is multiplied by.
    pub factor: u32,
    /// The longest wait.
    pub cap: Duration,
    /// How much of each wait is random, in percent: 100 is full jitter, 0 none.
    pub jitter_percent: u8,
    /// Ready for this long (or ten times the last wait, if longer), the unit starts counting anew.
    pub reset_after: Duration,
}

impl Default for Backoff {
    /// 0.1 s doubling to 30 s, reset after 10 s: between Docker's 100 ms and the five minutes of Kubernetes, which its
    /// users found too slow for development.
    fn default() -> Self {
        Self {
            initial: Duration::from_millis(100),
            factor: 2,
            cap: Duration::from_secs(30),
            jitter_percent: 50,
            reset_after: Duration::from_secs(10),
        }
    }
}

/// `limit` automatic restarts within `window` make a crash loop: named as such and retried only every `retry_every`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrashLoop {
    /// Restarts within the window that are still no loop.
    pub limit: u32,
    /// The window.
    pub window: Duration,
    /// How often a looping unit is tried again; `None`: it has failed for good.
    pub retry_every: Option<Duration>,
}

impl Default for CrashLoop {
    /// Five in a minute, then once a minute.
    fn default() -> Self {
        Self {
            limit: 5,
            window: Duration::from_secs(60),
            retry_every: Some(Duration::from_secs(60)),
        }
    }
}
