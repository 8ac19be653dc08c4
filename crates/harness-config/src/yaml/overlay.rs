//! Several files laid over each other.
//!
//! Owns: how a later file changes an earlier one. Mappings merge by key; the lists that Compose merges (ports, env,
//! dependencies, profiles, labels) are joined; every other list, and every scalar, is replaced. Each value keeps the
//! place it came from.

use super::tree::{Entry, Node, Value};

/// `base` with `over` laid over it. `canonical` maps each spelling of a key to one.
pub(crate) fn overlay(base: &mut Node, over: Node, canonical: &dyn Fn(&str) -> String) {
    let (Value::Map(entries), Value::Map(changes)) = (&mut base.value, over.value) else {
        return;
    };
    for change in changes {
        let name = canonical(&change.key);
        match entries
            .iter_mut()
            .find(|entry| canonical(&entry.key) == name)
        {
            Some(entry) => replace(entry, change, &name, canonical),
            None => entries.push(change),
        }
    }
}

/// The lists that are joined, by the canonical name of their key.
const JOINED: [&str; 6] = [
    "ports",
    "env",
    "dependencies",
    "optional_deps",
    "profiles",
    "labels",
];

/// The keys whose list form says the same as a mapping.
const MAPPABLE: [&str; 3] = ["env", "labels", "dependencies"];

fn replace(entry: &mut Entry, mut change: Entry, name: &str, canonical: &dyn Fn(&str) -> String) {
    let base = &mut entry.value;
    let over = &mut change.value;
    if MAPPABLE.contains(&name) {
        match (&base.value, &over.value) {
            (Value::List(_), Value::Map(_)) => to_mapping(base),
            (Value::Map(_), Value::List(_)) => to_mapping(over),
            _ => {}
        }
    }
    match (&mut base.value, &mut over.value) {
        (Value::Map(_), Value::Map(_)) => overlay(base, change.value, canonical),
        (Value::List(items), Value::List(more)) if JOINED.contains(&name) => {
            join(items, std::mem::take(more), name)
        }
        _ => *entry = change,
    }
}

/// Appends what is not there yet; of environment and labels the later value of a name wins.
fn join(items: &mut Vec<Node>, more: Vec<Node>, name: &str) {
    for item in more {
        let identity = identity(&item, name);
        match items
            .iter_mut()
            .find(|known| identity.is_some() && self::identity(known, name) == identity)
        {
            Some(known) => *known = item,
            None => items.push(item),
        }
    }
}

fn identity(item: &Node, name: &str) -> Option<String> {
    if name == "dependencies" && item.scalar().is_none() {
        let named = item.entry("service").or_else(|| item.entry("task"))?;
        return named.value.scalar().map(|s| s.text.clone());
    }
    let text = &item.scalar()?.text;
    match name {
        "env" | "labels" => text.split('=').next().map(str::to_owned),
        _ => Some(text.clone()),
    }
}

/// `[A=1, B]` as `{A: 1, B: }`, and `[db, {service: api, restart: true}]` as `{db: , api: {restart: true}}`.
fn to_mapping(node: &mut Node) {
    let Value::List(items) = std::mem::replace(&mut node.value, Value::Map(Vec::new())) else {
        return;
    };
    let entries = items.into_iter().filter_map(|item| {
        let span = item.span;
        let (key, value) = match item.value {
            Value::Scalar(mut scalar) => {
                let (key, value) = match scalar.text.split_once('=') {
                    Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
                    None => (scalar.text.clone(), None),
                };
                scalar.plain = value.is_none();
                scalar.text = value.unwrap_or_default();
                (key, Value::Scalar(scalar))
            }
            Value::Map(entries) => {
                let (named, rest): (Vec<_>, Vec<_>) = entries
                    .into_iter()
                    .partition(|e| e.key == "service" || e.key == "task");
                let key = named.first()?.value.scalar()?.text.clone();
                (key, Value::Map(rest))
            }
            Value::List(_) => return None,
        };
        Some(Entry {
            key,
            key_span: span,
            value: Node { span, value },
        })
    });
    node.value = Value::Map(entries.collect());
}
