//! Whether and when a unit that ended is started again.
//!
//! Owns: the counters of one unit's ends, and the randomness of the waits. Knows nothing of states: it is asked once
//! per end and answers with a [`Retry`].

use std::collections::VecDeque;
use std::time::Duration;

use crate::{Restart, RestartWhen};

/// What comes after an end that nobody asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retry {
    /// Started again at once: the first restart in a row.
    AtOnce,
    /// Started again after this time.
    After(Duration),
    /// It ends again and again: tried again after this, much longer, time.
    Loop(Duration),
    /// Not started again.
    GiveUp,
}

/// What is counted of one unit's ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counters {
    /// Automatic restarts since somebody asked for the unit.
    pub(super) restarts: u32,
    /// Ends in a row that nobody asked for, the last one included; 0 once it has been ready for long enough.
    pub(super) failures: u32,
    /// Whether it was called a crash loop and has not been ready for long enough since.
    pub(super) looping: bool,
    pub(super) last_wait: Duration,
    /// When the latest automatic restarts were, in order; no more than the crash loop's limit are kept.
    pub(super) recent: VecDeque<Duration>,
}

impl Counters {
    /// How long ago the latest automatic restarts were, the first one first.
    pub(super) fn ages(&self, now: Duration) -> Vec<Duration> {
        let ages = self.recent.iter().map(|at| now.saturating_sub(*at));
        ages.collect()
    }

    /// The latest automatic restarts were so long ago. What was before this clock began is taken for its beginning.
    pub(super) fn set_ages(&mut self, ages: &[Duration], now: Duration) {
        self.recent = ages.iter().map(|age| now.saturating_sub(*age)).collect();
    }

    /// Counts an end and decides what comes after it.
    pub(super) fn ended(&mut self, restart: &Restart, now: Duration, jitter: &mut Jitter) -> Retry {
        self.failures = self.failures.saturating_add(1);
        let restarts_in_a_row = self.failures - 1;
        match restart.when {
            RestartWhen::Never => return Retry::GiveUp,
            RestartWhen::OnFailure { max: Some(max) } if restarts_in_a_row >= max => {
                return Retry::GiveUp;
            }
            RestartWhen::OnFailure { max: _ }
            | RestartWhen::Always
            | RestartWhen::UnlessStopped => {}
        }
        let oldest = now.saturating_sub(restart.crash_loop.window);
        self.recent.retain(|&at| at >= oldest);
        if self.looping || self.recent.len() >= restart.crash_loop.limit as usize {
            self.looping = true;
            return match restart.crash_loop.retry_every {
                Some(wait) => Retry::Loop(wait),
                None => Retry::GiveUp,
            };
        }
        if restarts_in_a_row == 0 {
            return Retry::AtOnce;
        }
        let backoff = &restart.backoff;
        let factor = backoff.factor.max(1).saturating_pow(restarts_in_a_row - 1);
        let wait = backoff.initial.saturating_mul(factor).min(backoff.cap);
        self.last_wait = jitter.shorten(wait, backoff.jitter_percent);
        Retry::After(self.last_wait)
    }

    /// Counts an automatic restart.
    pub(super) fn restarted(&mut self, restart: &Restart, now: Duration) {
        self.restarts = self.restarts.saturating_add(1);
        self.recent.push_back(now);
        while self.recent.len() > restart.crash_loop.limit as usize {
            self.recent.pop_front();
        }
    }

    /// How long it must be ready before it starts counting anew; `None` when there is nothing to forget.
    pub(super) fn reset_after(&self, restart: &Restart) -> Option<Duration> {
        let ten_waits = self.last_wait.saturating_mul(10);
        (self.failures > 0).then(|| restart.backoff.reset_after.max(ten_waits))
    }

    /// It has been ready for long enough. What lies within the crash loop's window still counts for that.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
        self.looping = false;
        self.last_wait = Duration::ZERO;
    }
}

/// A small generator of random numbers (splitmix64): the same seed gives the same world.
#[derive(Clone, Debug)]
pub(super) struct Jitter(u64);

impl Jitter {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Takes a random part of at most `percent` of it off `wait`.
    fn shorten(&mut self, wait: Duration, percent: u8) -> Duration {
        let share = (self.next() >> 40) as f64 / (1u64 << 24) as f64;
        wait.mul_f64(1.0 - share * f64::from(percent.min(100)) / 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Backoff, CrashLoop};

    fn plain() -> Restart {
        Restart {
            when: RestartWhen::OnFailure { max: None },
            backoff: Backoff {
                jitter_percent: 0,
                ..Backoff::default()
            },
            crash_loop: CrashLoop {
                limit: 100,
                ..CrashLoop::default()
            },
        }
    }

    #[test]
    fn the_first_restart_is_immediate_and_waits_double_up_to_the_cap() {
        let (mut counters, mut jitter, restart) = (Counters::default(), Jitter::new(1), plain());
        let mut waits = Vec::new();
        for second in 0..12 {
            let now = Duration::from_secs(second);
            waits.push(match counters.ended(&restart, now, &mut jitter) {
                Retry::AtOnce => 0,
                Retry::After(wait) => wait.as_millis(),
                Retry::Loop(_) | Retry::GiveUp => unreachable!("the limit is far"),
            });
            counters.restarted(&restart, now);
        }
        assert_eq!(
            waits,
            [
                0, 100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000
            ]
        );
        assert_eq!(
            counters.reset_after(&restart),
            Some(Duration::from_secs(300))
        );
    }

    #[test]
    fn jitter_only_shortens_and_never_below_its_share() {
        let mut jitter = Jitter::new(7);
        for _ in 0..1000 {
            let wait = jitter.shorten(Duration::from_millis(1000), 50);
            assert!(wait > Duration::from_millis(499) && wait <= Duration::from_millis(1000));
        }
        assert_eq!(
            jitter.shorten(Duration::MAX / 2, 0),
            (Duration::MAX / 2).mul_f64(1.0)
        );
    }

    #[test]
    fn a_wait_that_would_overflow_is_the_cap() {
        let (mut counters, mut jitter, restart) = (Counters::default(), Jitter::new(1), plain());
        counters.failures = u32::MAX - 1;
        assert_eq!(
            counters.ended(&restart, Duration::ZERO, &mut jitter),
            Retry::After(Duration::from_secs(30))
        );
    }

    #[test]
    fn as_many_restarts_as_the_limit_within_the_window_are_no_loop_and_one_more_is() {
        let mut restart = plain();
        restart.crash_loop.limit = 2;
        let (mut counters, mut jitter) = (Counters::default(), Jitter::new(1));
        let at = Duration::from_secs;
        assert_eq!(counters.ended(&restart, at(0), &mut jitter), Retry::AtOnce);
        counters.restarted(&restart, at(0));
        assert!(matches!(
            counters.ended(&restart, at(1), &mut jitter),
            Retry::After(_)
        ));
        counters.restarted(&restart, at(1));
        assert_eq!(
            counters.ended(&restart, at(2), &mut jitter),
            Retry::Loop(at(60))
        );
        counters.restarted(&restart, at(62));
        // Outside of the window by now, and still a loop: it has not been ready in between.
        assert_eq!(
            counters.ended(&restart, at(200), &mut jitter),
            Retry::Loop(at(60))
        );
        counters.reset();
        assert_eq!(
            counters.ended(&restart, at(400), &mut jitter),
            Retry::AtOnce
        );
    }
}
