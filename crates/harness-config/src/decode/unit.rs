//! Services and tasks.
//!
//! A unit always comes out, whatever is wrong with it, so that the graph can be checked in the same run. Where its target
//! has been reported, [`TargetSpec::Builtin`] stands in for it; with an error noted, no stack is handed out.

use std::collections::BTreeMap;

use service_orchestration::spec::{
    Restart, RestartWhen, ServiceSpec, TargetSpec, UnitKind, UnitName,
};

use super::networks::json;
use super::ports::Ports;
use super::probe::Asked;
use super::{Decoder, Edge, Places, Unit, policy};
use crate::keys::{COMMON, SERVICE, STOP, TASK, TargetType, form_of};
use crate::report::Code;
use crate::source::Span;
use crate::table::Fields;
use crate::yaml::{Entry, Node, Scalar, Value};

impl Decoder<'_> {
    pub(super) fn unit(&mut self, name: UnitName, kind: UnitKind, entry: &Entry) -> Unit {
        let node = &entry.value;
        let common = Fields::new(node, COMMON);
        let form = form_of(node);
        let is_container = form.is_some_and(|form| form.kind == TargetType::Docker);
        let of_target = |key| form.and_then(|form| form.node(key));
        let mut ports = if is_container {
            self.container_ports(of_target("ports"), of_target("expose"))
        } else {
            self.ports(of_target("ports"))
        };
        let target = form.and_then(|form| self.target(form));
        let (mut target, is_shell) = target.unwrap_or((TargetSpec::Builtin, false));
        let attachment = self.attachment(&common, form.filter(|_| is_container));
        if let TargetSpec::Docker(container) = &mut target {
            container.network = attachment.of_engine;
            container.aliases = attachment.aliases;
        }
        self.map_ports(&target, &mut ports);
        if is_container || matches!(target, TargetSpec::DockerAttach { .. }) {
            self.only_of_processes(&common);
        }
        let edges = self.dependencies(&common);
        let environment = self.environment(&name, form.and_then(|form| form.node("env")), &common);
        let mut places = self.places(entry, &common, &ports);
        places.env = environment
            .iter()
            .map(|(name, (_, span))| (name.clone(), *span))
            .collect();
        places.container_name = of_target("container_name").map(|node| node.span);
        if let Some(node) = of_target("build") {
            let context = node
                .entry("context")
                .map_or(node.span, |entry| entry.value.span);
            places.build = Some(context);
            places.dockerfile = node.entry("dockerfile").map(|entry| entry.value.span);
        }
        places.args = form
            .and_then(|f| f.node("args"))
            .map(spans)
            .unwrap_or_default();

        let mut spec = ServiceSpec::new(name, kind, target);
        spec.display_name = common.owned("name");
        spec.description = common.owned("description");
        spec.network = attachment.network;
        spec.env = environment
            .into_iter()
            .map(|(name, (value, _))| (name, value))
            .collect();
        spec.inject = common
            .flag("inject")
            .or(self.settings.inject)
            .unwrap_or(true);
        spec.dependencies = edges
            .iter()
            .map(|edge: &Edge| edge.dependency.clone())
            .collect();
        spec.log = policy::log(common.node("log"));
        spec.profiles = common.literals("profiles");
        spec.labels = labels(common.node("labels"));
        spec.origin = self.origin(entry.key_span);
        let shutdown = match kind {
            UnitKind::Service => Fields::new(node, SERVICE).entry("shutdown_timeout"),
            UnitKind::Task => None,
        };
        spec.stop = self.stop(&common, shutdown, is_shell);
        if let TargetSpec::Docker(container) = &mut spec.target {
            container.image_signal = !names_a_signal(&common);
        }
        spec.ports = ports.specs;
        match kind {
            UnitKind::Service => self.service(&mut spec, node, is_container, &mut places),
            UnitKind::Task => self.task(&mut spec, node, &mut places),
        }
        Unit {
            spec,
            edges,
            places,
        }
    }

    fn service(
        &mut self,
        spec: &mut ServiceSpec,
        node: &Node,
        is_container: bool,
        places: &mut Places,
    ) {
        let fields = Fields::new(node, SERVICE);
        let ports = spec.ports.clone();
        let name = spec.name.clone();
        let is_container = is_container || matches!(spec.target, TargetSpec::DockerAttach { .. });
        let asked = Asked {
            name: &name,
            ports: &ports,
            is_container,
        };
        spec.type_name = fields.owned("service_type");
        places.type_name = fields.node("service_type").map(|node| node.span);
        spec.readiness = self.probe(fields.entry("health_check"), asked);
        if let TargetSpec::Docker(container) = &mut spec.target {
            let check = fields.entry("health_check");
            container.no_check = check.is_some_and(super::probe::says_none);
        }
        spec.liveness = self.liveness(fields.entry("liveness"), asked);
        spec.startup = self.probe(fields.entry("startup"), asked);
        spec.on_unhealthy = self.on_unhealthy(&fields);
        spec.restart = self.restart(fields.node("restart"));
        spec.startup_timeout = fields
            .duration("startup_timeout")
            .or(self.settings.startup_timeout);
    }

    fn task(&mut self, spec: &mut ServiceSpec, node: &Node, places: &mut Places) {
        let fields = Fields::new(node, TASK);
        spec.type_name = fields.owned("task_type");
        places.type_name = fields.node("task_type").map(|node| node.span);
        let inputs = [fields.entry("action"), fields.entry("config")]
            .into_iter()
            .flatten();
        let inputs: Vec<(Span, &Entry)> = inputs.map(|entry| (entry.key_span, entry)).collect();
        if let Some((span, entry)) = inputs.first().filter(|_| spec.type_name.is_none()) {
            let message = format!(
                "`{}` is the input of a `task_type`, and there is none",
                entry.key
            );
            self.sink.error(Code::Missing, *span, message);
        }
        spec.action = self
            .one_of(inputs, "the task's input")
            .map(|entry| json(&entry.value));
        spec.timeout = fields.duration("timeout");
        let retries = fields.number("retries").unwrap_or(0);
        spec.restart = Restart {
            when: match retries {
                0 => RestartWhen::Never,
                retries => RestartWhen::OnFailure { max: Some(retries) },
            },
            ..Restart::default()
        };
    }

    fn places(&self, entry: &Entry, common: &Fields<'_>, ports: &Ports) -> Places {
        let node = &entry.value;
        let typed = node
            .entry("target")
            .map_or(node, |target| &target.value)
            .entry("type");
        Places {
            key: entry.key_span,
            target: typed.map_or(entry.key_span, |entry| entry.value.span),
            type_name: None,
            network: common
                .node("network")
                .map(|node| node.span)
                .or_else(|| first_network(common.node("networks")?)),
            ports: ports.spans.clone(),
            env: BTreeMap::new(),
            args: Vec::new(),
            container_name: None,
            build: None,
            dockerfile: None,
        }
    }
}

fn first_network(networks: &Node) -> Option<Span> {
    let mapped = networks.entries().first().map(|entry| entry.key_span);
    mapped.or_else(|| Some(networks.items().first()?.span))
}

/// Whether the file says by which signal a unit is asked to end.
fn names_a_signal(common: &Fields<'_>) -> bool {
    let policy = common
        .node("stop")
        .map(|node| Fields::new(node, STOP.fields));
    let inner = policy.and_then(|fields| fields.entry("signal"));
    inner.or_else(|| common.entry("stop_signal")).is_some()
}

fn spans(node: &Node) -> Vec<Span> {
    node.items().iter().map(|item| item.span).collect()
}

/// A mapping, or a list of `name=value`.
pub(super) fn labels(node: Option<&Node>) -> BTreeMap<String, String> {
    let literal = |node: &Node| node.scalar().and_then(Scalar::literal).map(str::to_owned);
    match node.map(|node| &node.value) {
        Some(Value::Map(entries)) => entries
            .iter()
            .filter_map(|entry| Some((entry.key.clone(), literal(&entry.value)?)))
            .collect(),
        Some(Value::List(items)) => items
            .iter()
            .filter_map(literal)
            .map(|text| match text.split_once('=') {
                Some((name, value)) => (name.to_owned(), value.to_owned()),
                None => (text, String::new()),
            })
            .collect(),
        Some(Value::Scalar(_)) | None => BTreeMap::new(),
    }
}
