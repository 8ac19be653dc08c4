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

    /// Whether nothing can be asked over it any more, as far as that is known.
    pub(super) fn is_over(&self) -> bool {
        // What happened while nobody drove it is looked at first: an end, mostly.
        let _seen = (0..GLANCE).take_while(|_| self.executor.try_tick()).count();
        self.driver.is_finished()
    }

    /// Does `work` while moving the bytes for it.
    pub(super) async fn drive<T>(&self, work: impl Future<Output = T>) -> T {
        self.executor.run(work).await
    }
}

/// Turns of the driver that an idle connection's end takes to be noticed; more would be work for others.
const GLANCE: usize = 8;
