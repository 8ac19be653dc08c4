//! A tree as the text of a stack file.
//!
//! Owns: that the text reads back as the tree, how it looks, and which comments of the source come along: those that
//! stand right above a key or an item that is written.

use std::collections::HashSet;

use crate::source::{SourceMap, Span};
use crate::yaml::{Node, Scalar, Value};

/// The text of a mapping.
pub(super) fn write(files: &SourceMap, root: &Node) -> String {
    let mut writer = Writer {
        files,
        told: HashSet::new(),
        text: String::new(),
    };
    writer.entries(root, 0);
    writer.text
}

struct Writer<'a> {
    files: &'a SourceMap,
    /// Lines of comments that were written.
    told: HashSet<(u32, u32)>,
    text: String,
}

impl Writer<'_> {
    fn entries(&mut self, node: &Node, depth: usize) {
        for (n, entry) in node.entries().iter().enumerate() {
            // Sections and units stand apart.
            let is_apart = depth == 0 && n > 0 && !matches!(entry.value.value, Value::Scalar(_))
                || depth == 1 && n > 0 && !is_small(&entry.value);
            if is_apart {
                self.text.push('\n');
            }
            self.comments(entry.key_span, depth);
            self.indent(depth);
            self.text += &text_of(&entry.key, false, Surroundings::Block);
            self.text.push(':');
            self.value(&entry.value, depth);
        }
    }

    /// What stands behind a colon, with the end of its line.
    fn value(&mut self, node: &Node, depth: usize) {
        if let Some(line) = self.flow(node) {
            return self.line(&line);
        }
        match &node.value {
            Value::Scalar(scalar) => self.scalar(scalar, depth),
            Value::List(items) => {
                self.text.push('\n');
                for item in items {
                    self.item(item, depth + 1);
                }
            }
            Value::Map(_) => {
                self.text.push('\n');
                self.entries(node, depth + 1);
            }
        }
    }

    fn item(&mut self, item: &Node, depth: usize) {
        self.comments(item.span, depth);
        self.indent(depth);
        self.text.push('-');
        match &item.value {
            Value::Map(_) if self.flow(item).is_none() => {
                // The first key stands beside the dash.
                let begin = self.text.len();
                self.entries(item, depth + 1);
                let inner = self.text.split_off(begin);
                let shift = inner.len() - inner.trim_start_matches(' ').len();
                let is_comment = inner[shift..].starts_with('#');
                self.text.push(if is_comment { '\n' } else { ' ' });
                self.text += if is_comment { &inner } else { &inner[shift..] };
            }
            _ => self.value(item, depth),
        }
    }

    fn scalar(&mut self, scalar: &Scalar, depth: usize) {
        if scalar.is_null() && scalar.text.is_empty() {
            self.text.push('\n');
        } else if let Some(lines) = block(&scalar.text) {
            self.text += if scalar.text.ends_with('\n') {
                " |\n"
            } else {
                " |-\n"
            };
            for line in lines {
                if !line.is_empty() {
                    self.indent(depth + 1);
                    self.text += line;
                }
                self.text.push('\n');
            }
        } else {
            self.line(&text_of(&scalar.text, scalar.plain, Surroundings::Block));
        }
    }

    fn line(&mut self, text: &str) {
        self.text.push(' ');
        self.text += text;
        self.text.push('\n');
    }

    fn indent(&mut self, depth: usize) {
        self.text.extend(std::iter::repeat_n("  ", depth));
    }

    /// A list or mapping on one line: an empty one, or one that the source has so and that is short.
    fn flow(&self, node: &Node) -> Option<String> {
        match &node.value {
            Value::Scalar(_) => return None,
            Value::List(items) if items.is_empty() => return Some("[]".into()),
            Value::Map(entries) if entries.is_empty() => return Some("{}".into()),
            Value::List(_) | Value::Map(_) => {}
        }
        let source = self.files.file(node.span.file).text();
        let is_flow = source
            .get(node.span.range())
            .is_some_and(|text| text.starts_with(['[', '{']));
        let line = is_flow.then(|| flow(node)).flatten()?;
        (line.len() <= MAX_FLOW).then_some(line)
    }

    /// The comments right above a place, unless they were written already.
    fn comments(&mut self, span: Span, depth: usize) {
        let source = self.files.file(span.file);
        let text = source.text();
        let Some(before) = text.get(..span.range().start) else {
            return;
        };
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        // Only what begins its line has comments above it.
        if !before[line_start..].chars().all(|c| c == ' ' || c == '-') {
            return;
        }
        let (line, _) = source.line_column(line_start);
        let above = before[..line_start].lines().rev().map(str::trim);
        let above: Vec<&str> = above.take_while(|line| line.starts_with('#')).collect();
        for (n, comment) in above.iter().enumerate().rev() {
            let number = line - 1 - u32::try_from(n).unwrap_or(u32::MAX);
            let is_new = self.told.insert((span.file, number));
            // A comment may hold what YAML does not take, and only there.
            if is_new && comment.chars().all(|c| c == '\t' || !c.is_control()) {
                self.indent(depth);
                self.text += comment;
                self.text.push('\n');
            }
        }
    }
}

/// A line longer than this is easier to read as a block.
const MAX_FLOW: usize = 100;

fn is_small(node: &Node) -> bool {
    match &node.value {
        Value::Scalar(_) => true,
        Value::Map(entries) => entries.len() < 2,
        Value::List(_) => false,
    }
}

fn flow(node: &Node) -> Option<String> {
    match &node.value {
        Value::Scalar(scalar) if scalar.is_null() => Some("null".into()),
        Value::Scalar(scalar) => Some(text_of(&scalar.text, scalar.plain, Surroundings::Flow)),
        Value::List(items) => {
            let items: Option<Vec<String>> = items.iter().map(flow).collect();
            Some(format!("[{}]", items?.join(", ")))
        }
        Value::Map(entries) => {
            let entries = entries.iter().map(|entry| {
                let is_nothing = entry
                    .value
                    .scalar()
                    .is_some_and(|s| s.plain && s.text.is_empty());
                let key = text_of(&entry.key, false, Surroundings::Flow);
                match is_nothing {
                    true => Some(format!("{key}: ")),
                    false => Some(format!("{key}: {}", flow(&entry.value)?)),
                }
            });
            let entries: Option<Vec<String>> = entries.collect();
            Some(format!("{{{}}}", entries?.join(", ")))
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Surroundings {
    Block,
    Flow,
}

/// The lines of a literal block, when the text can be one.
fn block(text: &str) -> Option<std::str::Lines<'_>> {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let is_block = body.contains('\n')
        && !body.ends_with('\n')
        && !body.starts_with([' ', '\t', '\n'])
        && body.chars().all(|c| c == '\n' || is_printable(c))
        // Lines of nothing but spaces would be taken for indentation.
        && body.lines().all(|line| line.is_empty() || !line.trim_matches([' ', '\t']).is_empty());
    is_block.then(|| body.lines())
}

/// A scalar on one line.
fn text_of(text: &str, plain: bool, surroundings: Surroundings) -> String {
    let means_more = !plain && !crate::yaml::is_text(text);
    if means_more || !is_plain(text, surroundings) {
        return quoted(text);
    }
    text.to_owned()
}

/// Whether the text can stand without quotes.
fn is_plain(text: &str, surroundings: Surroundings) -> bool {
    let mut chars = text.chars();
    let Some(first) = chars.next() else {
        return false;
    };
    let begins = match first {
        '-' => chars.next().is_some_and(|c| c != ' ') && !text.starts_with("---"),
        '.' => !text.starts_with("..."),
        c => !"?:,[]{}#&*!|>'\"%@`".contains(c),
    };
    let is_flow_safe =
        surroundings == Surroundings::Block || !text.contains([',', '[', ']', '{', '}', ':']);
    // What older readers of YAML take for a flag, or for a number in base 60.
    let word = text.to_ascii_lowercase();
    let is_flag = ["y", "n", "yes", "no", "on", "off", "<<", "="].contains(&word.as_str());
    let is_base_60 = text.contains(':') && text.chars().all(|c| c.is_ascii_digit() || c == ':');
    begins
        && is_flow_safe
        && !is_flag
        && !is_base_60
        && !text.starts_with(' ')
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && text.chars().all(|c| is_printable(c) && c != '\t')
}

/// In double quotes: JSON's, but for a few characters that JSON leaves alone.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted += "\\\"",
            '\\' => quoted += "\\\\",
            '\n' => quoted += "\\n",
            '\t' => quoted += "\\t",
            '\r' => quoted += "\\r",
            c if is_printable(c) => quoted.push(c),
            c if u32::from(c) > 0xffff => quoted += &format!("\\U{:08x}", u32::from(c)),
            c => quoted += &format!("\\u{:04x}", u32::from(c)),
        }
    }
    quoted.push('"');
    quoted
}

fn is_printable(c: char) -> bool {
    !c.is_control()
        && !matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
}
