//! What needs what, as lines, for Graphviz, for Mermaid, and for programs.
//!
//! Owns: the shape of `graph -o json`, and the order of units: what is needed stands before what needs it.

use std::collections::{BTreeMap, BTreeSet};

use harness_core::report::StackStatus;
use harness_core::spec::{Gate, StackName, StackSpec, UnitKind, UnitName};
use serde::Serialize;

use super::look::{Look, Span};
use super::progress::span;
use super::status::{counted, kind_name};
use super::width::{clipped, columns, padded};

/// The units of a stack and their dependencies.
#[derive(Debug, Serialize)]
pub(crate) struct Graph<'a> {
    schema_version: u32,
    stack: &'a StackName,
    nodes: Vec<Node<'a>>,
    edges: Vec<Edge<'a>>,
}

#[derive(Debug, Serialize)]
struct Node<'a> {
    name: &'a str,
    kind: UnitKind,
    target: String,
    /// The states of its instances, when they are known.
    states: Vec<&'a str>,
    /// How many steps it is behind those that need nothing.
    depth: usize,
}

#[derive(Debug, Serialize)]
struct Edge<'a> {
    from: &'a str,
    to: &'a str,
    gate: Gate,
    required: bool,
    restart: bool,
}

impl<'a> Graph<'a> {
    pub(crate) fn new(stack: &'a StackSpec, status: Option<&'a StackStatus>) -> Self {
        let mut depths = BTreeMap::new();
        for name in stack.units.keys() {
            depth(stack, name, &mut depths);
        }
        let mut nodes: Vec<Node<'_>> = stack
            .units
            .iter()
            .map(|(name, unit)| Node {
                name: name.as_str(),
                kind: unit.kind,
                target: unit.target.kind().to_string(),
                states: states(status, name),
                depth: depths[name],
            })
            .collect();
        nodes.sort_by_key(|node| (node.depth, node.name));
        let edges = stack.units.iter().flat_map(|(name, unit)| {
            unit.dependencies.iter().map(move |need| Edge {
                from: name.as_str(),
                to: need.unit.as_str(),
                gate: need.gate.unwrap_or_else(|| {
                    let needed = stack.units.get(&need.unit);
                    needed.map_or(Gate::Started, |unit| unit.default_gate())
                }),
                required: need.required,
                restart: need.restart,
            })
        });
        Self {
            schema_version: SCHEMA_VERSION,
            stack: &stack.name,
            nodes,
            edges: edges.collect(),
        }
    }

    /// A line for each unit.
    pub(crate) fn text(&self, look: &Look) -> String {
        let shown = |node: &Node<'_>| format!("{}{}", "  ".repeat(node.depth), node.name);
        let width = |text: fn(&Self, &Node<'_>) -> usize| {
            let widths = self.nodes.iter().map(|node| text(self, node));
            widths.max().unwrap_or_default()
        };
        let names = width(|_, node| 2 * node.depth + columns(node.name));
        let states = width(|_, node| columns(&node.states.join(",")));
        let count = counted(self.nodes.len(), "unit");
        let mut text = format!(
            "{}  {count}\n",
            look.paint(Span::Strong, self.stack.as_str())
        );
        for node in &self.nodes {
            let state = padded(&node.states.join(","), states);
            let state = node
                .states
                .first()
                .map_or_else(|| state.clone(), |first| look.paint(span(first), &state));
            let needs = self.edges.iter().filter(|edge| edge.from == node.name);
            let needs: Vec<String> = needs.map(Edge::words).collect();
            let needs = match needs.as_slice() {
                [] => String::new(),
                some => format!("needs {}", some.join(", ")),
            };
            let head = format!(
                "{}  {:<7}  ",
                padded(&shown(node), names),
                kind_name(node.kind)
            );
            let room = look.width.unwrap_or(usize::MAX);
            let room = room.saturating_sub(columns(&head) + states + 2);
            let needs = clipped(&needs, room, look.unicode);
            text += format!("{head}{state}  {needs}").trim_end();
            text.push('\n');
        }
        text
    }

    /// For Graphviz. Arrows point to what is needed.
    pub(crate) fn dot(&self) -> String {
        let mut text = format!("digraph \"{}\" {{\n  rankdir=LR;\n", self.stack);
        for node in &self.nodes {
            let shape = match node.kind {
                UnitKind::Service => "box",
                UnitKind::Task => "ellipse",
            };
            let label = node.label("\\n");
            text += &format!("  \"{}\" [shape={shape}, label=\"{label}\"];\n", node.name);
        }
        for edge in &self.edges {
            let style = if edge.required { "solid" } else { "dashed" };
            text += &format!(
                "  \"{}\" -> \"{}\" [label=\"{}\", style={style}];\n",
                edge.from,
                edge.to,
                edge.gate_words()
            );
        }
        text + "}\n"
    }

    /// For Mermaid. Arrows point to what is needed.
    pub(crate) fn mermaid(&self) -> String {
        let ids: BTreeMap<&str, usize> = self
            .nodes
            .iter()
            .enumerate()
            .map(|(at, node)| (node.name, at))
            .collect();
        let mut text = "flowchart LR\n".to_owned();
        for (at, node) in self.nodes.iter().enumerate() {
            let label = node.label("<br/>");
            text += &match node.kind {
                UnitKind::Service => format!("  n{at}[\"{label}\"]\n"),
                UnitKind::Task => format!("  n{at}([\"{label}\"])\n"),
            };
        }
        for edge in &self.edges {
            let (Some(from), Some(to)) = (ids.get(edge.from), ids.get(edge.to)) else {
                continue;
            };
            let arrow = if edge.required { "-->" } else { "-.->" };
            text += &format!("  n{from} {arrow}|{}| n{to}\n", edge.gate_words());
        }
        text
    }
}

impl Node<'_> {
    fn label(&self, line_end: &str) -> String {
        match self.states.as_slice() {
            [] => self.name.to_owned(),
            states => format!("{}{line_end}{}", self.name, states.join(", ")),
        }
    }
}

impl Edge<'_> {
    /// `db (ready, restarts with it)`.
    fn words(&self) -> String {
        let mut words = vec![gate_name(self.gate)];
        words.extend((!self.required).then_some("optional"));
        words.extend(self.restart.then_some("restarts with it"));
        format!("{} ({})", self.to, words.join(", "))
    }

    fn gate_words(&self) -> String {
        let restart = if self.restart { ", restart" } else { "" };
        format!("{}{restart}", gate_name(self.gate))
    }
}

fn gate_name(gate: Gate) -> &'static str {
    match gate {
        Gate::Started => "started",
        Gate::Ready => "ready",
        Gate::Completed => "completed",
    }
}

/// The states of a unit's instances, each once.
fn states<'a>(status: Option<&'a StackStatus>, name: &UnitName) -> Vec<&'a str> {
    let units = status.into_iter().flat_map(|status| &status.items);
    let of_it = units.filter(|unit| crate::units::base(&unit.name) == name.as_str());
    let states: BTreeSet<&str> = of_it.map(|unit| unit.state.as_str()).collect();
    states.into_iter().collect()
}

/// How many steps a unit is behind those that need nothing. A stack file that was accepted has no circle.
fn depth<'a>(
    stack: &'a StackSpec,
    name: &'a UnitName,
    depths: &mut BTreeMap<&'a UnitName, usize>,
) -> usize {
    if let Some(known) = depths.get(name) {
        return *known;
    }
    let needs = stack
        .units
        .get(name)
        .map(|unit| unit.dependencies.as_slice());
    let needs = needs.unwrap_or_default().iter();
    let deepest = needs
        .map(|need| depth(stack, &need.unit, depths) + 1)
        .max()
        .unwrap_or_default();
    depths.insert(name, deepest);
    deepest
}

const SCHEMA_VERSION: u32 = harness_core::report::SCHEMA_VERSION;

#[cfg(test)]
mod tests {
    use harness_config::{Sources, load};

    use super::*;

    fn stack() -> StackSpec {
        let text = "\
name: shop
services:
  db: {type: process, binary: db, readiness: {tcp: {port: 1}, interval: 1s}}
  api:
    type: process
    binary: api
    depends_on:
      db: {condition: service_healthy, restart: true}
      migrate: {condition: service_completed_successfully}
      cache: {condition: service_started, required: false}
  cache: {type: process, binary: cache}
tasks:
  migrate: {target: {type: process, binary: m}, dependencies: [db]}
";
        let loaded = load(&Sources::new().text("s.yaml", text));
        assert!(loaded.stack.is_some(), "{:?}", loaded.diagnostics);
        loaded.stack.expect("a stack")
    }

    #[test]
    fn every_form_tells_the_same() {
        let stack = stack();
        let graph = Graph::new(&stack, None);
        insta::assert_snapshot!(format!(
            "{}\n{}\n{}\n{}",
            graph.text(&Look::plain()),
            graph.dot(),
            graph.mermaid(),
            serde_json::to_string_pretty(&graph).expect("plain data")
        ));
    }
}
