//! The client's end: connecting, calls, subscriptions.
//!
//! Owns: nothing itself; see [`Client::connect`] for the way in, [`Client`] for what can be asked, [`Driver`] for what
//! moves the bytes.

mod connect;
mod driver;
mod handle;
mod subscription;

pub(crate) use connect::host;
pub use connect::{ConnectError, ConnectOptions, ConnectStep};
pub use driver::Driver;
pub use handle::{CallError, Client};
pub use subscription::{Subscription, SubscriptionError};
