//! Environment files in Compose's way: what stands in a value for another one is put in.
//!
//! Owns: where that happens (not in single quotes), and who is asked first: whoever reads the file, then what stands above.

use super::dotenv::{DotenvError, read};
use super::expression::{Action, Expression, Piece, split};

/// What came of a file.
#[derive(Debug, Default)]
pub(crate) struct Expanded {
    /// The assignments, in order.
    pub(crate) assignments: Vec<(String, String)>,
    /// What could not be read.
    pub(crate) errors: Vec<DotenvError>,
    /// The variables that nobody knows, each once: nothing stands in their place.
    pub(crate) unset: Vec<String>,
}

/// Reads a file; `known` is what whoever reads it knows of variables.
pub(crate) fn expanded(text: &str, known: impl Fn(&str) -> Option<String>) -> Expanded {
    let (read, errors) = read(text, true);
    let mut made = Expanded {
        errors,
        ..Expanded::default()
    };
    for assignment in read {
        let value = match assignment.value {
            None => known(&assignment.name),
            Some(value) if assignment.is_literal => Some(value),
            Some(value) => made.value(&value, &known),
        };
        made.assignments
            .extend(value.map(|value| (assignment.name, value)));
    }
    made
}

/// The lines of a file as they stand, quotes and all; a name alone is taken from whoever reads it.
pub(crate) fn raw(text: &str, known: impl Fn(&str) -> Option<String>) -> Vec<(String, String)> {
    let lines = text.lines().map(str::trim_start);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let pair = |line: &str| match line.split_once('=') {
        Some((name, value)) => Some((name.to_owned(), value.to_owned())),
        None => Some((line.to_owned(), known(line.trim_end())?)),
    };
    lines.filter_map(pair).collect()
}

impl Expanded {
    fn value(&mut self, text: &str, known: &impl Fn(&str) -> Option<String>) -> Option<String> {
        if !text.contains('$') {
            return Some(text.to_owned());
        }
        let (text, _) = crate::compose::with_braces(text);
        let pieces = match split(&text) {
            Ok(pieces) => pieces,
            Err(error) => return self.refuse(error.message),
        };
        self.all(&pieces, known)
    }

    fn all(&mut self, pieces: &[Piece], known: &impl Fn(&str) -> Option<String>) -> Option<String> {
        let mut text = String::new();
        for piece in pieces {
            match piece {
                Piece::Literal(literal) => text.push_str(literal),
                Piece::Expression(expression) => text += &self.one(expression, known)?,
            }
        }
        Some(text)
    }

    fn one(
        &mut self,
        asked: &Expression,
        known: &impl Fn(&str) -> Option<String>,
    ) -> Option<String> {
        let above = || {
            let mut above = self.assignments.iter().rev();
            above
                .find(|(name, _)| *name == asked.name)
                .map(|(_, value)| value.clone())
        };
        let value = known(&asked.name).or_else(above);
        let Some(operator) = asked.operator else {
            if value.is_none() && !self.unset.contains(&asked.name) {
                self.unset.push(asked.name.clone());
            }
            return Some(value.unwrap_or_default());
        };
        let value = value.filter(|value| !(operator.or_empty && value.is_empty()));
        match (operator.action, value) {
            (Action::Default | Action::Require, Some(value)) => Some(value),
            (Action::Default, None) | (Action::Alternative, Some(_)) => {
                self.all(&asked.word, known)
            }
            (Action::Alternative, None) => Some(String::new()),
            (Action::Require, None) => {
                let why = self.all(&asked.word, known)?;
                self.refuse(format!("`{}` must be set: {why}", asked.name))
            }
        }
    }

    fn refuse(&mut self, message: String) -> Option<String> {
        self.errors.push(DotenvError {
            span: 0..0,
            message,
        });
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(name: &str) -> Option<String> {
        (name == "KNOWN").then(|| "k".to_owned())
    }

    #[test]
    fn values_are_put_in_but_for_single_quotes() {
        let text = "A=1\nB=$A-${A}-$KNOWN\nC='$A'\nD=\"$A\\n\\$A\"\nE=${NONE:-${A}x}\nF=$$A\nKNOWN=own\nG=$KNOWN\nKNOWN\nNOWHERE\nH=$NONE.";
        let made = expanded(text, known);
        assert_eq!(made.errors, []);
        let expected = [
            ("A", "1"),
            ("B", "1-1-k"),
            ("C", "$A"),
            ("D", "1\n$A"),
            ("E", "1x"),
            ("F", "$A"),
            ("KNOWN", "own"),
            // Whoever reads the file goes before what stands above.
            ("G", "k"),
            ("KNOWN", "k"),
            ("H", "."),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(made.assignments, expected);
        assert_eq!(made.unset, ["NONE"]);
    }

    #[test]
    fn what_must_be_set_and_is_not_is_an_error() {
        let made = expanded("A=${NONE:?say it}\nB=${KNOWN:?no}\nC=${", known);
        let errors: Vec<_> = made
            .errors
            .iter()
            .map(|error| error.message.as_str())
            .collect();
        assert_eq!(errors.len(), 2, "{errors:?}");
        assert_eq!(errors[0], "`NONE` must be set: say it");
        assert_eq!(made.assignments, [("B".to_owned(), "k".to_owned())]);
    }

    #[test]
    fn raw_lines_are_taken_as_they_stand() {
        let pairs = raw("# c\nA='x' # y\n  B=\"$A\"\nKNOWN\nNONE\n", known);
        let expected = [("A", "'x' # y"), ("B", "\"$A\""), ("KNOWN", "k")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(pairs, expected);
    }
}
