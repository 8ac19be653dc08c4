//! The meshes of a stack, as their hosts tell.
//!
//! Owns: the shape of `net status -o json` and `net rotate -o json`. No key that is kept secret has a place in it.

use std::net::{IpAddr, SocketAddr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::spec::StackName;

/// The meshes that join hosts of a stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetStatus {
    /// [`SCHEMA_VERSION`](super::SCHEMA_VERSION).
    pub schema_version: u32,
    /// The stack.
    pub stack: StackName,
    /// One for each network of which hosts are joined, and those of other stacks that it shares.
    pub meshes: Vec<MeshStatus>,
}

/// One mesh.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeshStatus {
    /// The network of the stack file.
    pub network: String,
    /// The stack whose network it is: another one may share it.
    pub stack: StackName,
    /// Where its addresses come from; null before that is settled.
    pub subnet: Option<String>,
    /// Who is joined.
    pub pairs: Vec<MeshPairStatus>,
    /// The hosts on which something of it is.
    pub hosts: Vec<MeshHostStatus>,
}

/// Two hosts that it joins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeshPairStatus {
    /// Both.
    pub hosts: [String; 2],
    /// Who carries for them; null where a tunnel leads from one to the other.
    pub relay: Option<String>,
    /// The stacks that need it.
    pub stacks: Vec<StackName>,
}

/// A host of a mesh.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeshHostStatus {
    /// Which host; `local` is the machine of the daemon.
    pub host: String,
    /// Its address on the mesh.
    pub address: Option<IpAddr>,
    /// What moves its packets: `kernel` or `userspace` (`wireguard-go`); null when it could not be asked.
    pub implementation: Option<String>,
    /// The name that its interface has, or should have, there; null when it could not be asked.
    pub interface: Option<String>,
    /// The UDP port that it listens on; null when it could not be asked.
    pub port: Option<u16>,
    /// Its public key; null when it could not be asked.
    pub key: Option<String>,
    /// The public key that it is going to use, while its key is changed.
    pub next_key: Option<String>,
    /// Why nothing is known of it now.
    pub problem: Option<String>,
    /// Those that it talks to.
    pub peers: Vec<MeshPeerStatus>,
}

/// Whom a host of a mesh talks to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeshPeerStatus {
    /// Which host; null when none of the mesh has its key now.
    pub host: Option<String>,
    /// Where it was last heard from, or is to be found.
    pub endpoint: Option<SocketAddr>,
    /// When both last agreed on a key, by the clock of the host; null when they never did.
    pub handshake_at: Option<DateTime<Utc>>,
    /// Bytes received from it.
    pub received: u64,
    /// Bytes sent to it.
    pub sent: u64,
}

/// What came of a change of keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// The hosts that have a new key, in force everywhere.
    pub turned: Vec<String>,
    /// The hosts that are to have one, and what is waited for. It goes on by itself.
    pub waiting: Vec<RotationHeld>,
    /// The hosts that keep theirs, and why.
    pub kept: Vec<RotationHeld>,
}

/// A host that has no new key now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationHeld {
    /// Which host.
    pub host: String,
    /// Why.
    pub reason: String,
}
