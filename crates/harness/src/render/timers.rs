//! How long each unit of a live view has taken.
//!
//! Owns: when each came as far as is waited for. Time before the view began is not its time.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use harness_core::report::UnitStatus;

use super::ages::since;

/// A clock for each unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Timers {
    /// `None`: it is not there yet.
    done: BTreeMap<String, Option<DateTime<Utc>>>,
}

impl Timers {
    /// Looks at the units: a clock stands still from when its unit is done.
    pub(crate) fn look(
        &mut self,
        units: &[&UnitStatus],
        is_done: fn(&UnitStatus) -> bool,
        now: DateTime<Utc>,
    ) {
        for unit in units {
            let done = self.done.entry(unit.name.clone()).or_default();
            *done = is_done(unit).then(|| done.unwrap_or(now));
        }
    }

    /// What the clock of a unit shows for a view that began then; nothing for one that had nothing to do in it.
    pub(crate) fn of(
        &self,
        unit: &UnitStatus,
        begun: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Option<Duration> {
        let done = self.done.get(&unit.name).copied().flatten();
        // The daemon's word on when it ended is better than when we saw it.
        let to = unit.stopped_at.or(done).unwrap_or(now);
        let launched = unit.started_at?;
        let is_at_rest = done.is_some() || unit.stopped_at.is_some();
        let moved = launched >= begun || unit.stopped_at.is_some_and(|stopped| stopped >= begun);
        (moved || !is_at_rest).then(|| since(launched.max(begun), to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::sample;

    fn unit(started: i64, stopped: Option<i64>) -> UnitStatus {
        UnitStatus {
            started_at: Some(sample::ago(started)),
            stopped_at: stopped.map(sample::ago),
            ..sample::stopped("api", None, "none", &[])
        }
    }

    #[test]
    fn a_stop_is_timed_from_the_stop_on() {
        let timers = Timers::default();
        let stopping = unit(3_600, None);
        let shown = timers.of(&stopping, sample::ago(4), sample::now());
        assert_eq!(shown, Some(Duration::from_secs(4)));
        let stopped = unit(3_600, Some(1));
        let shown = timers.of(&stopped, sample::ago(4), sample::now());
        assert_eq!(shown, Some(Duration::from_secs(3)));
    }

    #[test]
    fn a_start_is_timed_until_it_is_done() {
        let mut timers = Timers::default();
        let starting = unit(5, None);
        let begun = sample::ago(6);
        timers.look(&[&starting], |_| false, sample::ago(3));
        assert_eq!(
            timers.of(&starting, begun, sample::ago(3)),
            Some(Duration::from_secs(2))
        );
        timers.look(&[&starting], |_| true, sample::ago(2));
        timers.look(&[&starting], |_| true, sample::now());
        assert_eq!(
            timers.of(&starting, begun, sample::now()),
            Some(Duration::from_secs(3))
        );
    }

    #[test]
    fn what_did_not_move_has_no_time() {
        let mut timers = Timers::default();
        let ran_before = unit(100, None);
        timers.look(&[&ran_before], |_| true, sample::ago(5));
        assert_eq!(timers.of(&ran_before, sample::ago(6), sample::now()), None);
        let ended_before = unit(100, Some(50));
        assert_eq!(
            timers.of(&ended_before, sample::ago(6), sample::now()),
            None
        );
    }
}
