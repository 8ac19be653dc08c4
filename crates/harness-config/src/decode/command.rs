//! Commands: lists, shell text, words.
//!
//! Owns: when a shell is used. A list is run as it is. Text beside `args` is the program. Text alone is run by `sh -c`,
//! unless it is one plain word: that needs no shell. For containers text is split into words, as Compose does.

use service_orchestration::spec::{Part, Template};

use crate::table::text;
use crate::yaml::{Node, Value};

/// A program with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CommandLine {
    /// The program, then its arguments; never empty.
    pub(super) words: Vec<Template>,
    /// Whether the program is a shell that runs the text.
    pub(super) is_shell: bool,
}

/// The command that a value says, with `args` behind it; nothing when it is empty or has been reported.
pub(super) fn command(node: &Node, args: Option<Vec<Template>>) -> Option<CommandLine> {
    let line = match (&node.value, args) {
        (Value::List(items), args) => {
            let words = items
                .iter()
                .filter_map(text)
                .chain(args.into_iter().flatten());
            direct(words.collect())
        }
        (Value::Scalar(scalar), Some(args)) => {
            let words = scalar.template().into_iter().chain(args);
            direct(words.collect())
        }
        (Value::Scalar(scalar), None) => shell(scalar.template()?),
        (Value::Map(_), _) => return None,
    };
    (!line.words.is_empty()).then_some(line)
}

/// Text that a shell runs.
pub(super) fn shell(text: Template) -> CommandLine {
    if text.as_literal().is_some_and(is_plain_word) {
        return direct(vec![text]);
    }
    CommandLine {
        words: vec!["sh".into(), "-c".into(), text],
        is_shell: true,
    }
}

/// The words of a value as Compose takes them: a list, or text that is split as a shell would.
///
/// # Errors
/// A fragment, when quotes in the text are not closed.
pub(super) fn words(node: &Node) -> Result<Vec<Template>, &'static str> {
    match &node.value {
        Value::List(items) => Ok(items.iter().filter_map(text).collect()),
        Value::Scalar(scalar) => scalar
            .template()
            .map_or(Ok(Vec::new()), |text| split(&text)),
        Value::Map(_) => Ok(Vec::new()),
    }
}

fn direct(words: Vec<Template>) -> CommandLine {
    CommandLine {
        words,
        is_shell: false,
    }
}

fn is_plain_word(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/'))
}

/// Splits text into words; a reference is one letter that no text has.
fn split(template: &Template) -> Result<Vec<Template>, &'static str> {
    const REFERENCE: char = '\u{f8ff}';
    let placeholders = template.parts().iter();
    let mut placeholders = placeholders.filter(|part| !matches!(part, Part::Literal(_)));
    let text: String = template
        .parts()
        .iter()
        .map(|part| match part {
            Part::Literal(text) => text.replace(REFERENCE, "\u{fffd}"),
            Part::Reference(_) | Part::Secret { .. } => REFERENCE.to_string(),
        })
        .collect();
    let words = shlex::split(&text).ok_or("a quote in this command is never closed")?;
    let rebuild = |word: String| {
        let mut parts = Vec::new();
        for (n, literal) in word.split(REFERENCE).enumerate() {
            if n > 0 {
                parts.extend(placeholders.next().cloned());
            }
            parts.push(Part::Literal(literal.to_owned()));
        }
        Template::from_parts(parts)
    };
    Ok(words.into_iter().map(rebuild).collect())
}
