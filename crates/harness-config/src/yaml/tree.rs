//! The located tree.
//!
//! Owns: nodes, and what a plain scalar means by YAML 1.2's core schema.

use serde_json::Number;
use service_orchestration::spec::Template;

use crate::source::Span;

/// A value and its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) value: Value,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key, its place and its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) value: Node,
}

/// Text as it was written, and what substitution made of it.
#[derive(Clone, Debug)]
pub(crate) struct Scalar {
    /// As it was written, after YAML's own quoting.
    pub(crate) text: String,
    /// Written without quotes: may be a number, a boolean or null.
    pub(crate) plain: bool,
    /// What substitution made of it.
    pub(crate) resolved: Resolved,
}

/// What substitution made of a scalar.
#[derive(Clone, Debug)]
pub(crate) enum Resolved {
    /// There was nothing to substitute.
    AsWritten,
    /// Text with variables put in; references remain.
    Template(Template),
    /// It could not be substituted, and that has been reported.
    Broken,
}

impl Node {
    /// The entry of this key, when this is a mapping that has it.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The entries, when this is a mapping; else none.
    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            Value::Scalar(_) | Value::List(_) => &[],
        }
    }

    /// The items, when this is a list; else none.
    pub(crate) fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            Value::Scalar(_) | Value::Map(_) => &[],
        }
    }

    pub(crate) fn scalar(&self) -> Option<&Scalar> {
        match &self.value {
            Value::Scalar(scalar) => Some(scalar),
            Value::List(_) | Value::Map(_) => None,
        }
    }

    /// Nothing was written, or `null`.
    pub(crate) fn is_null(&self) -> bool {
        self.scalar().is_some_and(Scalar::is_null)
    }

    /// What it is, for messages.
    pub(crate) fn describe(&self) -> String {
        match &self.value {
            Value::List(_) => "a list".into(),
            Value::Map(_) => "a mapping".into(),
            Value::Scalar(scalar) if scalar.is_null() => "nothing".into(),
            Value::Scalar(scalar) => format!("`{}`", shorten(&scalar.text)),
        }
    }
}

impl Scalar {
    /// Null by the core schema; never when quoted.
    pub(crate) fn is_null(&self) -> bool {
        self.plain
            && matches!(self.resolved, Resolved::AsWritten)
            && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }

    /// The text after substitution, with its references; nothing when that failed.
    pub(crate) fn template(&self) -> Option<Template> {
        match &self.resolved {
            Resolved::AsWritten => Some(Template::literal(self.text.clone())),
            Resolved::Template(template) => Some(template.clone()),
            Resolved::Broken => None,
        }
    }

    /// The text after substitution, when there is no reference in it and substitution succeeded.
    pub(crate) fn literal(&self) -> Option<&str> {
        match &self.resolved {
            Resolved::AsWritten => Some(&self.text),
            Resolved::Template(template) => template.as_literal(),
            Resolved::Broken => None,
        }
    }

    /// The JSON value that the core schema gives it: null, a boolean, a number or text.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match &self.resolved {
            Resolved::AsWritten if self.plain => core(&self.text),
            Resolved::AsWritten => Json::String(self.text.clone()),
            Resolved::Template(template) => Json::String(template.to_string()),
            Resolved::Broken => Json::Null,
        }
    }
}

/// At most 60 characters of a text, on one line, for messages.
pub(crate) fn shorten(text: &str) -> String {
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(60)
        .collect();
    if line.len() < text.len() {
        format!("{line}…")
    } else {
        line
    }
}

/// Whether this text without quotes is text by the core schema.
pub(crate) fn is_text(text: &str) -> bool {
    core(text).is_string()
}

fn core(text: &str) -> serde_json::Value {
    use serde_json::Value as Json;
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Json::Null,
        "true" | "True" | "TRUE" => return Json::Bool(true),
        "false" | "False" | "FALSE" => return Json::Bool(false),
        _ => {}
    }
    core_number(text).map_or_else(|| Json::String(text.to_owned()), Json::Number)
}

fn core_number(text: &str) -> Option<Number> {
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix) {
            let all_digits = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
            return all_digits
                .then(|| u64::from_str_radix(digits, radix).ok())
                .flatten()
                .map(Number::from);
        }
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        || !unsigned
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'))
    {
        return None;
    }
    let positive = text.strip_prefix('+').unwrap_or(text);
    if let Ok(n) = positive.parse::<u64>() {
        return Some(n.into());
    }
    if let Ok(n) = positive.parse::<i64>() {
        return Some(n.into());
    }
    positive.parse::<f64>().ok().and_then(Number::from_f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn plain_scalars_mean_what_the_core_schema_says() {
        for (text, expected) in [
            ("", json!(null)),
            ("~", json!(null)),
            ("true", json!(true)),
            ("no", json!("no")),
            ("yes", json!("yes")),
            ("010", json!(10)),
            ("0o10", json!(8)),
            ("0x1F", json!(31)),
            ("1_000", json!("1_000")),
            ("-3", json!(-3)),
            ("1.5e3", json!(1500.0)),
            ("1:30", json!("1:30")),
            ("2026-11-20", json!("2026-11-20")),
        ] {
            assert_eq!(core(text), expected, "{text:?}");
        }
    }
}
