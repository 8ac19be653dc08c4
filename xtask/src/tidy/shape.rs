//! Rules about the shape of a file: its size, its header, and what `mod.rs` may hold.

use crate::tidy::code::has_word;
use crate::tidy::source::Source;

/// The most lines a file may have, tests included. Most have far fewer: 100 to 300.
const MAX_LINES: usize = 500;

/// What `mod.rs` must not define.
const DEFINITIONS: [&str; 9] = [
    "fn",
    "struct",
    "enum",
    "trait",
    "impl",
    "const",
    "static",
    "type",
    "macro_rules",
];

/// A file is split before it is too long to be read in one go.
pub(crate) fn size(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    if lines <= MAX_LINES {
        return vec![];
    }
    let message = format!("{lines} lines; split it (at most {MAX_LINES})");
    vec![source.finding(lines, &message)]
}

/// Every file of a `src` directory begins with a module header.
pub(crate) fn header(source: &Source) -> Vec<String> {
    if !source.path.contains("src/") || source.text.starts_with("//!") {
        return vec![];
    }
    vec![source.finding(
        1,
        "begins without a `//!` header: what it owns, what it never does",
    )]
}

/// `mod.rs` only declares: what is defined stands in a file with a name.
pub(crate) fn declarations(source: &Source) -> Vec<String> {
    // Below `tests/`, cargo leaves no other name for what several test programs share.
    if !source.path.ends_with("/mod.rs") || !source.path.contains("src/") {
        return vec![];
    }
    let mut defining = source.code_lines().filter(|(_, line)| {
        let defines = DEFINITIONS.iter().any(|word| has_word(line, word));
        let has_body = has_word(line, "mod") && line.contains('{');
        defines || has_body
    });
    // One finding a file: the whole of it moves to a file with a name.
    let first = defining.next();
    first
        .map(|(number, _)| {
            source.finding(
                number,
                "`mod.rs` only declares; move this to a file with a name",
            )
        })
        .into_iter()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_is_found() {
        assert!(size(&Source::new("a/src/b.rs", "//!\n".repeat(500))).is_empty());
        assert_eq!(
            size(&Source::new("a/src/b.rs", "//!\n".repeat(501))).len(),
            1
        );
    }

    #[test]
    fn a_file_without_header_is_found() {
        assert!(header(&Source::new("a/src/b.rs", "//! Owns.\n")).is_empty());
        assert!(header(&Source::new("a/tests/b.rs", "use x;\n")).is_empty());
        assert_eq!(header(&Source::new("a/src/b.rs", "use x;\n")).len(), 1);
    }

    #[test]
    fn a_definition_in_mod_rs_is_found() {
        let good = "//! A.\nmod a;\n#[cfg(test)]\nmod tests;\npub use a::{\n    B, // fn\n};\n";
        assert!(declarations(&Source::new("x/src/y/mod.rs", good)).is_empty());
        let bad = "//! A.\nmod a;\npub fn b() {}\nmod c {\n}\n";
        assert_eq!(declarations(&Source::new("x/src/y/mod.rs", bad)).len(), 1);
        assert!(declarations(&Source::new("x/src/y/lib.rs", bad)).is_empty());
    }
}
