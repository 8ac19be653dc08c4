//! Checks a tree against the tables.
//!
//! Owns: every message about unknown fields, wrong types and missing fields. Goes through the whole tree whatever it
//! finds, so that all errors come out in one run.

use service_orchestration::spec::Template;

use super::{Field, Format, Object, Shape};
use crate::report::{Code, Sink, listed};
use crate::source::Span;
use crate::yaml::{Entry, Node, Scalar, Value};

/// Checks trees, noting what it finds.
pub(crate) struct Checker<'a> {
    pub(crate) sink: &'a mut Sink,
}

impl Checker<'_> {
    /// Checks one value. `what` names it for messages: `` `ports` ``.
    pub(crate) fn check(&mut self, node: &Node, shape: &'static Shape, what: &str) {
        match (shape, &node.value) {
            (Shape::Any, _) => self.no_secret(node, what),
            (Shape::Either(shapes), _) => self.either(node, shapes, what),
            (Shape::Scalar, Value::Scalar(_)) => {}
            (Shape::Object(object), Value::Scalar(scalar)) if scalar.is_null() => {
                self.object(node.span, &[], object)
            }
            (Shape::Object(object), Value::Map(entries)) => {
                self.object(node.span, &entries.iter().collect::<Vec<_>>(), object);
            }
            (Shape::Unit(form), _) => crate::keys::check_unit(self, node, *form, what),
            (Shape::List(item), Value::List(items)) => {
                for node in items {
                    self.check(node, item, &format!("an item of {what}"));
                }
            }
            (Shape::Map(value), Value::Map(entries)) => {
                for entry in entries {
                    self.map_entry(entry, value);
                }
            }
            (_, Value::Scalar(scalar)) if fits_scalar(shape) => {
                self.scalar(scalar, node.span, shape, what)
            }
            _ => self.wrong_type(node, &expected(shape), what),
        }
    }

    /// Checks the entries of a mapping against a table.
    pub(crate) fn object(&mut self, span: Span, entries: &[&Entry], object: &'static Object) {
        let tables = [object.fields];
        self.entries(entries, &tables, &mut |checker, entry| {
            checker.unknown(entry, &tables, object.what);
        });
        self.missing(span, entries, object.fields, object.what);
    }

    /// Checks entries against several tables at once; `unknown` reports an entry that is in none.
    pub(crate) fn entries(
        &mut self,
        entries: &[&Entry],
        tables: &[&'static [Field]],
        unknown: &mut dyn FnMut(&mut Self, &Entry),
    ) {
        let mut seen: Vec<(&'static str, &Entry)> = Vec::new();
        for &entry in entries {
            let Some(field) = find(tables, &entry.key) else {
                unknown(self, entry);
                continue;
            };
            match seen.iter().find(|(key, _)| *key == field.key) {
                Some((_, first)) => self.twice(entry, first),
                None => seen.push((field.key, entry)),
            }
            self.field(entry, field);
        }
    }

    /// One thing said in two ways.
    pub(crate) fn twice(&mut self, entry: &Entry, first: &Entry) {
        let message = format!("`{}` and `{}` say the same thing", first.key, entry.key);
        self.sink
            .error(Code::Twice, entry.key_span, message)
            .label("keep one of them")
            .also(first.key_span, "the other");
    }

    /// Reports what a table requires and a mapping lacks.
    pub(crate) fn missing(
        &mut self,
        span: Span,
        entries: &[&Entry],
        fields: &'static [Field],
        what: &str,
    ) {
        for field in fields.iter().filter(|field| field.is_required) {
            let entry = entries.iter().find(|entry| field.is_called(&entry.key));
            match entry {
                None => {
                    let message = format!("{what} needs `{}`", field.key);
                    self.sink
                        .error(Code::Missing, span, message)
                        .help(field.doc);
                }
                Some(entry) if entry.value.is_null() => {
                    let message = format!("`{}` is empty", entry.key);
                    self.sink.error(Code::Missing, entry.key_span, message);
                }
                Some(_) => {}
            }
        }
    }

    /// An unknown field, with what would fit.
    pub(crate) fn unknown(&mut self, entry: &Entry, tables: &[&'static [Field]], what: &str) {
        let message = format!("unknown field `{}` in {what}", entry.key);
        let fields = || tables.iter().flat_map(|table| table.iter());
        let spellings =
            fields().flat_map(|f| std::iter::once(f.key).chain(f.aliases.iter().copied()));
        let near = self.sink.suggest(&entry.key, spellings);
        let keys: Vec<&str> = fields()
            .filter(|field| field.is_listed())
            .map(|field| field.key)
            .collect();
        // All of them where none comes near the one that was written, and of many only once.
        let is_told = near.is_none() && self.is_listed_now(what, keys.len());
        let report = self.sink.error(Code::UnknownField, entry.key_span, message);
        report.meant(near);
        if is_told {
            report.help(format!("fields of {what}: {}", keys.join(", ")));
        }
    }

    /// Whether so many fields are to be listed: of many, only once.
    pub(crate) fn is_listed_now(&mut self, what: &str, count: usize) -> bool {
        count <= FEW_FIELDS || self.sink.is_new(what)
    }

    fn field(&mut self, entry: &Entry, field: &'static Field) {
        if let Shape::NotBuilt(instead) = &field.shape {
            if !is_empty(&entry.value) {
                let message = format!("`{}` is known, but not built yet", entry.key);
                self.sink
                    .error(Code::NotBuilt, entry.key_span, message)
                    .help(*instead);
            }
        } else if !entry.value.is_null() {
            self.check(&entry.value, &field.shape, &format!("`{}`", entry.key));
        }
    }

    /// Nothing after a key is reported at the key: there is no other place.
    fn map_entry(&mut self, entry: &Entry, value: &'static Shape) {
        let what = format!("`{}`", entry.key);
        let takes_nothing = |shape: &Shape| matches!(shape, Shape::Scalar | Shape::Object(_));
        let may_be_empty = match value {
            Shape::Either(shapes) => shapes.iter().any(takes_nothing),
            shape => takes_nothing(shape),
        };
        if entry.value.is_null() && !may_be_empty {
            let message = format!("{what} is empty; expected {}", expected(value));
            self.sink.error(Code::Missing, entry.key_span, message);
        } else {
            self.check(&entry.value, value, &what);
        }
    }

    fn either(&mut self, node: &Node, shapes: &'static [Shape], what: &str) {
        let fitting: Vec<&'static Shape> =
            shapes.iter().filter(|shape| fits(shape, node)).collect();
        match fitting.as_slice() {
            [] => {
                let all: Vec<String> = shapes.iter().map(expected).collect();
                self.wrong_type(node, &all.join(" or "), what);
            }
            [one] => self.check(node, one, what),
            [first, ..] => {
                let accepts = |shape: &&&'static Shape| {
                    let mut quiet = Sink::default();
                    Checker { sink: &mut quiet }.check(node, shape, what);
                    !quiet.has_errors()
                };
                let accepted = fitting.iter().find(accepts).copied();
                self.check(node, accepted.unwrap_or(first), what);
            }
        }
    }

    fn scalar(&mut self, scalar: &Scalar, span: Span, shape: &'static Shape, what: &str) {
        if scalar.is_null() {
            let message = format!("{what} is empty; expected {}", expected(shape));
            self.sink.error(Code::Missing, span, message);
            return;
        }
        let Some(template) = scalar.template() else {
            return;
        };
        match (shape, template.as_literal()) {
            (Shape::Text | Shape::KnownOrReference(_), None) => self.seen(&template, span, what),
            (Shape::Private, None) => {}
            (_, None) => {
                let message =
                    format!("{what} must be known when the file is read, so it takes no reference");
                self.sink.error(Code::ReferenceHere, span, message);
            }
            (Shape::Known(format) | Shape::KnownOrReference(format), Some(text)) => {
                self.format(scalar, span, text, format, what);
            }
            (Shape::Word(words), Some(text)) => self.word(scalar, span, text, words, what),
            (Shape::Flag, Some(text)) => {
                if !["true", "false"].contains(&text.to_ascii_lowercase().as_str()) {
                    let message = format!("{what} is `true` or `false`, not {}", written(scalar));
                    self.sink.error(Code::WrongType, span, message);
                }
            }
            (_, Some(_)) => {}
        }
    }

    /// A secret in something that others can see.
    fn seen(&mut self, template: &Template, span: Span, what: &str) {
        if let Some(secret) = template.secrets().next() {
            self.sink
                .error(
                    Code::SecretSeen,
                    span,
                    format!("the secret `{secret}` may not stand in {what}: others can read that"),
                )
                .help("give it to the unit in `env`, and let the program take it from there");
        }
    }

    /// The same in something that is passed on as it is.
    fn no_secret(&mut self, node: &Node, what: &str) {
        match &node.value {
            Value::Scalar(scalar) => {
                if let Some(template) = scalar.template() {
                    self.seen(&template, node.span, what);
                }
            }
            Value::List(items) => items.iter().for_each(|item| self.no_secret(item, what)),
            Value::Map(entries) => entries
                .iter()
                .for_each(|entry| self.no_secret(&entry.value, what)),
        }
    }

    fn format(&mut self, scalar: &Scalar, span: Span, text: &str, format: &Format, what: &str) {
        if let Err(expected) = (format.check)(text) {
            let message = format!("{what}: {} is not {}", written(scalar), format.what);
            self.sink.error(format.code, span, message).label(expected);
        }
    }

    fn word(&mut self, scalar: &Scalar, span: Span, text: &str, words: &[&str], what: &str) {
        if words.iter().any(|word| word.eq_ignore_ascii_case(text)) {
            return;
        }
        let message = format!("{what}: {} is not {}", written(scalar), listed(words));
        let near = self.sink.suggest(text, words.iter().copied());
        self.sink.error(Code::Invalid, span, message).meant(near);
    }

    fn wrong_type(&mut self, node: &Node, expected: &str, what: &str) {
        // A container's span covers all its lines; its first character is the place.
        let span = match node.value {
            Value::Scalar(_) => node.span,
            Value::List(_) | Value::Map(_) => Span {
                end: node.span.start,
                ..node.span
            },
        };
        let message = format!("{what} is {}; expected {expected}", node.describe());
        self.sink.error(Code::WrongType, span, message);
    }
}

/// The field that this key is a spelling of.
pub(crate) fn find(tables: &[&'static [Field]], key: &str) -> Option<&'static Field> {
    tables
        .iter()
        .flat_map(|table| table.iter())
        .find(|field| field.is_called(key))
}

/// The scalar as it was written, never what a variable made of it: that may be a secret.
fn written(scalar: &Scalar) -> String {
    format!("`{}`", crate::yaml::shorten(&scalar.text))
}

fn is_empty(node: &Node) -> bool {
    match &node.value {
        Value::Scalar(_) => node.is_null(),
        Value::List(items) => items.is_empty(),
        Value::Map(entries) => entries.is_empty(),
    }
}

fn fits_scalar(shape: &Shape) -> bool {
    matches!(
        shape,
        Shape::Text
            | Shape::Private
            | Shape::Scalar
            | Shape::Known(_)
            | Shape::KnownOrReference(_)
            | Shape::Word(_)
            | Shape::Flag
    )
}

fn fits(shape: &Shape, node: &Node) -> bool {
    match (shape, &node.value) {
        (Shape::Any, _) => true,
        (Shape::Either(shapes), _) => shapes.iter().any(|shape| fits(shape, node)),
        (Shape::List(_), Value::List(_)) => true,
        (Shape::Map(_) | Shape::Object(_) | Shape::Unit(_), Value::Map(_)) => true,
        (shape, Value::Scalar(_)) => fits_scalar(shape),
        _ => false,
    }
}

/// What a shape takes, for messages.
pub(crate) fn expected(shape: &Shape) -> String {
    match shape {
        Shape::Text | Shape::Private | Shape::Scalar => "text".into(),
        Shape::Known(format) | Shape::KnownOrReference(format) => format.what.into(),
        Shape::Word(words) => listed(words),
        Shape::Flag => "`true` or `false`".into(),
        Shape::List(_) => "a list".into(),
        Shape::Map(_) => "a mapping".into(),
        Shape::Object(object) => format!("a mapping ({})", object.what),
        Shape::Unit(_) => "a mapping".into(),
        Shape::Either(shapes) => shapes.iter().map(expected).collect::<Vec<_>>().join(" or "),
        Shape::Any | Shape::NotBuilt(_) => "a value".into(),
    }
}

/// Fields that are listed with every error.
const FEW_FIELDS: usize = 12;
