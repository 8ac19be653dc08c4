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
    pub(super) async fn ring(&mut self, at: Option<Instant>) {
        let Some(at) = at else {
            return future::pending().await;
        };
        if self.set_to.is_none_or(|earlier| at < earlier) {
            self.timer.set_at(at);
            self.set_to = Some(at);
        }
        (&mut self.timer).await;
        self.set_to = None;
    }
}
