//! What this host is.
//!
//! Owns: where that is read. What cannot be found out is left empty: it is no reason to fail.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use super::netlink;
use super::protocol::{Facts, Interface, Route};

pub(super) fn gather() -> Facts {
    Facts {
        hostname: line("/proc/sys/kernel/hostname"),
        kernel: line("/proc/sys/kernel/osrelease"),
        interfaces: interfaces(),
        routes: routes(&fs::read_to_string("/proc/net/route").unwrap_or_default()),
        cgroup2: Path::new("/sys/fs/cgroup/cgroup.controllers").exists(),
        wireguard: has_wireguard(),
        programs: programs(),
        engines: engines(),
        processors: std::thread::available_parallelism()
            .map_or(1, |count| u32::try_from(count.get()).unwrap_or(u32::MAX)),
        memory_bytes: memory(&fs::read_to_string("/proc/meminfo").unwrap_or_default()),
    }
}

fn line(path: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.trim().to_owned()
}

fn interfaces() -> Vec<Interface> {
    let addresses = netlink::addresses().unwrap_or_default();
    let entries = fs::read_dir("/sys/class/net").into_iter().flatten();
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut found: Vec<Interface> = names
        .map(|name| {
            let read = |what: &str| line(&format!("/sys/class/net/{name}/{what}"));
            let index: Option<u32> = read("ifindex").parse().ok();
            let flags = u32::from_str_radix(read("flags").trim_start_matches("0x"), 16);
            let own = addresses.iter().filter(|found| Some(found.index) == index);
            Interface {
                up: flags.is_ok_and(|flags| flags & IFF_UP != 0),
                addresses: own.map(|found| (found.address, found.prefix)).collect(),
                name,
            }
        })
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// The table of `/proc/net/route`: numbers in hexadecimal, in the order of bytes of the machine.
fn routes(table: &str) -> Vec<Route> {
    let parse = |line: &str| {
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
    };
    table.lines().skip(1).filter_map(parse).collect()
}

fn has_wireguard() -> bool {
    let release = line("/proc/sys/kernel/osrelease");
    let module = format!("/lib/modules/{release}/kernel/drivers/net/wireguard");
    Path::new("/sys/module/wireguard").exists() || Path::new(&module).exists()
}

fn programs() -> Vec<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let is_there = |name: &&&str| {
        directories.iter().any(|directory| {
            let file = directory.join(name);
            file.is_file() && rustix::fs::access(&file, rustix::fs::Access::EXEC_OK).is_ok()
        })
    };
    let found = PROGRAMS.iter().filter(is_there);
    found.map(|name| (*name).to_owned()).collect()
}

fn engines() -> Vec<PathBuf> {
    let own = rustix::process::geteuid().as_raw();
    let named = std::env::var("DOCKER_HOST").unwrap_or_default();
    // Whoever names one means that one, whether it is there or not.
    if let Some(path) = named.strip_prefix("unix://") {
        return vec![path.into()];
    }
    let sockets = ENGINES.map(|path| PathBuf::from(path.replace("UID", &own.to_string())));
    sockets.into_iter().filter(|path| path.exists()).collect()
}

fn memory(text: &str) -> u64 {
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kibibytes = total.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.unwrap_or_default().saturating_mul(1024)
}

const PROGRAMS: [&str; 8] = [
    "docker",
    "podman",
    "wg",
    "wireguard-go",
    "ip",
    "nft",
    "iptables",
    "tar",
];
/// Where engines listen, `UID` being the number of whoever logs in: docker's before podman's, the machine's before a user's own.
const ENGINES: [&str; 4] = [
    "/var/run/docker.sock",
    "/run/user/UID/docker.sock",
    "/run/podman/podman.sock",
    "/run/user/UID/podman/podman.sock",
];
const IFF_UP: u32 = 1;
const RTF_UP: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn routes_are_read_from_their_table() {
        let table = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\n\
            eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
            eth0\t0000A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
            wg0\tbad\n";
        let default = Route {
            to: ([0, 0, 0, 0].into(), 0),
            gateway: Some([192, 168, 0, 1].into()),
            interface: "eth0".into(),
        };
        let own = Route {
            to: ([192, 168, 0, 0].into(), 24),
            gateway: None,
            interface: "eth0".into(),
        };
        assert_eq!(routes(table), [default, own]);
    }

    #[test]
    fn this_host_has_a_name_memory_and_loopback() {
        let facts = gather();
        assert!(!facts.hostname.is_empty() && !facts.kernel.is_empty());
        assert!(facts.memory_bytes > 1 << 20 && facts.processors > 0);
        let loopback = facts.interfaces.iter().find(|found| found.name == "lo");
        let addresses = &loopback.expect("every namespace has it").addresses;
        let own: (IpAddr, u8) = ([127, 0, 0, 1].into(), 8);
        assert!(
            addresses.is_empty() || addresses.contains(&own),
            "{addresses:?}"
        );
    }
}
