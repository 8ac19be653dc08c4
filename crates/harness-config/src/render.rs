//! A stack as a stack file again: what `config render` prints.
//!
//! Owns: that what is printed, with secrets shown, loads to the same stack. Every default is left out.

mod container;
mod policies;
mod secrets;
mod target;
mod unit;
mod value;

pub use secrets::{Secrets, is_secret_name};

use serde_json::Value as Json;
use service_orchestration::spec::{NetworkKind, NetworkSpec, StackSpec, UnitKind};
use value::{Map, Yaml};

/// The stack as YAML, in the nested spelling, with everything substituted but references. Values whose name says that
/// they are secret, and passwords in URLs, are masked by default.
pub fn render_config(stack: &StackSpec, secrets: Secrets) -> String {
    let mut root = Map::default();
    root.put("version", "1");
    root.put("name", stack.name.as_str());
    root.maybe("description", stack.description.as_deref().map(literal));
    if let Some(bytes) = stack.log_total {
        let mut settings = Map::default();
        settings.put("log_total", bytes);
        root.put("settings", Yaml::Map(settings));
    }
    let networks = stack
        .networks
        .iter()
        .map(|(name, network)| (name.clone(), self::network(network)));
    root.map("networks", networks.collect());
    let volumes = stack.volumes.iter();
    let volumes = volumes.map(|(name, volume)| (name.clone(), container::volume(volume, secrets)));
    root.map("volumes", volumes.collect());
    let declared = stack.secrets.iter().filter(|(name, _)| name.is_declared());
    root.map(
        "secrets",
        declared
            .map(|(name, secret)| (name.to_string(), secrets::source(secret)))
            .collect(),
    );
    for (key, kind) in [("services", UnitKind::Service), ("tasks", UnitKind::Task)] {
        let units = stack.units.values().filter(|unit| unit.kind == kind);
        root.map(
            key,
            units
                .map(|unit| (unit.name.to_string(), unit::unit(stack, unit, secrets)))
                .collect(),
        );
    }
    serde_yaml::to_string(&Yaml::Map(root))
        .expect("texts, numbers, lists and mappings can always be written")
}

fn network(network: &NetworkSpec) -> Yaml {
    let mut map = Map::default();
    let kind = match network.kind {
        NetworkKind::Local => "local",
        NetworkKind::Lan => "lan",
        NetworkKind::Wireguard => "wireguard",
    };
    map.put("type", kind);
    map.maybe("subnet", network.subnet.as_deref().map(literal));
    if let Json::Object(details) = &network.details {
        for (key, value) in details {
            map.put(key, value::json(value));
        }
    }
    Yaml::Map(map)
}

/// Known text: what would be read as a variable or a reference is escaped.
fn literal(text: &str) -> Yaml {
    Yaml::Text(service_orchestration::spec::Template::literal(text).to_string())
}
