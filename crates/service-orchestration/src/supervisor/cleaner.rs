//! Clearing away what attempts left behind.
//!
//! Owns: the one task that does it, in order and off the loop, when the rush of ends is over: whoever waits for the last of
//! them does not wait for the rubbish of the first. What a killed daemon did not come to, its next start finds as a run
//! directory of an attempt that is known to have ended.

use std::sync::Arc;
use std::time::Duration;

use async_channel::{Receiver, Sender};
use async_executor::{Executor, Task};
use async_io::Timer;
use futures_lite::future;

use crate::executors::{Carrier, ServiceExecutor};
use crate::spec::UnitId;

#[derive(Debug)]
pub(super) struct Cleaner {
    rubbish: Sender<Rubbish>,
    /// Nothing more comes: what is there may go at once.
    hurry: Sender<()>,
    task: Task<()>,
}

/// Whose rubbish it is, and who knows where it lies.
enum Rubbish {
    /// Of the attempt of this identity.
    Attempt(Arc<dyn ServiceExecutor>, String),
    /// Of a unit that is gone, beyond its attempts.
    Unit(Arc<dyn ServiceExecutor>, UnitId),
    /// Ways that were made for the attempt of this identity.
    Ways(Arc<dyn Carrier>, String),
}

/// How long the rubbish may lie. A stop of a hundred services takes about as long.
const LEISURE: Duration = Duration::from_millis(30);

impl Cleaner {
    pub(super) fn new(spawner: &Executor<'static>) -> Self {
        let (rubbish, pile) = async_channel::unbounded::<Rubbish>();
        let (hurry, hurried) = async_channel::bounded(1);
        let task = spawner.spawn(clean(pile, hurried));
        Self {
            rubbish,
            hurry,
            task,
        }
    }

    /// This attempt has ended, and its end was kept.
    pub(super) fn forget(&self, executor: Arc<dyn ServiceExecutor>, instance_id: String) {
        // Unbounded, and its task lives as long as this value: it cannot fail.
        drop(
            self.rubbish
                .try_send(Rubbish::Attempt(executor, instance_id)),
        );
    }

    /// This unit is gone, and that was kept.
    pub(super) fn forget_unit(&self, executor: Arc<dyn ServiceExecutor>, unit: UnitId) {
        // As above.
        drop(self.rubbish.try_send(Rubbish::Unit(executor, unit)));
    }

    /// This attempt has ended, and its end was kept.
    pub(super) fn release(&self, carrier: Arc<dyn Carrier>, instance_id: String) {
        // As above.
        drop(self.rubbish.try_send(Rubbish::Ways(carrier, instance_id)));
    }

    /// Clears away what is still there.
    pub(super) async fn finish(self) {
        drop(self.hurry);
        drop(self.rubbish);
        self.task.await;
    }
}

async fn clean(pile: Receiver<Rubbish>, hurried: Receiver<()>) {
    while let Ok(first) = pile.recv().await {
        let at_leisure = async {
            Timer::after(LEISURE).await;
        };
        let at_once = async {
            // Nothing is ever sent: it closes.
            let Err(async_channel::RecvError) = hurried.recv().await else {
                return;
            };
        };
        future::or(at_once, at_leisure).await;
        let mut next = Some(first);
        while let Some(rubbish) = next {
            match rubbish {
                Rubbish::Attempt(executor, id) => executor.forget(&id).await,
                Rubbish::Unit(executor, unit) => executor.forget_unit(&unit).await,
                Rubbish::Ways(carrier, id) => carrier.release(&id).await,
            }
            next = pile.try_recv().ok();
        }
    }
}
