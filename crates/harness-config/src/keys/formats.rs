//! The scalars of the stack file that are more than text.
//!
//! Owns: which texts each of them takes.

use super::container_formats::{
    address, at_least_6m, capability, container_name, context, cpus, device, device_path,
    extra_host, host_address, hostname, mount, octal, optional_hostname, path_inside, permissions,
    published, sysctl, tmpfs, tmpfs_option, ulimit,
};
use super::published::{exposed_ports, published_ports, with_protocol};
use crate::report::Code;
use crate::table::{Format, duration, size, whole};

macro_rules! formats {
    ($($(#[$doc:meta])* $name:ident = $what:literal, $check:expr, $code:ident, $schema:literal;)*) => {
        $($(#[$doc])* pub(super) static $name: Format = Format {
            what: $what,
            check: $check,
            code: Code::$code,
            schema: $schema,
        };)*
    };
}

formats! {
    /// Text that must be known.
    LITERAL = "text", |_| Ok(()), Invalid, r#"{"type":["string","number","boolean"]}"#;
    DURATION = "a duration", |text| duration(text).map(drop), Invalid, r#"{"type":["number","string"],"minimum":0}"#;
    /// A wait between two acts: zero would never rest.
    INTERVAL = "a duration above zero", interval, Invalid, r#"{"type":["number","string"],"exclusiveMinimum":0}"#;
    SIZE = "a size", |text| size(text).and_then(at_least_4k), Invalid, r#"{"type":["integer","string"],"minimum":4096}"#;
    TOTAL = "a size", |text| size(text).and_then(at_least_1m), Invalid, r#"{"type":["integer","string"],"minimum":1048576}"#;
    COUNT = "a count", |text| whole(text, 0, u64::from(u32::MAX)), Invalid, r#"{"type":["integer","string"],"minimum":0}"#;
    POSITIVE = "a count above zero", |text| whole(text, 1, u64::from(u32::MAX)), Invalid, r#"{"type":["integer","string"],"minimum":1}"#;
    PERCENT = "a percentage", |text| whole(text, 0, 100), Invalid, r#"{"type":["integer","string"],"minimum":0,"maximum":100}"#;
    PID = "a process id", |text| whole(text, 1, 1 << 22), Invalid, r#"{"type":["integer","string"],"minimum":1,"maximum":4194304}"#;
    PORT_NUMBER = "a port", |text| port(text).map(drop), Invalid, r#"{"type":["integer","string"],"minimum":1,"maximum":65535}"#;
    /// Of a process: it has no mapping, but may ask for a free one.
    PROCESS_PORT = "a port", process_port, Invalid, r#"{"anyOf":[{"type":"integer","minimum":1,"maximum":65535},{"type":"string"}]}"#;
    LISTENED_PORT = "a port", listened_port, Invalid, r#"{"anyOf":[{"type":"integer","minimum":1,"maximum":65535},{"type":"string"}]}"#;
    ATTACHED_PORT = "a port", |text| attached_port(text).map(drop), Invalid, r#"{"anyOf":[{"type":"integer","minimum":1,"maximum":65535},{"type":"string"}]}"#;
    DOCKER_PORT = "a port", |text| published_ports(text).map(drop), Invalid, r#"{"anyOf":[{"type":"integer","minimum":1,"maximum":65535},{"type":"string"}]}"#;
    EXPOSED_PORT = "a port", |text| exposed_ports(text).map(drop), Invalid, r#"{"anyOf":[{"type":"integer","minimum":1,"maximum":65535},{"type":"string"}]}"#;
    PUBLISHED = "a port", published, Invalid, r#"{"anyOf":[{"type":"integer","minimum":1,"maximum":65535},{"type":"string"}]}"#;
    ADDRESS = "an address", address, Invalid, r#"{"type":"string","pattern":"^[0-9a-fA-F.:]+$"}"#;
    /// A directory: what is elsewhere would be fetched first.
    CONTEXT = "a directory", context, Invalid, r#"{"type":"string"}"#;
    PATH_INSIDE = "a path inside", path_inside, Invalid, r#"{"type":"string","pattern":"^/."}"#;
    TMPFS = "a mount of memory", |text| tmpfs(text).map(drop), Invalid, r#"{"type":"string","pattern":"^/."}"#;
    TMPFS_OPTION = "an option of a mount", tmpfs_option, Invalid, r#"{"type":"string"}"#;
    OCTAL = "permissions", |text| octal(text).map(drop), Invalid, r#"{"type":["integer","string"]}"#;
    /// Less than the engine takes is a mistake of units.
    MEMORY = "a size", |text| size(text).and_then(at_least_6m), Invalid, r#"{"type":["integer","string"],"minimum":6291456}"#;
    CPUS = "a number of processors", |text| cpus(text).map(drop), Invalid, r#"{"type":["number","string"],"minimum":0.001}"#;
    ULIMIT = "a limit", ulimit, Invalid, r#"{"type":["integer","string"],"minimum":-1}"#;
    CAPABILITY = "a capability", capability, Invalid, r#"{"type":"string","pattern":"^[A-Za-z_]+$"}"#;
    SYSCTL = "a kernel parameter", sysctl, Invalid, r#"{"type":"string","pattern":"="}"#;
    DEVICE = "a device", device, Invalid, r#"{"type":"string","pattern":"^/"}"#;
    DEVICE_PATH = "a device", device_path, Invalid, r#"{"type":"string","pattern":"^/"}"#;
    PERMISSIONS = "permissions", permissions, Invalid, r#"{"type":"string","pattern":"^[rwm]+$"}"#;
    CONTAINER_NAME = "a container's name", container_name, Name, r#"{"type":"string","pattern":"^[A-Za-z0-9][A-Za-z0-9_.-]+$"}"#;
    HOSTNAME = "a host name", hostname, Name, r#"{"type":"string","pattern":"^[A-Za-z0-9.-]+$"}"#;
    OPTIONAL_HOSTNAME = "a host name", optional_hostname, Name, r#"{"type":"string","pattern":"^[A-Za-z0-9.-]*$"}"#;
    EXTRA_HOST = "a name with its address", |text| extra_host(text).map(drop), Invalid, r#"{"type":"string"}"#;
    HOST_ADDRESS = "an address", host_address, Invalid, r#"{"type":"string"}"#;
    MOUNT = "a mount", mount, Invalid, r#"{"type":"string","pattern":"/"}"#;
    STATUS = "an HTTP status", |text| whole(text, 100, 599), Invalid, r#"{"type":["integer","string"],"minimum":100,"maximum":599}"#;
    SIGNAL = "a signal", |text| signal(text).map(drop), Invalid, r#"{"type":["integer","string"]}"#;
    REGEX = "a regular expression", regex, Invalid, r#"{"type":"string","format":"regex"}"#;
    RESTART = "a restart policy", restart, Invalid, r#"{"anyOf":[{"enum":["no","always","on-failure","unless-stopped",false]},{"type":"string","pattern":"^on-failure:[0-9]+$"}]}"#;
    REPLICAS = "a number of replicas that is built yet", replicas, NotBuilt, r#"{"const":1}"#;
    VERSION = "a known version", version, Version, r#"{"enum":["1","1.0",1,1.0]}"#;
    NAME = "a name", name, Name, r#"{"type":"string","pattern":"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$"}"#;
    SUBNET = "a subnet", subnet, Invalid, r#"{"type":"string","pattern":"^[0-9a-fA-F.:]+/[0-9]+$"}"#;
}

/// A port: 1 to 65535.
pub(crate) fn port(text: &str) -> Result<u16, String> {
    whole(text, 1, 65535)?;
    text.parse()
        .map_err(|_| "expected a port from 1 to 65535".to_owned())
}

/// The number of a signal: `SIGINT`, `INT` or `2`.
pub(crate) fn signal(text: &str) -> Result<i32, String> {
    let name = text.to_ascii_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    let known = SIGNALS
        .iter()
        .find(|(known, number)| *known == name || number.to_string() == name);
    known.map(|(_, number)| *number).ok_or_else(|| {
        "expected a signal by name or number: HUP (1), INT (2), QUIT (3), KILL (9), USR1 (10), USR2 (12), TERM (15), …".to_owned()
    })
}

/// Those that end or tell a program something, by their numbers on Linux.
const SIGNALS: [(&str, i32); 12] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ABRT", 6),
    ("KILL", 9),
    ("USR1", 10),
    ("USR2", 12),
    ("ALRM", 14),
    ("TERM", 15),
    ("CONT", 18),
    ("WINCH", 28),
    ("PWR", 30),
];

fn interval(text: &str) -> Result<(), String> {
    match duration(text)? {
        wait if wait.is_zero() => Err("expected a duration above zero".into()),
        _ => Ok(()),
    }
}

fn at_least_4k(bytes: u64) -> Result<(), String> {
    if bytes < 4096 {
        return Err("expected at least 4 KiB".into());
    }
    Ok(())
}

fn at_least_1m(bytes: u64) -> Result<(), String> {
    if bytes < 1 << 20 {
        return Err("expected at least 1 MiB".into());
    }
    Ok(())
}

fn process_port(text: &str) -> Result<(), String> {
    let number = with_protocol(text).map_or(text, |(number, _)| number);
    listened_port(number).map_err(|message| match text.contains(':') {
        true => message,
        false => "expected a port from 1 to 65535, or `auto`; with `/udp` for UDP".into(),
    })
}

fn listened_port(text: &str) -> Result<(), String> {
    if text == "auto" {
        return Ok(());
    }
    if text.contains(':') {
        return Err("a process listens on its port itself: there is nothing to map".into());
    }
    port(text)
        .map(drop)
        .map_err(|_| "expected a port from 1 to 65535, or `auto`".into())
}

/// Of a container of somebody else: the port inside.
fn attached_port(text: &str) -> Result<(), String> {
    if text.contains(':') || text.contains("auto") {
        return Err(
            "the container is there already, and where its ports are published is asked of the engine: write the port inside, or leave `ports` out".into(),
        );
    }
    let number = with_protocol(text)?.0;
    port(number)
        .map(drop)
        .map_err(|_| "expected the port inside, from 1 to 65535; with `/udp` for UDP".into())
}

fn regex(text: &str) -> Result<(), String> {
    regex::RegexBuilder::new(text)
        // 1 MiB: the patterns of log lines take a few KiB.
        .size_limit(1 << 20)
        .build()
        .map(drop)
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "this pattern is too large".to_owned(),
            other => other
                .to_string()
                .lines()
                .last()
                .unwrap_or("it does not compile")
                .trim()
                .to_owned(),
        })
}

fn restart(text: &str) -> Result<(), String> {
    let (word, count) = text
        .split_once(':')
        .map_or((text, None), |(word, count)| (word, Some(count)));
    match (word, count) {
        ("no" | "false" | "never" | "always" | "unless-stopped" | "on-failure", None) => Ok(()),
        ("on-failure", Some(count)) => whole(count, 0, u64::from(u32::MAX)),
        _ => {
            Err("expected `no`, `on-failure`, `on-failure:5`, `always` or `unless-stopped`".into())
        }
    }
}

fn replicas(text: &str) -> Result<(), String> {
    if text == "1" {
        return Ok(());
    }
    Err("more than one replica is not built yet".into())
}

fn version(text: &str) -> Result<(), String> {
    if ["1", "1.0"].contains(&text) {
        return Ok(());
    }
    Err("the known version is 1".into())
}

pub(crate) fn name(text: &str) -> Result<(), String> {
    service_orchestration::spec::StackName::new(text)
        .map(drop)
        .map_err(|_| {
            "expected up to 63 letters, digits, `_`, `-` or `.`, the first a letter or digit".into()
        })
}

fn subnet(text: &str) -> Result<(), String> {
    let wrong = || "expected an address and a prefix length, such as 10.0.0.0/24".to_owned();
    let (address, prefix) = text.split_once('/').ok_or_else(wrong)?;
    let address: std::net::IpAddr = address.parse().map_err(|_| wrong())?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    whole(prefix, 0, most).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_names_or_numbers() {
        for text in ["SIGINT", "INT", "int", "2"] {
            assert_eq!(signal(text), Ok(2));
        }
        assert!(signal("SIGNOPE").is_err());
        assert!(signal("0").is_err());
    }
}
