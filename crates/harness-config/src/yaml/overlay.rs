//! Several files laid over each other.
//!
//! Owns: how a later file changes an earlier one. Mappings merge by key; the lists that the format's [`Rules`] name (ports,
//! env, dependencies, profiles, labels in stack files) are joined; every other list, and every scalar, is replaced. Each
//! value keeps the place it came from.

use super::tree::{Entry, Node, Value};

/// How files of one format are laid over each other.
#[derive(Debug)]
pub(crate) struct Rules {
    /// The lists that are joined, by the canonical name of their key.
    pub(crate) joined: &'static [&'static str],
    /// The keys whose list form says the same as a mapping.
    pub(crate) mappable: &'static [&'static str],
    /// One spelling for each key.
    pub(crate) canonical: fn(&str) -> String,
}

/// `base` with `over` laid over it.
pub(crate) fn overlay(base: &mut Node, over: Node, rules: &Rules) {
    let (Value::Map(entries), Value::Map(changes)) = (&mut base.value, over.value) else {
        return;
    };
    for change in changes {
        let name = (rules.canonical)(&change.key);
        match entries
            .iter_mut()
            .find(|entry| (rules.canonical)(&entry.key) == name)
        {
            Some(entry) => replace(entry, change, &name, rules),
            None => entries.push(change),
        }
    }
}

/// The rules of stack files.
pub(crate) static STACK_RULES: Rules = Rules {
    joined: &[
        "ports",
        "env",
        "dependencies",
        "optional_deps",
        "profiles",
        "labels",
    ],
    mappable: &["env", "labels", "dependencies"],
    canonical: crate::keys::canonical,
};

fn replace(entry: &mut Entry, mut change: Entry, name: &str, rules: &Rules) {
    let base = &mut entry.value;
    let over = &mut change.value;
    if rules.mappable.contains(&name) {
        match (&base.value, &over.value) {
            (Value::List(_), Value::Map(_)) => to_mapping(base),
            (Value::Map(_), Value::List(_)) => to_mapping(over),
            _ => {}
        }
    }
    match (&mut base.value, &mut over.value) {
        (Value::Map(_), Value::Map(_)) => overlay(base, change.value, rules),
        (Value::List(items), Value::List(more)) if rules.joined.contains(&name) => {
            join(items, std::mem::take(more), name)
        }
        _ => *entry = change,
    }
}

/// Appends what is not there yet; of environment, labels and mounts the later value of a name wins.
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
    let named = |keys: &[&str]| {
        let entry = keys.iter().find_map(|key| item.entry(key))?;
        entry.value.scalar().map(|s| s.text.clone())
    };
    let Some(scalar) = item.scalar() else {
        return match name {
            "dependencies" => named(&["service", "task"]),
            "volumes" => named(&["target"]),
            "secrets" | "configs" => named(&["source"]),
            _ => None,
        };
    };
    let text = &scalar.text;
    match name {
        "env" | "environment" | "labels" => text.split('=').next().map(str::to_owned),
        // What stands behind the first colon, without the mode; in `${A:-b}:/c` that is no path, but equal for equal texts.
        "volumes" => {
            let behind = text
                .split_once(":/")
                .map_or(text.as_str(), |(_, path)| path);
            let path = behind.split(':').next().unwrap_or(behind);
            Some(format!("/{}", path.trim_start_matches('/')))
        }
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
