//! The checked tree to the specification.
//!
//! Owns: what each key does. The tables have seen to it that values have the right shape; what only several values
//! together can show to be wrong is reported here.

mod attachment;
mod command;
mod container;
mod dependencies;
mod environment;
mod limits;
mod mounts;
mod networks;
mod policy;
mod ports;
mod probe;
mod secrets;
mod target;
mod unit;
mod volumes;

pub(crate) use secrets::Secrets;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use service_orchestration::spec::{
    Dependency, NetworkSpec, Origin, ServiceSpec, UnitKind, UnitName, VolumeSpec,
};

use crate::keys::{SETTINGS, STACK};
use crate::report::{Code, Sink};
use crate::source::{SourceMap, Span};
use crate::table::{Fields, size};
use crate::text::Variables;
use crate::yaml::{Entry, Node};

/// What the tree says, with the places that later checks point at.
#[derive(Debug, Default)]
pub(crate) struct Decoded {
    pub(crate) name: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) log_total: Option<u64>,
    pub(crate) networks: BTreeMap<String, (NetworkSpec, Span)>,
    pub(crate) volumes: BTreeMap<String, VolumeSpec>,
    pub(crate) units: BTreeMap<UnitName, Unit>,
    pub(crate) secrets: Secrets,
}

/// A unit and the places in it.
#[derive(Debug)]
pub(crate) struct Unit {
    pub(crate) spec: ServiceSpec,
    pub(crate) edges: Vec<Edge>,
    pub(crate) places: Places,
}

/// A dependency and its place.
#[derive(Debug)]
pub(crate) struct Edge {
    pub(crate) dependency: Dependency,
    pub(crate) span: Span,
    /// The kind that the file says it has, if it says so.
    pub(crate) claimed: Option<UnitKind>,
}

/// Where things stand in a unit.
#[derive(Debug)]
pub(crate) struct Places {
    pub(crate) key: Span,
    /// The value of `type`, or the key of the unit.
    pub(crate) target: Span,
    pub(crate) type_name: Option<Span>,
    pub(crate) network: Option<Span>,
    pub(crate) ports: Vec<Span>,
    pub(crate) env: BTreeMap<String, Span>,
    pub(crate) args: Vec<Span>,
    pub(crate) container_name: Option<Span>,
    /// The directory that an image is built from, and the recipe, as far as they are said.
    pub(crate) build: Option<Span>,
    pub(crate) dockerfile: Option<Span>,
}

/// Defaults from `settings`.
#[derive(Debug, Default)]
struct Settings {
    interval: Option<Duration>,
    startup_timeout: Option<Duration>,
    shutdown_timeout: Option<Duration>,
    inject: Option<bool>,
}

/// Reads a tree; see the module.
pub(crate) struct Decoder<'a> {
    pub(crate) files: &'a mut SourceMap,
    pub(crate) sink: &'a mut Sink,
    pub(crate) variables: &'a Variables,
    /// What relative paths are relative to.
    pub(crate) directory: &'a Path,
    settings: Settings,
    volumes: BTreeMap<String, VolumeSpec>,
    secrets: Secrets,
}

impl<'a> Decoder<'a> {
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
            settings: Settings::default(),
            volumes: BTreeMap::new(),
            secrets: Secrets::new(),
        }
    }

    /// Everything the tree says.
    pub(crate) fn stack(mut self, root: &Node) -> Decoded {
        let fields = Fields::new(root, STACK.fields);
        self.settings = self.settings(&fields);
        self.declared_secrets(&fields);
        self.volumes = self.declared_volumes(&fields);
        let mut decoded = Decoded {
            name: fields.owned("name"),
            description: fields.owned("description"),
            log_total: fields.node("settings").and_then(log_total),
            networks: self.networks(&fields),
            volumes: BTreeMap::new(),
            units: BTreeMap::new(),
            secrets: Secrets::new(),
        };
        for (section, kind) in [("services", UnitKind::Service), ("tasks", UnitKind::Task)] {
            for entry in fields.node(section).map(Node::entries).unwrap_or_default() {
                self.one_unit(entry, kind, &mut decoded.units);
            }
        }
        decoded.volumes = self.volumes;
        decoded.secrets = self.secrets;
        decoded
    }

    fn one_unit(&mut self, entry: &Entry, kind: UnitKind, units: &mut BTreeMap<UnitName, Unit>) {
        let name = match UnitName::new(entry.key.as_str()) {
            Ok(name) => name,
            Err(error) => {
                self.sink
                    .error(Code::Name, entry.key_span, error.to_string());
                return;
            }
        };
        if let Some(first) = units.get(&name) {
            let first = first.places.key;
            self.sink
                .error(
                    Code::SharedName,
                    entry.key_span,
                    format!("`{name}` is both a service and a task"),
                )
                .label("rename one of them")
                .also(first, "the other");
            return;
        }
        let unit = self.unit(name.clone(), kind, entry);
        units.insert(name, unit);
    }

    fn settings(&mut self, fields: &Fields<'_>) -> Settings {
        let Some(node) = fields.node("settings") else {
            return Settings::default();
        };
        let fields = Fields::new(node, SETTINGS.fields);
        if let Some(entry) = fields.entry("log_level") {
            self.sink
                .warning(
                    Code::Elsewhere,
                    entry.key_span,
                    "`log_level` has no effect in a stack file",
                )
                .help("one daemon serves many stacks: set HARNESS_LOG where the daemon is started");
        }
        Settings {
            interval: fields.duration("health_check_interval"),
            startup_timeout: fields.duration("startup_timeout"),
            shutdown_timeout: fields.duration("shutdown_timeout"),
            inject: fields.flag("inject"),
        }
    }

    fn origin(&self, span: Span) -> Origin {
        let place = self.files.place(span);
        Origin {
            file: span.file,
            line: place.line,
            column: place.column,
        }
    }

    /// Reports that two of these keys say the same thing; answers the first that is there.
    fn one_of<T>(&mut self, candidates: Vec<(Span, T)>, what: &str) -> Option<T> {
        let mut candidates = candidates.into_iter();
        let (first_span, first) = candidates.next()?;
        for (span, _) in candidates {
            self.sink
                .error(Code::Twice, span, format!("{what} is given twice"))
                .label("keep one of them")
                .also(first_span, "the other");
        }
        Some(first)
    }
}

/// The cap on all logs together: of the stack, and no default of its units.
fn log_total(settings: &Node) -> Option<u64> {
    let text = Fields::new(settings, SETTINGS.fields).literal("log_total")?;
    size(text).ok()
}
