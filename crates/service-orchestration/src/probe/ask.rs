//! Asks one question.
//!
//! Owns: how many programs run for questions at once, and what is left of those that were ended. Never asks again by
//! itself; see [`super::run()`].

use std::time::Duration;

use async_io::Timer;
use futures_lite::future;

use super::asked::Question;
use super::slots::Slots;
use super::sweep::{Remains, Sweeper, marker_of};
use super::{Answer, Asked, CustomProbe};

/// What all probes of one manager share. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Prober {
    slots: Slots,
    sweeper: Sweeper,
}

impl Default for Prober {
    fn default() -> Self {
        Self::new()
    }
}

impl Prober {
    /// At most 64 programs at once.
    pub fn new() -> Self {
        Self::limited(COMMANDS_AT_ONCE)
    }

    /// At most this many programs at once, at least one. The others wait their turn; that does not count as their time.
    pub fn limited(commands: usize) -> Self {
        Self {
            slots: Slots::new(commands.max(1)),
            sweeper: Sweeper::default(),
        }
    }

    /// Returns once nothing is left of the questions that were dropped before. Ask for it before the process ends.
    pub async fn settled(&self) {
        self.sweeper.settled().await;
    }

    /// Ends, in the background, whatever probes of these attempts an earlier process has left running; [`settled`]
    /// tells when nothing of it is left. Only those that were asked in [`Surroundings`] that name the attempt are found.
    ///
    /// [`settled`]: Prober::settled
    /// [`Surroundings`]: super::Surroundings
    pub fn sweep<'a>(&self, instance_ids: impl Iterator<Item = &'a str>) {
        for instance_id in instance_ids {
            self.sweeper.take(Remains {
                marker: marker_of(instance_id),
                leader: None,
                done: None,
            });
        }
    }

    /// Ends, in the background, what a probe that is over has left running outside its questions.
    pub(crate) fn clean_up_after(&self, asked: &Asked) {
        if let Question::Command(program) = &asked.question {
            self.sweeper.take(Remains {
                marker: program.marker.clone(),
                leader: None,
                done: None,
            });
        }
    }
}

/// Asks once and returns the answer, at the latest when the timeout has passed.
///
/// A command gets its time from when it has a slot. One that is too slow is ended with all its processes before this
/// returns. A probe that waits for a line or a notification answers at once: good when it has come.
///
/// # Cancellation
/// Dropping the future ends the question; see [`Prober::settled`].
pub async fn ask(asked: &Asked, prober: &Prober) -> Answer {
    let timeout = asked.rule.timeout;
    match &asked.question {
        Question::Command(program) => {
            let _permit = prober.slots.take().await;
            program.ask(&prober.sweeper, timeout).await
        }
        Question::Http(http) => http.ask(timeout).await,
        Question::Tcp(tcp) => within(timeout, tcp.ask()).await,
        Question::Own(probe, _) => within(timeout, probe.check()).await,
        Question::Custom(probe) => within(timeout, probe.check()).await,
        Question::Pushed(awaited) if awaited.latch().is_set() => Answer::Good,
        Question::Pushed(_) => Answer::unknown("it has not come yet"),
    }
}

async fn within(timeout: Duration, answer: impl Future<Output = Answer>) -> Answer {
    let late = async {
        Timer::after(timeout).await;
        Answer::bad(format!("no answer within {timeout:?}"))
    };
    future::or(answer, late).await
}

/// A probe is small and short; more at once would only take the processor from the services.
const COMMANDS_AT_ONCE: usize = 64;
