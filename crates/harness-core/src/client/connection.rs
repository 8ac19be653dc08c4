//! One connection, driven by whoever waits for something on it.
//!
//! Owns: the driver of the bytes. Any number of calls at once drive it together.

use std::future::Future;
use std::sync::Arc;

use async_executor::{Executor, Task};
use harness_wire::{Client, Driver};

/// A connection to a daemon. Cheap to clone; it ends with its last clone.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    client: Client,
    // Before the executor: the driver ends while there is still something to end it on.
    driver: Arc<Task<()>>,
    executor: Arc<Executor<'static>>,
}

impl Connection {
    pub(super) fn new(client: Client, driver: Driver) -> Self {
        let executor = Arc::new(Executor::new());
        let driver = executor.spawn(async move {
            driver.await;
        });
        Self {
            client,
            driver: Arc::new(driver),
            executor,
        }
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Whether nothing can be asked over it any more.
    pub(super) fn is_over(&self) -> bool {
        self.driver.is_finished()
    }

    /// Does `work` while moving the bytes for it.
    pub(super) async fn drive<T>(&self, work: impl Future<Output = T>) -> T {
        self.executor.run(work).await
    }
}
