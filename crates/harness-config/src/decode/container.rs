//! Containers.

use std::collections::BTreeMap;

use service_orchestration::spec::{Build, ContainerTarget};

use super::Decoder;
use super::target::owned;
use crate::keys::{BUILD, Form};
use crate::report::Code;
use crate::table::{Fields, text};
use crate::yaml::{Node, Scalar, Value};

impl Decoder<'_> {
    pub(super) fn container(&mut self, form: Form<'_>) -> ContainerTarget {
        ContainerTarget {
            image: form.node("image").and_then(text),
            build: form.node("build").map(|node| self.build(node)),
            command: self.words(form.node("command")),
            entrypoint: self.words(form.node("entrypoint")),
            mounts: self.mounts(form),
            user: owned(form, "user"),
            network: owned(form, "network").filter(|_| !std::ptr::eq(form.unit, form.target)),
            working_dir: form.node("working_dir").and_then(text),
            container_name: owned(form, "container_name"),
            ..ContainerTarget::default()
        }
    }

    /// The directory alone, or the mapping.
    fn build(&mut self, node: &Node) -> Build {
        if let Some(scalar) = node.scalar() {
            return Build {
                context: scalar.literal().unwrap_or_default().to_owned(),
                ..Build::default()
            };
        }
        let fields = Fields::new(node, BUILD.fields);
        Build {
            context: fields.owned("context").unwrap_or_else(|| ".".to_owned()),
            dockerfile: fields.owned("dockerfile"),
            args: fields
                .node("args")
                .map(|node| self.build_args(node))
                .unwrap_or_default(),
            target: fields.owned("target"),
        }
    }

    /// A mapping, or a list of `NAME=value`; a name alone is passed on from the caller's environment.
    fn build_args(&mut self, node: &Node) -> BTreeMap<String, String> {
        let literal = |node: &Node| node.scalar().and_then(Scalar::literal).map(str::to_owned);
        let mut given: Vec<(String, Option<String>)> = Vec::new();
        match &node.value {
            Value::Map(entries) => {
                for entry in entries {
                    let value = literal(&entry.value).filter(|_| !entry.value.is_null());
                    let is_reference = entry.value.scalar().and_then(Scalar::template).is_some();
                    if value.is_none() && is_reference && !entry.value.is_null() {
                        let message = format!(
                            "`{}` must be known when the file is read, so it takes no reference",
                            entry.key
                        );
                        self.sink
                            .error(Code::ReferenceHere, entry.value.span, message);
                        continue;
                    }
                    given.push((entry.key.clone(), value));
                }
            }
            Value::List(items) => {
                given.extend(items.iter().filter_map(literal).map(
                    |text| match text.split_once('=') {
                        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                        None => (text, None),
                    },
                ));
            }
            Value::Scalar(_) => {}
        }
        let passed_on = |name: &str| self.variables.get(name).map(str::to_owned);
        let known = given.into_iter().filter_map(|(name, value)| {
            let value = value.or_else(|| passed_on(&name))?;
            Some((name, value))
        });
        known.collect()
    }
}
