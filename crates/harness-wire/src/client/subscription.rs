//! A stream of typed items from the server.
//!
//! Owns: the credit it has used up, which it grants again as items are taken. Never buffers more than its credit.

use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::Stream;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::driver::{Command, Item};
use crate::error::RpcError;
use crate::limits::{self, INITIAL_CREDIT};
use crate::link::LinkError;

/// Why a subscription ended before its time, or an item could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubscriptionError {
    /// The server ended it with an error.
    #[error("the server ended `{method}`")]
    Remote {
        /// What was subscribed to.
        method: String,
        /// Its reason.
        #[source]
        error: RpcError,
    },
    /// The connection ended. Subscribe again from where it broke off.
    #[error("the connection was lost during `{method}`")]
    Lost {
        /// What was subscribed to.
        method: String,
        /// How it ended.
        #[source]
        end: Arc<LinkError>,
    },
    /// The server sent more than it had credit for.
    #[error("the server sent more items of `{method}` than were asked for")]
    Flooded {
        /// What was subscribed to.
        method: String,
    },
    /// An item is not of the expected type. The subscription goes on.
    #[error("an item of `{method}` cannot be read")]
    Unreadable {
        /// What was subscribed to.
        method: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

/// The items of one subscription. Dropping it ends it at the server.
///
/// Yields `None` after an orderly end, and after any error but [`SubscriptionError::Unreadable`].
pub struct Subscription<T> {
    id: i64,
    method: String,
    greeting: Box<RawValue>,
    items: Pin<Box<async_channel::Receiver<Item>>>,
    commands: async_channel::Sender<Command>,
    untaken: Arc<AtomicI64>,
    /// The credit that the items cost which were taken and not granted again.
    taken: u32,
    is_over: bool,
    item: PhantomData<fn() -> T>,
}

impl<T> Subscription<T> {
    pub(super) fn new(
        id: i64,
        method: String,
        greeting: Box<RawValue>,
        items: async_channel::Receiver<Item>,
        untaken: Arc<AtomicI64>,
        commands: async_channel::Sender<Command>,
    ) -> Self {
        let items = Box::pin(items);
        Self {
            id,
            method,
            greeting,
            items,
            commands,
            untaken,
            taken: 0,
            is_over: false,
            item: PhantomData,
        }
    }

    /// What the server answered to the subscribing request.
    ///
    /// # Errors
    /// When it is not a `G`.
    pub fn greeting<G: DeserializeOwned>(&self) -> serde_json::Result<G> {
        serde_json::from_str(self.greeting.get())
    }

    fn grant_again(&mut self, cost: u32) {
        self.untaken.fetch_sub(cost.into(), Ordering::AcqRel);
        self.taken = self.taken.saturating_add(cost);
        if self.taken >= INITIAL_CREDIT / 2 {
            // Without a driver there is nobody to grant to; the stream ends by itself.
            let _gone = self.commands.try_send(Command::Credit {
                id: self.id,
                items: self.taken,
            });
            self.taken = 0;
        }
    }
}

impl<T: DeserializeOwned> Subscription<T> {
    /// The next item with the bytes that came with it; none came with most. As [`Stream`] otherwise.
    ///
    /// # Errors
    /// [`SubscriptionError`].
    ///
    /// # Cancellation
    /// Dropping the future loses no item.
    pub async fn next_with(&mut self) -> Option<Result<(T, Bytes), SubscriptionError>> {
        poll_fn(|cx| self.poll_next_with(cx)).await
    }

    fn poll_next_with(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<(T, Bytes), SubscriptionError>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let item = ready!(self.items.as_mut().poll_next(cx));
        let method = self.method.clone();
        if !matches!(item, Some(Item::Value(..))) {
            self.is_over = true;
        }
        Poll::Ready(match item {
            Some(Item::Value(raw, bytes)) => {
                self.grant_again(limits::cost(bytes.len()));
                let parsed = serde_json::from_str(raw.get()).map(|item| (item, bytes));
                Some(parsed.map_err(|source| SubscriptionError::Unreadable { method, source }))
            }
            Some(Item::End(None)) => None,
            Some(Item::End(Some(error))) => Some(Err(SubscriptionError::Remote { method, error })),
            Some(Item::Lost(end)) => Some(Err(SubscriptionError::Lost { method, end })),
            Some(Item::Flooded) => Some(Err(SubscriptionError::Flooded { method })),
            None => Some(Err(SubscriptionError::Lost {
                method,
                end: Arc::new(LinkError::Abandoned),
            })),
        })
    }
}

impl<T: DeserializeOwned> Stream for Subscription<T> {
    type Item = Result<T, SubscriptionError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = ready!(self.poll_next_with(cx));
        Poll::Ready(next.map(|item| item.map(|(item, _bytes)| item)))
    }
}

impl<T> Drop for Subscription<T> {
    fn drop(&mut self) {
        if !self.is_over {
            // A driver that is gone has nothing left to cancel.
            let _gone = self.commands.try_send(Command::Cancel { id: self.id });
        }
    }
}

impl<T> fmt::Debug for Subscription<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("id", &self.id)
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}
