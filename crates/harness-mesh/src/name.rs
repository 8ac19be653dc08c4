//! What an interface is called.
//!
//! Owns: names that no two meshes share. The control sockets of userspace WireGuard lie in one directory for all network
//! namespaces of a machine, so a name is its own on the whole machine.

use std::fmt;

use ring::digest::{SHA256, digest};
use service_registry::HostId;

/// The name of an interface: at most 15 bytes, as the kernel wants.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceName(String);

impl InterfaceName {
    /// That of a host in a mesh; `mesh` is what tells this mesh from any other, such as installation and network.
    pub fn of(mesh: &str, host: &HostId) -> Self {
        let whole = digest(&SHA256, format!("{mesh}\n{host}").as_bytes());
        let start = whole.as_ref().iter().take(5);
        Self(start.fold(PREFIX.to_owned(), |name, byte| format!("{name}{byte:02x}")))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const PREFIX: &str = "hm";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_each_its_own() {
        let of = |mesh, host: &str| InterfaceName::of(mesh, &HostId::new(host));
        let name = of("home-1/wg", "nyc1");
        assert!(name.as_str().len() <= 15 && name.as_str().starts_with("hm"));
        assert_eq!(name, of("home-1/wg", "nyc1"), "it is found again");
        assert_ne!(name, of("home-1/wg", "nyc2"));
        assert_ne!(name, of("home-2/wg", "nyc1"));
    }
}
