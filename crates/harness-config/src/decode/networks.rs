//! The networks of a stack.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};
use service_orchestration::spec::{NetworkKind, NetworkSpec};

use super::Decoder;
use crate::keys::NETWORK;
use crate::report::Code;
use crate::source::Span;
use crate::table::Fields;
use crate::yaml::{Entry, Node, Value};

impl Decoder<'_> {
    pub(super) fn networks(
        &mut self,
        fields: &Fields<'_>,
    ) -> BTreeMap<String, (NetworkSpec, Span)> {
        let entries = fields
            .node("networks")
            .map(Node::entries)
            .unwrap_or_default();
        let networks = entries.iter().filter_map(|entry| {
            let network = self.network(entry)?;
            Some((entry.key.clone(), (network, entry.key_span)))
        });
        networks.collect()
    }

    fn network(&mut self, entry: &Entry) -> Option<NetworkSpec> {
        let fields = Fields::new(&entry.value, NETWORK.fields);
        let kind = match fields.word("type")?.as_str() {
            "local" => NetworkKind::Local,
            "lan" => NetworkKind::Lan,
            "wireguard" => NetworkKind::Wireguard,
            _ => return None,
        };
        if kind == NetworkKind::Local {
            self.only_local(&fields);
        }
        let mut details = match json(&entry.value) {
            Json::Object(details) => details,
            _ => Map::new(),
        };
        details.retain(|key, _| key != "type" && key != "subnet");
        Some(NetworkSpec {
            kind,
            subnet: fields.owned("subnet"),
            details: Json::Object(details),
        })
    }

    fn only_local(&mut self, fields: &Fields<'_>) {
        if let (Some(subnet), Some(node)) = (fields.literal("subnet"), fields.node("subnet")) {
            let (address, prefix) = subnet.split_once('/').unwrap_or((subnet, ""));
            let prefix: u8 = prefix.parse().unwrap_or(0);
            if !address.starts_with("127.") || prefix < 8 {
                self.sink.error(
                    Code::Invalid,
                    node.span,
                    "the subnet of a local network lies inside 127.0.0.0/8",
                );
            }
        }
        for key in ["nodes", "config_path"] {
            if let Some(entry) = fields.entry(key) {
                let message = format!("`{key}` does not belong to a local network");
                self.sink.error(Code::WrongPlace, entry.key_span, message);
            }
        }
    }
}

/// The value as JSON, scalars by YAML's core schema; references stay as they are written.
pub(super) fn json(node: &Node) -> Json {
    match &node.value {
        Value::Scalar(scalar) => scalar.to_json(),
        Value::List(items) => Json::Array(items.iter().map(json).collect()),
        Value::Map(entries) => {
            let pairs = entries
                .iter()
                .map(|entry| (entry.key.clone(), json(&entry.value)));
            Json::Object(pairs.collect())
        }
    }
}
