//! The environment of a unit: `env`, and the files that `env_file` names.
//!
//! Owns: that `env` wins over files and later files over earlier ones, and that every value is the text that was written.

use std::collections::BTreeMap;

use service_orchestration::spec::{Part, Template, UnitName};

use super::Decoder;
use crate::check::in_clear;
use crate::keys::ENV_FILE;
use crate::report::Code;
use crate::source::Span;
use crate::table::Fields;
use crate::text::{dotenv, is_variable_name};
use crate::yaml::{Entry, Node, Resolved, Value};

/// Names, values, and where each stands.
pub(super) type Environment = BTreeMap<String, (Template, Span)>;

impl Decoder<'_> {
    /// What `env_file` and `env` say together.
    pub(super) fn environment(
        &mut self,
        unit: &UnitName,
        env: Option<&Node>,
        common: &Fields<'_>,
    ) -> Environment {
        let mut environment = Environment::new();
        for item in common.items("env_file") {
            self.env_file(item, &mut environment);
        }
        match env.map(|node| &node.value) {
            Some(Value::Map(entries)) => entries
                .iter()
                .for_each(|e| self.env_entry(unit, e, &mut environment)),
            Some(Value::List(items)) => items
                .iter()
                .for_each(|item| self.env_item(item, &mut environment)),
            Some(Value::Scalar(_)) | None => {}
        }
        environment
    }

    fn env_entry(&mut self, unit: &UnitName, entry: &Entry, environment: &mut Environment) {
        if !self.env_name(&entry.key, entry.key_span) {
            return;
        }
        let Some(scalar) = entry.value.scalar() else {
            if let Some(secret) = self.secret_variable(unit, entry) {
                environment.insert(entry.key.clone(), (secret, entry.value.span));
            }
            return;
        };
        if matches!(scalar.resolved, Resolved::AsWritten) {
            in_clear(&entry.key, &scalar.text, entry.value.span, self.sink);
        }
        if scalar.plain && scalar.text.is_empty() {
            self.pass_on(&entry.key, entry.key_span, environment);
        } else if let Some(template) = scalar.template() {
            environment.insert(entry.key.clone(), (template, entry.value.span));
        }
    }

    /// `NAME=value`, or `NAME` to pass on the caller's.
    fn env_item(&mut self, item: &Node, environment: &mut Environment) {
        let Some(template) = item.scalar().and_then(crate::yaml::Scalar::template) else {
            return;
        };
        let mut parts = template.parts().iter().cloned();
        let Some(Part::Literal(first)) = parts.next() else {
            self.sink
                .error(Code::Invalid, item.span, "expected `NAME=value`");
            return;
        };
        match first.split_once('=') {
            Some((name, value)) => {
                if self.env_name(name, item.span) {
                    let is_written = item
                        .scalar()
                        .is_some_and(|scalar| matches!(scalar.resolved, Resolved::AsWritten));
                    if is_written {
                        in_clear(name, value, item.span, self.sink);
                    }
                    let value = Template::from_parts(
                        std::iter::once(Part::Literal(value.to_owned())).chain(parts),
                    );
                    environment.insert(name.to_owned(), (value, item.span));
                }
            }
            None if parts.next().is_none() => {
                if self.env_name(&first, item.span) {
                    self.pass_on(&first, item.span, environment);
                }
            }
            None => {
                self.sink
                    .error(Code::Invalid, item.span, "expected `NAME=value`");
            }
        }
    }

    fn pass_on(&self, name: &str, span: Span, environment: &mut Environment) {
        if let Some(value) = self.variables.get(name) {
            environment.insert(name.to_owned(), (Template::literal(value), span));
        }
    }

    fn env_name(&mut self, name: &str, span: Span) -> bool {
        // Programs may take names that shells do not (`spring.port`), but nothing takes these.
        let is_possible = !name.is_empty()
            && !name.contains(['=', '\0'])
            && !name.chars().any(char::is_whitespace);
        if !is_possible {
            self.sink
                .error(
                    Code::Invalid,
                    span,
                    format!("`{}` is no name of a variable", crate::yaml::shorten(name)),
                )
                .help("letters, digits and `_`, not beginning with a digit");
        }
        debug_assert!(
            is_possible || !is_variable_name(name),
            "what shells take is possible"
        );
        is_possible
    }

    fn env_file(&mut self, item: &Node, environment: &mut Environment) {
        let (path, is_required) = if item.scalar().is_some() {
            (item.scalar().and_then(crate::yaml::Scalar::literal), true)
        } else {
            let fields = Fields::new(item, ENV_FILE.fields);
            (
                fields.literal("path"),
                fields.flag("required").unwrap_or(true),
            )
        };
        let Some(path) = path else {
            return;
        };
        let full = self.directory.join(path);
        let text = match crate::input::read_text(&full) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !is_required => return,
            Err(error) => {
                let message = format!(
                    "cannot read the environment file `{}`: {error}",
                    full.display()
                );
                self.sink.error(Code::EnvFile, item.span, message);
                return;
            }
        };
        let known = self.files.index_of(&full);
        let file = known.unwrap_or_else(|| {
            let name = full.display().to_string();
            self.files.add(name, Some(full.clone()), false, &text)
        });
        let (assignments, errors) = dotenv(self.files.file(file).text());
        for error in errors {
            self.sink
                .error(Code::EnvFile, Span::new(file, error.span), error.message);
        }
        for (name, value) in assignments {
            environment.insert(name, (Template::literal(value), item.span));
        }
    }
}
