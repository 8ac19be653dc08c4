//! What a server is called.
//!
//! Owns: the comparison of a host with those names. Never resolves one.

use std::collections::BTreeSet;
use std::net::IpAddr;

/// The names and addresses a server answers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerNames {
    pub(crate) names: BTreeSet<String>,
    pub(crate) addresses: BTreeSet<IpAddr>,
}

impl ServerNames {
    /// `localhost`, `127.0.0.1` and `::1`.
    pub fn loopback() -> Self {
        Self {
            names: BTreeSet::from(["localhost".to_owned()]),
            addresses: BTreeSet::from([
                IpAddr::from([127, 0, 0, 1]),
                IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
            ]),
        }
    }

    /// Adds a host name.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.names.insert(name.into().to_ascii_lowercase());
        self
    }

    /// Adds an address.
    #[must_use]
    pub fn with_address(mut self, address: IpAddr) -> Self {
        self.addresses.insert(address);
        self
    }

    /// Whether `host`, a name or an address without a port, is one of these.
    pub fn contains(&self, host: &str) -> bool {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        match bare.parse::<IpAddr>() {
            Ok(address) => self.addresses.contains(&address),
            Err(_) => self.names.contains(&host.to_ascii_lowercase()),
        }
    }
}
