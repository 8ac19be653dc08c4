//! A Compose file as a tree of the stack file.
//!
//! Owns: the top level, and what every part of the conversion shares: how a finding is worded, and what a value is once its
//! variables are known.

use std::collections::{BTreeMap, BTreeSet};

use super::extends::{self, Reading};
use super::findings::{Findings, Refused};
use super::interpolate::interpolate;
use super::keys::Key;
use super::nodes::{entry, get, map, plain, written};
use super::plan::{Plan, plan};
use super::{mounts, networks};
use crate::keys::{COMMON, SERVICE, STACK, TASK, TargetType};
use crate::report::{Code, Sink};
use crate::source::{SourceMap, Span};
use crate::table::{Field, Shape, find};
use crate::text::{Substitution, Variables, substitute};
use crate::yaml::{Entry, Node, shorten};

/// The tree of the stack file that says what this Compose file says. What it cannot say is noted. One that is no whole is to
/// be laid over another file, so its services need not say what runs.
pub(crate) fn convert(mut root: Node, reading: &mut Reading<'_>, is_whole: bool) -> Node {
    interpolate(&mut root, reading.sink);
    extends::include(&mut root, reading);
    extends::resolve(&mut root, reading);
    let services = root.entry("services").map(|entry| entry.value.entries());
    let services = services.unwrap_or_default();
    let mut converter = Converter {
        plan: plan(services),
        root: &root,
        files: reading.files,
        variables: reading.variables,
        sink: reading.sink,
        findings: Findings::default(),
        refused: Vec::new(),
        owner: None,
        is_whole,
        has_told_of_ports: false,
    };
    let stack = converter.stack();
    converter.findings.tell(converter.sink);
    reading.refused.extend(converter.refused);
    stack
}

/// See the module.
pub(super) struct Converter<'a> {
    pub(super) plan: Plan,
    /// The whole Compose file.
    pub(super) root: &'a Node,
    files: &'a SourceMap,
    variables: &'a Variables,
    pub(super) sink: &'a mut Sink,
    findings: Findings,
    refused: Vec<Refused>,
    /// The service that is being turned.
    owner: Option<String>,
    pub(super) is_whole: bool,
    /// Whether it was said that a port without an address is this machine's alone.
    pub(super) has_told_of_ports: bool,
}

/// The keys of the top level.
const TOP_LEVEL: [&str; 8] = [
    "version", "name", "services", "volumes", "networks", "secrets", "configs", "include",
];

impl Converter<'_> {
    fn stack(&mut self) -> Node {
        let root = self.root;
        let mut made = Vec::new();
        let (mut services, mut tasks) = (Vec::new(), Vec::new());
        for top in root.entries() {
            match top.key.as_str() {
                "name" => made.push(top.clone()),
                "services" => {
                    for service in top.value.entries() {
                        let is_task = self.plan.tasks.contains(&service.key);
                        self.owner = Some(service.key.clone());
                        let unit = self.unit(service, is_task);
                        self.owner = None;
                        if is_task { &mut tasks } else { &mut services }.push(unit);
                    }
                    if !matches!(top.value.value, crate::yaml::Value::Map(_)) {
                        made.push(top.clone());
                    }
                    for (key, units) in [("services", &mut services), ("tasks", &mut tasks)] {
                        if !units.is_empty() {
                            let units = std::mem::take(units);
                            made.push(entry(key, top.key_span, map(top.value.span, units)));
                        }
                    }
                }
                "volumes" => made.extend(mounts::declared(self, top)),
                "networks" => networks::declared(self, top),
                "version" | "secrets" | "configs" | "include" => {}
                "models" => self.lost(
                    top.key_span,
                    "`models`",
                    "no model is brought",
                    "run what serves them as services",
                ),
                key if key.starts_with("x-") => {}
                key => {
                    let near = self.sink.suggest(key, TOP_LEVEL.iter().copied());
                    let message = format!("`{}` is no key of a Compose file", shorten(key));
                    self.sink
                        .error(Code::UnknownField, top.key_span, message)
                        .meant(near);
                }
            }
        }
        if self.is_whole {
            let at = made.iter().position(|top| top.key == "name");
            made.insert(at.map_or(0, |at| at + 1), untold(root.span.file));
        }
        map(root.span, made)
    }

    /// Says that something is not carried over.
    pub(super) fn lost(&mut self, span: Span, what: &str, means: &str, instead: &str) {
        let owner = self.owner.as_deref();
        self.findings.lost(span, what, owner, means, instead);
    }

    /// Says that something of the service cannot be left out.
    pub(super) fn refuse(&mut self, span: Span, what: &str, means: &str, help: &'static str) {
        self.refused.push(Refused {
            unit: self.owner.clone().unwrap_or_default(),
            span,
            message: format!("{what} is not carried over: {means}"),
            help,
        });
    }

    /// The same as [`Self::lost`], of a key of a service.
    pub(super) fn lost_key(&mut self, entry: &Entry, owner: &str, key: &Key) {
        let what = format!("`{}` of `{}`", key.name, shorten(owner));
        self.lost(entry.key_span, &what, key.means, key.instead);
    }

    /// Says that something does not do quite the same.
    pub(super) fn changed(&mut self, span: Span, message: String, instead: &str) {
        self.sink
            .warning(Code::ComposeChanged, span, message)
            .help(instead);
    }

    /// Says of each key but the taken ones that it is not carried over; `why` is what that means, and what can be done.
    /// One that is not even known to Compose is an error.
    pub(super) fn rest_is_lost(
        &mut self,
        node: &Node,
        (taken, known): (&[&str], &[&str]),
        of: &str,
        why: Why,
    ) {
        for entry in node.entries() {
            let key = entry.key.as_str();
            let is_passed = taken.contains(&key) || key.starts_with("x-");
            if is_passed || self.is_misspelt(entry, known, of) || entry.value.is_null() {
                continue;
            }
            let what = format!("`{}` of {of}", shorten(key));
            self.lost(entry.key_span, &what, why.0, why.1);
        }
    }

    /// What a scalar says once its variables are known; nothing when they cannot be known.
    pub(super) fn value(&self, node: &Node) -> Option<String> {
        let text = written(node)?;
        if !text.contains('$') {
            return Some(text.to_owned());
        }
        let mut probe = map(node.span, vec![entry("probe", node.span, node.clone())]);
        let mut substitution = Substitution {
            files: self.files,
            variables: self.variables,
            units: &BTreeMap::new(),
            secrets: &BTreeSet::new(),
            blank: &BTreeSet::from([node.span.file]),
            sink: &mut Sink::default(),
            references: Vec::new(),
        };
        substitute(&mut probe, &mut substitution);
        let probe = get(&probe, "probe")?;
        probe.scalar()?.literal().map(str::to_owned)
    }

    /// The same of a key, when it is there.
    pub(super) fn value_of(&self, node: &Node, key: &str) -> Option<String> {
        get(node, key).and_then(|node| self.value(node))
    }
}

/// Compose adds nothing to the environment. A stack file that is laid over it may ask for it.
fn untold(file: u32) -> Entry {
    let nowhere = Span::whole(file);
    let inject = entry("inject", nowhere, plain(nowhere, "false"));
    entry("settings", nowhere, map(nowhere, vec![inject]))
}

/// What it means that something is not carried over, and what can be done.
pub(super) type Why = (&'static str, &'static str);

/// Of what matters nowhere but in a swarm.
pub(super) const SWARM: Why = (
    "Compose does not act on it either, only a swarm does",
    "nothing is to be done",
);

/// The field of the stack file that a unit in a container has under this name, if anything acts on it.
pub(super) fn stack_field(key: &str, is_task: bool) -> Option<&'static Field> {
    let own = if is_task { TASK } else { SERVICE };
    let tables = [TargetType::Docker.fields(), COMMON, own];
    find(&tables, key).filter(|field| !matches!(field.shape, Shape::NotBuilt(_)))
}

/// The field of the top level of the stack file, if anything acts on it.
pub(super) fn top_field(key: &str) -> Option<&'static Field> {
    find(&[STACK.fields], key).filter(|field| !matches!(field.shape, Shape::NotBuilt(_)))
}

/// The fields of the mapping that a shape takes, if it takes one.
pub(super) fn fields_of(shape: &'static Shape) -> Option<&'static [Field]> {
    match shape {
        Shape::Object(object) => Some(object.fields),
        Shape::Either(shapes) => shapes.iter().find_map(fields_of),
        Shape::List(item) | Shape::Map(item) => fields_of(item),
        _ => None,
    }
}
