//! Compose's substitution, said in ours.
//!
//! Owns: that `$VAR` becomes `${VAR}`, in defaults too. Everything else is spelt alike. The number of dollar signs stays the
//! same, because places inside of values are found by counting them.

use crate::report::{Code, Sink};
use crate::yaml::{Node, Value, shorten};

/// Rewrites every value of a tree but those below `x-…`.
pub(super) fn interpolate(node: &mut Node, sink: &mut Sink) {
    let span = node.span;
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|item| interpolate(item, sink)),
        Value::Map(entries) => {
            let entries = entries.iter_mut().filter(|e| !e.key.starts_with("x-"));
            entries.for_each(|entry| interpolate(&mut entry.value, sink));
        }
        Value::Scalar(scalar) if scalar.text.contains('$') => {
            let (text, is_sound) = with_braces(&scalar.text);
            if !is_sound {
                let message = format!("`{}` has a `$` that Compose refuses", shorten(&scalar.text));
                sink.warning(Code::ComposeChanged, span, message)
                    .help("here it is a dollar sign; `$$` is one in both");
            }
            scalar.text = text;
        }
        Value::Scalar(_) => {}
    }
}

/// The text with braces, and whether each `$` begins something that Compose knows.
pub(crate) fn with_braces(text: &str) -> (String, bool) {
    let mut made = String::with_capacity(text.len());
    let mut is_sound = true;
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        made.push_str(&rest[..=at]);
        rest = &rest[at + 1..];
        if rest.starts_with(['$', '{']) {
            made.push_str(&rest[..1]);
            rest = &rest[1..];
            continue;
        }
        let begins = rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .unwrap_or(rest.len());
        if begins {
            made.push('{');
            made.push_str(&rest[..end]);
            made.push('}');
            rest = &rest[end..];
        } else {
            is_sound = false;
        }
    }
    made.push_str(rest);
    (made, is_sound)
}

#[cfg(test)]
mod tests {
    use super::with_braces;

    #[test]
    fn variables_get_braces_and_nothing_else_changes() {
        for (text, expected, is_sound) in [
            ("$A", "${A}", true),
            ("a$A-$B_2.c", "a${A}-${B_2}.c", true),
            ("$$A ${A:-$B} ${A:-x$$y}", "$$A ${A:-${B}} ${A:-x$$y}", true),
            ("$$$A", "$$${A}", true),
            ("$1 $(x) $", "$1 $(x) $", false),
            ("é$É", "é$É", false),
        ] {
            assert_eq!(with_braces(text), (expected.to_owned(), is_sound), "{text}");
        }
    }
}
