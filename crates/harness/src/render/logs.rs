//! Log lines: prefixed and interleaved, or as they were written.
//!
//! Owns: the prefix of each unit, and where a line goes on that had no end yet. Raw bytes reach standard output only
//! without prefix and where it is no terminal.

use std::collections::BTreeMap;

use harness_core::logs::{LogLines, LogStream};

use super::escape::push_escaped;
use super::look::{Look, Span};
use super::width::{columns, padded};

/// How lines are shown.
#[derive(Debug)]
pub(crate) struct LogPrinter {
    look: Look,
    prefixes: BTreeMap<String, String>,
    width: usize,
    has_prefix: bool,
    has_time: bool,
    /// Whose line has no end yet.
    open: Option<(String, LogStream)>,
}

impl LogPrinter {
    /// For lines of these units.
    pub(crate) fn new<'a>(
        look: Look,
        units: impl Iterator<Item = &'a str> + Clone,
        has_prefix: bool,
        has_time: bool,
    ) -> Self {
        let width = units.clone().map(columns).max().unwrap_or_default();
        let mut printer = Self {
            look,
            prefixes: BTreeMap::new(),
            width,
            has_prefix,
            has_time,
            open: None,
        };
        for unit in units {
            printer.prefix(unit);
        }
        printer
    }

    /// Appends what shows these lines of a unit.
    pub(crate) fn show(&mut self, unit: &str, lines: &LogLines<'_>, shown: &mut Vec<u8>) {
        if let Some(missing) = lines.gap {
            shown.extend(self.finish());
            shown.extend(self.head(unit, lines).into_bytes());
            let text = format!("{}\n", gap_text(missing));
            shown.extend(self.look.paint(Span::Bad, &text).into_bytes());
            return;
        }
        if self.is_raw() && !self.has_time {
            shown.extend_from_slice(lines.bytes);
            return;
        }
        let goes_on = self
            .open
            .take_if(|(open, stream)| open == unit && *stream == lines.stream)
            .is_some();
        if !goes_on {
            shown.extend(self.finish());
        }
        // The same for all of them: they have one time.
        let head = self.head(unit, lines);
        for (number, text) in lines.texts().enumerate() {
            if number > 0 || !goes_on {
                shown.extend_from_slice(head.as_bytes());
            }
            if self.is_raw() {
                shown.extend_from_slice(text);
            } else {
                push_escaped(shown, text);
            }
            if !lines.partial {
                shown.push(b'\n');
            }
        }
        self.open = lines.partial.then(|| (unit.to_owned(), lines.stream));
    }

    /// Ends a line that has no end yet, unless bytes are shown as they are.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        match self.open.take() {
            Some(_) if !self.is_raw() => vec![b'\n'],
            Some(_) | None => Vec::new(),
        }
    }

    /// Whether bytes are shown as they are, so that nothing of ours may stand between them.
    pub(crate) fn is_raw(&self) -> bool {
        !self.has_prefix && !self.look.is_terminal
    }

    fn head(&mut self, unit: &str, line: &LogLines<'_>) -> String {
        let mut head = String::new();
        if self.has_time {
            let time = line
                .time
                .to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
            head += &self.look.paint(Span::Dim, &time);
            head.push(' ');
        }
        if self.has_prefix {
            let bar = match line.stream {
                LogStream::Stdout => self.look.paint(Span::Dim, "|"),
                LogStream::Stderr => self.look.paint(Span::Bad, "|"),
            };
            head += &format!("{} {bar} ", self.prefix(unit));
        }
        head
    }

    fn prefix(&mut self, unit: &str) -> &str {
        let (look, width) = (self.look, self.width);
        let make = || look.paint(Span::Service(color(unit)), &padded(unit, width));
        self.prefixes.entry(unit.to_owned()).or_insert_with(make)
    }
}

/// The same for the same name in every run: FNV-1a.
fn color(unit: &str) -> usize {
    let hash = unit.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    usize::from((hash >> 32) as u8)
}

/// What stands in the place of so many bytes that are missing; of none, where nobody knows how many.
pub(crate) fn gap_text(missing: u64) -> String {
    match missing {
        0 => "[harness: output is missing]".to_owned(),
        _ => format!("[harness: {missing} bytes dropped]"),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use harness_core::protocol::LogRecord;

    use super::*;
    use crate::render::sample;

    pub(crate) fn record(unit: &str, text: &str) -> LogRecord {
        let record = serde_json::json!({
            "unit": unit, "time": sample::now(), "stream": "stdout", "attempt": 1, "text": text,
            "cursor": cursor()
        });
        serde_json::from_value(record).expect("a line")
    }

    fn cursor() -> serde_json::Value {
        serde_json::to_value(service_shim::log::Cursor::default()).expect("a place")
    }

    fn shown(printer: &mut LogPrinter, lines: &[LogRecord]) -> String {
        let mut bytes = Vec::new();
        for line in lines {
            show(printer, line, &mut bytes);
        }
        bytes.extend(printer.finish());
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn show(printer: &mut LogPrinter, line: &LogRecord, shown: &mut Vec<u8>) {
        let mut bytes = line.bytes.clone();
        if !line.partial && line.gap.is_none() {
            bytes.push(b'\n');
        }
        let lines = LogLines {
            time: line.time,
            stream: line.stream,
            attempt: line.attempt,
            bytes: &bytes,
            partial: line.partial,
            gap: line.gap,
            cursor: line.cursor,
        };
        printer.show(&line.unit, &lines, shown);
    }

    fn some_lines() -> Vec<LogRecord> {
        let mut half = record("api", "half of ");
        half.partial = true;
        let mut gap = record("db", "");
        gap.gap = Some(1_024);
        let mut broken = record("db", "");
        broken.bytes = b"caf\xe9 \x1b[2J".to_vec();
        broken.stream = LogStream::Stderr;
        vec![
            record("db", "up"),
            half,
            record("api", "a line"),
            gap,
            broken,
        ]
    }

    #[test]
    fn a_gap_of_unknown_size_tells_no_number() {
        assert_eq!(gap_text(7), "[harness: 7 bytes dropped]");
        assert_eq!(gap_text(0), "[harness: output is missing]");
    }

    #[test]
    fn lines_of_several_services_are_told_apart() {
        let mut printer = LogPrinter::new(Look::plain(), ["api", "db"].into_iter(), true, false);
        insta::assert_snapshot!(shown(&mut printer, &some_lines()));
    }

    #[test]
    fn without_prefix_and_terminal_the_bytes_are_the_services_own() {
        let mut printer = LogPrinter::new(Look::plain(), ["db"].into_iter(), false, false);
        let mut bytes = Vec::new();
        for line in some_lines().iter().filter(|line| line.gap.is_none()) {
            show(&mut printer, line, &mut bytes);
        }
        assert_eq!(bytes, b"up\nhalf of a line\ncaf\xe9 \x1b[2J\n");
    }

    #[test]
    fn on_a_terminal_nothing_is_raw() {
        let look = Look {
            is_terminal: true,
            ..Look::plain()
        };
        let mut printer = LogPrinter::new(look, ["db"].into_iter(), false, false);
        let text = shown(&mut printer, &some_lines());
        assert!(
            !text.contains('\x1b') && text.contains("caf\\xe9"),
            "{text}"
        );
    }

    #[test]
    fn a_line_that_others_cut_into_goes_on_below() {
        let mut half = record("api", "half");
        half.partial = true;
        let mut printer = LogPrinter::new(Look::plain(), ["api", "db"].into_iter(), true, false);
        let text = shown(
            &mut printer,
            &[half, record("db", "x"), record("api", "rest")],
        );
        assert_eq!(text, "api | half\ndb  | x\napi | rest\n");
    }

    #[test]
    fn no_service_can_forge_a_line_of_another_or_reach_the_terminal() {
        let forged = [
            "\rdb  | all is well",
            "a\u{b}db  | b\u{c}db  | c\u{85}db  | d\u{2028}db  | e",
            "\u{1b}]8;;http://evil\u{1b}\\click\u{1b}]8;;\u{1b}\\",
            "\u{1b}]52;c;cm0gLXJm\u{7}",
            "\u{9d}52;c;cm0gLXJm\u{9c}",
            "\u{202e}llew si lla | bd\u{202c}\u{2066}x\u{2069}",
            "\u{1b}[1A\u{1b}[2Kdb  | gone",
            "\u{1b}Pq#0\u{1b}\\ \u{1b}_x\u{1b}\\ \u{1b}c",
        ];
        for is_terminal in [false, true] {
            let look = Look {
                is_terminal,
                ..Look::plain()
            };
            let mut printer = LogPrinter::new(look, ["api", "db"].into_iter(), true, false);
            for text in forged {
                let shown = shown(&mut printer, &[record("api", text)]);
                assert!(shown.starts_with("api | "), "{shown:?}");
                assert_eq!(shown.lines().count(), 1, "{shown:?}");
                let acts = |c: char| {
                    (c.is_control() && c != '\n')
                        || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
                };
                assert!(!shown.chars().any(acts), "{shown:?}");
            }
        }
    }

    #[test]
    fn a_very_long_line_is_shown_in_one_and_no_control_character_in_it_survives() {
        let mut long = "x".repeat(1 << 20);
        long.push('\u{1b}');
        let mut printer = LogPrinter::new(Look::plain(), ["api"].into_iter(), true, false);
        let shown = shown(&mut printer, &[record("api", &long)]);
        assert_eq!(shown.len(), "api | ".len() + (1 << 20) + "\\x1b\n".len());
        assert!(shown.ends_with("x\\x1b\n"));
    }

    #[test]
    fn a_service_keeps_its_colour() {
        assert_eq!(color("api"), color("api"));
        assert_ne!(color("api") % 10, color("db") % 10);
    }
}
