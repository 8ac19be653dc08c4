//! Parser events to the located tree.
//!
//! Owns: the limits, and what aliases, merge keys and duplicate keys do. The parser hands over one event at a time, so a
//! limit ends the work at the event that exceeds it.

use std::collections::HashMap;

use serde_yaml::granit_parser::{
    ErrorKind, Event, Options, Parser, ScalarStyle, Span as ParserSpan,
};

use super::tree::{Entry, Node, Resolved, Scalar, Value, shorten};
use crate::report::{Code, Sink};
use crate::source::{SourceMap, Span};

/// The size of one text.
pub(crate) const MAX_TEXT_BYTES: usize = 1 << 20;
const MAX_DEPTH: usize = 64;
const MAX_NODES: usize = 50_000;
const TOO_DEEP: &str = "the file is nested more than 64 levels deep";
const MAX_SCALAR_BYTES: usize = 8 << 20;

/// The tree of a text, or nothing after an error that leaves no tree.
pub(crate) fn parse(files: &SourceMap, file: u32, sink: &mut Sink) -> Option<Node> {
    let text = files.file(file).text();
    if text.len() > MAX_TEXT_BYTES {
        sink.error(
            Code::Limit,
            Span::whole(file),
            "the file is larger than 1 MiB",
        );
        return None;
    }
    let mut builder = Builder {
        file,
        text,
        sink,
        stack: Vec::new(),
        anchors: HashMap::new(),
        used: Weight::default(),
        documents: 0,
        root: None,
    };
    let mut options = Options::default();
    options.emit_comments = false;
    options.flow_nesting_limit = MAX_DEPTH;
    let mut parser = Parser::new_from_str_with_options(text, options);
    loop {
        match parser.next_event() {
            None => break,
            Some(Ok((event, span))) => builder.event(event, &span)?,
            Some(Err(error)) => {
                let marked = error.marker().byte_offset().unwrap_or(text.len());
                let marked = marked.min(text.len());
                // The parser marks what stands behind the tab that it complains about.
                let at = marked - usize::from(text[..marked].ends_with('\t'));
                // The parser reads ahead, so its own limit may speak first.
                let (code, message) = match error.kind() {
                    ErrorKind::RecursionLimitExceeded => (Code::Limit, TOO_DEEP.to_owned()),
                    _ => (Code::Syntax, format!("this is no YAML: {}", error.info())),
                };
                builder.sink.error(code, Span::new(file, at..at), message);
                return None;
            }
        }
    }
    builder.root.or_else(|| {
        sink.error(Code::Document, Span::whole(file), "the file is empty");
        None
    })
}

/// What a subtree costs when it is repeated by an alias.
#[derive(Clone, Copy, Debug, Default)]
struct Weight {
    nodes: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Frame {
    span: Span,
    anchor: usize,
    before: Weight,
    content: Content,
}

#[derive(Debug)]
enum Content {
    List(Vec<Node>),
    Map(OpenMap),
}

#[derive(Debug, Default)]
struct OpenMap {
    entries: Vec<Entry>,
    merges: Vec<Node>,
    seen: HashMap<String, Span>,
    key: Option<Key>,
}

#[derive(Debug)]
enum Key {
    Text(String, Span),
    Merge,
    /// It was refused; its value is dropped.
    Refused,
}

struct Builder<'a> {
    file: u32,
    text: &'a str,
    sink: &'a mut Sink,
    stack: Vec<Frame>,
    anchors: HashMap<usize, (Node, Weight)>,
    used: Weight,
    documents: usize,
    root: Option<Node>,
}

impl Builder<'_> {
    /// Takes one event; nothing when the text is refused as a whole.
    fn event(&mut self, event: Event<'_>, parser_span: &ParserSpan) -> Option<()> {
        let span = self.span(parser_span);
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    self.sink.error(
                        Code::Document,
                        span,
                        "a stack file has one document; a second begins here",
                    );
                    return None;
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.is_some(), parser_span);
                self.charge(1, text.len(), span)?;
                // The parser says `~` where nothing was written.
                let is_absent = span.start == span.end && matches!(style, ScalarStyle::Plain);
                let text = if is_absent {
                    String::new()
                } else {
                    text.into_owned()
                };
                let node = Node {
                    span,
                    value: Value::Scalar(Scalar {
                        plain: matches!(style, ScalarStyle::Plain),
                        text,
                        resolved: Resolved::AsWritten,
                    }),
                };
                self.finish(node, anchor, Weight { nodes: 1, bytes: 0 });
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_tag(tag.is_some(), parser_span);
                self.open(span, anchor, Content::List(Vec::new()))?;
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_tag(tag.is_some(), parser_span);
                self.open(span, anchor, Content::Map(OpenMap::default()))?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span)?,
            Event::Alias(id) => self.alias(id, span)?,
            // Comments, stream marks and metadata: nothing of the tree.
            _ => {}
        }
        Some(())
    }

    fn span(&self, span: &ParserSpan) -> Span {
        let range = span.byte_range().unwrap_or(0..0);
        let end = range.end.min(self.text.len());
        Span::new(self.file, range.start.min(end)..end)
    }

    fn refuse_tag(&mut self, is_tagged: bool, span: &ParserSpan) {
        if is_tagged {
            let tag = span
                .tag_span()
                .map_or_else(|| self.span(span), |tag| self.span(&tag));
            self.sink
                .error(Code::Tag, tag, "tags have no meaning in a stack file")
                .help("remove the tag; quote the value to make it text");
        }
    }

    fn charge(&mut self, nodes: usize, bytes: usize, span: Span) -> Option<()> {
        self.used.nodes += nodes;
        self.used.bytes += bytes;
        let what = if self.used.nodes > MAX_NODES {
            "the file has more than 50,000 values"
        } else if self.used.bytes > MAX_SCALAR_BYTES {
            "the file has more than 8 MiB of text once its aliases are expanded"
        } else {
            return Some(());
        };
        self.sink.error(Code::Limit, span, what);
        None
    }

    fn open(&mut self, span: Span, anchor: usize, content: Content) -> Option<()> {
        if self.stack.len() >= MAX_DEPTH {
            self.sink.error(Code::Limit, span, TOO_DEEP);
            return None;
        }
        let before = self.used;
        self.charge(1, 0, span)?;
        self.stack.push(Frame {
            span,
            anchor,
            before,
            content,
        });
        Some(())
    }

    fn close(&mut self, end: Span) -> Option<()> {
        let frame = self.stack.pop().expect("the parser closes what it opened");
        let value = match frame.content {
            Content::List(items) => Value::List(items),
            Content::Map(map) => Value::Map(self.merge(map)),
        };
        let span = Span {
            end: end.end.max(frame.span.end),
            ..frame.span
        };
        let weight = Weight {
            nodes: self.used.nodes - frame.before.nodes,
            bytes: self.used.bytes - frame.before.bytes,
        };
        self.charge(0, 0, span)?;
        self.finish(Node { span, value }, frame.anchor, weight);
        Some(())
    }

    fn alias(&mut self, id: usize, span: Span) -> Option<()> {
        let Some((node, weight)) = self.anchors.get(&id).cloned() else {
            self.sink.error(
                Code::Alias,
                span,
                "this alias stands inside the value that it repeats",
            );
            return None;
        };
        self.charge(weight.nodes, weight.bytes, span)?;
        self.finish(node, 0, weight);
        Some(())
    }

    /// Puts a finished value where it belongs.
    fn finish(&mut self, node: Node, anchor: usize, weight: Weight) {
        if anchor != 0 {
            let bytes = weight.bytes + node.scalar().map_or(0, |s| s.text.len());
            self.anchors
                .insert(anchor, (node.clone(), Weight { bytes, ..weight }));
        }
        let Some(frame) = self.stack.last_mut() else {
            self.root = Some(node);
            return;
        };
        match &mut frame.content {
            Content::List(items) => items.push(node),
            Content::Map(map) => match map.key.take() {
                None => map.key = Some(key(node, map, self.sink)),
                Some(Key::Text(key, key_span)) => map.entries.push(Entry {
                    key,
                    key_span,
                    value: node,
                }),
                Some(Key::Merge) => map.merges.push(node),
                Some(Key::Refused) => {}
            },
        }
    }

    /// The entries of a mapping with those of its merge keys behind them; its own win, then the earlier ones.
    fn merge(&mut self, map: OpenMap) -> Vec<Entry> {
        let OpenMap {
            mut entries,
            merges,
            mut seen,
            ..
        } = map;
        for source in merges {
            let parts = match source.value {
                Value::List(items) => items,
                Value::Map(_) | Value::Scalar(_) => vec![source],
            };
            for part in parts {
                let Value::Map(merged) = part.value else {
                    self.sink.error(
                        Code::Alias,
                        part.span,
                        "a merge key (`<<`) takes a mapping or a list of mappings",
                    );
                    continue;
                };
                for entry in merged {
                    if !seen.contains_key(&entry.key) {
                        seen.insert(entry.key.clone(), entry.key_span);
                        entries.push(entry);
                    }
                }
            }
        }
        entries
    }
}

fn key(node: Node, map: &mut OpenMap, sink: &mut Sink) -> Key {
    let Value::Scalar(scalar) = node.value else {
        sink.error(
            Code::KeyNotText,
            node.span,
            "a key is text, not a list or a mapping",
        );
        return Key::Refused;
    };
    if scalar.plain && scalar.text == "<<" {
        return Key::Merge;
    }
    if let Some(first) = map.seen.get(&scalar.text) {
        sink.error(
            Code::DuplicateKey,
            node.span,
            format!("`{}` stands twice in this mapping", shorten(&scalar.text)),
        )
        .label("the second")
        .also(*first, "the first");
        return Key::Refused;
    }
    map.seen.insert(scalar.text.clone(), node.span);
    Key::Text(scalar.text, node.span)
}
