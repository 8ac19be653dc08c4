//! Clearing away what attempts left behind.
//!
//! Owns: the one task that does it, in order and off the loop. What a killed daemon did not come to, its next start finds
//! as a run directory of an attempt that is known to have ended.

use std::sync::Arc;

use async_channel::Sender;
use async_executor::{Executor, Task};

use crate::executors::ServiceExecutor;

#[derive(Debug)]
pub(super) struct Cleaner {
    rubbish: Sender<(Arc<dyn ServiceExecutor>, String)>,
    task: Task<()>,
}

impl Cleaner {
    pub(super) fn new(spawner: &Executor<'static>) -> Self {
        let (rubbish, pile) = async_channel::unbounded::<(Arc<dyn ServiceExecutor>, String)>();
        let task = spawner.spawn(async move {
            while let Ok((executor, instance_id)) = pile.recv().await {
                executor.forget(&instance_id).await;
            }
        });
        Self { rubbish, task }
    }

    /// This attempt has ended, and its end was kept.
    pub(super) fn forget(&self, executor: Arc<dyn ServiceExecutor>, instance_id: String) {
        // Unbounded, and its task lives as long as this value: it cannot fail.
        drop(self.rubbish.try_send((executor, instance_id)));
    }

    /// Clears away what is still there.
    pub(super) async fn finish(self) {
        drop(self.rubbish);
        self.task.await;
    }
}
