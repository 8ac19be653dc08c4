//! What is known of the network between the hosts.
//!
//! Start reading at [`HostNet`] (one host), then [`Topology`] (all of them, and what joins them).

mod host;
mod interface;
mod state;

pub use host::{DefaultRoute, HostNet, Sight};
pub use interface::{Interface, InterfaceAddress, InterfaceKind};
pub(crate) use state::Way;
pub use state::{Detour, Topology};
