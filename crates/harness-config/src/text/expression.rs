//! The syntax of `${…}`.
//!
//! Owns: the split of a text into literals and expressions, with the byte at which each begins. Never looks a variable
//! up. A `$` that is followed by neither `{` nor `$` is literal.

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Literal(String),
    Expression(Expression),
}

/// What stands between `${` and `}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expression {
    /// The byte of the `$`, in the whole text.
    pub(crate) at: usize,
    /// Everything between the braces.
    pub(crate) source: String,
    /// The variable's name: what stands before the operator.
    pub(crate) name: String,
    /// What is done when the variable is set, or not.
    pub(crate) operator: Option<Operator>,
    /// What stands behind the operator.
    pub(crate) word: Vec<Piece>,
}

/// What is done when a variable is set, or not. With `or_empty`, an empty one counts as not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Operator {
    pub(crate) action: Action,
    pub(crate) or_empty: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// `-`: the word when it is not set.
    Default,
    /// `?`: an error with the word as its message when it is not set.
    Require,
    /// `+`: the word when it is set, else nothing.
    Alternative,
}

/// Why a text cannot be split, and the byte of the `$` that begins the culprit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExpressionError {
    pub(crate) at: usize,
    pub(crate) message: String,
}

/// Splits a text.
pub(crate) fn split(text: &str) -> Result<Vec<Piece>, ExpressionError> {
    split_at(text, 0, 0)
}

/// Whether this can be the name of an environment variable.
pub(crate) fn is_variable_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Expressions in defaults in defaults: more than anyone writes by hand, far less than the stack holds.
const MAX_NESTING: usize = 32;

fn split_at(text: &str, base: usize, nesting: usize) -> Result<Vec<Piece>, ExpressionError> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        literal.push_str(&rest[..dollar]);
        let at = base + (text.len() - rest.len()) + dollar;
        let tail = &rest[dollar + 1..];
        if let Some(tail) = tail.strip_prefix('$') {
            literal.push('$');
            rest = tail;
        } else if let Some(tail) = tail.strip_prefix('{') {
            if nesting == MAX_NESTING {
                return Err(error(at, "`${…}` is nested too deeply"));
            }
            let Some(end) = closing_brace(tail) else {
                return Err(error(at, "this `${` is never closed"));
            };
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            }
            pieces.push(Piece::Expression(expression(&tail[..end], at, nesting)?));
            rest = &tail[end + 1..];
        } else {
            literal.push('$');
            rest = tail;
        }
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    Ok(pieces)
}

/// The byte of the brace that closes what `${` opened; braces inside must be balanced.
fn closing_brace(text: &str) -> Option<usize> {
    let mut open = 0usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => open += 1,
            b'}' if open == 0 => return Some(at),
            b'}' => open -= 1,
            _ => {}
        }
    }
    None
}

fn expression(source: &str, at: usize, nesting: usize) -> Result<Expression, ExpressionError> {
    let name_end = source
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.'))
        .unwrap_or(source.len());
    let (name, tail) = source.split_at(name_end);
    let colon = tail.strip_prefix(':');
    let mut symbols = colon.unwrap_or(tail).chars();
    let action = match symbols.next() {
        Some('-') => Some(Action::Default),
        Some('?') => Some(Action::Require),
        Some('+') => Some(Action::Alternative),
        _ => None,
    };
    let (operator, word) = match action {
        Some(action) => {
            let word = symbols.as_str();
            let word_at = at + 2 + (source.len() - word.len());
            let operator = Operator {
                action,
                or_empty: colon.is_some(),
            };
            (Some(operator), split_at(word, word_at, nesting + 1)?)
        }
        None if tail.is_empty() && !name.is_empty() => (None, Vec::new()),
        None if source.is_empty() => return Err(error(at, "`${}` names nothing")),
        None => {
            return Err(error(
                at,
                &format!("`${{{source}}}` is no variable and no reference"),
            ));
        }
    };
    Ok(Expression {
        at,
        source: source.to_owned(),
        name: name.to_owned(),
        operator,
        word,
    })
}

fn error(at: usize, message: &str) -> ExpressionError {
    ExpressionError {
        at,
        message: message.chars().take(200).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Expression {
        match split(text).expect("it splits").as_slice() {
            [Piece::Expression(expression)] => expression.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_dollar_alone_is_literal() {
        for (text, expected) in [
            ("$HOME and $1 $(x) $", "$HOME and $1 $(x) $"),
            ("a$$b", "a$b"),
            ("$${X}", "${X}"),
            ("$$$$", "$$"),
        ] {
            assert_eq!(
                split(text),
                Ok(vec![Piece::Literal(expected.into())]),
                "{text}"
            );
        }
    }

    #[test]
    fn a_default_may_contain_anything() {
        for default in ["0.0.0.0", "http://a.b", "{\"a\":1}", "", "x-y:z?+"] {
            let expression = one(&format!("${{A:-{default}}}"));
            assert_eq!(expression.name, "A");
            let literal = match expression.word.as_slice() {
                [] => "",
                [Piece::Literal(text)] => text,
                other => panic!("{other:?}"),
            };
            assert_eq!(literal, default);
        }
        let nested = one("${A:-x${B-${C}}y}");
        assert_eq!(nested.word.len(), 3);
        let Piece::Expression(inner) = &nested.word[1] else {
            panic!("an expression")
        };
        assert_eq!((inner.name.as_str(), inner.at), ("B", 6));
    }

    #[test]
    fn errors_name_the_dollar() {
        for (text, at) in [
            ("ab${X", 2),
            ("${}", 0),
            ("${A:-${}}", 5),
            ("é${a b}", 2),
            ("${A:x}", 0),
        ] {
            assert_eq!(split(text).expect_err("it is wrong").at, at, "{text}");
        }
        assert!(split(&"${A:-".repeat(10_000)).is_err());
        assert!(split(&format!("{}{}", "${A:-".repeat(40), "}".repeat(40))).is_err());
    }
}
