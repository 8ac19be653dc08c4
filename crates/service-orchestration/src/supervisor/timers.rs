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
}

impl Timers {
    pub(crate) fn arm(&mut self, at: Duration, unit: Index, token: Token) {
        self.armed += 1;
        self.due.insert((at, self.armed), (unit, token));
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
