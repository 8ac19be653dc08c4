//! The scalars of containers that are more than text.
//!
//! Owns: which texts each of them takes.

use std::net::IpAddr;

use service_orchestration::spec::{Mount, MountKind};

use super::port;
use crate::table::{size, whole};

/// Memory of `/run` or `/run:size=64m,mode=1777,ro`.
pub(crate) fn tmpfs(text: &str) -> Result<Mount, String> {
    let (target, options) = text.split_once(':').unwrap_or((text, ""));
    path_inside(target)?;
    let (mut bytes, mut mode, mut more, mut read_only) = (None, None, Vec::new(), false);
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option.split_once('=') {
            Some(("size", text)) => bytes = Some(size(text)?),
            Some(("mode", text)) => mode = Some(octal(text)?),
            None if option == "ro" => read_only = true,
            None if option == "rw" => {}
            _ => {
                tmpfs_option(option)?;
                more.push(option.to_owned());
            }
        }
    }
    Ok(Mount {
        kind: MountKind::Tmpfs {
            size: bytes,
            mode,
            options: more,
        },
        target: target.to_owned(),
        read_only,
    })
}

/// What memory can be mounted with, besides its size and its permissions.
pub(crate) fn tmpfs_option(text: &str) -> Result<(), String> {
    const FLAGS: [&str; 7] = [
        "exec", "noexec", "suid", "nosuid", "dev", "nodev", "noatime",
    ];
    match text.split_once('=') {
        None if FLAGS.contains(&text) => Ok(()),
        Some(("uid" | "gid", id)) => whole(id, 0, u64::from(u32::MAX)),
        _ => Err("expected `size=64m`, `mode=1777`, `ro`, `uid=1000`, `gid=1000`, `noexec`, `nosuid` or `nodev`".into()),
    }
}

/// Permissions: `1777`, `0755`, `0o755`.
pub(crate) fn octal(text: &str) -> Result<u32, String> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    let is_octal = !digits.is_empty() && digits.chars().all(|c| c.is_digit(8));
    let mode = u32::from_str_radix(digits, 8).ok();
    mode.filter(|mode| is_octal && *mode <= 0o7777)
        .ok_or_else(|| "expected octal digits, such as 1777".into())
}

pub(super) fn mount(text: &str) -> Result<(), String> {
    let mount = Mount::parse(text).map_err(|error| error.reason().to_owned())?;
    path_inside(&mount.target)
}

pub(super) fn path_inside(text: &str) -> Result<(), String> {
    if !text.starts_with('/') || text.trim_matches('/').is_empty() {
        return Err("expected a path inside that begins with `/` and is not the root".into());
    }
    Ok(())
}

pub(super) fn published(text: &str) -> Result<(), String> {
    if text == "auto" {
        return Ok(());
    }
    port(text)
        .map(drop)
        .map_err(|_| "expected a port from 1 to 65535, or `auto`".into())
}

/// What engines refuse whatever is behind it. That nothing stands where a variable is empty is told of the variable.
pub(crate) fn image_name(text: &str) -> Result<(), String> {
    let is_known = |c: char| c.is_ascii_alphanumeric() || "._-/:@+[]".contains(c);
    if !text.chars().all(is_known) {
        return Err("it has letters, digits and `._-/:@`, as in `registry:5000/name:tag`".into());
    }
    let name = text.split('@').next().unwrap_or(text);
    let (registry, path) = name.split_once('/').unwrap_or(("", name));
    let is_registry = registry.contains(['.', ':']) || registry.chars().any(char::is_uppercase);
    let path = if is_registry { path } else { name };
    let last = path.rfind('/').map_or(0, |at| at + 1);
    let end = path[last..].find(':').map_or(path.len(), |at| last + at);
    if path[..end].chars().any(char::is_uppercase) {
        return Err("it is written in lower case, up to its tag".into());
    }
    Ok(())
}

pub(super) fn address(text: &str) -> Result<(), String> {
    text.parse::<std::net::IpAddr>()
        .map(drop)
        .map_err(|_| "expected a numeric address, such as 0.0.0.0".into())
}

pub(super) fn context(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("expected a directory".into());
    }
    if text.contains("://") || text.starts_with("git@") {
        return Err("expected a directory of this machine; fetch what is elsewhere first".into());
    }
    Ok(())
}

pub(super) fn at_least_6m(bytes: u64) -> Result<(), String> {
    if bytes < 6 << 20 {
        return Err("expected at least 6 MiB: engines take no less".into());
    }
    Ok(())
}

/// Thousandths of a processor: of `0.5`, 500.
pub(crate) fn cpus(text: &str) -> Result<u64, String> {
    const EXPECTED: &str = "expected a number of processors, such as `0.5` or `2`";
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let are_digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    let is_number =
        are_digits(whole) && are_digits(part) && text.len() > usize::from(whole.is_empty());
    let part = part.trim_end_matches('0');
    if !is_number || whole.len() > 6 || part.len() > 3 {
        return Err(EXPECTED.into());
    }
    let number = |digits: &str| format!("0{digits}").parse::<u64>().unwrap_or(0);
    match number(whole) * 1000 + number(&format!("{part:0<3}")) {
        0 => Err(EXPECTED.into()),
        thousandths => Ok(thousandths),
    }
}

pub(super) fn ulimit(text: &str) -> Result<(), String> {
    match text.parse::<i64>() {
        Ok(limit) if limit >= -1 && !text.starts_with('+') => Ok(()),
        _ => Err("expected a whole number, or -1 for none".into()),
    }
}

pub(super) fn capability(text: &str) -> Result<(), String> {
    let is_word = text.chars().all(|c| c.is_ascii_alphabetic() || c == '_');
    if text.is_empty() || !is_word {
        return Err("expected the name of a capability, such as `NET_ADMIN`, or `ALL`".into());
    }
    Ok(())
}

pub(super) fn sysctl(text: &str) -> Result<(), String> {
    match text.split_once('=') {
        Some((name, _)) if !name.is_empty() => Ok(()),
        _ => Err("expected `name=value`, such as `net.core.somaxconn=1024`".into()),
    }
}

pub(super) fn device(text: &str) -> Result<(), String> {
    let mut parts = text.split(':');
    device_path(parts.next().unwrap_or_default())?;
    match (parts.next(), parts.next(), parts.next()) {
        (None, _, _) => Ok(()),
        (Some(inside), None, _) => device_path(inside).or_else(|_| permissions(inside)),
        (Some(inside), Some(rights), None) => {
            device_path(inside).and_then(|()| permissions(rights))
        }
        _ => Err("expected `/dev/x`, `/dev/x:/dev/y` or `/dev/x:/dev/y:rwm`".into()),
    }
}

pub(super) fn device_path(text: &str) -> Result<(), String> {
    if text.starts_with('/') && !text.contains(':') {
        return Ok(());
    }
    Err("expected the path of a device, such as `/dev/ttyUSB0`".into())
}

pub(super) fn permissions(text: &str) -> Result<(), String> {
    if !text.is_empty() && text.chars().all(|c| "rwm".contains(c)) {
        return Ok(());
    }
    Err("expected `r`, `w` and `m`".into())
}

pub(super) fn container_name(text: &str) -> Result<(), String> {
    let mut letters = text.chars();
    let is_name = letters.next().is_some_and(|c| c.is_ascii_alphanumeric())
        && letters.all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    if is_name && (2..=128).contains(&text.len()) {
        return Ok(());
    }
    Err("expected 2 to 128 letters, digits, `_`, `.` or `-`, the first a letter or digit".into())
}

/// A host name, or nothing, which is the engine's own choice.
pub(super) fn optional_hostname(text: &str) -> Result<(), String> {
    match text {
        "" => Ok(()),
        text => hostname(text),
    }
}

pub(super) fn hostname(text: &str) -> Result<(), String> {
    let is_label = |label: &str| {
        let is_word = label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        is_word
            && (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if text.len() <= 253 && text.split('.').all(is_label) {
        return Ok(());
    }
    Err("expected letters, digits and `-`, with dots between".into())
}

/// A name and its address: `db:10.0.0.2`, `db=::1`, `host:host-gateway`.
pub(crate) fn extra_host(text: &str) -> Result<(String, String), String> {
    let split = text.split_once('=').or_else(|| text.split_once(':'));
    let (name, address) = split.ok_or("expected `name:address`")?;
    hostname(name)?;
    host_address(address)?;
    Ok((name.to_owned(), address.to_owned()))
}

pub(super) fn host_address(text: &str) -> Result<(), String> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    if text == "host-gateway" || bare.unwrap_or(text).parse::<IpAddr>().is_ok() {
        return Ok(());
    }
    Err("expected a numeric address, or `host-gateway`".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_counted_in_thousandths() {
        for (text, expected) in [
            ("2", 2000),
            ("0.5", 500),
            (".25", 250),
            ("1.500", 1500),
            ("0.001", 1),
        ] {
            assert_eq!(cpus(text), Ok(expected), "{text}");
        }
        for text in [
            "", ".", "0", "0.0", "-1", "1.2345", "x", "1e3", "+1", "9999999",
        ] {
            assert!(cpus(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_of_images_are_in_lower_case_up_to_their_tags() {
        for text in [
            "a",
            "a/b_c:V1",
            "localhost:5000/a.b",
            "Reg/a:x",
            "r.Io/a@sha256:0a",
            "a:",
            "",
        ] {
            assert_eq!(image_name(text), Ok(()), "{text}");
        }
        for text in ["Bad Image", "a b", "Bad", "r.io/Bad:x", "a/B", "a;b", "ä"] {
            assert!(image_name(text).is_err(), "{text}");
        }
    }

    #[test]
    fn devices_and_hosts_have_their_forms() {
        for text in ["/dev/a", "/dev/a:/dev/b", "/dev/a:rw", "/dev/a:/dev/b:rwm"] {
            assert_eq!(device(text), Ok(()), "{text}");
        }
        for text in ["", "a", "/dev/a:b", "/dev/a:/dev/b:x", "/dev/a:/dev/b:r:w"] {
            assert!(device(text).is_err(), "{text}");
        }
        let pair = |name: &str, address: &str| Ok((name.to_owned(), address.to_owned()));
        assert_eq!(extra_host("db:10.0.0.2"), pair("db", "10.0.0.2"));
        assert_eq!(extra_host("db=::1"), pair("db", "::1"));
        assert_eq!(extra_host("db:::1"), pair("db", "::1"));
        assert_eq!(extra_host("h.x:host-gateway"), pair("h.x", "host-gateway"));
        for text in ["db", "db:", "db:web", "-a:10.0.0.1"] {
            assert!(extra_host(text).is_err(), "{text}");
        }
    }
}
