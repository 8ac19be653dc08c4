//! JSON text, written only.
//!
//! Owns: how a string is quoted. Reading JSON is nobody's business here.

use std::fmt::Write;

/// The text as a JSON string, quotes included.
pub fn string(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            c if c.is_control() => {
                write!(quoted, "\\u{:04x}", u32::from(c)).expect("writing to a string cannot fail");
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    #[test]
    fn quotes_and_controls_are_escaped() {
        assert_eq!(super::string("a\"b\\c\nd\te"), r#""a\"b\\c\nd\u0009e""#);
    }
}
