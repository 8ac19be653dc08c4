//! Places: where something runs, as far as addresses are concerned.
//!
//! Owns: the kinds of place. How one is reached from another is [`crate::route()`]'s business.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

/// A machine, by a name that is stable while the daemon lives.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(String);

impl HostId {
    /// The machine of this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The machine that the daemon itself runs on.
    pub fn local() -> Self {
        Self::new("local")
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Where something runs. Nodes of a LAN and peers of a mesh are hosts: what joins them is the topology's business.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Place {
    /// Directly on a machine, in its own network namespace.
    Host(HostId),
    /// In a container, in a network namespace of its own.
    Container {
        /// The machine whose engine runs it.
        host: HostId,
        /// The engine's networks that it is on, by name. The first is the one that it leaves by.
        networks: BTreeMap<String, Attachment>,
    },
}

/// One end of a container's network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attachment {
    /// The container's own address; unknown before it runs.
    pub ip: Option<IpAddr>,
    /// The address at which it reaches its machine.
    pub gateway: Option<IpAddr>,
}

impl Place {
    /// Directly on the daemon's machine.
    pub fn local() -> Self {
        Self::Host(HostId::local())
    }

    /// The machine.
    pub fn host(&self) -> &HostId {
        match self {
            Self::Host(host) | Self::Container { host, .. } => host,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => write!(f, "host {host}"),
            Self::Container { host, networks } => {
                f.write_str("a container")?;
                let mut before = " on ";
                for network in networks.keys() {
                    write!(f, "{before}{network}")?;
                    before = ", ";
                }
                write!(f, " of host {host}")
            }
        }
    }
}
