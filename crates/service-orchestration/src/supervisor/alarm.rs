//! The one timer that the loop waits on.
//!
//! Owns: when it rings. It is not set back when what it was set for has gone: it then rings once for nothing, which costs
//! less than telling the reactor at every turn.

use std::time::Instant;

use async_io::Timer;
use futures_lite::future;

#[derive(Debug)]
pub(super) struct Alarm {
    timer: Timer,
    set_to: Option<Instant>,
}

impl Alarm {
    pub(super) fn unset() -> Self {
        Self {
            timer: Timer::never(),
            set_to: None,
        }
    }

    /// Waits for this moment, or for an earlier one that it was set to before; for ever when there is none.
    ///
    /// Lets others of its executor have a turn, too, when the moment has passed: timers that are always due must not
    /// starve whoever would end that.
    pub(super) async fn ring(&mut self, at: Option<Instant>) {
        let Some(at) = at else {
            return future::pending().await;
        };
        if self.set_to.is_none_or(|earlier| at < earlier) {
            self.timer.set_at(at);
            self.set_to = Some(at);
        }
        match future::poll_once(&mut self.timer).await {
            Some(_) => {
                // It is over whether or not somebody waits for the end of this.
                self.set_to = None;
                future::yield_now().await;
            }
            None => {
                (&mut self.timer).await;
                self.set_to = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn an_alarm_that_is_always_due_starves_nobody_on_its_executor() {
        let rung = Cell::new(0);
        let executor = async_executor::LocalExecutor::new();
        let always_due = executor.spawn(async {
            let mut alarm = Alarm::unset();
            while rung.get() < 10_000 {
                alarm.ring(Some(Instant::now())).await;
                rung.set(rung.get() + 1);
            }
        });
        let other = executor.spawn(async {
            for _ in 0..100 {
                future::yield_now().await;
            }
        });
        future::block_on(executor.run(other));
        assert!(rung.get() < 10_000, "the other had its turns in between");
        drop(always_due);
    }

    #[test]
    fn an_alarm_that_was_dropped_as_it_rang_rings_again() {
        let mut alarm = Alarm::unset();
        future::block_on(async {
            let past = Instant::now();
            assert_eq!(future::poll_once(alarm.ring(Some(past))).await, None);
            alarm.ring(Some(past)).await;
        });
    }
}
