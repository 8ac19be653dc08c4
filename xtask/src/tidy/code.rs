//! Rust text without its prose.
//!
//! Owns: a scanner that knows comments, strings and characters, and nothing else of the language. It replaces what is
//! in them by spaces, so that lines keep their numbers and a rule about `unsafe` does not find the word in a sentence.

/// The text with comments and the insides of string and character literals blanked, line by line.
pub(crate) fn without_prose(text: &str) -> String {
    let mut scanner = Scanner {
        rest: text,
        code: String::with_capacity(text.len()),
    };
    while !scanner.rest.is_empty() {
        scanner.step();
    }
    scanner.code
}

/// Whether `word` stands in the line on its own, not as a part of a longer name.
pub(crate) fn has_word(line: &str, word: &str) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(is_name) && !after.is_some_and(is_name)
    })
}

struct Scanner<'a> {
    rest: &'a str,
    code: String,
}

impl Scanner<'_> {
    fn step(&mut self) {
        if self.rest.starts_with("//") {
            let end = self.rest.find('\n').unwrap_or(self.rest.len());
            self.blank(end);
        } else if self.rest.starts_with("/*") {
            let end = block_comment(self.rest);
            self.blank(end);
        } else if let Some(end) = raw_string(self.rest).filter(|_| !self.is_inside_name()) {
            self.blank(end);
        } else if self.rest.starts_with('"') {
            let end = quoted(self.rest, '"');
            self.blank(end);
        } else if self.rest.starts_with('\'') && is_character(self.rest) {
            let end = quoted(self.rest, '\'');
            self.blank(end);
        } else {
            let next = self.rest.chars().next().expect("the rest is not empty");
            self.code.push(next);
            self.rest = &self.rest[next.len_utf8()..];
        }
    }

    /// Whether the last character belongs to a name, so that an `r` here is not the start of a raw string.
    fn is_inside_name(&self) -> bool {
        self.code
            .chars()
            .next_back()
            .is_some_and(|c| c.is_alphanumeric() || c == '_')
    }

    fn blank(&mut self, end: usize) {
        let (gone, rest) = self.rest.split_at(end);
        self.code
            .extend(gone.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        self.rest = rest;
    }
}

/// The length of the block comment at the start; they nest.
fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// The length of the raw string (`r"…"`, `r#"…"#`, `br"…"`) at the start, if there is one.
fn raw_string(text: &str) -> Option<usize> {
    let after_prefix = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let hashes = after_prefix.len() - after_prefix.trim_start_matches('#').len();
    let body = after_prefix[hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let start = text.len() - body.len();
    Some(
        body.find(&close)
            .map_or(text.len(), |at| start + at + close.len()),
    )
}

/// The length of the literal at the start, whose first character is the quote.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Whether the `'` at the start opens a character, not a lifetime.
fn is_character(text: &str) -> bool {
    let mut inside = text.chars().skip(1);
    match inside.next() {
        Some('\\') => true,
        Some(_) => inside.next() == Some('\''),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_blanked_and_lines_stay() {
        let text = "let a = \"unsafe\"; // unsafe\n/* unsafe\n/* nested */ unsafe */ b();\n";
        let code = without_prose(text);
        assert!(!code.contains("unsafe"));
        assert_eq!(code.lines().count(), text.lines().count());
        assert!(code.contains("let a =") && code.contains("b();"));
    }

    #[test]
    fn raw_strings_characters_and_lifetimes_are_told_apart() {
        let code = without_prose("r#\"todo!\"# + '\"' + f::<'a>(\"\\\"todo!\") + for_r\"x\"; todo");
        assert!(!code.contains("todo!"), "{code}");
        assert!(
            code.contains("f::<'a>(") && code.ends_with("; todo"),
            "{code}"
        );
    }

    #[test]
    fn a_word_is_not_part_of_a_longer_one() {
        assert!(has_word("unsafe { x }", "unsafe"));
        assert!(!has_word("#![deny(unsafe_code)]", "unsafe"));
    }
}
