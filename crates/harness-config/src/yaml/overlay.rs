//! Several files laid over each other.
//!
//! Owns: how a later file changes an earlier one. Mappings merge by key; the lists that the format's [`Rules`] name are
//! joined; every other list, and every scalar, is replaced. Where one key may be written in several forms, both sides are
//! brought into one before. Each value keeps the place it came from.

use super::tree::{Entry, Node, Value};

/// How files of one format are laid over each other. Every name is the canonical one of a key.
#[derive(Debug)]
pub(crate) struct Rules {
    /// Which lists are joined.
    pub(crate) joined: Joined,
    /// The keys whose list form says the same as a mapping.
    pub(crate) mappable: &'static [&'static str],
    /// The keys whose mapping says the same as a list of `key:value`.
    pub(crate) listed: &'static [&'static str],
    /// The keys of which one value alone says the same as a list of it.
    pub(crate) single: &'static [&'static str],
    /// The keys of which one value alone says the same as a mapping in which it has this key.
    pub(crate) leading: &'static [(&'static str, &'static str)],
    /// The keys whose mapping is replaced by one that says otherwise about this key in it.
    pub(crate) decided_by: &'static [(&'static str, &'static str)],
    /// One spelling for each key.
    pub(crate) canonical: fn(&str) -> String,
}

/// Which lists are joined; the others are replaced.
#[derive(Debug)]
pub(crate) enum Joined {
    These(&'static [&'static str]),
    AllBut(&'static [&'static str]),
}

impl Joined {
    fn holds(&self, name: &str) -> bool {
        match self {
            Self::These(names) => names.contains(&name),
            Self::AllBut(names) => !names.contains(&name),
        }
    }
}

/// `base` with `over` laid over it.
pub(crate) fn overlay(base: &mut Node, over: Node, rules: &Rules) {
    lay_over(base, over, None, rules);
}

/// The same of the values of the key `within`.
fn lay_over(base: &mut Node, over: Node, within: Option<&str>, rules: &Rules) {
    let (Value::Map(entries), Value::Map(changes)) = (&mut base.value, over.value) else {
        return;
    };
    // A variable or a label may be called like any key.
    let are_names = within.is_some_and(|key| rules.mappable.contains(&key));
    for mut change in changes {
        let name = (rules.canonical)(&change.key);
        let mut known = entries.iter_mut();
        match known.find(|entry| (rules.canonical)(&entry.key) == name) {
            Some(entry) => {
                if !are_names {
                    bring_together(&mut entry.value, &mut change.value, &name, rules);
                }
                replace(entry, change, &name, rules);
            }
            None => entries.push(change),
        }
    }
}

/// The rules of stack files.
pub(crate) static STACK_RULES: Rules = Rules {
    joined: Joined::These(&[
        "ports",
        "env",
        "dependencies",
        "optional_deps",
        "profiles",
        "labels",
    ]),
    mappable: &["env", "labels", "dependencies"],
    listed: &[],
    single: &[],
    leading: &[],
    decided_by: &[],
    canonical: crate::keys::canonical,
};

/// Both values of one key in one form, where they can be.
fn bring_together(base: &mut Node, over: &mut Node, name: &str, rules: &Rules) {
    if base.is_null() || over.is_null() {
        return;
    }
    if rules.single.contains(&name) {
        to_list_of_one(base);
        to_list_of_one(over);
    }
    let leading = rules.leading.iter().find(|(key, _)| *key == name);
    match (&base.value, &over.value) {
        (Value::List(_), Value::Map(_)) if rules.mappable.contains(&name) => to_mapping(base),
        (Value::Map(_), Value::List(_)) if rules.mappable.contains(&name) => to_mapping(over),
        (Value::List(_), Value::Map(_)) if rules.listed.contains(&name) => to_list(over),
        (Value::Map(_), Value::List(_)) if rules.listed.contains(&name) => to_list(base),
        (Value::Scalar(_), Value::Map(_)) => {
            leading.into_iter().for_each(|(_, key)| lead(base, key))
        }
        (Value::Map(_), Value::Scalar(_)) => {
            leading.into_iter().for_each(|(_, key)| lead(over, key))
        }
        _ => {}
    }
}

fn replace(entry: &mut Entry, mut change: Entry, name: &str, rules: &Rules) {
    let is_decided = is_decided(&entry.value, &change.value, name, rules);
    match (&mut entry.value.value, &mut change.value.value) {
        (Value::Map(_), Value::Map(_)) if !is_decided => {
            lay_over(&mut entry.value, change.value, Some(name), rules);
        }
        (Value::List(items), Value::List(more)) if rules.joined.holds(name) => {
            join(items, std::mem::take(more), name);
        }
        _ => *entry = change,
    }
}

/// Whether a mapping replaces another as a whole.
fn is_decided(base: &Node, over: &Node, name: &str, rules: &Rules) -> bool {
    let said = |node: &Node, key: &str| Some(node.entry(key)?.value.scalar()?.text.clone());
    let mut deciding = rules.decided_by.iter().filter(|(of, _)| *of == name);
    deciding.any(|(_, key)| match (said(base, key), said(over, key)) {
        (Some(one), Some(other)) => one != other,
        _ => false,
    })
}

/// Appends what is not there yet; of environment, labels and mounts the later value of a name wins.
fn join(items: &mut Vec<Node>, more: Vec<Node>, name: &str) {
    if name == "extra_hosts" {
        // A name has several addresses within one file, and those of the later file.
        let said: Vec<String> = more.iter().filter_map(host).collect();
        items.retain(|known| !host(known).is_some_and(|host| said.contains(&host)));
        items.extend(more);
        return;
    }
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
    let said = |key: &str| Some(item.entry(key)?.value.scalar()?.text.clone());
    let Some(scalar) = item.scalar() else {
        return match name {
            "dependencies" => said("service").or_else(|| said("task")),
            "volumes" => said("target"),
            "secrets" | "configs" => said("target").or_else(|| said("source")),
            "env_file" => said("path"),
            "ports" => said("target").map(|target| {
                let rest = ["host_ip", "published", "protocol"].map(said);
                format!("{target} {rest:?}")
            }),
            _ => None,
        };
    };
    let text = &scalar.text;
    match name {
        "env"
        | "environment"
        | "labels"
        | "args"
        | "annotations"
        | "sysctls"
        | "additional_contexts" => text.split('=').next().map(str::to_owned),
        "tmpfs" => text.split(':').next().map(str::to_owned),
        // What stands behind the first colon, without the mode; in `${A:-b}:/c` that is no path, but equal for equal texts.
        "volumes" | "devices" => {
            let behind = text
                .split_once(":/")
                .map_or(text.as_str(), |(_, path)| path);
            let path = behind.split(':').next().unwrap_or(behind);
            Some(format!("/{}", path.trim_start_matches('/')))
        }
        _ => Some(text.clone()),
    }
}

/// The name in `name:address` or `name=address`.
fn host(item: &Node) -> Option<String> {
    let text = &item.scalar()?.text;
    text.split(['=', ':']).next().map(str::to_owned)
}

fn to_list_of_one(node: &mut Node) {
    if node.scalar().is_some() {
        node.value = Value::List(vec![node.clone()]);
    }
}

/// `DIR` as `{context: DIR}`.
fn lead(node: &mut Node, key: &str) {
    let entry = Entry {
        key: key.to_owned(),
        key_span: node.span,
        value: node.clone(),
    };
    node.value = Value::Map(vec![entry]);
}

/// `{a: 1, b: [2, 3]}` as `[a:1, b:2, b:3]`.
fn to_list(node: &mut Node) {
    let mut items = Vec::new();
    for entry in node.entries() {
        let values = match &entry.value.value {
            Value::List(values) => values.as_slice(),
            Value::Scalar(_) | Value::Map(_) => std::slice::from_ref(&entry.value),
        };
        for value in values {
            let mut item = value.clone();
            if let Value::Scalar(scalar) = &mut item.value {
                scalar.text = format!("{}:{}", entry.key, scalar.text);
                scalar.plain = false;
                items.push(item);
            }
        }
    }
    node.value = Value::List(items);
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
