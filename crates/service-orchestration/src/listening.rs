//! What listens on this machine.
//!
//! Owns: how the kernel tells it. Linux only: elsewhere nothing is seen to listen.

use std::collections::BTreeSet;
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

/// A program that listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    pub(crate) pid: u32,
    pub(crate) name: String,
    /// Stack and unit, where it says that it is one.
    pub(crate) unit: Option<(String, String)>,
}

/// The program that listens for TCP at a port, where we may know it: our own user's; of anybody, when we are root.
pub(crate) fn program_at(port: u16) -> Option<Program> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(fs::read_to_string);
    let sockets: BTreeSet<String> = tables
        .iter()
        .flatten()
        .flat_map(|table| table.lines().skip(1))
        .filter(|line| listener(line).is_some_and(|at| at.port() == port))
        .filter_map(|line| Some(format!("socket:[{}]", line.split_whitespace().nth(INODE)?)))
        .collect();
    let entries = fs::read_dir("/proc").ok()?.flatten();
    let mut pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let holder = pids.find(|pid| {
        let open = fs::read_dir(format!("/proc/{pid}/fd"));
        let mut open = open.into_iter().flatten().flatten();
        open.any(|file| {
            let target = fs::read_link(file.path()).ok();
            target.is_some_and(|target| target.to_str().is_some_and(|at| sockets.contains(at)))
        })
    })?;
    let name = fs::read_to_string(format!("/proc/{holder}/comm")).ok()?;
    Some(Program {
        pid: holder,
        name: name.trim().to_owned(),
        unit: unit_of(holder),
    })
}

fn unit_of(pid: u32) -> Option<(String, String)> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let environment = String::from_utf8_lossy(&environment);
    let value = |name: &str| {
        let mut entries = environment.split('\0');
        let found = entries.find_map(|entry| entry.strip_prefix(name)?.strip_prefix('='));
        found.map(str::to_owned)
    };
    Some((value("HARNESS_STACK")?, value("HARNESS_SERVICE")?))
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

/// The column of a socket's number.
const INODE: usize = 9;

/// `TCP_LISTEN`, as the kernel writes it.
const LISTENING: &str = "0A";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_is_known_by_its_socket() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let found = program_at(port).expect("this very process");
        assert_eq!(found.pid, std::process::id());
        drop(listener);
        assert_eq!(program_at(port), None);
    }

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
