//! What a host is, from what its shell says of it.
//!
//! Owns: the reading of that. Pure. What cannot be found out is left empty.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use service_shim::agent::protocol::{Facts, Interface, Route};

use super::reply::Reply;

/// From the answer to `facts`.
pub(super) fn read(reply: &Reply) -> Facts {
    Facts {
        hostname: reply.one("hostname").unwrap_or_default(),
        kernel: reply.one("kernel").unwrap_or_default(),
        interfaces: interfaces(reply),
        routes: reply.all("route").filter_map(|line| route(&line)).collect(),
        cgroup2: reply.one("cgroup2").is_some(),
        wireguard: reply.one("wireguard").is_some(),
        programs: reply.all("program").collect(),
        engines: reply.all("engine").map(PathBuf::from).collect(),
        processors: reply
            .number("processors")
            .and_then(|count| u32::try_from(count).ok())
            .unwrap_or(1)
            .max(1),
        memory_bytes: reply
            .number("memory")
            .unwrap_or_default()
            .saturating_mul(1024),
    }
}

/// A port that nothing listens on or uses, of a table like `/proc/net/tcp`, and none of those that are taken. `seed` is where it
/// is begun to look, so that two who look at once seldom find the same.
pub(super) fn free_port(table: &str, taken: &[u16], seed: u64) -> Option<u16> {
    let used = table.lines().filter_map(|line| {
        let local = line.split_whitespace().nth(1)?;
        u16::from_str_radix(local.rsplit(':').next()?, 16).ok()
    });
    let used: Vec<u16> = used.collect();
    let count = u64::from(LAST_PORT - FIRST_PORT) + 1;
    let begin = seed % count;
    let mut ports = (0..count).filter_map(|step| {
        let offset = u16::try_from((begin + step) % count).ok()?;
        Some(FIRST_PORT + offset)
    });
    ports.find(|port| !used.contains(port) && !taken.contains(port))
}

fn interfaces(reply: &Reply) -> Vec<Interface> {
    let mut found: BTreeMap<String, Interface> = BTreeMap::new();
    for line in reply.all("interface") {
        let Some((name, flags)) = line.split_once(' ') else {
            continue;
        };
        let flags = u32::from_str_radix(flags.trim_start_matches("0x"), 16);
        let interface = Interface {
            name: name.to_owned(),
            up: flags.is_ok_and(|flags| flags & IFF_UP != 0),
            addresses: Vec::new(),
        };
        found.insert(name.to_owned(), interface);
    }
    for line in reply.all("address") {
        if let Some((name, address)) = address(&line)
            && let Some(interface) = found.get_mut(&name)
        {
            interface.addresses.push(address);
        }
    }
    found.into_values().collect()
}

/// A line of `ip -o addr`: number, name, family, address.
fn address(line: &str) -> Option<(String, (IpAddr, u8))> {
    let mut fields = line.split_whitespace().skip(1);
    let name = fields.next()?.trim_end_matches(':');
    // Of a pair of virtual interfaces, the other one stands behind it.
    let name = name.split('@').next()?.to_owned();
    fields.next().filter(|family| family.starts_with("inet"))?;
    let (address, prefix) = fields.next()?.split_once('/')?;
    Some((name, (address.parse().ok()?, prefix.parse().ok()?)))
}

/// A line of `/proc/net/route`: numbers in hexadecimal, in the order of bytes of the machine, which is taken for ours.
fn route(line: &str) -> Option<Route> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let number = |at: usize| u32::from_str_radix(fields.get(at)?, 16).ok();
    let address = |number: u32| Ipv4Addr::from(number.to_ne_bytes());
    let (to, gateway, flags, mask) = (number(1)?, number(2)?, number(3)?, number(7)?);
    let prefix = u32::from(address(mask)).leading_ones();
    (flags & RTF_UP != 0).then(|| Route {
        to: (
            IpAddr::V4(address(to)),
            u8::try_from(prefix).expect("at most 32"),
        ),
        gateway: (gateway != 0).then(|| IpAddr::V4(address(gateway))),
        interface: fields[0].to_owned(),
    })
}

const IFF_UP: u32 = 1;
const RTF_UP: u32 = 1;

/// Below those that systems give to connections which are made.
const FIRST_PORT: u16 = 20_000;
const LAST_PORT: u16 = 32_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_ip_tells_them() {
        let one = address("2: eth0    inet 10.0.0.5/24 brd 10.0.0.255 scope global eth0");
        assert_eq!(one, Some(("eth0".to_owned(), ([10, 0, 0, 5].into(), 24))));
        let two = address("7: host1@if8    inet6 fe80::1/64 scope link");
        let two = two.expect("an address");
        assert_eq!((&*two.0, two.1.1), ("host1", 64));
        assert_eq!(address("2: eth0    link/ether 00:00"), None);
    }

    #[test]
    fn a_free_port_is_none_that_is_used_or_taken() {
        let table = "  sl  local_address rem_address   st\n   0: 00000000:4E20 00000000:0000 0A\n";
        assert_eq!(free_port(table, &[20_001], 0), Some(20_002));
        assert_eq!(free_port("", &[], 12_001), Some(20_000));
    }
}
