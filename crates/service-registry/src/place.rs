//! Places: where something runs, as far as addresses are concerned.
//!
//! Owns: the kinds of place. How one is reached from another is [`crate::route()`]'s business.

use std::fmt;

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

/// Where something runs. Containers, LAN nodes and mesh peers become variants of their own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Place {
    /// Directly on a machine, in its own network namespace.
    Host(HostId),
}

impl Place {
    /// Directly on the daemon's machine.
    pub fn local() -> Self {
        Self::Host(HostId::local())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => write!(f, "host {host}"),
        }
    }
}
