//! Secrets: where their values come from, and which variables have them.
//!
//! Owns: what `secrets` and `{secret: …}` say. Never reads a value: see [`crate::secrets`].

use std::collections::BTreeMap;

use service_orchestration::spec::{SecretName, SecretSource, SecretSpec, Template, UnitName};

use super::Decoder;
use crate::keys::{SECRET, SECRET_VALUE};
use crate::report::Code;
use crate::source::Span;
use crate::table::Fields;
use crate::yaml::{Entry, Node, Scalar};

/// Secrets by name, and where each one's source stands.
pub(crate) type Secrets = BTreeMap<SecretName, (SecretSpec, Span)>;

impl Decoder<'_> {
    /// What the top level declares.
    pub(super) fn declared_secrets(&mut self, fields: &Fields<'_>) {
        for entry in fields
            .node("secrets")
            .map(Node::entries)
            .unwrap_or_default()
        {
            match SecretName::declared(&entry.key) {
                Ok(name) => self.secret(name, &entry.value, entry.key_span),
                Err(error) => {
                    self.sink
                        .error(Code::Name, entry.key_span, error.to_string());
                }
            }
        }
    }

    /// The value of a variable that is written as a mapping: a secret, declared or of its own.
    pub(super) fn secret_variable(&mut self, unit: &UnitName, entry: &Entry) -> Option<Template> {
        let fields = Fields::new(&entry.value, SECRET_VALUE.fields);
        let node = fields.node("secret")?;
        let name = match node.scalar() {
            Some(scalar) => {
                let name = scalar.literal()?;
                let Ok(name) = SecretName::declared(name) else {
                    return None;
                };
                if !self.secrets.contains_key(&name) {
                    let known = self.secrets.keys().filter(|name| name.is_declared());
                    let near = self
                        .sink
                        .suggest(name.as_str(), known.map(SecretName::as_str));
                    self.sink
                        .error(
                            Code::UnknownSecret,
                            node.span,
                            format!("no secret `{name}` is declared"),
                        )
                        .help("declare it under `secrets:` on the top level")
                        .meant(near);
                    return None;
                }
                name
            }
            None => {
                let name = SecretName::of_variable(unit, &entry.key);
                let span = fields
                    .entry("secret")
                    .map_or(entry.key_span, |e| e.key_span);
                self.secret(name.clone(), node, span);
                name
            }
        };
        Some(Template::secret(name))
    }

    fn secret(&mut self, name: SecretName, node: &Node, at: Span) {
        let fields = Fields::new(node, SECRET.fields);
        let sources = ["file", "env", "command"]
            .into_iter()
            .filter_map(|key| fields.entry(key))
            .map(|entry| (entry.key_span, entry))
            .collect::<Vec<_>>();
        if sources.is_empty() && !self.sink.has_errors() {
            self.sink
                .error(
                    Code::Missing,
                    at,
                    "a secret needs one of `file`, `env` and `command`",
                )
                .help("a value never stands in the stack file itself");
        }
        let Some(entry) = self.one_of(sources, "where the secret comes from") else {
            return;
        };
        let literal = entry.value.scalar().and_then(Scalar::literal);
        let source = match (entry.key.as_str(), literal) {
            ("file", Some(path)) => SecretSource::File(self.directory.join(path)),
            ("env" | "environment", Some(variable)) => SecretSource::Env(variable.to_owned()),
            ("command", Some(script)) => {
                SecretSource::Command(vec!["sh".into(), "-c".into(), script.to_owned()])
            }
            ("command", None) => {
                let words = fields.literals("command");
                if words.first().is_none_or(String::is_empty) {
                    self.sink
                        .error(Code::Missing, entry.key_span, "the command is empty");
                    return;
                }
                SecretSource::Command(words)
            }
            _ => return,
        };
        let spec = SecretSpec {
            source,
            origin: self.origin(entry.value.span),
        };
        self.secrets.insert(name, (spec, entry.value.span));
    }
}
