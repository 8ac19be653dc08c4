//! When a question is asked.
//!
//! Owns: the next moment. Pure: moments are given and returned as time since some beginning.
//!
//! Invariants: the next moment never lies in the past of the answer that led to it, so that missed ones are skipped;
//! it never lies further off than the start interval before the first good answer, and than the interval after it.

use std::time::Duration;

/// When one probe is asked: at once, then after 1, 2, 4 … ms up to the start interval until the first good answer,
/// then once in an interval, at a phase of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    interval: Duration,
    start_interval: Duration,
    /// Where in the interval it is asked, in 1/2^32: spreads many probes with one interval over it.
    phase: u32,
    /// The gap after the next answer that is not good; `None` once there was a good one.
    eager_gap: Option<Duration>,
    due: Duration,
}

impl Schedule {
    /// Asks first at `now`. `phase` is chance.
    pub fn new(interval: Duration, start_interval: Duration, phase: u32, now: Duration) -> Self {
        Self {
            interval: interval.max(SHORTEST),
            start_interval: start_interval.max(SHORTEST),
            phase,
            eager_gap: Some(SHORTEST),
            due: now,
        }
    }

    /// The next moment to ask.
    pub fn due(&self) -> Duration {
        self.due
    }

    /// Asks at once.
    pub(super) fn hurry(&mut self, now: Duration) {
        self.due = self.due.min(now);
    }

    /// An answer came.
    pub fn answered(&mut self, is_good: bool, now: Duration) {
        self.due = match self.eager_gap {
            Some(gap) if !is_good => {
                self.eager_gap = Some((gap * 2).min(self.start_interval));
                now + gap.min(self.start_interval)
            }
            Some(_) => {
                self.eager_gap = None;
                let share = (f64::from(self.phase) + 1.0) / (f64::from(u32::MAX) + 1.0);
                now + self.interval.mul_f64(share).max(SHORTEST)
            }
            None => {
                let late = now.saturating_sub(self.due);
                let missed = late.as_nanos() / self.interval.as_nanos();
                let missed = u32::try_from(missed).unwrap_or(u32::MAX - 1);
                self.due + self.interval * (missed + 1)
            }
        };
    }
}

/// The first gap, and the shortest interval.
const SHORTEST: Duration = Duration::from_millis(1);
