//! The ends of a host's networks, as they were found on it.
//!
//! Owns: what is known of an interface. Found by whoever can look at the host; nothing is found here.

use std::net::IpAddr;

use crate::Network;

/// A network interface of a host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interface {
    /// Its name on the host.
    pub name: String,
    /// What it leads to.
    pub kind: InterfaceKind,
    /// Its addresses.
    pub addresses: Vec<InterfaceAddress>,
}

/// What an interface leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum InterfaceKind {
    /// A network that other machines are on.
    Outward,
    /// The host itself: loopback, or the bridge of an engine. Another host's may have the same network, and is another.
    Inward,
    /// Some tunnel, of which is not known who is on it.
    Tunnel,
}

/// An address of an interface, and the network that it reaches without a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InterfaceAddress {
    /// The address.
    pub ip: IpAddr,
    /// How many leading bits the addresses beside it share with it.
    pub prefix: u8,
}

impl InterfaceAddress {
    /// Its network.
    pub fn network(&self) -> Network {
        Network::around(self.ip, self.prefix)
    }
}
