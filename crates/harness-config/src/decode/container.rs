//! Containers.

use std::collections::BTreeMap;

use service_orchestration::spec::{Build, ContainerTarget, Pull, Template};

use super::Decoder;
use super::limits::security;
use super::target::{flag, literal, owned};
use crate::keys::{BUILD, Form, LOG, STOP, extra_host, image_name};
use crate::report::Code;
use crate::table::{Fields, Object, size, text};
use crate::yaml::{Node, Scalar, Value, shorten};

impl Decoder<'_> {
    /// What is known of an image's name before the stack runs must be one.
    fn image(&mut self, node: Option<&Node>) -> Option<Template> {
        let node = node?;
        let known = node.scalar().and_then(Scalar::literal);
        if let Some(Err(expected)) = known.map(image_name) {
            let message = format!(
                "`{}` is no name of an image: {expected}",
                shorten(known.unwrap_or_default())
            );
            self.sink.error(Code::Invalid, node.span, message);
        }
        text(node)
    }

    pub(super) fn container(&mut self, form: Form<'_>) -> ContainerTarget {
        let host = host(form);
        ContainerTarget {
            // Known once the rest of the unit is read.
            image_signal: false,
            no_check: false,
            image: self.image(form.node("image")),
            build: form.node("build").map(|node| self.build(node)),
            pull: self.pull(form),
            command: self.words(form.node("command")),
            entrypoint: self.words(form.node("entrypoint")),
            mounts: self.mounts(form, host.as_deref()),
            host,
            user: owned(form, "user"),
            // These are known once the whole unit is.
            network: None,
            aliases: Vec::new(),
            working_dir: form.node("working_dir").and_then(text),
            container_name: owned(form, "container_name"),
            hostname: owned(form, "hostname").filter(|name| !name.is_empty()),
            extra_hosts: extra_hosts(form.node("extra_hosts")),
            limits: self.limits(form),
            security: security(form),
            init: flag(form, "init"),
            tty: flag(form, "tty"),
            shm_size: literal(form, "shm_size").and_then(|text| size(text).ok()),
        }
    }

    /// What only processes of this machine can be told.
    pub(super) fn only_of_processes(&mut self, common: &Fields<'_>) {
        let said = |key: &str, fields: &'static Object, inner: &str, word: &str| {
            let fields = Fields::new(common.node(key)?, fields.fields);
            let entry = fields.entry(inner)?;
            (fields.word(inner)? == word).then_some(entry.value.span)
        };
        if let Some(span) = said("stop", &STOP, "scope", "group") {
            self.sink
                .error(
                    Code::WrongPlace,
                    span,
                    "the signal goes to process 1 of a container, and to no other",
                )
                .help("`init: true` has a process 1 that passes it on to the program");
        }
        if let Some(span) = said("log", &LOG, "mode", "file") {
            self.sink
                .error(
                    Code::WrongPlace,
                    span,
                    "a container's output comes from its engine, so it cannot be handed a file",
                )
                .help(
                    "leave `mode` out; for files that the program writes itself, mount a directory",
                );
        }
    }

    fn pull(&mut self, form: Form<'_>) -> Pull {
        let Some(entry) = form.entry("pull") else {
            return Pull::default();
        };
        let word = literal(form, "pull").unwrap_or_default();
        let (pull, key) = match word.to_ascii_lowercase().as_str() {
            "always" => (Pull::Always, "image"),
            "never" => (Pull::Never, "image"),
            "build" => (Pull::Build, "build"),
            _ => (Pull::Missing, ""),
        };
        let is_given = key.is_empty() || form.entry(key).is_some();
        // An image that is built may be kept from being built again.
        let is_built = pull == Pull::Never && form.entry("build").is_some();
        if !is_given && !is_built {
            let message = format!("`{}: {word}` needs `{key}`", entry.key);
            self.sink.error(Code::Missing, entry.value.span, message);
        }
        pull
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

/// The name of this machine among hosts.
const HERE: &str = "local";

/// A list of `name:address`, or a mapping of names to one address or several.
/// The host whose engine a container is with; none on this machine.
pub(super) fn host(form: Form<'_>) -> Option<String> {
    owned(form, "host").filter(|host| host != HERE)
}

fn extra_hosts(node: Option<&Node>) -> Vec<(String, String)> {
    let Some(node) = node else {
        return Vec::new();
    };
    let known = |node: &Node| node.scalar().and_then(Scalar::literal).map(str::to_owned);
    let listed = node
        .items()
        .iter()
        .filter_map(|item| extra_host(&known(item)?).ok());
    let mapped = node.entries().iter().flat_map(|entry| {
        let addresses = match entry.value.scalar() {
            Some(_) => std::slice::from_ref(&entry.value),
            None => entry.value.items(),
        };
        let pair = |address| Some((entry.key.clone(), known(address)?));
        addresses.iter().filter_map(pair).collect::<Vec<_>>()
    });
    listed.chain(mapped).collect()
}
