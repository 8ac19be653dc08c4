//! What listens on this machine.
//!
//! Owns: how the kernel tells it. Linux only: elsewhere nothing is seen to listen.

use std::fs;
use std::net::{IpAddr, SocketAddr};

/// Whether a program of this machine takes connections to this address: at it, or at all of them.
pub(crate) fn is_listened(wanted: SocketAddr) -> bool {
    listeners().iter().any(|at| covers(*at, wanted))
}

/// Where programs of this machine listen for TCP.
pub(crate) fn listeners() -> Vec<SocketAddr> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let tables = tables
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok());
    let listed = |table: String| {
        table
            .lines()
            .skip(1)
            .filter_map(listener)
            .collect::<Vec<_>>()
    };
    tables.flat_map(listed).collect()
}

/// Whether what listens there takes connections to the wanted address.
pub(crate) fn covers(at: SocketAddr, wanted: SocketAddr) -> bool {
    // `::` takes IPv4 too, unless it was told not to: then a container is refused, and told so by its own log.
    at.port() == wanted.port()
        && (at.ip().is_unspecified() || at.ip().to_canonical() == wanted.ip())
}

/// The address of a line of `/proc/net/tcp`, when something listens there.
fn listener(line: &str) -> Option<SocketAddr> {
    let mut columns = line.split_whitespace().skip(1);
    let (address, port) = columns.next()?.split_once(':')?;
    if columns.nth(1)? != LISTENING {
        return None;
    }
    let port = u16::from_str_radix(port, 16).ok()?;
    let words = (0..address.len() / 8)
        .map(|at| u32::from_str_radix(address.get(at * 8..at * 8 + 8)?, 16).ok());
    // Each word is in the machine's own order.
    let bytes: Vec<u8> = words
        .collect::<Option<Vec<u32>>>()?
        .into_iter()
        .flat_map(u32::to_ne_bytes)
        .collect();
    let ip = match bytes.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?),
        _ => IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?),
    };
    Some(SocketAddr::new(ip, port))
}

/// `TCP_LISTEN`, as the kernel writes it.
const LISTENING: &str = "0A";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_listens_is_read_as_the_kernel_writes_it() {
        let line = "   0: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0  0 1 1 0 100 0 0 10 0";
        let at: SocketAddr = "127.0.0.1:5432".parse().expect("an address");
        assert_eq!(listener(line), Some(at));
        assert_eq!(listener(&line.replace(" 0A ", " 01 ")), None);
        let any = "   1: 00000000000000000000000000000000:1538 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0";
        assert_eq!(
            listener(any),
            Some("[::]:5432".parse().expect("an address"))
        );
        let gateway = "172.18.0.1:5432".parse().expect("an address");
        assert!(covers(listener(any).expect("listens"), gateway));
        assert!(!covers(at, gateway));
    }

    #[test]
    fn a_listener_of_this_machine_is_seen() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let at = socket.local_addr().expect("an address");
        assert!(is_listened(at));
        drop(socket);
        assert!(!is_listened(at));
    }
}
