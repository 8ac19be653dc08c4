//! One client's connection: requests come in order, answers go out in any.
//!
//! Owns: which requests and subscriptions of this client are open. Never runs a method: the caller does, and may do so
//! on any task. Everything moves only while [`Session::next_request`] or [`Session::serve`] is awaited.
//!
//! Invariant: a request that was handed out is answered exactly once, or the connection ends.

use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use serde::Deserialize;

use super::outbox::{Credit, Departure, Entry, Outbox};
use super::responder::{Responder, Sender};
use crate::error::{RpcError, code};
use crate::frame::{self, Frame, Id, Malformed, Params};
use crate::hello::{self, Agreed};
use crate::identity::PeerIdentity;
use crate::limits::Limits;
use crate::link::{Link, LinkError, Outgoing};

/// What a client sent.
#[derive(Debug)]
pub enum Incoming {
    /// It wants an answer.
    Request(Request),
    /// It tells something.
    Notification {
        /// What about.
        method: String,
        /// The details.
        params: Params,
    },
    /// It no longer wants this request's answer, or the rest of this subscription.
    Cancelled {
        /// The request's id.
        id: Id,
    },
}

/// A request and the means to answer it.
#[derive(Debug)]
pub struct Request {
    /// The client's name for it.
    pub id: Id,
    /// What to do.
    pub method: String,
    /// With what.
    pub params: Params,
    /// Answers it.
    pub responder: Responder,
}

/// One client's connection, authenticated and greeted.
pub struct Session {
    link: Link,
    limits: Limits,
    outbox: Arc<Outbox>,
    open: Open,
    identity: PeerIdentity,
    agreed: Agreed,
}

/// What is open on a session.
#[derive(Default)]
struct Open {
    requests: BTreeMap<Id, Arc<AtomicBool>>,
    subscriptions: BTreeMap<Id, Arc<Credit>>,
}

impl Session {
    pub(super) fn new(link: Link, limits: Limits, identity: PeerIdentity, agreed: Agreed) -> Self {
        let outbox = Arc::new(Outbox::new(&limits));
        Self {
            link,
            limits,
            outbox,
            open: Open::default(),
            identity,
            agreed,
        }
    }

    /// Queues the answer to `hello`.
    pub(super) fn greet(&self, answer: String) {
        self.outbox.push(Entry {
            message: answer.into(),
            departs: Departure::Plain,
        });
    }

    /// Who the client is.
    pub fn identity(&self) -> &PeerIdentity {
        &self.identity
    }

    /// What was agreed when the connection opened.
    pub fn agreed(&self) -> &Agreed {
        &self.agreed
    }

    /// A handle to tell the client things that are no answers.
    pub fn sender(&self) -> Sender {
        Sender {
            outbox: Arc::clone(&self.outbox),
        }
    }

    /// The next thing the client sent. Sends answers and items meanwhile.
    ///
    /// Messages that are no requests are answered with an error here and never reach the caller.
    ///
    /// # Errors
    /// The end of the connection, in order or not. Afterwards publishers see [`super::PublishError::Closed`].
    ///
    /// # Cancellation
    /// Dropping the future loses nothing; call again.
    pub async fn next_request(&mut self) -> Result<Incoming, LinkError> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Sends what is queued, then closes in order. Gives up after a second.
    pub async fn close(self) {
        self.close_because(&LinkError::Abandoned).await;
    }

    pub(super) async fn close_because(mut self, end: &LinkError) {
        self.shut();
        let Self { link, outbox, .. } = &mut self;
        link.close(end, || outbox.pop().map(|entry| entry.message))
            .await;
    }

    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Incoming, LinkError>> {
        let result = self.poll_turns(cx);
        if let Poll::Ready(Err(_)) = result {
            self.shut();
        }
        result
    }

    fn poll_turns(&mut self, cx: &mut Context<'_>) -> Poll<Result<Incoming, LinkError>> {
        for _ in 0..TURN_MESSAGES {
            let Self {
                link, outbox, open, ..
            } = self;
            let polled = link.poll(cx, |cx| {
                outbox
                    .poll_pop(cx)
                    .map(|entry| entry.map(|entry| open.note(entry)))
            });
            if outbox.has_overflowed() {
                return Poll::Ready(Err(LinkError::Overflow {
                    limit: self.limits.max_queued_bytes,
                }));
            }
            // A client has nothing to say that is not text.
            let text = std::task::ready!(polled)?.text()?;
            match Frame::parse(&text, self.limits.max_depth) {
                Ok(frame) => {
                    if let Some(incoming) = self.admit(frame, text.len()) {
                        return Poll::Ready(Ok(incoming));
                    }
                }
                Err(Malformed { id, error }) => self.refuse(id.as_ref(), &error),
            }
        }
        // Messages that need no caller must not keep the other tasks of this thread waiting.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn admit(&mut self, frame: Frame, bytes: usize) -> Option<Incoming> {
        match frame {
            Frame::Request { id, method, params } => self.admit_request(id, method, params, bytes),
            Frame::Notification { method, params } => match method.as_str() {
                CANCEL => self.cancel(&params),
                CREDIT => {
                    self.grant(&params);
                    None
                }
                _ => Some(Incoming::Notification { method, params }),
            },
            Frame::Response { id, .. } => {
                self.refuse(
                    id.as_ref(),
                    &RpcError::new(code::INVALID_REQUEST, "an answer to nothing that was asked"),
                );
                None
            }
        }
    }

    fn admit_request(
        &mut self,
        id: Id,
        method: String,
        params: Params,
        bytes: usize,
    ) -> Option<Incoming> {
        let is_taken =
            self.open.requests.contains_key(&id) || self.open.subscriptions.contains_key(&id);
        let refusal = if is_taken {
            Some(RpcError::new(
                code::INVALID_REQUEST,
                format!("the id {id} is in use"),
            ))
        } else if method == hello::METHOD {
            Some(RpcError::new(
                code::INVALID_REQUEST,
                "`hello` is said once, at the start",
            ))
        } else if self.open.requests.len().max(self.open.subscriptions.len())
            >= self.limits.max_in_flight
        {
            let message = format!("more than {} requests at once", self.limits.max_in_flight);
            Some(RpcError::new(code::OVERLOADED, message))
        } else {
            None
        };
        if let Some(error) = refusal {
            self.refuse(Some(&id), &error);
            return None;
        }
        let share = match &self.limits.account {
            None => None,
            Some(account) => {
                let share = account.take(bytes);
                if share.is_none() {
                    let most = account.max_bytes();
                    let message = format!("more than {most} bytes over all connections at once");
                    self.refuse(Some(&id), &RpcError::new(code::OVERLOADED, message));
                    return None;
                }
                share
            }
        };
        let is_cancelled = Arc::new(AtomicBool::new(false));
        self.open
            .requests
            .insert(id.clone(), Arc::clone(&is_cancelled));
        let outbox = Arc::clone(&self.outbox);
        let responder = Responder::new(
            id.clone(),
            outbox,
            is_cancelled,
            self.limits.max_message_bytes,
            share,
        );
        Some(Incoming::Request(Request {
            id,
            method,
            params,
            responder,
        }))
    }

    fn cancel(&mut self, params: &Params) -> Option<Incoming> {
        let Ok(Cancel { id }) = params.parse() else {
            return None;
        };
        // Something that ended by itself at the same time is no error: the client could not know.
        if let Some(is_cancelled) = self.open.requests.get(&id) {
            is_cancelled.store(true, Ordering::Release);
        } else {
            self.open.subscriptions.get(&id)?.cancel();
        }
        Some(Incoming::Cancelled { id })
    }

    fn grant(&self, params: &Params) {
        if let Ok(Grant {
            subscription,
            items,
        }) = params.parse()
            && let Some(credit) = self.open.subscriptions.get(&subscription)
        {
            credit.grant(items);
        }
    }

    fn refuse(&self, id: Option<&Id>, error: &RpcError) {
        self.outbox.push(Entry {
            message: frame::failure(id, error).into(),
            departs: Departure::Plain,
        });
    }

    pub(super) fn shut(&mut self) {
        self.outbox.close();
        self.open
            .subscriptions
            .values()
            .for_each(|credit| credit.cancel());
        self.open
            .requests
            .values()
            .for_each(|is_cancelled| is_cancelled.store(true, Ordering::Release));
    }
}

impl Open {
    /// Notes what the departure of a message means, and yields it.
    fn note(&mut self, entry: Entry) -> Outgoing {
        match entry.departs {
            Departure::Plain => {}
            Departure::Answered(id) => {
                self.requests.remove(&id);
            }
            Departure::Opened(id, credit) => {
                // A cancellation that came while the greeting was queued met the request only.
                if self
                    .requests
                    .remove(&id)
                    .is_some_and(|is_cancelled| is_cancelled.load(Ordering::Acquire))
                {
                    credit.cancel();
                }
                self.subscriptions.insert(id, credit);
            }
            Departure::Ended(id) => {
                self.subscriptions.remove(&id);
            }
        }
        entry.message
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.shut();
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Cancel {
    id: Id,
}

#[derive(Deserialize)]
struct Grant {
    subscription: Id,
    items: u32,
}

/// The answer or the rest of a subscription is not wanted.
pub(crate) const CANCEL: &str = "$/cancel";
/// A subscription may send more.
pub(crate) const CREDIT: &str = "$/credit";
/// Messages handled in one go.
const TURN_MESSAGES: usize = 64;
