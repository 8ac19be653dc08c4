//! How Compose files are laid over each other, and services over what they extend.

use crate::yaml::Rules;

/// Compose's rules: mappings merge, these lists are joined, everything else is replaced.
pub(crate) static RULES: Rules = Rules {
    joined: &[
        "ports",
        "expose",
        "volumes",
        "secrets",
        "configs",
        "dns",
        "dns_search",
        "cap_add",
        "cap_drop",
        "tmpfs",
        "env_file",
        "security_opt",
        "profiles",
        "devices",
        "group_add",
        "links",
        "external_links",
        "extra_hosts",
        "environment",
        "labels",
        "depends_on",
        "networks",
        "include",
    ],
    mappable: &[
        "environment",
        "labels",
        "depends_on",
        "networks",
        "args",
        "sysctls",
        "annotations",
    ],
    canonical: str::to_owned,
};
