//! How programs of this workspace talk: JSON-RPC 2.0 over WebSocket over TLS 1.3, both sides authenticated.
//!
//! Owns: the keys and certificates of an installation ([`pki`]), the TLS settings ([`tls`]), the frames ([`frame`]),
//! the server's end of a connection ([`server`]) and the client's ([`client`]). Never knows what a method means, never
//! spawns a task, and needs no particular runtime: futures are handed to the caller, timers and sockets are `async-io`'s.
//!
//! # What is on the wire
//!
//! One WebSocket text message holds one JSON-RPC 2.0 object; batches are refused. The connection begins with the
//! request `hello` (see [`hello`]); nothing else is accepted before it. Beyond plain JSON-RPC there are four
//! notifications, all named with a leading `$/`:
//!
//! | method | from | params | meaning |
//! |---|---|---|---|
//! | `$/cancel` | client | `{"id"}` | the answer to this request, or the rest of this subscription, is no longer wanted |
//! | `$/credit` | client | `{"subscription","items"}` | the subscription may send this many more items |
//! | `$/event` | server | `{"subscription","item"}` | one item of a subscription |
//! | `$/end` | server | `{"subscription","error"?}` | the subscription is over, in order or with an error |
//!
//! A binary message holds a `$/event` and bytes that belong to it: the bytes, then the text of the event, then the length
//! of that text as four bytes, little endian. Only methods that say so send them, and only to who has called them; a
//! client never sends one. They cost more credit the more bytes they are ([`limits::BYTES_PER_CREDIT`]).
//!
//! A subscription is named by the id of the request that opened it. It starts with
//! [`limits::INITIAL_CREDIT`] items of credit, so a slow reader of one subscription never holds up the other traffic.
//! Error codes are listed in [`error::code`].

mod account;
pub mod client;
pub mod enrol;
pub mod error;
pub mod frame;
pub mod hello;
pub mod identity;
pub mod limits;
mod link;
pub mod pki;
pub mod server;
pub mod tls;

pub use account::Account;
pub use bytes::Bytes;
pub use client::{
    CallError, Client, ConnectError, ConnectOptions, ConnectStep, Driver, Subscription,
    SubscriptionError,
};
pub use error::{RpcError, code};
pub use frame::{Id, Params};
pub use hello::{Agreed, Hello, VersionRange};
pub use identity::{PeerIdentity, Role};
pub use limits::Limits;
pub use link::LinkError;
pub use pki::{CertificateRequest, Life, Pki, PkiError, PrivateDirectory, ServerNames};
pub use server::{
    AcceptError, Acceptor, Applicant, Arrival, Incoming, PublishError, Publisher, Refusal, Request,
    Responder, Sender, Session, Visitor,
};
pub use tls::{ClientTls, ServerTls};
