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
use crate::text::{Expanded, dotenv, expanded, is_variable_name, raw};
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
        let fields = (item.scalar().is_none()).then(|| Fields::new(item, ENV_FILE.fields));
        let path = match &fields {
            None => item.scalar().and_then(crate::yaml::Scalar::literal),
            Some(fields) => fields.literal("path"),
        };
        let Some(path) = path else {
            return;
        };
        let fields = fields.as_ref();
        let is_required = fields.and_then(|fields| fields.flag("required"));
        let format = fields.and_then(|fields| fields.word("format"));
        let full = self.directory.join(path);
        let text = match crate::input::read_text(&full) {
            Ok(text) => text,
            Err(error)
                if error.kind() == std::io::ErrorKind::NotFound && is_required == Some(false) =>
            {
                return;
            }
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
        let read = self.read_env_file(file, format.as_deref(), environment);
        for name in read.unset {
            let message = format!("`{name}` in `{path}` is not set, and is empty");
            self.sink.warning(Code::Unset, item.span, message);
        }
        for error in read.errors {
            self.sink
                .error(Code::EnvFile, Span::new(file, error.span), error.message);
        }
        for (name, value) in read.assignments {
            environment.insert(name, (Template::literal(value), item.span));
        }
    }

    /// What the file says, as its format has it. Compose asks its own variables first, then the files before this one.
    fn read_env_file(&self, file: u32, format: Option<&str>, before: &Environment) -> Expanded {
        let text = self.files.file(file).text();
        let known = |name: &str| {
            let own = self.variables.get(name).map(str::to_owned);
            let before = || before.get(name)?.0.as_literal().map(str::to_owned);
            own.or_else(before)
        };
        match format {
            Some("compose") => expanded(text, known),
            Some("raw") => Expanded {
                assignments: raw(text, known),
                ..Expanded::default()
            },
            _ => {
                let (assignments, errors) = dotenv(text);
                Expanded {
                    assignments,
                    errors,
                    ..Expanded::default()
                }
            }
        }
    }
}
