//! The keys further down in a Compose file, and what is said of one that is none of them.
//!
//! Owns: the lists. What becomes of each key is decided where its mapping is turned; a key that stands in no list is
//! misspelt, and Compose would refuse the file for it.

use super::convert::Converter;
use crate::report::Code;
use crate::yaml::{Entry, Node, Value, shorten};

impl Converter<'_> {
    /// Whether Compose has no such key here, which is an error then; `of` is what the key stands in.
    pub(super) fn is_misspelt(&mut self, part: &Entry, known: &[&str], of: &str) -> bool {
        let key = part.key.as_str();
        if key.starts_with("x-") || known.contains(&key) {
            return false;
        }
        let near = self.sink.suggest(key, known.iter().copied());
        let message = format!("`{}` in {of} is no key of a Compose file", shorten(key));
        self.sink
            .error(Code::UnknownField, part.key_span, message)
            .meant(near);
        true
    }

    /// The same of every key of a mapping, of which nothing else is said.
    pub(super) fn misspelt_within(&mut self, node: &Node, known: &[&str], of: &str) {
        for part in node.entries() {
            self.is_misspelt(part, known, of);
        }
    }

    /// Compose takes no duration without a unit but zero, where a stack file takes seconds.
    pub(super) fn has_unit(&mut self, part: &Entry, of: &str) {
        if !matches!(part.value.value, Value::Scalar(_)) {
            return;
        }
        let said = self.value(&part.value).unwrap_or_default();
        let is_bare = !said.is_empty() && said.chars().all(|c| c.is_ascii_digit() || c == '.');
        if is_bare && said.parse::<f64>().is_ok_and(|count| count > 0.0) {
            let message = format!("`{}` in {of} has no unit", shorten(&part.key));
            let help = format!("seconds are `{}: {said}s`", shorten(&part.key));
            self.sink
                .error(Code::Invalid, part.value.span, message)
                .help(help);
        }
    }
}

pub(super) const BUILD: &[&str] = &[
    "context",
    "dockerfile",
    "dockerfile_inline",
    "args",
    "target",
    "additional_contexts",
    "attest",
    "cache_from",
    "cache_to",
    "entitlements",
    "extra_hosts",
    "isolation",
    "labels",
    "network",
    "no_cache",
    "no_cache_filter",
    "platforms",
    "privileged",
    "provenance",
    "pull",
    "sbom",
    "secrets",
    "shm_size",
    "ssh",
    "tags",
    "ulimits",
];

pub(super) const HEALTH_CHECK: &[&str] = &[
    "test",
    "interval",
    "timeout",
    "retries",
    "start_period",
    "start_interval",
    "disable",
];

pub(super) const DEPLOY: &[&str] = &[
    "mode",
    "endpoint_mode",
    "replicas",
    "labels",
    "rollback_config",
    "update_config",
    "resources",
    "restart_policy",
    "placement",
];

pub(super) const RESOURCES: &[&str] = &["limits", "reservations"];

pub(super) const LIMITS: &[&str] = &["cpus", "memory", "pids"];

pub(super) const RESERVATIONS: &[&str] =
    &["cpus", "memory", "pids", "devices", "generic_resources"];

pub(super) const RESTART_POLICY: &[&str] = &["condition", "delay", "max_attempts", "window"];

pub(super) const LOGGING: &[&str] = &["driver", "options"];

pub(super) const PORT: &[&str] = &[
    "name",
    "mode",
    "host_ip",
    "target",
    "published",
    "protocol",
    "app_protocol",
];

pub(super) const MOUNT: &[&str] = &[
    "type",
    "source",
    "target",
    "read_only",
    "consistency",
    "bind",
    "volume",
    "tmpfs",
    "image",
];

pub(super) const BIND: &[&str] = &["propagation", "create_host_path", "recursive", "selinux"];

pub(super) const MOUNTED_VOLUME: &[&str] = &["labels", "nocopy", "subpath"];

pub(super) const MOUNTED_FILE: &[&str] = &["source", "target", "uid", "gid", "mode"];

pub(super) const VOLUME: &[&str] = &["name", "driver", "driver_opts", "external", "labels"];

pub(super) const NETWORK: &[&str] = &[
    "name",
    "driver",
    "driver_opts",
    "ipam",
    "external",
    "internal",
    "attachable",
    "enable_ipv4",
    "enable_ipv6",
    "labels",
];

pub(super) const MEMBERSHIP: &[&str] = &[
    "aliases",
    "interface_name",
    "ipv4_address",
    "ipv6_address",
    "link_local_ips",
    "mac_address",
    "driver_opts",
    "gw_priority",
    "priority",
];
