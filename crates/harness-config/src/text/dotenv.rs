//! Environment files.
//!
//! Owns: their syntax. `NAME=value` lines with an optional `export `; a value may be in single quotes (taken as it is) or
//! double quotes (`\n`, `\t`, `\"`, `\\`, `\$` are escapes; it may span lines); an unquoted one ends before ` #`. What is put
//! into values, where Compose reads them, is the business of `expand`.

use std::ops::Range;

use super::is_variable_name;

/// A line that is no assignment, and its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DotenvError {
    pub(crate) span: Range<usize>,
    pub(crate) message: String,
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Assignment {
    pub(super) name: String,
    /// Absent where only the name stands there, which Compose takes from whoever asks.
    pub(super) value: Option<String>,
    /// Whether it stood in single quotes: nothing is put in there.
    pub(super) is_literal: bool,
}

/// The assignments of a text, in order, and what could not be read. Values are taken as they stand.
pub(crate) fn dotenv(text: &str) -> (Vec<(String, String)>, Vec<DotenvError>) {
    let (assignments, errors) = read(text, false);
    let pairs = assignments.into_iter();
    let pairs = pairs.filter_map(|one| Some((one.name, one.value?)));
    (pairs.collect(), errors)
}

/// The same, with what is to be known of each to put variables in: there, an escaped dollar sign is `$$`.
pub(super) fn read(text: &str, is_expanded: bool) -> (Vec<Assignment>, Vec<DotenvError>) {
    let mut reader = Reader {
        text,
        at: 0,
        is_expanded,
    };
    let mut assignments = Vec::new();
    let mut errors = Vec::new();
    while reader.at < text.len() {
        match reader.line() {
            Ok(Some(assignment)) => assignments.push(assignment),
            Ok(None) => {}
            Err(error) => {
                errors.push(error);
                reader.skip_line();
            }
        }
    }
    (assignments, errors)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// Whether variables will be put in.
    is_expanded: bool,
}

impl<'a> Reader<'a> {
    fn line(&mut self) -> Result<Option<Assignment>, DotenvError> {
        self.skip_blanks();
        let start = self.at;
        let line = self.rest_of_line();
        if line.is_empty() || line.starts_with('#') {
            self.skip_line();
            return Ok(None);
        }
        let exported = line.strip_prefix("export ").map_or(line, str::trim_start);
        let name_at = start + (line.len() - exported.len());
        let Some((name, _)) = exported.split_once('=') else {
            let alone = exported.split(" #").next().unwrap_or(exported).trim();
            if self.is_expanded && is_variable_name(alone) {
                self.skip_line();
                return Ok(Some(Assignment {
                    name: alone.to_owned(),
                    value: None,
                    is_literal: true,
                }));
            }
            return Err(self.error(
                start..start + line.trim_end().len(),
                "expected `NAME=value`",
            ));
        };
        let trimmed = name.trim_end();
        if !is_variable_name(trimmed) {
            let message = "a name has letters, digits and `_`, and does not begin with a digit";
            return Err(self.error(name_at..name_at + trimmed.len(), message));
        }
        self.at = name_at + name.len() + 1;
        self.skip_blanks();
        let first = self.text[self.at..].chars().next();
        let value = match first {
            Some(quote @ ('"' | '\'')) => self.quoted(quote)?,
            _ => self.unquoted(),
        };
        Ok(Some(Assignment {
            name: trimmed.to_owned(),
            value: Some(value),
            is_literal: first == Some('\''),
        }))
    }

    fn unquoted(&mut self) -> String {
        let line = self.rest_of_line();
        let end = line
            .char_indices()
            .find(|(at, c)| *c == '#' && (*at == 0 || line[..*at].ends_with([' ', '\t'])))
            .map_or(line.len(), |(at, _)| at);
        let value = line[..end].trim_end().to_owned();
        self.skip_line();
        value
    }

    fn quoted(&mut self, quote: char) -> Result<String, DotenvError> {
        let start = self.at;
        let mut value = String::new();
        let mut chars = self.text[start + 1..].char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                _ if c == quote => {
                    self.at = start + 1 + at + 1;
                    return self.after_quote(value);
                }
                '\\' if quote == '"' => match chars.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, 't')) => value.push('\t'),
                    Some((_, 'r')) => value.push('\r'),
                    Some((_, '$')) if self.is_expanded => value.push_str("$$"),
                    Some((_, c @ ('"' | '\\' | '$'))) => value.push(c),
                    Some((_, c)) => value.extend(['\\', c]),
                    None => break,
                },
                _ => value.push(c),
            }
        }
        let line_end = start + self.rest_of_line().len();
        Err(self.error(start..line_end, "this quote is never closed"))
    }

    fn after_quote(&mut self, value: String) -> Result<String, DotenvError> {
        self.skip_blanks();
        let rest = self.rest_of_line();
        if !rest.is_empty() && !rest.starts_with('#') {
            let at = self.at;
            return Err(self.error(at..at + rest.len(), "nothing may follow the closing quote"));
        }
        self.skip_line();
        Ok(value)
    }

    fn error(&self, span: Range<usize>, message: &str) -> DotenvError {
        DotenvError {
            span,
            message: message.to_owned(),
        }
    }

    fn rest_of_line(&self) -> &'a str {
        let rest = &self.text[self.at..];
        let line = rest.split('\n').next().unwrap_or(rest);
        line.strip_suffix('\r').unwrap_or(line)
    }

    fn skip_blanks(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start_matches([' ', '\t']).len();
    }

    fn skip_line(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.find('\n').map_or(rest.len(), |end| end + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_are_read_with_quotes_and_comments() {
        let text = "# c\r\nA=1\r\nexport B = two words # no\nC='a # $X \\n'\nD=\"l1\nl2\\n\\\"q\\\"\" # c\nE=\nF=a#b\n\n G=x";
        let (assignments, errors) = dotenv(text);
        assert_eq!(errors, []);
        let expected = [
            ("A", "1"),
            ("B", "two words"),
            ("C", "a # $X \\n"),
            ("D", "l1\nl2\n\"q\""),
            ("E", ""),
            ("F", "a#b"),
            ("G", "x"),
        ];
        let expected = expected.map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(assignments, expected);
    }

    #[test]
    fn every_bad_line_is_named() {
        let text = "OK=1\nnonsense\n9X=1\nB=\"open\nC='x' y\n";
        let (_, errors) = dotenv(text);
        let spans: Vec<_> = errors.iter().map(|e| &text[e.span.clone()]).collect();
        assert_eq!(spans, ["nonsense", "9X", "\"open", "y"]);
    }
}
