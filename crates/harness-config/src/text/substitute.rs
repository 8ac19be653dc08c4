//! Puts variables into every value of the tree and finds the references in it.
//!
//! Owns: the order in which a variable is looked up, and which `${…}` is a reference. What is put in is text: it is
//! never read as YAML again, and never searched for `${` again.

use std::collections::{BTreeMap, BTreeSet};

use service_orchestration::spec::{
    Attribute, Part, Reference, SecretName, Template, UnitKind, UnitName,
};

use super::expression::{Action, Expression, Piece, is_variable_name, split};
use crate::report::{Code, Sink};
use crate::source::{SourceMap, Span};
use crate::yaml::{Node, Resolved, Scalar, Value};

/// Where variables come from, in the order in which they are asked.
#[derive(Clone, Default)]
pub(crate) struct Variables {
    layers: Vec<BTreeMap<String, String>>,
}

/// Without what they are: they may be secrets.
impl std::fmt::Debug for Variables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Variables({} layers)", self.layers.len())
    }
}

impl Variables {
    /// The first layer is asked first.
    pub(crate) fn new(layers: Vec<BTreeMap<String, String>>) -> Self {
        Self { layers }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut found = self.layers.iter().filter_map(|layer| layer.get(name));
        found.next().map(String::as_str)
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.layers
            .iter()
            .flat_map(|layer| layer.keys())
            .map(String::as_str)
    }
}

/// A reference, and who makes it where.
#[derive(Clone, Debug)]
pub(crate) struct ReferenceUse {
    /// The unit in whose definition it stands; none outside of units.
    pub(crate) owner: Option<String>,
    pub(crate) reference: Reference,
    pub(crate) span: Span,
}

/// What substitution needs, and what it found.
pub(crate) struct Substitution<'a> {
    pub(crate) files: &'a SourceMap,
    pub(crate) variables: &'a Variables,
    pub(crate) units: &'a BTreeMap<String, UnitKind>,
    /// The secrets that the top level declares.
    pub(crate) secrets: &'a BTreeSet<String>,
    /// The texts in which a variable that is not set is empty: Compose files.
    pub(crate) blank: &'a BTreeSet<u32>,
    pub(crate) sink: &'a mut Sink,
    pub(crate) references: Vec<ReferenceUse>,
}

/// Substitutes in every value of a tree; the keys `services.X` and `tasks.X` say whose a reference is.
pub(crate) fn substitute(root: &mut Node, substitution: &mut Substitution<'_>) {
    let Value::Map(entries) = &mut root.value else {
        return;
    };
    for entry in entries {
        if entry.key.starts_with("x-") {
            continue;
        }
        let is_units = matches!(entry.key.as_str(), "services" | "tasks");
        match &mut entry.value.value {
            Value::Map(units) if is_units => {
                for unit in units {
                    substitution.walk(&mut unit.value, Some(&unit.key));
                }
            }
            _ => substitution.walk(&mut entry.value, None),
        }
    }
}

impl Substitution<'_> {
    fn walk(&mut self, node: &mut Node, owner: Option<&str>) {
        let span = node.span;
        match &mut node.value {
            Value::List(items) => items.iter_mut().for_each(|item| self.walk(item, owner)),
            Value::Map(entries) => entries
                .iter_mut()
                .for_each(|e| self.walk(&mut e.value, owner)),
            Value::Scalar(scalar) if scalar.text.contains('$') => {
                scalar.resolved = self.resolve(scalar, span, owner);
            }
            Value::Scalar(_) => {}
        }
    }

    fn resolve(&mut self, scalar: &Scalar, span: Span, owner: Option<&str>) -> Resolved {
        let pieces = match split(&scalar.text) {
            Ok(pieces) => pieces,
            Err(error) => {
                let at = self.inside(scalar, span, error.at);
                self.sink
                    .error(Code::Substitution, at, error.message)
                    .help("a literal `${` is written `$${`");
                return Resolved::Broken;
            }
        };
        let mut parts = Vec::new();
        let place = Scene {
            scalar,
            span,
            owner,
        };
        if self.evaluate(&pieces, &place, &mut parts) {
            Resolved::Template(Template::from_parts(parts))
        } else {
            Resolved::Broken
        }
    }

    /// Appends the parts; `false` after an error, with all errors of the text noted.
    fn evaluate(&mut self, pieces: &[Piece], scene: &Scene<'_>, parts: &mut Vec<Part>) -> bool {
        let mut is_whole = true;
        for piece in pieces {
            is_whole &= match piece {
                Piece::Literal(text) => {
                    parts.push(Part::Literal(text.clone()));
                    true
                }
                Piece::Expression(expression) if self.secret_of(expression).is_some() => {
                    self.secret(expression, scene, parts)
                }
                Piece::Expression(expression) if self.is_reference(expression) => {
                    self.reference(expression, scene, parts)
                }
                Piece::Expression(expression) => self.variable(expression, scene, parts),
            };
        }
        is_whole
    }

    /// `graph-node.url` is a reference, `HOST-example.com` a variable with a default.
    fn is_reference(&self, expression: &Expression) -> bool {
        if self.split_reference(&expression.source).is_some() || expression.name.contains('.') {
            return true;
        }
        let Some((unit, attribute)) = expression.source.split_once('.') else {
            return false;
        };
        let looks_like_unit = UnitName::new(unit).is_ok()
            && unit.chars().any(|c| c.is_ascii_lowercase())
            && self.variables.get(&expression.name).is_none();
        let first = attribute.split('.').next().unwrap_or(attribute);
        looks_like_unit && ATTRIBUTES.contains(&first)
    }

    /// The longest known unit that the text names, and what stands behind its dot.
    fn split_reference<'t>(&self, source: &'t str) -> Option<(&'t str, &'t str)> {
        source
            .match_indices('.')
            .map(|(at, _)| (&source[..at], &source[at + 1..]))
            .rfind(|(unit, _)| self.units.contains_key(*unit))
    }

    fn reference(
        &mut self,
        expression: &Expression,
        scene: &Scene<'_>,
        parts: &mut Vec<Part>,
    ) -> bool {
        let span = self.inside(scene.scalar, scene.span, expression.at);
        let Some((unit, attribute)) = self.split_reference(&expression.source) else {
            let unit = expression.source.split('.').next().unwrap_or_default();
            let near = self
                .sink
                .suggest(unit, self.units.keys().map(String::as_str));
            let source = &expression.source;
            let message =
                format!("`${{{source}}}` refers to `{unit}`, which is no service or task");
            self.sink
                .error(Code::UnknownReference, span, message)
                .meant(near);
            return false;
        };
        let kind = self.units[unit];
        let (Some(attribute), Ok(unit)) = (attribute_of(kind, attribute), UnitName::new(unit))
        else {
            let what = match kind {
                UnitKind::Task => {
                    "a task has outputs with names of letters, digits, `_` and `-`".to_owned()
                }
                UnitKind::Service => format!(
                    "a service has `{}` and `port.NAME`",
                    ATTRIBUTES.join("`, `")
                ),
            };
            let near = self.sink.suggest(attribute, ATTRIBUTES.iter().copied());
            let message = format!("`{unit}` has no `{attribute}`");
            self.sink
                .error(Code::UnknownAttribute, span, message)
                .help(what)
                .meant(near);
            return false;
        };
        let reference = Reference { unit, attribute };
        self.references.push(ReferenceUse {
            owner: scene.owner.map(str::to_owned),
            reference: reference.clone(),
            span,
        });
        parts.push(Part::Reference(reference));
        true
    }

    /// The name in `${secret.NAME}`; none where a unit is called `secret`.
    fn secret_of<'e>(&self, expression: &'e Expression) -> Option<&'e str> {
        let name = expression.source.strip_prefix("secret.")?;
        (!self.units.contains_key("secret")).then_some(name)
    }

    fn secret(
        &mut self,
        expression: &Expression,
        scene: &Scene<'_>,
        parts: &mut Vec<Part>,
    ) -> bool {
        let name = self.secret_of(expression).unwrap_or_default();
        if let Ok(secret) = SecretName::declared(name)
            && self.secrets.contains(name)
        {
            parts.push(Part::Secret { secret });
            return true;
        }
        let span = self.inside(scene.scalar, scene.span, expression.at);
        let near = self
            .sink
            .suggest(name, self.secrets.iter().map(String::as_str));
        self.sink
            .error(
                Code::UnknownSecret,
                span,
                format!("no secret `{}` is declared", crate::yaml::shorten(name)),
            )
            .help("declare it under `secrets:` on the top level")
            .meant(near);
        false
    }

    fn variable(
        &mut self,
        expression: &Expression,
        scene: &Scene<'_>,
        parts: &mut Vec<Part>,
    ) -> bool {
        let span = self.inside(scene.scalar, scene.span, expression.at);
        if !is_variable_name(&expression.name) {
            let message = format!("`{}` is no name of a variable", expression.name);
            self.sink.error(Code::Substitution, span, message);
            return false;
        }
        let value = self.variables.get(&expression.name).map(str::to_owned);
        let Some(operator) = expression.operator else {
            return match value {
                Some(value) => {
                    parts.push(Part::Literal(value));
                    true
                }
                None => self.unset(expression, span),
            };
        };
        let value = value.filter(|value| !(operator.or_empty && value.is_empty()));
        match (operator.action, value) {
            (Action::Default | Action::Require, Some(value)) => {
                parts.push(Part::Literal(value));
                true
            }
            (Action::Default, None) | (Action::Alternative, Some(_)) => {
                self.evaluate(&expression.word, scene, parts)
            }
            (Action::Alternative, None) => true,
            (Action::Require, None) => {
                let mut message = Vec::new();
                let said = self.evaluate(&expression.word, scene, &mut message);
                let text = Template::from_parts(message).to_string();
                let text = if said && !text.is_empty() {
                    text
                } else {
                    "it is required".into()
                };
                let message = format!("the variable `{}` is not set: {text}", expression.name);
                self.sink.error(Code::Unset, span, message);
                false
            }
        }
    }

    fn unset(&mut self, expression: &Expression, span: Span) -> bool {
        let name = &expression.name;
        let near = self.sink.suggest(name, self.variables.names());
        if self.blank.contains(&span.file) {
            let message = format!("the variable `{name}` is not set, so it is empty");
            let help = format!(
                "set it in the environment or in `.env`; in a stack file that would be an error, and `${{{name}-}}` says that it may be empty"
            );
            self.sink
                .warning(Code::Unset, span, message)
                .help(help)
                .meant(near);
            return true;
        }
        let message = format!("the variable `{name}` is not set");
        let help = format!(
            "set it in the environment, in `.env` or with --env-file, or give a default: `${{{name}:-…}}`"
        );
        self.sink
            .error(Code::Unset, span, message)
            .help(help)
            .meant(near);
        false
    }

    /// The place of the expression whose `$` is byte `at` of the scalar's text: the n-th `$` of the text is the n-th
    /// of its source, because neither quoting nor folding adds or drops one.
    fn inside(&self, scalar: &Scalar, span: Span, at: usize) -> Span {
        let source = self
            .files
            .file(span.file)
            .text()
            .get(span.range())
            .unwrap_or_default();
        let nth = scalar.text[..at].matches('$').count();
        let agree = source.matches('$').count() == scalar.text.matches('$').count();
        let Some((offset, _)) = source.match_indices('$').nth(nth).filter(|_| agree) else {
            return span;
        };
        let rest = &source[offset..];
        let length = expression_length(rest).unwrap_or(1);
        let start = span.range().start + offset;
        Span::new(span.file, start..start + length)
    }
}

/// Where an expression stands.
struct Scene<'a> {
    scalar: &'a Scalar,
    span: Span,
    owner: Option<&'a str>,
}

/// What a service can be asked for.
const ATTRIBUTES: [&str; 5] = ["ip", "host", "port", "addr", "url"];

fn attribute_of(kind: UnitKind, text: &str) -> Option<Attribute> {
    let is_name = |name: &str| {
        !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
    };
    match (kind, text) {
        (UnitKind::Task, name) => is_name(name).then(|| Attribute::Output(name.to_owned())),
        (UnitKind::Service, "ip") => Some(Attribute::Ip),
        (UnitKind::Service, "host") => Some(Attribute::Host),
        (UnitKind::Service, "port") => Some(Attribute::Port),
        (UnitKind::Service, "addr") => Some(Attribute::Addr),
        (UnitKind::Service, "url") => Some(Attribute::Url),
        (UnitKind::Service, text) => {
            let name = text.strip_prefix("port.").filter(|name| is_name(name))?;
            Some(Attribute::NamedPort(name.to_owned()))
        }
    }
}

/// How many bytes of the source the `${…}` at its beginning takes, when it closes on the same line.
fn expression_length(source: &str) -> Option<usize> {
    let mut open = 0usize;
    for (at, byte) in source.bytes().enumerate() {
        match byte {
            b'\n' => return None,
            b'{' => open += 1,
            b'}' if open <= 1 => return Some(at + 1),
            b'}' => open -= 1,
            _ => {}
        }
    }
    None
}
