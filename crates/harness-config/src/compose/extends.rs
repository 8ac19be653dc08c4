//! `include` and `extends`: what stands elsewhere.
//!
//! Owns: reading the files that they name, and that relative paths in them stay relative to where they stand. What comes
//! of it is one tree in which nothing refers to another file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::findings::Refused;
use super::interpolate::interpolate;
use super::nodes::{get, map, one_or_more, text, written};
use super::rules::RULES;
use crate::input::read_text;
use crate::report::{Code, Sink};
use crate::source::{SourceMap, Span};
use crate::text::Variables;
use crate::yaml::{self, Node, Value, shorten};

/// What a conversion may read, and where it says what it finds.
pub(crate) struct Reading<'a> {
    pub(crate) files: &'a mut SourceMap,
    pub(crate) sink: &'a mut Sink,
    pub(crate) variables: &'a Variables,
    /// What relative paths are relative to.
    pub(crate) directory: &'a Path,
    /// What cannot be left out.
    pub(crate) refused: Vec<Refused>,
    /// What was read already.
    known: BTreeMap<PathBuf, Option<Node>>,
    /// Values that `extends` has repeated.
    repeated: usize,
}

/// Files beside the first that one Compose file may lead to.
const MAX_FILES: usize = 64;
/// As many values as two whole files: `extends` repeats them, and could do so without end.
const MAX_REPEATED: usize = 100_000;
const MAX_CHAIN: usize = 32;

impl<'a> Reading<'a> {
    pub(crate) fn new(
        files: &'a mut SourceMap,
        sink: &'a mut Sink,
        variables: &'a Variables,
        directory: &'a Path,
    ) -> Self {
        Self {
            files,
            sink,
            variables,
            directory,
            refused: Vec::new(),
            known: BTreeMap::new(),
            repeated: 0,
        }
    }

    /// The tree of another Compose file, with its paths as seen from here.
    fn file(&mut self, path: &str, asked: Span) -> Option<Node> {
        let full = self.directory.join(path);
        if let Some(known) = self.known.get(&full) {
            return known.clone();
        }
        let read = if self.known.len() < MAX_FILES {
            read_text(&full).map_err(|error| error.to_string())
        } else {
            Err(format!("a Compose file may lead to {MAX_FILES} others"))
        };
        let tree = match read {
            Ok(text) => {
                let file =
                    self.files
                        .add(full.display().to_string(), Some(full.clone()), false, &text);
                yaml::parse(self.files, file, self.sink)
            }
            Err(error) => {
                let message = format!("cannot read `{}`: {error}", shorten(path));
                self.sink.error(Code::Unreadable, asked, message);
                None
            }
        };
        let tree = tree.map(|mut tree| {
            interpolate(&mut tree, self.sink);
            rebase(&mut tree, directory_of(path));
            tree
        });
        self.known.insert(full, tree.clone());
        tree
    }
}

/// Puts in what `include` names; what is there already stays.
pub(super) fn include(root: &mut Node, reading: &mut Reading<'_>) {
    let mut open = paths(root, "", reading.sink);
    let mut seen: Vec<String> = Vec::new();
    while let Some((path, span)) = open.pop() {
        if seen.contains(&path) {
            continue;
        }
        seen.push(path.clone());
        let Some(tree) = reading.file(&path, span) else {
            continue;
        };
        open.extend(paths(&tree, directory_of(&path), reading.sink));
        let Value::Map(own) = &mut root.value else {
            return;
        };
        for section in tree.entries() {
            let is_shared = ["services", "volumes", "networks", "secrets", "configs"]
                .contains(&section.key.as_str());
            match own.iter_mut().find(|entry| entry.key == section.key) {
                _ if !is_shared => {}
                Some(known) => join(known, section, reading.sink),
                None => own.push(section.clone()),
            }
        }
    }
}

fn join(known: &mut crate::yaml::Entry, section: &crate::yaml::Entry, sink: &mut Sink) {
    let Value::Map(entries) = &mut known.value.value else {
        return;
    };
    for more in section.value.entries() {
        match entries.iter().find(|entry| entry.key == more.key) {
            Some(first) if section.key == "services" => {
                let message = format!("`{}` is there already", shorten(&more.key));
                sink.error(Code::DuplicateKey, more.key_span, message)
                    .also(first.key_span, "the first");
            }
            Some(_) => {}
            None => entries.push(more.clone()),
        }
    }
}

/// The paths under `include`, as seen from the first file.
fn paths(root: &Node, prefix: &str, sink: &mut Sink) -> Vec<(String, Span)> {
    let mut paths = Vec::new();
    for item in get(root, "include").map(one_or_more).unwrap_or_default() {
        for part in item.entries().iter().filter(|part| part.key != "path") {
            let message = format!(
                "`{}` of an `include` is not carried over: one environment and one directory hold for all",
                shorten(&part.key)
            );
            sink.warning(Code::ComposeLost, part.key_span, message)
                .help("import the file into a stack of its own");
        }
        let named = get(item, "path").unwrap_or(item);
        for path in one_or_more(named) {
            if let Some(path_text) = written(path) {
                paths.push((moved(path_text, prefix), path.span));
            }
        }
    }
    paths.reverse();
    paths
}

/// Puts each service over what it extends.
pub(super) fn resolve(root: &mut Node, reading: &mut Reading<'_>) {
    let services = root.entry("services").map(|entry| entry.value.entries());
    let extending = services.unwrap_or_default().iter();
    let extending = extending.filter(|service| service.value.entry("extends").is_some());
    let names: Vec<(String, Span)> = extending.map(|s| (s.key.clone(), s.key_span)).collect();
    let mut resolved = Vec::new();
    for (name, span) in names {
        let found = extended(root, &name, span, reading, &mut Vec::new());
        resolved.push((name, found));
    }
    let Value::Map(sections) = &mut root.value else {
        return;
    };
    let services = sections.iter_mut().find(|entry| entry.key == "services");
    let Some(Value::Map(services)) = services.map(|entry| &mut entry.value.value) else {
        return;
    };
    for (name, node) in resolved {
        if let Some(service) = services.iter_mut().find(|service| service.key == name)
            && let Some(node) = node
        {
            service.value = node;
        }
    }
}

/// The service of this name, over what it extends; nothing when that has been reported.
fn extended(
    root: &Node,
    name: &str,
    asked: Span,
    reading: &mut Reading<'_>,
    trail: &mut Vec<Span>,
) -> Option<Node> {
    let services = root.entry("services").map(|entry| &entry.value);
    let Some(service) = services.and_then(|services| services.entry(name)) else {
        let message = format!("there is no service `{}` to extend", shorten(name));
        reading.sink.error(Code::UnknownUnit, asked, message);
        return None;
    };
    let mut own = service.value.clone();
    let Value::Map(entries) = &mut own.value else {
        return Some(own);
    };
    let Some(at) = entries.iter().position(|entry| entry.key == "extends") else {
        return Some(own);
    };
    let extends = entries.remove(at).value;
    if trail.contains(&service.key_span) || trail.len() > MAX_CHAIN {
        let message = format!("`{}` extends itself, in the end", shorten(name));
        reading.sink.error(Code::Cycle, extends.span, message);
        return None;
    }
    trail.push(service.key_span);
    let (file, base) = match &extends.value {
        Value::Map(_) => (get(&extends, "file"), get(&extends, "service")),
        Value::Scalar(_) | Value::List(_) => (None, Some(&extends)),
    };
    let Some(base_name) = base.and_then(written) else {
        let message = "`extends` names a service";
        reading.sink.error(Code::Missing, extends.span, message);
        return None;
    };
    let mut base = match file.and_then(|file| Some((written(file)?, file.span))) {
        Some((path, span)) => {
            let tree = reading.file(path, span)?;
            extended(&tree, base_name, extends.span, reading, trail)?
        }
        None => extended(root, base_name, extends.span, reading, trail)?,
    };
    reading.repeated += weight(&base);
    if reading.repeated > MAX_REPEATED {
        let message = "`extends` repeats more than 100,000 values";
        reading.sink.error(Code::Limit, extends.span, message);
        return None;
    }
    if !matches!(base.value, Value::Map(_)) {
        base = map(base.span, Vec::new());
    }
    base.span = own.span;
    yaml::overlay(&mut base, own, &RULES);
    Some(base)
}

fn weight(node: &Node) -> usize {
    1 + match &node.value {
        Value::Scalar(_) => 0,
        Value::List(items) => items.iter().map(weight).sum(),
        Value::Map(entries) => entries.iter().map(|entry| weight(&entry.value)).sum(),
    }
}

/// The part of a path up to its last slash.
fn directory_of(path: &str) -> &str {
    path.rfind('/').map_or("", |at| &path[..=at])
}

/// A path that stood in the directory `prefix`, as seen from outside.
fn moved(path: &str, prefix: &str) -> String {
    let is_elsewhere = path.starts_with(['/', '~', '$']) || path.contains("://");
    if prefix.is_empty() || is_elsewhere {
        return path.to_owned();
    }
    let path = path.strip_prefix("./").unwrap_or(path);
    let path = if path == "." { "" } else { path };
    let is_relative = prefix.starts_with(['.', '/', '~', '$']);
    let lead = if is_relative { "" } else { "./" };
    format!("{lead}{prefix}{path}")
}

/// Moves the relative paths of a file that stands in another directory. Its own `include` and `extends` are moved when
/// they are followed.
fn rebase(root: &mut Node, prefix: &str) {
    if prefix.is_empty() {
        return;
    }
    let Value::Map(sections) = &mut root.value else {
        return;
    };
    for section in sections {
        let Value::Map(entries) = &mut section.value.value else {
            continue;
        };
        for entry in entries {
            match section.key.as_str() {
                "services" => rebase_service(&mut entry.value, prefix),
                "secrets" | "configs" => rebase_key(&mut entry.value, "file", prefix),
                _ => {}
            }
        }
    }
}

fn rebase_service(service: &mut Node, prefix: &str) {
    let Value::Map(entries) = &mut service.value else {
        return;
    };
    for entry in entries {
        let value = &mut entry.value;
        match entry.key.as_str() {
            "build" if value.scalar().is_some() => rebase_path(value, prefix),
            "build" => rebase_key(value, "context", prefix),
            "extends" => rebase_key(value, "file", prefix),
            "env_file" if value.scalar().is_some() => rebase_path(value, prefix),
            "env_file" | "volumes" => {
                let is_volume = entry.key == "volumes";
                let Value::List(items) = &mut value.value else {
                    continue;
                };
                for item in items {
                    match (item.scalar().is_some(), is_volume) {
                        (true, false) => rebase_path(item, prefix),
                        (true, true) if written(item).is_some_and(|said| said.starts_with('.')) => {
                            rebase_path(item, prefix);
                        }
                        (true, true) => {}
                        (false, true) if get(item, "type").and_then(written) == Some("bind") => {
                            rebase_key(item, "source", prefix);
                        }
                        (false, true) => {}
                        (false, false) => rebase_key(item, "path", prefix),
                    }
                }
            }
            _ => {}
        }
    }
}

fn rebase_key(node: &mut Node, key: &str, prefix: &str) {
    if let Value::Map(entries) = &mut node.value
        && let Some(entry) = entries.iter_mut().find(|entry| entry.key == key)
    {
        rebase_path(&mut entry.value, prefix);
    }
}

fn rebase_path(node: &mut Node, prefix: &str) {
    if let Some(path) = written(node).filter(|path| !path.is_empty()) {
        *node = text(node.span, moved(path, prefix));
    }
}
