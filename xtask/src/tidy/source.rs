//! A source file as the rules see it.
//!
//! Owns: the text, the text without comments and literals, and how a finding is written. Never opens a file.

use crate::tidy::code;

/// A Rust source file of the workspace.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// Relative to the workspace, with `/`.
    pub(crate) path: String,
    /// As it stands.
    pub(crate) text: String,
    /// Line by line the same, with comments and the insides of literals blanked.
    pub(crate) code: String,
}

impl Source {
    pub(crate) fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            path: path.into(),
            code: code::without_prose(&text),
            text,
        }
    }

    /// `path:line: message`, with the line counted from 1.
    pub(crate) fn finding(&self, line: usize, message: &str) -> String {
        format!("{}:{line}: {message}", self.path)
    }

    /// The lines of code with their numbers.
    pub(crate) fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.lines().enumerate().map(|(i, line)| (i + 1, line))
    }

    /// The number of the first line that is compiled for tests only; `None` when there is none.
    ///
    /// By convention unit tests stand last in a file, so everything from there on is test code.
    pub(crate) fn tests_begin(&self) -> Option<usize> {
        let whole_file = self.path.contains("/tests/")
            || self.path.starts_with("tests/")
            || self.path.ends_with("/tests.rs");
        if whole_file {
            return Some(1);
        }
        let lines: Vec<&str> = self.code.lines().collect();
        lines
            .windows(2)
            // `mod tests;` only points at another file.
            .position(|pair| pair[0].trim() == "#[cfg(test)]" && !pair[1].trim_end().ends_with(';'))
            .map(|index| index + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_begin_where_their_module_does() {
        let begin = |path: &str, text: &str| Source::new(path, text).tests_begin();
        assert_eq!(begin("a/tests/b.rs", "fn f() {}"), Some(1));
        assert_eq!(begin("a/src/b/tests.rs", "fn f() {}"), Some(1));
        assert_eq!(
            begin("a/src/b.rs", "fn f() {}\n#[cfg(test)]\nmod tests {\n}\n"),
            Some(2)
        );
        assert_eq!(
            begin("a/src/b.rs", "#[cfg(test)]\nmod tests;\nfn f() {}\n"),
            None
        );
    }
}
