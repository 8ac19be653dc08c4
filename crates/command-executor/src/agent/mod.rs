//! Other hosts, by the agent that serves us there.
//!
//! Owns: our end of the connection to a [`service_shim::agent`]: its streams, and finding a new connection when it is lost.
//! Never decides what is started there. Start reading at [`HostLink`] for the host, at [`AgentLink`] for one connection.

mod carry;
mod choice;
mod connect;
mod error;
mod follow;
mod forward;
mod host;
mod link;
mod put;
mod requests;
mod sh;
mod ssh;
mod stream;
mod upload;

pub use choice::{HostAgent, Runner};
pub use connect::{AgentPipes, Connector, LocalAgent};
pub use error::{ConnectError, LinkError, RequestError};
pub use follow::{LogRecords, RunningCommand};
pub use forward::{Forwarding, HostForward};
pub(crate) use host::START_VALIDITY;
pub use host::{HostLink, HostState};
pub use link::AgentLink;
pub use put::{PutError, PutFile};
pub(crate) use requests::{RemoteSight, carried};
pub use sh::ShAgent;
pub use ssh::SshAgent;
pub use stream::{AgentStream, StreamError};
