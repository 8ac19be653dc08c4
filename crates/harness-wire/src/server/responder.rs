//! How the code that does the work answers: once per request, or again and again for a subscription.
//!
//! Owns: the promise that every request gets exactly one answer, whatever happens to the code that works on it.
//! Never blocks on the peer: only [`Publisher::send`] waits.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use serde::Serialize;

use super::outbox::{Credit, Departure, Entry, Outbox, Refused};
use crate::account::Share;
use crate::error::{RpcError, code};
use crate::frame::{self, Id, attached};
use crate::limits::{self, INITIAL_CREDIT};
use crate::link::Outgoing;

/// Answers one request. Dropping it answers with an error, so no client waits for ever.
#[derive(Debug)]
pub struct Responder {
    /// Taken by the answer.
    id: Option<Id>,
    outbox: Arc<Outbox>,
    is_cancelled: Arc<AtomicBool>,
    max_bytes: usize,
    /// What the request takes of its client's account, until it is answered.
    _share: Option<Share>,
}

impl Responder {
    pub(super) fn new(
        id: Id,
        outbox: Arc<Outbox>,
        is_cancelled: Arc<AtomicBool>,
        max_bytes: usize,
        share: Option<Share>,
    ) -> Self {
        Self {
            id: Some(id),
            outbox,
            is_cancelled,
            max_bytes,
            _share: share,
        }
    }

    /// Whether the client no longer wants the answer.
    pub fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Acquire)
    }

    /// Answers with a result.
    pub fn ok<R: Serialize + ?Sized>(mut self, result: &R) {
        if let Some(id) = self.id.take() {
            let text = self.text(&id, result);
            self.outbox.push(Entry {
                message: text.into(),
                departs: Departure::Answered(id),
            });
        }
    }

    /// Answers with an error.
    pub fn error(mut self, error: &RpcError) {
        self.fail(error);
    }

    /// Answers with what a fallible method returned.
    pub fn answer<R: Serialize>(self, outcome: Result<R, RpcError>) {
        match outcome {
            Ok(result) => self.ok(&result),
            Err(error) => self.error(&error),
        }
    }

    /// Answers with `greeting` and opens the subscription that the request asked for.
    pub fn subscribe<R: Serialize + ?Sized>(mut self, greeting: &R) -> Publisher {
        let id = self
            .id
            .take()
            .expect("only the answering methods take the id, and each consumes the responder");
        let credit = Arc::new(Credit::new(INITIAL_CREDIT));
        if self.is_cancelled() {
            credit.cancel();
        }
        let text = self.text(&id, greeting);
        self.outbox.push(Entry {
            message: text.into(),
            departs: Departure::Opened(id.clone(), Arc::clone(&credit)),
        });
        Publisher {
            id,
            outbox: Arc::clone(&self.outbox),
            credit,
            max_bytes: self.max_bytes,
            is_ended: false,
        }
    }

    fn text<R: Serialize + ?Sized>(&self, id: &Id, result: &R) -> String {
        match frame::response(id, result) {
            Ok(text) if text.len() <= self.max_bytes => text,
            Ok(text) => {
                let message = format!(
                    "the answer has {} bytes, more than the {} allowed",
                    text.len(),
                    self.max_bytes
                );
                frame::failure(Some(id), &RpcError::new(code::ANSWER_TOO_LARGE, message))
            }
            Err(error) => {
                let message = format!("the answer cannot be written: {error}");
                frame::failure(Some(id), &RpcError::new(code::INTERNAL_ERROR, message))
            }
        }
    }

    fn fail(&mut self, error: &RpcError) {
        if let Some(id) = self.id.take() {
            self.outbox.push(Entry {
                message: frame::failure(Some(&id), error).into(),
                departs: Departure::Answered(id),
            });
        }
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        let error = if self.is_cancelled() {
            RpcError::new(code::CANCELLED, "cancelled")
        } else {
            RpcError::new(code::INTERNAL_ERROR, "the server gave up on the request")
        };
        self.fail(&error);
    }
}

/// Why an item was not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The reader is behind. The item was not sent; later ones may be, so remember where to go on.
    #[error("the reader is behind")]
    Lagged,
    /// Nobody reads any more: cancelled, or the connection ended.
    #[error("nobody reads any more")]
    Closed,
    /// The item cannot be written as JSON, or is larger than a message may be.
    #[error("the item cannot be sent: {reason}")]
    Unsendable {
        /// What is wrong with it.
        reason: String,
    },
}

/// Sends the items of one subscription. Dropping it ends the subscription in order.
#[derive(Debug)]
pub struct Publisher {
    id: Id,
    outbox: Arc<Outbox>,
    credit: Arc<Credit>,
    max_bytes: usize,
    is_ended: bool,
}

impl Publisher {
    /// Sends an item now, or not at all.
    ///
    /// # Errors
    /// [`PublishError::Lagged`] when the reader has not kept up, [`PublishError::Closed`] when there is none.
    pub fn publish<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), PublishError> {
        let item = self.item(item, None)?;
        self.try_send(item).map_err(|(error, _)| error)
    }

    /// Sends an item as soon as the reader has room for it.
    ///
    /// # Errors
    /// [`PublishError::Closed`] when nobody reads any more.
    ///
    /// # Cancellation
    /// Dropping the future means that the item was not sent.
    pub async fn send<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), PublishError> {
        let item = self.item(item, None)?;
        self.send_item(item).await
    }

    /// As [`Publisher::send`], with bytes that belong to the item: both go in one binary message, the bytes as they are.
    ///
    /// Costs more credit the more bytes they are: see [`limits::BYTES_PER_CREDIT`](crate::limits::BYTES_PER_CREDIT).
    ///
    /// # Errors
    /// [`PublishError::Closed`] when nobody reads any more.
    ///
    /// # Cancellation
    /// Dropping the future means that the item was not sent.
    pub async fn send_with<T: Serialize + ?Sized>(
        &mut self,
        item: &T,
        bytes: Vec<u8>,
    ) -> Result<(), PublishError> {
        let item = self.item(item, Some(bytes))?;
        self.send_item(item).await
    }

    async fn send_item(&mut self, mut item: Item) -> Result<(), PublishError> {
        loop {
            match self.try_send(item) {
                Ok(()) => return Ok(()),
                Err((PublishError::Lagged, Some(back))) => item = back,
                Err((error, _)) => return Err(error),
            }
            self.ready().await?;
        }
    }

    /// Waits until the reader has room for an item.
    ///
    /// # Errors
    /// [`PublishError::Closed`] when nobody reads any more.
    pub async fn ready(&mut self) -> Result<(), PublishError> {
        poll_fn(|cx| self.poll_ready(cx)).await
    }

    /// Waits until nobody reads any more.
    pub async fn closed(&mut self) {
        poll_fn(|cx| {
            self.credit.register(cx);
            if self.credit.is_cancelled() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    /// Ends the subscription with an error. Dropping the publisher ends it in order.
    pub fn fail(mut self, error: &RpcError) {
        self.end(Some(error));
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), PublishError>> {
        // Registered before looking, so that a grant between the two is not missed.
        self.credit.register(cx);
        if self.credit.is_cancelled() {
            return Poll::Ready(Err(PublishError::Closed));
        }
        let room = self.outbox.poll_room(cx).map_err(|_| PublishError::Closed);
        match room {
            Poll::Ready(Ok(())) if !self.credit.has_any() => Poll::Pending,
            room => room,
        }
    }

    fn item<T: Serialize + ?Sized>(
        &self,
        item: &T,
        bytes: Option<Vec<u8>>,
    ) -> Result<Item, PublishError> {
        #[derive(Serialize)]
        struct Event<'a, T: ?Sized> {
            subscription: &'a Id,
            item: &'a T,
        }
        let text = frame::notification(
            EVENT,
            &Event {
                subscription: &self.id,
                item,
            },
        )
        .map_err(|error| PublishError::Unsendable {
            reason: error.to_string(),
        })?;
        let cost = limits::cost(bytes.as_ref().map_or(0, Vec::len));
        let message = match bytes {
            Some(bytes) => Outgoing::Binary(attached::packed(bytes, &text)),
            None => Outgoing::Text(text),
        };
        if message.len() > self.max_bytes {
            return Err(PublishError::Unsendable {
                reason: format!("it has {} bytes", message.len()),
            });
        }
        let departs = Departure::Plain;
        let entry = Entry { message, departs };
        Ok(Item { entry, cost })
    }

    fn try_send(&mut self, item: Item) -> Result<(), (PublishError, Option<Item>)> {
        let Item { entry, cost } = item;
        if self.credit.is_cancelled() {
            return Err((PublishError::Closed, None));
        }
        if !self.credit.has_any() {
            return Err((PublishError::Lagged, Some(Item { entry, cost })));
        }
        match self.outbox.try_push_event(entry) {
            Ok(()) => {
                self.credit.spend(cost);
                Ok(())
            }
            Err((Refused::Full, entry)) => Err((PublishError::Lagged, Some(Item { entry, cost }))),
            Err((Refused::Closed, _)) => Err((PublishError::Closed, None)),
        }
    }

    fn end(&mut self, error: Option<&RpcError>) {
        #[derive(Serialize)]
        struct End<'a> {
            subscription: &'a Id,
            #[serde(skip_serializing_if = "Option::is_none")]
            error: Option<&'a RpcError>,
        }
        if std::mem::replace(&mut self.is_ended, true) {
            return;
        }
        let text = frame::notification(
            END,
            &End {
                subscription: &self.id,
                error,
            },
        )
        .expect("ids and errors always serialise");
        self.outbox.push(Entry {
            message: text.into(),
            departs: Departure::Ended(self.id.clone()),
        });
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.end(None);
    }
}

/// An item that is ready to go, and the credit it costs.
struct Item {
    entry: Entry,
    cost: u32,
}

/// Tells a client something that is no answer. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sender {
    pub(super) outbox: Arc<Outbox>,
}

impl Sender {
    /// Sends a notification now, or not at all.
    ///
    /// # Errors
    /// As [`Publisher::publish`].
    pub fn notify<P: Serialize + ?Sized>(
        &self,
        method: &str,
        params: &P,
    ) -> Result<(), PublishError> {
        let text =
            frame::notification(method, params).map_err(|error| PublishError::Unsendable {
                reason: error.to_string(),
            })?;
        self.outbox
            .try_push_event(Entry {
                message: text.into(),
                departs: Departure::Plain,
            })
            .map_err(|(refused, _)| match refused {
                Refused::Full => PublishError::Lagged,
                Refused::Closed => PublishError::Closed,
            })
    }
}

/// One item of a subscription.
pub(crate) const EVENT: &str = "$/event";
/// A subscription is over.
pub(crate) const END: &str = "$/end";
