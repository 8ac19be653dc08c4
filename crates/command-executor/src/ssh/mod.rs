//! Other hosts, by the OpenSSH client.
//!
//! Which host it is, how the client is configured for it, what its failures mean, and how a command is carried there.

mod config;
mod connection;
mod error;
mod host;
mod layer;
mod leftover;
mod line;

pub(crate) use connection::Direction;
pub use connection::SshConnection;
pub use error::SshError;
pub use host::{SshHost, SshHostError};
pub use layer::{SshForward, SshLayer};
pub use leftover::close_below;
