//! Reads the values of a mapping by the keys of its table.
//!
//! Owns: that every spelling of a key finds its value, and that a value that is null counts as absent. What does not fit
//! has been reported by the check; reading answers nothing for it.

use std::time::Duration;

use service_orchestration::spec::Template;

use super::{Field, format};
use crate::yaml::{Entry, Node};

/// A mapping seen through its table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a> {
    node: &'a Node,
    table: &'static [Field],
}

impl<'a> Fields<'a> {
    pub(crate) fn new(node: &'a Node, table: &'static [Field]) -> Self {
        Self { node, table }
    }

    /// The entry of this key, under whichever spelling; nothing when its value is null.
    pub(crate) fn entry(&self, key: &str) -> Option<&'a Entry> {
        let field = self.table.iter().find(|field| field.key == key);
        debug_assert!(field.is_some(), "`{key}` is not in the table");
        let field = field?;
        let mut entries = self.node.entries().iter();
        entries.find(|entry| field.is_called(&entry.key) && !entry.value.is_null())
    }

    /// The value of this key.
    pub(crate) fn node(&self, key: &str) -> Option<&'a Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// Text that may have references.
    pub(crate) fn text(&self, key: &str) -> Option<Template> {
        self.node(key).and_then(text)
    }

    /// Text that is known.
    pub(crate) fn literal(&self, key: &str) -> Option<&'a str> {
        self.node(key).and_then(literal)
    }

    pub(crate) fn owned(&self, key: &str) -> Option<String> {
        self.literal(key).map(str::to_owned)
    }

    pub(crate) fn number<T: std::str::FromStr>(&self, key: &str) -> Option<T> {
        self.literal(key).and_then(|text| text.parse().ok())
    }

    pub(crate) fn duration(&self, key: &str) -> Option<Duration> {
        self.literal(key)
            .and_then(|text| format::duration(text).ok())
    }

    pub(crate) fn flag(&self, key: &str) -> Option<bool> {
        self.literal(key)
            .map(|text| text.eq_ignore_ascii_case("true"))
    }

    /// A word in lower case.
    pub(crate) fn word(&self, key: &str) -> Option<String> {
        self.literal(key).map(str::to_ascii_lowercase)
    }

    /// The items of a list, or a scalar as a list of one.
    pub(crate) fn items(&self, key: &str) -> Vec<&'a Node> {
        match self.node(key) {
            Some(node) if node.scalar().is_some() => vec![node],
            Some(node) => node.items().iter().collect(),
            None => Vec::new(),
        }
    }

    /// The texts of a list, or a scalar as a list of one.
    pub(crate) fn texts(&self, key: &str) -> Vec<Template> {
        self.items(key).into_iter().filter_map(text).collect()
    }

    /// The known texts of a list, or a scalar as a list of one.
    pub(crate) fn literals(&self, key: &str) -> Vec<String> {
        let items = self.items(key).into_iter();
        items.filter_map(literal).map(str::to_owned).collect()
    }
}

/// Text that may have references.
pub(crate) fn text(node: &Node) -> Option<Template> {
    node.scalar().and_then(crate::yaml::Scalar::template)
}

fn literal(node: &Node) -> Option<&str> {
    node.scalar().and_then(crate::yaml::Scalar::literal)
}
