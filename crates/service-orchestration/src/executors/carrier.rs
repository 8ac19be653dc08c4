//! What is found out and made on hosts before something there is launched.
//!
//! Owns: the contract between the supervisor, which knows what is needed, and whoever reaches the hosts. Decides on no way:
//! the registry does.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use service_registry::mesh::Pair;
use service_registry::{HostId, Network, Sight};

use super::LaunchError;
use super::remote::HostCall;
use crate::report::{MeshStatus, Rotation};
use crate::spec::{Protocol, StackName};

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

/// Two hosts that a mesh shall join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeshCall {
    /// The stack that needs it.
    pub stack: StackName,
    /// The network of the stack that they are on.
    pub network: String,
    /// The addresses of that, where its file says so.
    pub subnet: Option<Network>,
    /// Both.
    pub pair: Pair,
    /// All hosts of the stack that are on the network.
    pub hosts: BTreeMap<HostId, MeshHost>,
}

/// A host that can be part of a mesh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeshHost {
    /// How it is reached; none for this machine.
    pub call: Option<HostCall>,
    /// Whether it may carry for others, whose traffic it could read then.
    pub may_relay: bool,
}

/// What came of joining two hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Joining {
    /// They are, at these addresses.
    Joined([(HostId, IpAddr); 2]),
    /// They are not, for this reason; something else has to lead from one to the other.
    Apart(String),
}

/// Two hosts that a mesh joins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeshPair {
    /// Both, with their addresses on it.
    pub ends: [(HostId, IpAddr); 2],
    /// The stacks that need it.
    pub stacks: BTreeSet<StackName>,
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

    /// Joins two hosts by a mesh until their stack is forgotten, also over the end of this process. Those that are joined
    /// already, whoever asked for it, are the stack's, too.
    ///
    /// # Errors
    /// [`LaunchError::Unreachable`] while one of the two cannot be asked; [`LaunchError::NotRunnable`] when the network cannot
    /// be what its file says.
    async fn join(&self, call: &MeshCall) -> Result<Joining, LaunchError>;

    /// Who was joined when this process began. Their hosts are made sure of from then on.
    async fn joined(&self) -> Vec<MeshPair>;

    /// The meshes that this stack needs, as their hosts tell. One that cannot be asked is listed with the reason.
    async fn meshes(&self, stack: &StackName) -> Vec<MeshStatus>;

    /// Gives every host of the meshes that this stack needs a new key, without parting those that are joined. What could not
    /// be done because a host was away is done once it is back, also by the next process.
    ///
    /// # Cancellation
    /// It goes on.
    async fn rotate(&self, stack: &StackName) -> Rotation;
}
