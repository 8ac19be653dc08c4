//! Whose turn it is to bring an image to the engine.
//!
//! Owns: that one image is made by one at a time, that those who wanted it meanwhile take what came of it, and how many are made
//! at once. Brings none itself.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use async_lock::Semaphore;

use crate::executors::LaunchError;

/// See the module.
#[derive(Debug)]
pub(super) struct ImageTurns {
    slots: Semaphore,
    /// Held for a look: whoever waits for an image waits for its own lock.
    all: Mutex<BTreeMap<String, Arc<Turn>>>,
}

/// What came of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It was made, or found.
    Made,
    /// Somebody else had done so since.
    Shared,
}

/// The turns at one image. It spans awaits by design: who comes second waits until the first is through.
type Turn = async_lock::Mutex<Option<Done>>;

/// What came of an image.
#[derive(Debug)]
struct Done {
    at: Instant,
    /// The unit that it was tried for and the reason, where nothing changes by trying again.
    refused: Option<(String, String)>,
}

impl Default for ImageTurns {
    fn default() -> Self {
        Self {
            slots: Semaphore::new(AT_ONCE),
            all: Mutex::default(),
        }
    }
}

impl ImageTurns {
    /// Makes an image when its turn has come, unless that was done since this moment.
    pub(super) async fn take(
        &self,
        image: String,
        since: Option<Instant>,
        make: impl Future<Output = Result<(), LaunchError>>,
    ) -> Result<Taken, LaunchError> {
        let turn = {
            let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.entry(image).or_default())
        };
        let mut done = turn.lock().await;
        if let (Some(done), Some(since)) = (&*done, since)
            && done.at >= since
        {
            return match done.refused.clone() {
                Some((unit, reason)) => Err(LaunchError::NoImage { unit, reason }),
                None => Ok(Taken::Shared),
            };
        }
        let slot = self.slots.acquire().await;
        let made = make.await;
        drop(slot);
        let refused = match &made {
            Ok(()) => Some(None),
            Err(LaunchError::NoImage { unit, reason }) => {
                Some(Some((unit.clone(), reason.clone())))
            }
            // It may be made the next time.
            Err(_) => None,
        };
        *done = refused.map(|refused| Done {
            at: Instant::now(),
            refused,
        });
        made.map(|()| Taken::Made)
    }
}

/// As many layers as docker fetches at once by itself (`max-concurrent-downloads`): more do not come faster.
const AT_ONCE: usize = 3;

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures_lite::future::{self, block_on};

    use super::*;

    fn refusal() -> LaunchError {
        LaunchError::NoImage {
            unit: "web".into(),
            reason: "no such step".into(),
        }
    }

    #[test]
    fn an_image_that_several_want_in_one_order_is_made_once() {
        let turns = ImageTurns::default();
        let (made, begun) = (Cell::new(0), Some(Instant::now()));
        let make = || async {
            future::yield_now().await;
            made.set(made.get() + 1);
            Ok(())
        };
        let both = future::zip(
            turns.take("a".into(), begun, make()),
            turns.take("a".into(), begun, make()),
        );
        let (one, other) = block_on(both);
        assert_eq!(one.expect("made"), Taken::Made);
        assert_eq!(other.expect("made"), Taken::Shared);
        assert_eq!(made.get(), 1);
        block_on(turns.take("a".into(), Some(Instant::now()), make())).expect("made");
        block_on(turns.take("a".into(), None, make())).expect("made");
        assert_eq!(made.get(), 3, "another order makes it again");
    }

    #[test]
    fn a_refusal_is_that_of_all_who_waited_and_whoever_gives_up_leaves_the_turn_to_the_next() {
        let turns = ImageTurns::default();
        let begun = Some(Instant::now());
        let refused = block_on(turns.take("a".into(), begun, async { Err(refusal()) }));
        assert!(refused.is_err());
        let same = block_on(turns.take("a".into(), begun, async { unreachable!("it was tried") }));
        assert!(same.is_err_and(|error| error.to_string() == refusal().to_string()));
        let given_up = turns.take("b".into(), begun, future::pending());
        assert!(block_on(future::poll_once(given_up)).is_none());
        block_on(turns.take("b".into(), begun, async { Ok(()) })).expect("its turn has come");
    }

    #[test]
    fn no_more_than_a_few_are_made_at_once() {
        let turns = ImageTurns::default();
        let (now, most) = (Cell::new(0), Cell::new(0));
        let make = || async {
            now.set(now.get() + 1);
            most.set(most.get().max(now.get()));
            future::yield_now().await;
            now.set(now.get() - 1);
            Ok(())
        };
        let names = (0..10).map(|name| turns.take(name.to_string(), None, make()));
        let all = futures::future::join_all(names);
        assert!(block_on(all).iter().all(Result::is_ok));
        assert_eq!(most.get(), AT_ONCE);
    }
}
