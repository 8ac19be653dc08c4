//! Which variables can be carried through the environment of the engine's command line.

use std::ffi::OsStr;

use super::{inexpressible, plain};
use crate::LayerError;

/// Refuses the name of a variable that would change what the engine's command line does, or that is none.
pub(super) fn check(name: &OsStr) -> Result<(), LayerError> {
    let name = plain(name, || "a variable's name".to_owned())?.to_string_lossy();
    // podman takes a final asterisk for a pattern.
    if name.is_empty() || name.contains('=') || name.ends_with('*') {
        return Err(inexpressible(format!("a variable named `{name}`")));
    }
    if is_read_by_the_cli(&name) {
        return Err(inexpressible(format!(
            "the variable `{name}`, which the engine's own command line reads"
        )));
    }
    Ok(())
}

/// Whether it leads docker, podman, what they start (ssh) or what runs them (Go, the loader) elsewhere.
fn is_read_by_the_cli(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    NAMES.contains(&name)
        || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        // The one kind of which both spellings are read.
        || upper.ends_with("_PROXY")
}

const NAMES: [&str; 10] = [
    "PATH",
    "HOME",
    "GODEBUG",
    "GOGC",
    "GOMAXPROCS",
    "GOMEMLIMIT",
    "GOTRACEBACK",
    "GLIBC_TUNABLES",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

const PREFIXES: [&str; 7] = [
    "DOCKER_",
    "CONTAINER_",
    "CONTAINERS_",
    "PODMAN_",
    "LD_",
    "SSH_",
    "XDG_",
];
