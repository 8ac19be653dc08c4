//! Making nodes.
//!
//! Owns: nothing but shorthand. What is made gets the place of what it was made from.

use crate::source::Span;
use crate::yaml::{Entry, Node, Resolved, Scalar, Value};

/// Text, whatever it looks like.
pub(super) fn text(span: Span, text: impl Into<String>) -> Node {
    scalar(span, text.into(), false)
}

/// A number, a flag, or nothing.
pub(super) fn plain(span: Span, text: impl Into<String>) -> Node {
    scalar(span, text.into(), true)
}

fn scalar(span: Span, text: String, plain: bool) -> Node {
    Node {
        span,
        value: Value::Scalar(Scalar {
            text,
            plain,
            resolved: Resolved::AsWritten,
        }),
    }
}

pub(super) fn list(span: Span, items: Vec<Node>) -> Node {
    Node {
        span,
        value: Value::List(items),
    }
}

pub(super) fn map(span: Span, entries: Vec<Entry>) -> Node {
    Node {
        span,
        value: Value::Map(entries),
    }
}

pub(super) fn entry(key: &str, key_span: Span, value: Node) -> Entry {
    Entry {
        key: key.to_owned(),
        key_span,
        value,
    }
}

/// The text of a scalar as it was written.
pub(super) fn written(node: &Node) -> Option<&str> {
    node.scalar().map(|scalar| scalar.text.as_str())
}

/// The value of a key, unless it is null.
pub(super) fn get<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    node.entry(key)
        .map(|entry| &entry.value)
        .filter(|value| !value.is_null())
}

/// The items of a list; of anything else but nothing, the thing itself.
pub(super) fn one_or_more(node: &Node) -> Vec<&Node> {
    match &node.value {
        Value::List(items) => items.iter().collect(),
        Value::Scalar(_) if node.is_null() => Vec::new(),
        Value::Scalar(_) | Value::Map(_) => vec![node],
    }
}

/// The parts of a text between colons; those inside of `${…}` part nothing.
pub(super) fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut open = 0usize;
    for c in text.chars() {
        match c {
            '{' => open += 1,
            '}' => open = open.saturating_sub(1),
            _ => {}
        }
        match (c, parts.last_mut()) {
            (':', _) if open == 0 => parts.push(String::new()),
            (c, Some(part)) => part.push(c),
            (_, None) => {}
        }
    }
    parts
}
