//! A YAML value whose keys keep their order.

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::Value as Json;
use service_orchestration::spec::Template;

/// A value to be written.
#[derive(Debug)]
pub(super) enum Yaml {
    Null,
    Flag(bool),
    Number(serde_json::Number),
    Text(String),
    List(Vec<Yaml>),
    Map(Map),
}

/// A mapping in the order in which it was filled.
#[derive(Debug, Default)]
pub(super) struct Map(Vec<(String, Yaml)>);

impl Map {
    pub(super) fn put(&mut self, key: &str, value: impl Into<Yaml>) {
        self.0.push((key.to_owned(), value.into()));
    }

    pub(super) fn maybe(&mut self, key: &str, value: Option<impl Into<Yaml>>) {
        if let Some(value) = value {
            self.put(key, value);
        }
    }

    /// Leaves an empty list out.
    pub(super) fn list(&mut self, key: &str, items: Vec<Yaml>) {
        if !items.is_empty() {
            self.put(key, Yaml::List(items));
        }
    }

    /// Leaves an empty mapping out.
    pub(super) fn map(&mut self, key: &str, entries: Vec<(String, Yaml)>) {
        if !entries.is_empty() {
            self.put(key, Yaml::Map(Map(entries)));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&str> for Yaml {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Yaml {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&Template> for Yaml {
    fn from(template: &Template) -> Self {
        Self::Text(template.to_string())
    }
}

impl From<u64> for Yaml {
    fn from(number: u64) -> Self {
        Self::Number(number.into())
    }
}

impl From<bool> for Yaml {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

/// A JSON value as it is.
pub(super) fn json(value: &Json) -> Yaml {
    match value {
        Json::Null => Yaml::Null,
        Json::Bool(flag) => Yaml::Flag(*flag),
        Json::Number(number) => Yaml::Number(number.clone()),
        Json::String(text) => Yaml::Text(text.clone()),
        Json::Array(items) => Yaml::List(items.iter().map(json).collect()),
        Json::Object(entries) => Yaml::Map(Map(entries
            .iter()
            .map(|(k, v)| (k.clone(), json(v)))
            .collect())),
    }
}

impl Serialize for Yaml {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::Number(number) => number.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(item)?;
                }
                list.end()
            }
            Self::Map(entries) => {
                let mut map = serializer.serialize_map(Some(entries.0.len()))?;
                for (key, value) in &entries.0 {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}
