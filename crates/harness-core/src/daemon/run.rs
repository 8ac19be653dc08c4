//! A daemon at work, and its end.
//!
//! Owns: the tasks of all sessions, which end with [`BaseDaemon::run`], and the order of the end: services, then the
//! endpoint file, then the lock, then answers to those who asked for the end, then the sessions.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_channel::Receiver;
use async_executor::{Executor, Task};
use async_io::Timer;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use futures_lite::future;
use service_orchestration::ServiceManager;
use service_orchestration::supervisor::Order;

use super::attendant::attend;
use super::session::Door;
use super::shared::{Ending, Inboxes, Shared};
use super::{BaseDaemonBuilder, DaemonError};
use crate::files::{Endpoint, StateLock};

/// A daemon that has taken over its services and is ready to answer.
#[derive(Debug)]
pub struct BaseDaemon {
    door: Door,
    shared: Arc<Shared>,
    inboxes: Inboxes,
    // Dropped last: until then no other daemon may come.
    lock: StateLock,
}

/// A hold on a daemon from inside its process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct DaemonHandle {
    shared: Arc<Shared>,
}

impl DaemonHandle {
    /// Ends the daemon, after stopping every stack unless `keep`. Returns when the services are gone (or let go of) and
    /// nobody is answered any more. Asked twice, the first decides.
    pub async fn shutdown(&self, keep: bool) {
        self.shared.end(keep).reached().await;
    }

    /// Stops every stack without a grace: for whoever asked the daemon to end and will not wait.
    pub async fn hurry(&self) {
        for stack in self.shared.manager.stacks().await {
            let order = Order::Stop {
                with_dependents: false,
                force: true,
                grace: Some(Duration::ZERO),
            };
            if let Err(error) = self.shared.manager.order(&stack.name, &[], order).await {
                tracing::warn!(stack = %stack.name, %error, "it cannot be hurried");
            }
        }
    }

    /// The orchestrator inside.
    pub fn manager(&self) -> &ServiceManager {
        &self.shared.manager
    }

    /// Where its state lies.
    pub fn state_directory(&self) -> &Path {
        &self.shared.state
    }

    /// Where it answers, and who it is.
    pub fn endpoint(&self) -> &Endpoint {
        &self.shared.endpoint
    }
}

impl BaseDaemon {
    /// Settings for a daemon.
    pub fn builder() -> BaseDaemonBuilder {
        BaseDaemonBuilder::new()
    }

    pub(super) fn new(lock: StateLock, door: Door, (shared, inboxes): (Shared, Inboxes)) -> Self {
        Self {
            lock,
            door,
            shared: Arc::new(shared),
            inboxes,
        }
    }

    /// A hold on it, to end it from a signal handler for example.
    pub fn handle(&self) -> DaemonHandle {
        DaemonHandle {
            shared: Arc::clone(&self.shared),
        }
    }

    /// Where it listens.
    pub fn listen(&self) -> SocketAddr {
        self.shared
            .endpoint
            .listen
            .parse()
            .expect("it was written from an address")
    }

    /// Answers clients until it is ended, by a client or by [`DaemonHandle::shutdown`].
    ///
    /// # Errors
    /// [`DaemonError::File`] when it cannot say where it answers.
    ///
    /// # Cancellation
    /// Dropping the future ends the daemon at once; its services go on for the next one.
    pub async fn run(self) -> Result<(), DaemonError> {
        let Self {
            lock,
            mut door,
            shared,
            inboxes,
        } = self;
        let executor = Executor::new();
        let (closing, closed) = async_channel::bounded::<Infallible>(1);
        let mut sessions = FuturesUnordered::new();
        let noted: Vec<_> = shared.noted().active.stacks().cloned().collect();
        shared
            .endpoint
            .write(&shared.state)
            .map_err(DaemonError::of_endpoint)?;
        tracing::info!(listen = %shared.endpoint.listen, stacks = ?noted, "answering");

        let work = async {
            let attending = async {
                attend(&shared, &inboxes.attendance).await;
                future::pending().await
            };
            let serving = accept(&executor, &mut door, &shared, &closed, &mut sessions);
            let ending = end(&shared, &inboxes.endings);
            let asked = future::or(ending, future::or(attending, serving)).await;
            Endpoint::remove(&shared.state).map_err(DaemonError::of_endpoint)?;
            drop(door);
            // The next daemon goes on with it.
            shared.audit.close();
            drop(lock);
            answer_askers(&inboxes.endings, asked).await;
            drop(closing);
            let all_left = async { while sessions.next().await.is_some() {} };
            within(FAREWELL, all_left).await;
            Ok(())
        };
        executor.run(work).await
    }
}

/// Lets clients in, for as long as it is polled.
async fn accept(
    executor: &Executor<'static>,
    door: &mut Door,
    shared: &Arc<Shared>,
    closed: &Receiver<Infallible>,
    sessions: &mut FuturesUnordered<Task<()>>,
) -> Ending {
    loop {
        let came = async { Some(door.next().await) };
        let left = async {
            match sessions.next().await {
                Some(()) => None,
                None => future::pending().await,
            }
        };
        if let Some(guest) = future::or(left, came).await {
            let closed = closed.clone();
            let stop = async move {
                let Err(async_channel::RecvError) = closed.recv().await;
            };
            sessions.push(executor.spawn(guest.serve_until(stop, Arc::clone(shared))));
        }
    }
}

/// Waits until somebody wants the daemon to end, and has the services stopped or let go of.
async fn end(shared: &Shared, endings: &Receiver<Ending>) -> Ending {
    let Ok(ending) = endings.recv().await else {
        unreachable!("the daemon itself holds a sender");
    };
    tracing::info!(keep = ending.keep, "ending");
    shared.manager.shutdown(ending.keep).await;
    shared.hosts.close().await;
    if !ending.keep {
        shared.noted().active.clear();
    }
    ending
}

/// Tells everybody who asked that all is done, and waits until they have passed it on.
async fn answer_askers(endings: &Receiver<Ending>, first: Ending) {
    let mut askers = vec![first.asker];
    drop(first.done);
    // Whoever asked meanwhile learns the same; whoever asks from here on, too.
    endings.close();
    while let Ok(ending) = endings.try_recv() {
        askers.push(ending.asker);
    }
    let passed_on = async {
        for asker in askers {
            let Err(async_channel::RecvError) = asker.recv().await;
        }
    };
    within(FAREWELL, passed_on).await;
}

async fn within(time: Duration, work: impl Future<Output = ()>) {
    let too_late = async {
        Timer::after(time).await;
    };
    future::or(work, too_late).await;
}

/// Longer than a session needs to close in order.
const FAREWELL: Duration = Duration::from_secs(2);
