//! How many programs are asked at once.
//!
//! Owns: the free slots and the queue for them. First come, first served: nobody overtakes, so nobody starves.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::channel::oneshot;

#[derive(Clone, Debug)]
pub(crate) struct Slots {
    // A lock because a permit comes back from wherever it is dropped. Held for a queue operation, never over an await.
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    free: usize,
    queue: VecDeque<oneshot::Sender<Permit>>,
}

/// One slot; free again when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    /// `None` once it was handed back undelivered.
    slots: Option<Slots>,
}

impl Slots {
    pub(crate) fn new(free: usize) -> Self {
        let queue = VecDeque::new();
        Self {
            state: Arc::new(Mutex::new(State { free, queue })),
        }
    }

    /// Waits for a slot. Dropping the future gives the place in the queue up.
    pub(crate) async fn take(&self) -> Permit {
        let turn = {
            let mut state = self.lock();
            if state.free > 0 {
                state.free -= 1;
                return self.permit();
            }
            let (sender, turn) = oneshot::channel();
            state.queue.push_back(sender);
            turn
        };
        turn.await
            .expect("a queued sender is only removed to be sent to")
    }

    fn permit(&self) -> Permit {
        Permit {
            slots: Some(self.clone()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(slots) = self.slots.take() else {
            return;
        };
        loop {
            let next = {
                let mut state = slots.lock();
                let next = state.queue.pop_front();
                if next.is_none() {
                    state.free += 1;
                }
                next
            };
            match next.map(|next| next.send(slots.permit())) {
                // This one gave up waiting: disarm what it did not want, and serve the next.
                Some(Err(mut unwanted)) => unwanted.slots = None,
                Some(Ok(())) | None => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[test]
    fn slots_are_handed_on_in_the_order_of_asking_and_past_those_who_gave_up() {
        let slots = Slots::new(1);
        let first = slots.take().now_or_never().expect("free");
        let mut second = Box::pin(slots.take());
        let mut third = Box::pin(slots.take());
        let mut fourth = Box::pin(slots.take());
        for waiting in [&mut second, &mut third, &mut fourth] {
            assert!(waiting.now_or_never().is_none());
        }
        drop(third);
        drop(first);
        assert!(slots.take().now_or_never().is_none(), "nobody overtakes");
        assert!((&mut fourth).now_or_never().is_none());
        let held = (&mut second).now_or_never().expect("first in the queue");
        drop(held);
        let held = (&mut fourth)
            .now_or_never()
            .expect("next, past the one that gave up");
        drop(held);
        assert!(slots.take().now_or_never().is_some());
    }

    #[test]
    fn a_slot_that_was_granted_and_never_taken_is_not_lost() {
        let slots = Slots::new(1);
        let first = slots.take().now_or_never().expect("free");
        let mut second = Box::pin(slots.take());
        assert!((&mut second).now_or_never().is_none());
        drop(first);
        drop(second);
        assert!(slots.take().now_or_never().is_some());
    }
}
