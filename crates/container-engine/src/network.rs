//! Networks of the engine.
//!
//! Owns: the requests, and what the answers mean. Never decides which network anything belongs to.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use serde::Deserialize;
use serde_json::json;

use crate::call::Call;
use crate::engine::Engine;
use crate::error::{EngineError, Object};
use crate::id::ContainerId;
use crate::json::null_is_default;
use crate::target::{Filters, Target};

/// A network to be made. It is a bridge.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkConfig {
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// `172.30.0.0/24`; `None`: the engine chooses.
    pub subnet: Option<String>,
    /// The host's address in the subnet; `None`: the first one of an IPv4 subnet.
    pub gateway: Option<IpAddr>,
    /// There is no way out of it.
    pub internal: bool,
    /// Options of the bridge: `com.docker.network.bridge.name` …
    pub options: BTreeMap<String, String>,
}

/// A network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// The engine's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `bridge`, `host`, `overlay` …
    pub driver: String,
    /// Whether there is no way out of it.
    pub internal: bool,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Its addresses.
    pub subnet: Option<String>,
    /// The host's address in it, as far as the engine tells: a network that somebody made with a subnet and without this has
    /// it only in what is told of its containers.
    pub gateway: Option<IpAddr>,
    /// Containers that are connected and running; in lists it is empty.
    pub containers: Vec<ContainerId>,
}

impl Engine {
    /// Makes a network, and gives its id.
    ///
    /// # Errors
    /// [`EngineError::NameTaken`] when there is one of that name, and others.
    pub async fn create_network(
        &self,
        name: &str,
        config: &NetworkConfig,
    ) -> Result<String, EngineError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Created {
            id: String,
        }
        let subnets: Vec<_> = config
            .subnet
            .iter()
            .map(
                |subnet| match config.gateway.or_else(|| first_address(subnet)) {
                    // An engine that chose it by itself would not tell before the first container.
                    Some(gateway) => json!({ "Subnet": subnet, "Gateway": gateway }),
                    None => json!({ "Subnet": subnet }),
                },
            )
            .collect();
        let body = json!({
            "Name": name,
            // Without it the engine makes several of one name.
            "CheckDuplicate": true,
            "Driver": "bridge",
            "Internal": config.internal,
            "Labels": config.labels,
            "Options": config.options,
            "IPAM": { "Config": subnets },
        });
        let target = Target::new(&["networks", "create"]);
        let call = Call::post(target, Object::Network(name.to_owned())).with_json(&body);
        let Created { id } = self.ask_json(&call).await?;
        Ok(id)
    }

    /// A network, by name or id.
    ///
    /// # Errors
    /// [`EngineError::NotFound`], and others.
    pub async fn network(&self, name: &str) -> Result<Network, EngineError> {
        let target = Target::new(&["networks", name]);
        let call = Call::get(target, Object::Network(name.to_owned()));
        let answer: Answer = self.ask_json(&call).await?;
        Ok(answer.into())
    }

    /// The networks that the filters let through.
    ///
    /// # Errors
    /// [`EngineError`], when the engine does not answer or knows no such filter.
    pub async fn networks(&self, filters: &Filters) -> Result<Vec<Network>, EngineError> {
        let target = Target::new(&["networks"]).with_filters(filters);
        let call = Call::get(target, Object::Engine);
        let answer: Vec<Answer> = self.ask_json(&call).await?;
        Ok(answer.into_iter().map(Network::from).collect())
    }

    /// Removes a network.
    ///
    /// # Errors
    /// [`EngineError::NotFound`], [`EngineError::InUse`] while containers are connected, and others.
    pub async fn remove_network(&self, name: &str) -> Result<(), EngineError> {
        let target = Target::new(&["networks", name]);
        let call = Call::delete(target, Object::Network(name.to_owned()));
        self.ask(&call).await.map(drop)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    id: String,
    name: String,
    #[serde(default)]
    driver: String,
    #[serde(default)]
    internal: bool,
    #[serde(default, deserialize_with = "null_is_default")]
    labels: BTreeMap<String, String>,
    #[serde(default, rename = "IPAM", deserialize_with = "null_is_default")]
    ipam: Ipam,
    #[serde(default, deserialize_with = "null_is_default")]
    containers: BTreeMap<ContainerId, serde::de::IgnoredAny>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
struct Ipam {
    #[serde(default, deserialize_with = "null_is_default")]
    config: Vec<Range>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Range {
    subnet: Option<String>,
    gateway: Option<String>,
}

impl From<Answer> for Network {
    fn from(answer: Answer) -> Self {
        let range = answer.ipam.config.into_iter().next().unwrap_or_default();
        // Some engines write it with the length of its prefix.
        let gateway = range.gateway.as_deref().and_then(|gateway| {
            let address = gateway.split('/').next().unwrap_or(gateway);
            address.parse().ok()
        });
        Self {
            id: answer.id,
            name: answer.name,
            driver: answer.driver,
            internal: answer.internal,
            labels: answer.labels,
            subnet: range.subnet,
            gateway,
            containers: answer.containers.into_keys().collect(),
        }
    }
}

fn first_address(subnet: &str) -> Option<IpAddr> {
    let (address, length) = subnet.split_once('/')?;
    let address: Ipv4Addr = address.parse().ok()?;
    // A longer prefix leaves no room for a container.
    let length: u32 = length
        .parse()
        .ok()
        .filter(|length| (1..=29).contains(length))?;
    let network = address.to_bits() & (u32::MAX << (32 - length));
    Some(Ipv4Addr::from_bits(network + 1).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_address_of_a_subnet_is_the_hosts() {
        let first = |subnet| first_address(subnet).map(|address| address.to_string());
        assert_eq!(first("10.1.2.0/24").as_deref(), Some("10.1.2.1"));
        assert_eq!(first("172.31.200.7/16").as_deref(), Some("172.31.0.1"));
        for none in [
            "10.1.2.0",
            "10.1.2.0/31",
            "10.1.2.0/0",
            "10.1.2.0/99",
            "fd00::/64",
            "",
        ] {
            assert_eq!(first(none), None, "{none}");
        }
    }
}
