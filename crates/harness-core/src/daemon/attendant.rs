//! Takes stacks off the note of active ones when they have been stopped.
//!
//! Owns: the waits for that, one for each stack. Runs with the daemon, not with a client: whoever asked for the stop may
//! be gone before it is done.

use std::collections::BTreeSet;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use futures_lite::future;
use service_orchestration::model::Goal;
use service_orchestration::report::StackStatus;
use service_orchestration::spec::StackName;

use super::shared::Shared;
use super::stacks::is_active;
use async_channel::Receiver;

/// Attends to stacks for as long as it is polled.
pub(super) async fn attend(shared: &Shared, orders: &Receiver<StackName>) {
    let mut waits = FuturesUnordered::new();
    let mut attended = BTreeSet::new();
    loop {
        let ordered = async { Some(orders.recv().await) };
        let stopped = async {
            match waits.next().await {
                Some(stack) => {
                    attended.remove(&stack);
                    None
                }
                None => future::pending().await,
            }
        };
        match future::or(ordered, stopped).await {
            Some(Ok(stack)) if attended.insert(stack.clone()) => {
                waits.push(take_off(shared, stack))
            }
            Some(Ok(_)) | None => {}
            Some(Err(_)) => return,
        }
    }
}

/// Waits until nothing of the stack runs, takes it off, and returns its name.
async fn take_off(shared: &Shared, stack: StackName) -> StackName {
    let waited = shared.manager.wait(&stack, &[], Goal::Stopped, false).await;
    let starts = shared.noted().starts;
    let is_stopped = match shared.manager.status(&stack).await {
        Ok(status) => waited.is_ok() && is_at_rest(&status),
        // Forgotten; the supervisor's own end is no news about the stack.
        Err(error) => matches!(
            error,
            service_orchestration::supervisor::OrderError::UnknownStack { .. }
        ),
    };
    let mut noted = shared.noted();
    // A start that came in between has noted it anew.
    if is_stopped && noted.starts == starts {
        noted.active.remove(&stack);
    }
    drop(noted);
    stack
}

/// Whether nothing of the stack runs, and nothing of it waits to.
fn is_at_rest(status: &StackStatus) -> bool {
    let is_waiting = |state: &str| matches!(state, "backoff" | "crash-loop");
    status.items.iter().all(|unit| {
        !is_active(&unit.state) && !is_waiting(&unit.state) && unit.waiting_for.is_empty()
    })
}
