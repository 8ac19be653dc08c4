//! The client: finds the daemon, brings it up where it may, and asks.
//!
//! Owns: the connection of one client, and its replacement when it breaks. Never reads a stack file and never prints:
//! the CLI does. A client lives inside the futures that use it: there is no task and no thread of its own, so nothing
//! moves (and the daemon hears no sign of life) between calls. A connection that was lost meanwhile is made anew.

mod calls;
mod connect;
mod connection;
mod error;
mod events;
mod input;
mod launch;
mod logs;
mod recover;
mod registration;
mod registry;
mod remote;
mod replace;

pub(crate) use connect::LOCAL_CLIENT;
pub use connect::{HarnessClient, is_running};
pub use error::{ClientError, ConnectError};
pub use events::EventStream;
pub use input::TaskInput;
pub use launch::{AutoStart, DaemonProgram, LaunchError, daemon_log, ensure_daemon};
pub use logs::LogStreamReader;
pub use registration::{Registration, RegistrationError};
pub use registry::RegistryWatch;
pub use remote::{EnrolError, Remote};
pub use replace::{ReplaceError, Replaced, replace_daemon, until_gone};
