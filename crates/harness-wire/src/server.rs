//! The server's end: accepting a connection, then requests in and answers out.
//!
//! Owns: nothing itself; see [`Acceptor`] for the way in and [`Session`] for what follows.

mod acceptor;
mod greeting;
mod outbox;
mod responder;
mod serve;
mod session;
mod upgrade;
mod visitor;

pub use acceptor::{AcceptError, Acceptor};
pub use greeting::HelloError;
pub(crate) use responder::{END, EVENT};
pub use responder::{PublishError, Publisher, Responder, Sender};
pub(crate) use session::{CANCEL, CREDIT};
pub use session::{Incoming, Request, Session};
pub use upgrade::Refusal;
pub(crate) use upgrade::{PATH, SUBPROTOCOL};
pub use visitor::{Applicant, Arrival, Visitor};
