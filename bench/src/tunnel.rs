//! A WireGuard tunnel between two hosts as somebody makes it by hand, with `wireguard-go`.
//!
//! Owns: what is typed for it. It goes with its hosts.

use crate::failure::Failure;
use crate::hosts::Hosts;

/// Makes one that `from` opens to `to`; the address of `to` in it.
///
/// # Errors
/// When a host lacks something for it.
pub fn by_hand(hosts: &Hosts, from: &str, to: &str) -> Result<String, Failure> {
    let key = "umask 077; mkdir -p /root/by-hand; wg genkey >/root/by-hand/key; wg pubkey </root/by-hand/key";
    let (own, other) = (hosts.sh(from, key)?, hosts.sh(to, key)?);
    let end = |own: &str, peer: &str, peer_at: &str, endpoint: &str| {
        format!(
            "LOG_LEVEL=error setsid wireguard-go {INTERFACE} </dev/null >/dev/null 2>&1; \
             wg set {INTERFACE} listen-port {PORT} private-key /root/by-hand/key peer {peer} allowed-ips {peer_at}/32 {endpoint} && \
             ip address add {own}/32 dev {INTERFACE} && ip link set {INTERFACE} mtu 1420 up && ip route add {peer_at}/32 dev {INTERFACE}"
        )
    };
    hosts.sh(to, &end(TO, &own, FROM, ""))?;
    let endpoint = format!(
        "endpoint {}:{PORT} persistent-keepalive 25",
        hosts.address(to)?
    );
    hosts.sh(from, &end(FROM, &other, TO, &endpoint))?;
    Ok(TO.to_owned())
}

const INTERFACE: &str = "byhand0";
const PORT: u16 = 41820;
/// Addresses that no mesh of ours is given: ours are of 10.0.0.0/8.
const FROM: &str = "172.30.255.1";
const TO: &str = "172.30.255.2";
