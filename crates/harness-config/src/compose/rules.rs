//! How Compose files are laid over each other, and services over what they extend.

use crate::yaml::{Joined, Rules};

/// Compose's rules: mappings merge, lists are joined but for those that are a command, everything else is replaced.
pub(crate) static RULES: Rules = Rules {
    joined: Joined::AllBut(&["command", "entrypoint", "test"]),
    mappable: &[
        "environment",
        "labels",
        "depends_on",
        "networks",
        "args",
        "sysctls",
        "annotations",
        "additional_contexts",
    ],
    listed: &["extra_hosts"],
    single: &[
        "env_file",
        "label_file",
        "tmpfs",
        "dns",
        "dns_opt",
        "dns_search",
        "include",
    ],
    leading: &[("build", "context")],
    decided_by: &[("logging", "driver")],
    canonical: str::to_owned,
};
