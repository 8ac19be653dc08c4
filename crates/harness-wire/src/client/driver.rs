//! Moves the bytes of one client connection and hands every answer to whoever waits for it.
//!
//! Owns: the connection, which requests wait for an answer, which subscriptions are open. Never spawns: the caller
//! awaits it beside its own work, or spawns it.
//!
//! Invariant: whoever waits gets an answer or learns how the connection ended.

use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::Stream;
use futures::channel::oneshot;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::handle::{Answer, Failure};
use crate::error::RpcError;
use crate::frame::{self, Frame, Id, Params, attached};
use crate::limits::{self, INITIAL_CREDIT};
use crate::link::{Heard, Link, LinkError};
use crate::server::{CANCEL, CREDIT, END, EVENT};

/// What handles ask of the driver. Each is caused by a call of theirs, so their number is the callers' own.
#[derive(Debug)]
pub(super) enum Command {
    Request {
        id: i64,
        text: String,
        reply: oneshot::Sender<Answer>,
        items: Option<Items>,
    },
    Notify {
        text: String,
    },
    Cancel {
        id: i64,
    },
    Credit {
        id: i64,
        items: u32,
    },
}

/// Where the items of a subscription go. One place is kept free for the end.
#[derive(Debug)]
pub(super) struct Items {
    pub(super) sender: async_channel::Sender<Item>,
    /// The credit that the items cost which have not been taken yet.
    pub(super) untaken: Arc<AtomicI64>,
}

/// What a subscription receives.
#[derive(Debug)]
pub(super) enum Item {
    Value(Box<RawValue>, Bytes),
    End(Option<RpcError>),
    Lost(Arc<LinkError>),
    Flooded,
}

/// The future that moves the bytes of a connection. It is done when the connection is.
///
/// Await it beside the calls ([`Driver::drive`] does), or spawn it. It ends by itself when every [`super::Client`] and
/// [`super::Subscription`] of the connection is gone. Dropping it ends the connection.
#[must_use = "nothing moves unless the driver is polled"]
pub struct Driver {
    running: Pin<Box<dyn Future<Output = Arc<LinkError>> + Send>>,
}

impl Driver {
    pub(super) fn new(
        link: Link,
        commands: async_channel::Receiver<Command>,
        max_depth: usize,
    ) -> Self {
        Self {
            running: Box::pin(run(link, commands, max_depth)),
        }
    }

    /// Does `work` while moving the bytes for it, and returns what it returned.
    pub async fn drive<F: Future>(mut self, work: F) -> F::Output {
        let mut work = pin!(work);
        let mut is_over = false;
        poll_fn(|cx| {
            // Once before, so that answers reach the work; once after, so that what it asked goes out.
            for _ in 0..2 {
                let worked = work.as_mut().poll(cx);
                // Polled even when the work is done: its last notification may still have to go out.
                if !is_over {
                    is_over = self.running.as_mut().poll(cx).is_ready();
                }
                if worked.is_ready() {
                    return worked;
                }
            }
            Poll::Pending
        })
        .await
    }
}

impl Future for Driver {
    /// How the connection ended; [`LinkError::Abandoned`] when nobody needs it any more.
    type Output = Arc<LinkError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.running.as_mut().poll(cx)
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").finish_non_exhaustive()
    }
}

async fn run(
    mut link: Link,
    commands: async_channel::Receiver<Command>,
    max_depth: usize,
) -> Arc<LinkError> {
    let mut open = Open::default();
    let mut commands = pin!(commands);
    let end = poll_fn(|cx| open.poll_connection(cx, &mut link, commands.as_mut(), max_depth)).await;
    let end = Arc::new(end);
    commands.close();
    open.fail_all(&end);
    // Requests that were sent to the driver but not yet to the server: those who wait see the channel close.
    while commands.try_recv().is_ok() {}
    link.close(&end, || None).await;
    end
}

#[derive(Default)]
struct Open {
    requests: BTreeMap<i64, (oneshot::Sender<Answer>, Option<Items>)>,
    subscriptions: BTreeMap<i64, Items>,
}

impl Open {
    fn poll_connection(
        &mut self,
        cx: &mut Context<'_>,
        link: &mut Link,
        mut commands: Pin<&mut async_channel::Receiver<Command>>,
        max_depth: usize,
    ) -> Poll<LinkError> {
        let mut is_unneeded = false;
        for _ in 0..TURN_MESSAGES {
            let polled = link.poll(cx, |cx| {
                loop {
                    let Some(command) = ready!(commands.as_mut().poll_next(cx)) else {
                        is_unneeded = true;
                        return Poll::Ready(None);
                    };
                    if let Some(text) = self.take(command) {
                        return Poll::Ready(Some(text.into()));
                    }
                }
            });
            if is_unneeded {
                return Poll::Ready(LinkError::Abandoned);
            }
            match ready!(polled) {
                Ok(Heard::Text(text)) => self.receive(&text, Bytes::new(), max_depth),
                Ok(Heard::Binary(message)) => match attached::unpacked(&message) {
                    Some((text, bytes)) => self.receive(text, bytes, max_depth),
                    None => return Poll::Ready(LinkError::Binary),
                },
                Err(end) => return Poll::Ready(end),
            }
        }
        // A flood from the server must not keep the other tasks of this thread waiting.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Notes what a handle asks, and returns what has to be sent for it.
    fn take(&mut self, command: Command) -> Option<String> {
        match command {
            Command::Request {
                id,
                text,
                reply,
                items,
            } => {
                self.requests.insert(id, (reply, items));
                Some(text)
            }
            Command::Notify { text } => Some(text),
            Command::Cancel { id } => {
                let is_open =
                    self.requests.remove(&id).is_some() | self.subscriptions.remove(&id).is_some();
                is_open.then(|| written(CANCEL, &Cancel { id }))
            }
            Command::Credit { id, items } => self.subscriptions.contains_key(&id).then(|| {
                written(
                    CREDIT,
                    &Grant {
                        subscription: id,
                        items,
                    },
                )
            }),
        }
    }

    fn receive(&mut self, text: &str, bytes: Bytes, max_depth: usize) {
        match Frame::parse(text, max_depth) {
            Ok(Frame::Response {
                id: Some(Id::Number(id)),
                outcome,
            }) => self.answer(id, outcome),
            Ok(Frame::Notification { method, params }) if method == EVENT => {
                self.event(&params, bytes);
            }
            Ok(Frame::Notification { method, params }) if method == END => self.end(&params),
            // A later server may say more than this client understands.
            Ok(other) => tracing::debug!(?other, "ignored a message nobody waits for"),
            Err(malformed) => tracing::debug!(?malformed, "ignored a malformed message"),
        }
    }

    fn answer(&mut self, id: i64, outcome: Result<Box<RawValue>, RpcError>) {
        let Some((reply, items)) = self.requests.remove(&id) else {
            tracing::trace!(id, "an answer came after its request was cancelled");
            return;
        };
        if let (Ok(_), Some(items)) = (&outcome, items) {
            self.subscriptions.insert(id, items);
        }
        // Whoever has stopped waiting has sent, or is about to send, a cancellation.
        let _gone = reply.send(outcome.map_err(Failure::Remote));
    }

    fn event(&mut self, params: &Params, bytes: Bytes) {
        let Some(Event { subscription, item }) = params
            .as_json()
            .and_then(|json| serde_json::from_str(json).ok())
        else {
            return;
        };
        let Some(items) = self.subscriptions.get(&subscription) else {
            return;
        };
        let cost = limits::cost(bytes.len()).into();
        let is_overdrawn =
            items.untaken.fetch_add(cost, Ordering::AcqRel) >= i64::from(INITIAL_CREDIT);
        if is_overdrawn {
            self.finish(subscription, Item::Flooded);
        } else {
            // A reader that is gone has sent, or is about to send, a cancellation.
            let _gone = items.sender.try_send(Item::Value(item.to_owned(), bytes));
        }
    }

    fn end(&mut self, params: &Params) {
        if let Ok(End {
            subscription,
            error,
        }) = params.parse()
        {
            self.finish(subscription, Item::End(error));
        }
    }

    fn finish(&mut self, subscription: i64, last: Item) {
        if let Some(items) = self.subscriptions.remove(&subscription) {
            // There is a place left: items never take the last one.
            let _gone = items.sender.try_send(last);
        }
    }

    fn fail_all(&mut self, end: &Arc<LinkError>) {
        for (_, (reply, _)) in std::mem::take(&mut self.requests) {
            let _gone = reply.send(Err(Failure::Lost(Arc::clone(end))));
        }
        for subscription in self.subscriptions.keys().copied().collect::<Vec<_>>() {
            self.finish(subscription, Item::Lost(Arc::clone(end)));
        }
    }
}

fn written<P: Serialize>(method: &str, params: &P) -> String {
    frame::notification(method, params).expect("numbers always serialise")
}

#[derive(Serialize)]
struct Cancel {
    id: i64,
}

#[derive(Serialize)]
struct Grant {
    subscription: i64,
    items: u32,
}

#[derive(Deserialize)]
struct Event<'a> {
    subscription: i64,
    #[serde(borrow)]
    item: &'a RawValue,
}

#[derive(Deserialize)]
struct End {
    subscription: i64,
    #[serde(default)]
    error: Option<RpcError>,
}

/// Messages handled in one go.
const TURN_MESSAGES: usize = 64;
