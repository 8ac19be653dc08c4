//! The task of one one-off run: it makes the run ready, waits for whoever asked to end, and removes what is left.
//!
//! Owns: nothing but the way from one to the next. Dropping it leaves the run to the next daemon.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_channel::{Receiver, Sender};
use async_io::{Async, Timer};
use futures_lite::future;
use service_shim::{Identity, ProcessRef};

use super::{BeginError, OneOffNews, OneOffReady};
use crate::executors::{GroundOrder, KnownOneOff, OneOffOrder, OneOffPlace, ServiceExecutor};
use crate::supervisor::Inbox;
use crate::supervisor::request::{OrderError, Reply, Request};

/// See the module.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) known: KnownOneOff,
    pub(super) executor: Arc<dyn ServiceExecutor>,
    pub(super) inbox: Sender<Inbox>,
    /// Closed when it shall end.
    pub(super) ended: Receiver<()>,
    /// Told why it cannot be ended; closed when it is over.
    pub(super) told: Sender<String>,
}

/// What is to be done before somebody can begin it.
#[derive(Debug)]
pub(super) struct Making {
    pub(super) ground: Option<GroundOrder>,
    pub(super) tty: bool,
    pub(super) reply: Reply<Result<OneOffReady, BeginError>>,
}

impl Life {
    pub(super) async fn live(self, making: Option<Making>) {
        let over = async {
            let ordered = async {
                // Nothing is ever sent: it closes.
                let Err(async_channel::RecvError) = self.ended.recv().await else {
                    return;
                };
            };
            future::or(ordered, gone(&self.known.holder)).await;
        };
        let mut over = pin!(over);
        let is_ready = match making {
            Some(making) => {
                let over = async {
                    over.as_mut().await;
                    false
                };
                future::or(over, self.make_ready(making)).await
            }
            None => true,
        };
        if is_ready {
            over.await;
        }
        self.remove().await;
        self.report(OneOffNews::Over);
    }

    /// Makes it, and tells whoever asked. Whether there is something to be begun.
    async fn make_ready(&self, making: Making) -> bool {
        let Making { ground, tty, reply } = making;
        let made = self.make(ground, tty).await;
        let is_ready = made.is_ok();
        if is_ready {
            self.report(OneOffNews::Made);
        }
        let ready = made.map(|place| OneOffReady {
            id: self.known.id.clone(),
            place,
        });
        // Who has gone meanwhile is noticed by that.
        drop(reply.try_send(ready));
        is_ready
    }

    async fn make(
        &self,
        ground: Option<GroundOrder>,
        tty: bool,
    ) -> Result<OneOffPlace, BeginError> {
        let ground = match ground {
            Some(order) => self.executor.prepare(order).await?,
            None => Default::default(),
        };
        let (reply, answer) = async_channel::bounded(1);
        let request = Request::OneOffOrder {
            id: self.known.id.clone(),
            ground,
            reply,
        };
        drop(self.inbox.try_send(Inbox::Request(request)));
        let answer = answer.recv().await;
        let launch = answer.unwrap_or(Err(BeginError::Order(OrderError::Ended)))?;
        let order = OneOffOrder {
            launch,
            tty,
            holder: self.known.holder.clone(),
        };
        Ok(self.executor.make_one_off(order).await?)
    }

    /// Removes what is left of it, for as long as that takes: an engine may be away.
    async fn remove(&self) {
        let mut pause = FIRST_PAUSE;
        while let Err(error) = self.executor.end_one_off(&self.known.id).await {
            let reason = crate::error_chain(&error);
            tracing::warn!(run = self.known.id, reason, "a one-off run cannot be ended");
            drop(self.told.try_send(reason));
            Timer::after(pause).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }

    fn report(&self, news: OneOffNews) {
        let id = self.known.id.clone();
        // Nobody listens any more when the supervisor has ended.
        drop(self.inbox.try_send(Inbox::OneOff { id, news }));
    }
}

/// Returns once a process has ended.
async fn gone(holder: &Identity) {
    let watch = async {
        let Some(process) = ProcessRef::open(holder)? else {
            return Ok(());
        };
        Async::new(process)?.readable().await
    };
    let watched: io::Result<()> = watch.await;
    if let Err(error) = watched {
        // What cannot be watched runs for as long as nobody ends it.
        tracing::error!(pid = holder.pid, %error, "whose a one-off run is cannot be watched");
        future::pending().await
    }
}

/// Finds the runs that earlier daemons have left. Looks again, less and less often, while nobody can say.
pub(super) async fn look(executor: Arc<dyn ServiceExecutor>, inbox: Sender<Inbox>) {
    let mut pause = FIRST_PAUSE;
    loop {
        match executor.one_offs().await {
            Ok(all) => {
                for known in all {
                    let id = known.id.clone();
                    let news = OneOffNews::Found(known, Arc::clone(&executor));
                    drop(inbox.try_send(Inbox::OneOff { id, news }));
                }
                return;
            }
            Err(error) => {
                let error = crate::error_chain(&error);
                tracing::debug!(error, "whether one-off runs were left is not known");
            }
        }
        Timer::after(pause).await;
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}

/// Before an engine is asked once more; twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
