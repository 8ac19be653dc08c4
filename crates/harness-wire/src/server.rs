//! The server's end: accepting a connection, then requests in and answers out.
//!
//! Owns: nothing itself; see [`Acceptor`] for the way in and [`Session`] for what follows.

mod acceptor;
mod outbox;
mod responder;
mod serve;
mod session;

pub use acceptor::{AcceptError, Acceptor, HelloError, Refusal};
pub(crate) use acceptor::{PATH, SUBPROTOCOL};
pub(crate) use responder::{END, EVENT};
pub use responder::{PublishError, Publisher, Responder, Sender};
pub(crate) use session::{CANCEL, CREDIT};
pub use session::{Incoming, Request, Session};
