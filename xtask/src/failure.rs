//! Why a recipe stopped.
//!
//! Owns: the one error type of this crate; a recipe ends on the first one, unless it says otherwise. Never prints.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

/// Why a recipe stopped.
#[derive(Debug)]
pub(crate) enum Failure {
    /// No such verb, or the wrong arguments.
    Usage { given: String, usage: &'static str },
    /// A program could not be started.
    NotStarted { line: String, source: io::Error },
    /// A program ended with something else than success.
    Ended { line: String, status: ExitStatus },
    /// A file or directory could not be used.
    File { path: PathBuf, source: io::Error },
    /// A program answered something that cannot be read.
    Unreadable { what: String, detail: String },
    /// Something that must hold does not.
    Unmet { claim: String, found: String },
    /// A condition did not come true in time.
    Overdue { claim: String, last_seen: String },
    /// This machine lacks something that the recipe cannot bring.
    Missing { what: String, advice: String },
    /// Rules of the code policy that are broken, one line each.
    Untidy { findings: Vec<String> },
    /// Parts of the gate that did not pass, each with its reason.
    Parts { failed: Vec<String> },
}

impl Failure {
    /// 2 for a wrong call, 1 for everything else.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage { .. } => 2,
            Self::NotStarted { .. }
            | Self::Ended { .. }
            | Self::File { .. }
            | Self::Unreadable { .. }
            | Self::Unmet { .. }
            | Self::Overdue { .. }
            | Self::Missing { .. }
            | Self::Untidy { .. }
            | Self::Parts { .. } => 1,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage { given, usage } => write!(f, "no recipe `{given}`\n{usage}"),
            Self::NotStarted { line, source } => write!(f, "cannot start `{line}`: {source}"),
            Self::Ended { line, status } => write!(f, "`{line}` ended with {status}"),
            Self::File { path, source } => write!(f, "{}: {source}", path.display()),
            Self::Unreadable { what, detail } => write!(f, "cannot read {what}: {detail}"),
            Self::Unmet { claim, found } => write!(f, "expected: {claim}\n   found: {found}"),
            Self::Overdue { claim, last_seen } => {
                write!(f, "not in time: {claim}\n  last seen: {last_seen}")
            }
            Self::Missing { what, advice } => write!(f, "{what}; {advice}"),
            Self::Untidy { findings } => {
                write!(
                    f,
                    "{} findings\n  {}",
                    findings.len(),
                    findings.join("\n  ")
                )
            }
            Self::Parts { failed } => {
                write!(f, "{} parts failed\n{}", failed.len(), failed.join("\n"))
            }
        }
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NotStarted { source, .. } | Self::File { source, .. } => Some(source),
            Self::Usage { .. }
            | Self::Ended { .. }
            | Self::Unreadable { .. }
            | Self::Unmet { .. }
            | Self::Overdue { .. }
            | Self::Missing { .. }
            | Self::Untidy { .. }
            | Self::Parts { .. } => None,
        }
    }
}
