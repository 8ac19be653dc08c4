//! The configuration of an interface, as the programs on a host read it.
//!
//! Owns: the form of `wg`'s peers, and the words for routes and for what is carried. It has keys that two hosts share, and goes
//! through a pipe only.

use std::fmt::Write;
use std::net::IpAddr;

use service_registry::mesh::{InterfacePlan, Pair, PeerPlan};
use service_registry::{HostId, Network};
use zeroize::Zeroizing;

use crate::secret::MeshSecret;

/// The peers of a host, as `wg syncconf` reads them.
pub(crate) fn peers(host: &HostId, plan: &InterfacePlan, secret: &MeshSecret) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::new());
    for (key, peer) in &plan.peers {
        // Writing to a text does not fail.
        let _ = write!(text, "[Peer]\nPublicKey = {key}\n");
        if let Some(pair) = Pair::new(host.clone(), peer.host.clone()) {
            let shared = secret.preshared(&pair);
            let _ = writeln!(text, "PresharedKey = {}", *shared);
        }
        if !peer.allowed.is_empty() {
            let _ = writeln!(text, "AllowedIPs = {}", words(&peer.allowed, ", "));
        }
        if let Some(endpoint) = peer.endpoint {
            let _ = writeln!(text, "Endpoint = {endpoint}");
        }
        // One that has it no more is told so.
        let keepalive = peer.keepalive.map_or(0, |every| every.as_secs());
        let _ = writeln!(text, "PersistentKeepalive = {keepalive}");
    }
    text
}

/// The single addresses that lead through the interface.
pub(crate) fn routes(plan: &InterfacePlan) -> String {
    let allowed = |peer: &PeerPlan| peer.allowed.clone();
    let all: std::collections::BTreeSet<Network> = plan.peers.values().flat_map(allowed).collect();
    words(&all, " ")
}

/// From whom to whom something is carried, `from>to` each.
pub(crate) fn carried(plan: &InterfacePlan) -> String {
    let way = |(from, to): &(IpAddr, IpAddr)| format!("{from}>{to}");
    plan.carries.iter().map(way).collect::<Vec<_>>().join(" ")
}

fn words<'a>(all: impl IntoIterator<Item = &'a Network>, between: &str) -> String {
    let all: Vec<String> = all.into_iter().map(Network::to_string).collect();
    all.join(between)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::time::Duration;

    use service_registry::mesh::PublicKey;

    use super::*;

    fn key(of: char) -> PublicKey {
        let text = format!("{}=", of.to_string().repeat(42) + "A");
        text.parse().expect("a key")
    }

    fn one(address: &str) -> Network {
        Network::of_one(address.parse().expect("an address"))
    }

    fn plan() -> InterfacePlan {
        let peer = |host, allowed: &[&str], endpoint: Option<&str>, keepalive| PeerPlan {
            host: HostId::new(host),
            allowed: allowed.iter().map(|address| one(address)).collect(),
            endpoint: endpoint.map(|endpoint| endpoint.parse().expect("an endpoint")),
            keepalive,
        };
        let often = Some(Duration::from_secs(25));
        InterfacePlan {
            address: one("10.42.0.1"),
            key: key('A'),
            port: 51820.try_into().expect("not 0"),
            peers: BTreeMap::from([
                (
                    key('B'),
                    peer(
                        "b",
                        &["10.42.0.2", "10.42.0.3"],
                        Some("192.0.2.2:51820"),
                        often,
                    ),
                ),
                (key('C'), peer("c", &["fd00::4"], None, None)),
                (key('D'), peer("c", &[], None, None)),
            ]),
            carries: BTreeSet::from([(
                "10.42.0.2".parse().expect("an address"),
                "10.42.0.3".parse().expect("an address"),
            )]),
        }
    }

    #[test]
    fn peers_are_said_as_wg_reads_them() {
        let secret = MeshSecret::from_bytes(&[7; 32]).expect("32 bytes");
        let text = peers(&HostId::new("a"), &plan(), &secret);
        let shared: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("Preshared"))
            .collect();
        assert_eq!(shared.len(), 3);
        assert_eq!(shared[1], shared[2], "two keys of one host");
        assert_ne!(shared[0], shared[1]);
        let rest: Vec<&str> = text
            .lines()
            .filter(|line| !line.starts_with("Preshared"))
            .collect();
        assert_eq!(
            rest,
            [
                "[Peer]",
                "PublicKey = BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA=",
                "AllowedIPs = 10.42.0.2/32, 10.42.0.3/32",
                "Endpoint = 192.0.2.2:51820",
                "PersistentKeepalive = 25",
                "[Peer]",
                "PublicKey = CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCA=",
                "AllowedIPs = fd00::4/128",
                "PersistentKeepalive = 0",
                "[Peer]",
                "PublicKey = DDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDA=",
                "PersistentKeepalive = 0",
            ]
        );
    }

    #[test]
    fn routes_and_ways_are_single_addresses() {
        assert_eq!(routes(&plan()), "10.42.0.2/32 10.42.0.3/32 fd00::4/128");
        assert_eq!(carried(&plan()), "10.42.0.2>10.42.0.3");
    }
}
