//! How many automatic restarts all units together may make: a token bucket in virtual time.
//!
//! Owns: when the next token is due. Counts automatic restarts from the second on only: what somebody asked for is
//! never held back, so that a storm of crashes cannot delay a command.

use std::time::Duration;

/// A token bucket: `burst` at once, then one every `interval`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    interval: Duration,
    burst: u32,
    /// When the bucket would be full again, were nothing more taken.
    full_at: Duration,
}

impl Budget {
    /// `burst` restarts at once, then one every `interval`.
    pub fn new(interval: Duration, burst: u32) -> Self {
        Self {
            interval,
            burst: burst.max(1),
            full_at: Duration::ZERO,
        }
    }

    /// Takes a token, perhaps one of the future, and says how long to wait until it is there.
    pub(super) fn reserve(&mut self, now: Duration) -> Duration {
        self.full_at = self.full_at.max(now) + self.interval;
        let due = self.full_at.saturating_sub(self.interval * self.burst);
        due.saturating_sub(now)
    }
}

impl Default for Budget {
    /// Ten a second, twenty at once: two hundred crashing services must not starve the machine they run on.
    fn default() -> Self {
        Self::new(Duration::from_millis(100), 20)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_free_and_then_tokens_come_one_by_one() {
        let mut budget = Budget::new(Duration::from_millis(100), 3);
        let now = Duration::from_secs(50);
        let waits: Vec<u128> = (0..5).map(|_| budget.reserve(now).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 100, 200]);
        assert_eq!(budget.reserve(now + Duration::from_secs(9)), Duration::ZERO);
    }
}
