//! What an interface says of itself.
//!
//! Owns: reading `wg show IF dump`. It begins with the private key, which is left out before it leaves the host.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use service_registry::mesh::PublicKey;

/// What moves the packets of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Implementation {
    /// The kernel.
    Kernel,
    /// `wireguard-go`, in a process of its own: the kernel has none.
    Userspace,
}

/// The interface of a host, as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceStatus {
    /// What moves its packets.
    pub implementation: Implementation,
    /// Its public key.
    pub key: PublicKey,
    /// The UDP port that it listens on.
    pub port: u16,
    /// Those that it talks to.
    pub peers: BTreeMap<PublicKey, PeerStatus>,
}

/// A peer of an interface, as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    /// Where it was last heard from, or is to be found.
    pub endpoint: Option<SocketAddr>,
    /// When both last agreed on a key, in seconds since 1970 by the clock of the host; `None` when they never did.
    pub handshake: Option<u64>,
    /// Bytes received from it.
    pub received: u64,
    /// Bytes sent to it.
    pub sent: u64,
}

/// Reads what the script says: the implementation, then `wg`'s lines without private and shared keys.
pub(crate) fn parse(text: &str) -> Option<InterfaceStatus> {
    let mut lines = text.lines();
    let implementation = implementation(lines.next()?)?;
    let mut own = lines.next()?.split('\t');
    let key = own.next()?.parse().ok()?;
    let port = own.next()?.parse().ok()?;
    let peers = lines.map(peer).collect::<Option<_>>()?;
    Some(InterfaceStatus {
        implementation,
        key,
        port,
        peers,
    })
}

pub(crate) fn implementation(word: &str) -> Option<Implementation> {
    match word.trim() {
        "kernel" => Some(Implementation::Kernel),
        "userspace" => Some(Implementation::Userspace),
        _ => None,
    }
}

fn peer(line: &str) -> Option<(PublicKey, PeerStatus)> {
    let mut fields = line.split('\t');
    let key = fields.next()?.parse().ok()?;
    let endpoint = fields.next()?.parse().ok();
    let handshake: u64 = fields.next()?.parse().ok()?;
    let received = fields.next()?.parse().ok()?;
    let sent = fields.next()?.parse().ok()?;
    let handshake = (handshake > 0).then_some(handshake);
    Some((
        key,
        PeerStatus {
            endpoint,
            handshake,
            received,
            sent,
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wg_says_is_read() {
        let (a, b, c) = (
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA=",
            "CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCA=",
        );
        let text = format!(
            "userspace\n{a}\t51820\n{b}\t192.0.2.2:51820\t1700000000\t92\t180\n{c}\t(none)\t0\t0\t148\n"
        );
        let status = parse(&text).expect("a status");
        assert_eq!(status.implementation, Implementation::Userspace);
        assert_eq!((status.key.to_string(), status.port), (a.to_owned(), 51820));
        let peer = |key: &str| &status.peers[&key.parse().expect("a key")];
        assert_eq!(peer(b).handshake, Some(1_700_000_000));
        assert_eq!((peer(b).received, peer(b).sent), (92, 180));
        assert_eq!((peer(c).endpoint, peer(c).handshake), (None, None));
        for broken in [
            "",
            "kernel",
            "magic\nx\t1",
            "kernel\nx\t1",
            "kernel\nA=\t70000",
        ] {
            assert_eq!(parse(broken), None, "{broken}");
        }
    }
}
