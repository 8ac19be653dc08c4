//! What a client can ask: calls, notifications, subscriptions.
//!
//! Owns: the ids of requests. Never touches the connection: the [`super::Driver`] does.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use futures::channel::oneshot;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::connect::ConnectError;
use super::driver::{Command, Items};
use super::subscription::Subscription;
use crate::error::RpcError;
use crate::frame::{self, Id};
use crate::hello::Agreed;
use crate::limits::INITIAL_CREDIT;
use crate::link::LinkError;

/// Why a call brought no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// There is no connection to call over.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The server answered with an error.
    #[error("the server refused `{method}`")]
    Remote {
        /// What was called.
        method: String,
        /// Its answer.
        #[source]
        error: RpcError,
    },
    /// The connection ended before the answer came. Whether the server acted is unknown.
    #[error("the connection was lost during `{method}`")]
    Lost {
        /// What was called.
        method: String,
        /// How it ended.
        #[source]
        end: Arc<LinkError>,
    },
    /// The server's answer is not what this method returns.
    #[error("the answer to `{method}` cannot be read")]
    Unreadable {
        /// What was called.
        method: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// The parameters cannot be sent; nothing was.
    #[error("the parameters of `{method}` cannot be sent: {reason}")]
    Unsendable {
        /// What was called.
        method: String,
        /// What is wrong with them.
        reason: String,
    },
}

/// Asks a server. Cheap to clone; clones share the connection, which ends when the last one is gone.
#[derive(Debug, Clone)]
pub struct Client {
    commands: async_channel::Sender<Command>,
    next_id: Arc<AtomicI64>,
    agreed: Arc<Agreed>,
    max_bytes: usize,
}

impl Client {
    pub(super) fn new(
        commands: async_channel::Sender<Command>,
        agreed: Agreed,
        max_bytes: usize,
    ) -> Self {
        // `hello` was number 0.
        Self {
            commands,
            next_id: Arc::new(AtomicI64::new(1)),
            agreed: Arc::new(agreed),
            max_bytes,
        }
    }

    /// What was agreed when the connection opened.
    pub fn agreed(&self) -> &Agreed {
        &self.agreed
    }

    /// Calls a method and waits for its result. Any number of calls may be under way at once.
    ///
    /// # Errors
    /// [`CallError`]. There is no deadline: drop the future when it takes too long.
    ///
    /// # Cancellation
    /// Dropping the future tells the server that the answer is not wanted. It may have acted already.
    pub fn call<P, R>(
        &self,
        method: &str,
        params: &P,
    ) -> impl Future<Output = Result<R, CallError>> + Send + use<P, R>
    where
        P: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        let id = self.new_id();
        let started = self.start(id, method, params, None);
        let method = method.to_owned();
        async move {
            let result = started?.wait(&method).await?;
            serde_json::from_str(result.get())
                .map_err(|source| CallError::Unreadable { method, source })
        }
    }

    /// Opens a subscription: the server's greeting, then a stream of items.
    ///
    /// # Errors
    /// [`CallError`] when the server refuses it or the connection ends.
    ///
    /// # Cancellation
    /// Dropping the future, or later the subscription, ends it at the server too.
    pub fn subscribe<P, T>(
        &self,
        method: &str,
        params: &P,
    ) -> impl Future<Output = Result<Subscription<T>, CallError>> + Send + use<P, T>
    where
        P: Serialize + ?Sized,
        T: DeserializeOwned,
    {
        let id = self.new_id();
        // A place for each item there is credit for, and one for the end: an honest server never finds it full.
        let (sender, received) = async_channel::bounded(INITIAL_CREDIT as usize + 1);
        let untaken = Arc::new(AtomicI64::new(0));
        let items = Items {
            sender,
            untaken: Arc::clone(&untaken),
        };
        let started = self.start(id, method, params, Some(items));
        let method = method.to_owned();
        let commands = self.commands.clone();
        async move {
            let greeting = started?.wait(&method).await?;
            Ok(Subscription::new(
                id, method, greeting, received, untaken, commands,
            ))
        }
    }

    /// Tells the server something that needs no answer.
    ///
    /// # Errors
    /// [`CallError::Unsendable`], or [`CallError::Lost`] when the connection has ended.
    pub fn notify<P: Serialize + ?Sized>(&self, method: &str, params: &P) -> Result<(), CallError> {
        let text = self.text(method, frame::notification(method, params))?;
        self.commands
            .try_send(Command::Notify { text })
            .map_err(|_| abandoned(method))
    }

    fn new_id(&self) -> i64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    fn start<P: Serialize + ?Sized>(
        &self,
        id: i64,
        method: &str,
        params: &P,
        items: Option<Items>,
    ) -> Result<Waiting, CallError> {
        let text = self.text(method, frame::request(&Id::Number(id), method, params))?;
        let (reply, answer) = oneshot::channel();
        let command = Command::Request {
            id,
            text,
            reply,
            items,
        };
        self.commands
            .try_send(command)
            .map_err(|_| abandoned(method))?;
        Ok(Waiting {
            id,
            answer: Some(answer),
            commands: self.commands.clone(),
        })
    }

    fn text(&self, method: &str, written: serde_json::Result<String>) -> Result<String, CallError> {
        let unsendable = |reason| CallError::Unsendable {
            method: method.to_owned(),
            reason,
        };
        let text = written.map_err(|error| unsendable(error.to_string()))?;
        if text.len() > self.max_bytes {
            return Err(unsendable(format!(
                "{} bytes are more than the {} allowed",
                text.len(),
                self.max_bytes
            )));
        }
        Ok(text)
    }
}

/// The answer to a request, as the driver delivers it.
pub(super) type Answer = Result<Box<RawValue>, Failure>;

/// Why a request has no result.
#[derive(Debug)]
pub(super) enum Failure {
    Remote(RpcError),
    Lost(Arc<LinkError>),
}

/// A request under way; dropped before its answer, it cancels it.
struct Waiting {
    id: i64,
    answer: Option<oneshot::Receiver<Answer>>,
    commands: async_channel::Sender<Command>,
}

impl Waiting {
    async fn wait(mut self, method: &str) -> Result<Box<RawValue>, CallError> {
        let answer = match &mut self.answer {
            Some(answer) => answer.await,
            None => return Err(abandoned(method)),
        };
        self.answer = None;
        match answer {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(Failure::Remote(error))) => Err(CallError::Remote {
                method: method.to_owned(),
                error,
            }),
            Ok(Err(Failure::Lost(end))) => Err(CallError::Lost {
                method: method.to_owned(),
                end,
            }),
            Err(oneshot::Canceled) => Err(abandoned(method)),
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.answer.is_some() {
            // A driver that is gone has nothing left to cancel.
            let _gone = self.commands.try_send(Command::Cancel { id: self.id });
        }
    }
}

fn abandoned(method: &str) -> CallError {
    CallError::Lost {
        method: method.to_owned(),
        end: Arc::new(LinkError::Abandoned),
    }
}
