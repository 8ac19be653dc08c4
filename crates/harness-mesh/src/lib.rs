//! A planned WireGuard mesh, carried out on its hosts.
//!
//! Owns: the interface of each host of a mesh, its private key there, and what may pass it. Decides nothing: who is joined with
//! whom is the plan of [`service_registry::mesh`]. Works under any async runtime, over the agents of
//! [`command_executor::agent`]; needs root, `ip` and `wg` on each host, and the kernel's WireGuard or `wireguard-go`.
//!
//! Private keys are made on the host that uses them, and never leave it. What two hosts share beside their keys is made from
//! a [`MeshSecret`], and reaches them over the connections to their agents, in no argument and no file.
//!
//! Start reading at [`MeshNode`] for one host, at [`carry_out`] for all of them. See ADR 034.

mod carry_out;
mod config;
mod error;
mod name;
mod node;
mod run;
mod script;
mod secret;
mod status;

pub use carry_out::{Carried, carry_out};
pub use error::{Lack, NodeError};
pub use name::InterfaceName;
pub use node::MeshNode;
pub use secret::{MeshSecret, SecretError};
pub use status::{Implementation, InterfaceStatus, PeerStatus};
