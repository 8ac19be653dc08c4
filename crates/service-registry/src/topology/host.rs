//! What is known of the network of one host.
//!
//! Owns: the facts, as somebody has found them there. Draws no conclusion from them but which addresses the host has.

use std::net::IpAddr;

use super::interface::{Interface, InterfaceKind};
use crate::{HostId, Network};

/// Where a host sends what is for none of its networks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DefaultRoute {
    /// By which of its interfaces.
    pub interface: String,
    /// To which router, where there is one.
    pub gateway: Option<IpAddr>,
}

/// The network of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostNet {
    /// Its interfaces.
    pub interfaces: Vec<Interface>,
    /// Where the rest goes; `None` when it reaches its own networks only.
    pub default_route: Option<DefaultRoute>,
    /// Whether its router hides its address: it gets out, and nobody gets in.
    pub is_behind_nat: bool,
    /// The host over which SSH gets there, when it does not by itself.
    pub jump: Option<HostId>,
}

/// What came of one host trying to connect to another. It goes before what the facts suggest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// It is there, at this address.
    Answers(IpAddr),
    /// It does not answer, at any of its addresses.
    Silent,
}

impl HostNet {
    /// The networks that other machines are on too.
    pub(super) fn outward_networks(&self) -> impl Iterator<Item = Network> {
        self.outward()
            .map(|(ip, prefix)| Network::around(ip, prefix))
    }

    /// Its addresses there, with the prefixes of the networks.
    pub(super) fn outward(&self) -> impl Iterator<Item = (IpAddr, u8)> {
        let outward = |interface: &&Interface| interface.kind == InterfaceKind::Outward;
        let addresses = self.interfaces.iter().filter(outward);
        let addresses = addresses.flat_map(|interface| &interface.addresses);
        addresses
            .map(|address| (address.ip, address.prefix))
            .filter(|(ip, _)| !is_link_local(*ip))
    }
}

/// Whether an address means another machine on every link, so that it leads nowhere by itself.
fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_loopback(),
        IpAddr::V6(ip) => ip.is_unicast_link_local() || ip.is_loopback(),
    }
}

/// Whether an address is the same machine for everybody.
pub(super) fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [first, second, ..] = ip.octets();
            let is_carriers = first == 100 && (64..128).contains(&second);
            let is_reserved = first == 0 || first >= 224;
            !(ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_documentation()
                || is_carriers
                || is_reserved)
        }
        // 2000::/3 is what is given to machines, without what books use.
        IpAddr::V6(ip) => {
            let [first, second, ..] = ip.segments();
            first >> 13 == 1 && !(first == 0x2001 && second == 0x0db8)
        }
    }
}
