//! What a unit needs.
//!
//! Owns: the four spellings of a dependency. Whether the other unit exists is checked when all are known.

use service_orchestration::spec::{Dependency, Gate, UnitKind, UnitName};

use super::{Decoder, Edge};
use crate::keys::{DEPENDENCY, DEPENDENCY_ITEM};
use crate::report::Code;
use crate::source::Span;
use crate::table::Fields;
use crate::yaml::{Node, Scalar, Value};

impl Decoder<'_> {
    /// The edges that `dependencies` and `optional_deps` say, each unit once.
    pub(super) fn dependencies(&mut self, common: &Fields<'_>) -> Vec<Edge> {
        let mut edges = Vec::new();
        match common.node("dependencies").map(|node| &node.value) {
            Some(Value::List(items)) => items
                .iter()
                .for_each(|item| self.dependency_item(item, &mut edges)),
            Some(Value::Map(entries)) => {
                for entry in entries {
                    let settings = Fields::new(&entry.value, DEPENDENCY.fields);
                    self.edge(
                        &entry.key,
                        entry.key_span,
                        None,
                        Some(&settings),
                        &mut edges,
                    );
                }
            }
            Some(Value::Scalar(_)) | None => {}
        }
        for item in common.items("optional_deps") {
            if let Some(name) = item.scalar().and_then(Scalar::literal) {
                let before = edges.len();
                self.edge(name, item.span, None, None, &mut edges);
                edges
                    .iter_mut()
                    .skip(before)
                    .for_each(|edge| edge.dependency.required = false);
            }
        }
        edges
    }

    fn dependency_item(&mut self, item: &Node, edges: &mut Vec<Edge>) {
        if let Some(scalar) = item.scalar() {
            if let Some(name) = scalar.literal() {
                self.edge(name, item.span, None, None, edges);
            }
            return;
        }
        if !matches!(item.value, Value::Map(_)) {
            return;
        }
        let fields = Fields::new(item, DEPENDENCY_ITEM.fields);
        let named = match (fields.node("service"), fields.node("task")) {
            (Some(_), Some(task)) => {
                self.sink.error(
                    Code::Twice,
                    task.span,
                    "an item names a service or a task, not both",
                );
                return;
            }
            (Some(node), None) => (node, UnitKind::Service),
            (None, Some(node)) => (node, UnitKind::Task),
            (None, None) => {
                // A misspelt `srvice` has been reported already.
                if item
                    .entries()
                    .iter()
                    .all(|e| crate::table::find(&[DEPENDENCY_ITEM.fields], &e.key).is_some())
                {
                    let message = "an item names a `service` or a `task`";
                    let span = Span {
                        end: item.span.start,
                        ..item.span
                    };
                    self.sink.error(Code::Missing, span, message);
                }
                return;
            }
        };
        if let Some(name) = named.0.scalar().and_then(Scalar::literal) {
            self.edge(name, named.0.span, Some(named.1), Some(&fields), edges);
        }
    }

    fn edge(
        &mut self,
        name: &str,
        span: Span,
        claimed: Option<UnitKind>,
        settings: Option<&Fields<'_>>,
        edges: &mut Vec<Edge>,
    ) {
        let unit = match UnitName::new(name) {
            Ok(unit) => unit,
            Err(error) => {
                self.sink.error(Code::Name, span, error.to_string());
                return;
            }
        };
        if let Some(first) = edges.iter().find(|edge| edge.dependency.unit == unit) {
            self.sink
                .error(
                    Code::DuplicateDependency,
                    span,
                    format!("`{unit}` is named twice"),
                )
                .also(first.span, "the first");
            return;
        }
        let gate = settings
            .and_then(|fields| fields.word("condition"))
            .map(|word| match word.as_str() {
                "started" | "service_started" => Gate::Started,
                "completed" | "service_completed_successfully" => Gate::Completed,
                _ => Gate::Ready,
            });
        edges.push(Edge {
            dependency: Dependency {
                unit,
                gate,
                required: settings
                    .and_then(|fields| fields.flag("required"))
                    .unwrap_or(true),
                restart: settings
                    .and_then(|fields| fields.flag("restart"))
                    .unwrap_or(false),
                origin: self.origin(span),
            },
            span,
            claimed,
        });
    }
}
