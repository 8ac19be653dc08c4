//! What is found out and made on hosts before something there is launched.
//!
//! Owns: the contract between the supervisor, which knows what is needed, and whoever reaches the hosts. Decides on no way:
//! the registry does.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use service_registry::Sight;

use super::LaunchError;
use super::remote::HostCall;
use crate::spec::Protocol;

/// Connections on loopback of one host, carried to an address as another host sees it. An absent host is this machine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Passage {
    /// Where those are who connect.
    pub from: Option<HostCall>,
    /// Whose address it is.
    pub to: Option<HostCall>,
    /// The address.
    pub target: SocketAddr,
}

/// A passage that an attempt needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// The attempt that does.
    pub instance_id: String,
    /// From where to where.
    pub passage: Passage,
    /// Where it listens, on loopback of the first host.
    pub listen: SocketAddr,
}

/// Reaches hosts, and makes ways between them.
#[async_trait]
pub trait Carrier: Send + Sync + fmt::Debug {
    /// Whether one host reaches another at one of these addresses, found by connecting.
    ///
    /// # Errors
    /// [`LaunchError::Unreachable`] while one of the two cannot be asked.
    async fn look(
        &self,
        from: Option<&HostCall>,
        to: Option<&HostCall>,
        at: &[IpAddr],
    ) -> Result<Sight, LaunchError>;

    /// A port that nothing listens on there, and that is none of these.
    ///
    /// # Errors
    /// [`LaunchError::Unreachable`] while the host cannot be asked.
    async fn free_port(
        &self,
        host: &HostCall,
        protocol: Protocol,
        taken: &[u16],
    ) -> Result<u16, LaunchError>;

    /// Carries for an attempt until it is told otherwise, also over a lost connection and the end of this process. Several
    /// attempts share one way.
    ///
    /// # Errors
    /// [`LaunchError::Unreachable`] while one of the hosts cannot be reached; [`LaunchError::NotRunnable`] when the host
    /// refuses to carry.
    async fn carry(&self, instance_id: &str, passage: &Passage) -> Result<SocketAddr, LaunchError>;

    /// What was carried when this process began, and is again.
    async fn resume(&self) -> Vec<Carried>;

    /// This attempt needs none of its ways any more.
    async fn release(&self, instance_id: &str);
}
