//! What is said about a stack file, as callers see it.
//!
//! Owns: the public form of a diagnostic. How it is collected is [`super::Sink`]'s business, how it looks the
//! renderers'.

use std::ops::Range;

use super::Code;

/// Error or warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The stack cannot be used.
    Error,
    /// The stack can be used, but something in it will not do what it looks like.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// The kind of thing; its number is stable.
    pub code: Code,
    /// What is wrong.
    pub message: String,
    /// The file's name, as it was given.
    pub file: String,
    /// The line, from 1; 0 when it is about the file as a whole.
    pub line: u32,
    /// The column in characters, from 1; 0 when it is about the file as a whole.
    pub column: u32,
    /// The bytes of the file's text (without a byte order mark).
    pub span: Range<usize>,
    /// What is to be said beside the place itself, such as `did you mean `image`?`.
    pub label: Option<String>,
    /// Other places that matter, such as the first of two equal keys.
    pub labels: Vec<Label>,
    /// What can be done.
    pub help: Option<String>,
}

impl Diagnostic {
    /// Whether it keeps the stack from being used.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// `file:line:column`, or only the file when it is about the whole of it.
    pub fn location(&self) -> String {
        match self.line {
            0 => self.file.clone(),
            line => format!("{}:{line}:{}", self.file, self.column),
        }
    }
}

/// Another place that matters, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Why.
    pub text: String,
    /// The file's name.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// The bytes of the file's text.
    pub span: Range<usize>,
}

/// How many errors and how many warnings there are.
pub fn count(diagnostics: &[Diagnostic]) -> (usize, usize) {
    let errors = diagnostics.iter().filter(|d| d.is_error()).count();
    (errors, diagnostics.len() - errors)
}
