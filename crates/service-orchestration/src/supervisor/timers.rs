//! The timers that the model asked for.
//!
//! Owns: when the next one is due. There is no tick: whoever waits, waits for exactly that time.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{Index, Token};

#[derive(Debug, Default)]
pub(crate) struct Timers {
    /// By time and order of arming.
    due: BTreeMap<(Duration, u64), (Index, Token)>,
    armed: u64,
    /// The timers of each unit's latest stay: with the next one they are stale.
    latest: BTreeMap<Index, (Token, Vec<(Duration, u64)>)>,
}

impl Timers {
    pub(crate) fn arm(&mut self, at: Duration, unit: Index, token: Token) {
        self.armed += 1;
        let key = (at, self.armed);
        self.due.insert(key, (unit, token));
        let (stay, keys) = self.latest.entry(unit).or_insert((token, Vec::new()));
        if *stay != token {
            *stay = token;
            for stale in keys.drain(..) {
                self.due.remove(&stale);
            }
        }
        keys.push(key);
    }

    /// The unit is no more.
    pub(crate) fn forget(&mut self, unit: Index) {
        for key in self
            .latest
            .remove(&unit)
            .into_iter()
            .flat_map(|(_, keys)| keys)
        {
            self.due.remove(&key);
        }
    }

    /// When the next one is due.
    pub(crate) fn next(&self) -> Option<Duration> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes the first one that is due.
    pub(crate) fn pop(&mut self, now: Duration) -> Option<(Index, Token)> {
        let entry = self.due.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_that_is_restarted_over_and_over_leaves_no_timers_behind() {
        let mut timers = Timers::default();
        for stay in 0..10_000 {
            timers.arm(Duration::from_secs(3600 + stay), Index(1), Token(stay));
        }
        assert_eq!((timers.due.len(), timers.latest[&Index(1)].1.len()), (1, 1));
        timers.forget(Index(1));
        assert_eq!((timers.next(), timers.latest.len()), (None, 0));
    }

    #[test]
    fn timers_fire_in_the_order_of_their_times() {
        let mut timers = Timers::default();
        let at = Duration::from_millis;
        timers.arm(at(20), Index(1), Token(1));
        timers.arm(at(10), Index(2), Token(2));
        timers.arm(at(10), Index(3), Token(3));
        assert_eq!(timers.next(), Some(at(10)));
        assert_eq!(timers.pop(at(9)), None);
        assert_eq!(timers.pop(at(15)), Some((Index(2), Token(2))));
        assert_eq!(timers.pop(at(15)), Some((Index(3), Token(3))));
        assert_eq!(timers.pop(at(15)), None);
    }
}
