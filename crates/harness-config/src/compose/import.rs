//! `import compose`: the text of a stack file.
//!
//! Owns: the head of that text, and that no text comes out that would not load. A variable that is not set stays a
//! variable, and a file of an environment that is missing stays named: both may be there where the stack runs.

use super::write::write;
use crate::input::Sources;
use crate::load::examine_compose;
use crate::report::{Code, Diagnostic};
use crate::source::SourceMap;

/// What came of an import.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The stack file; absent when there is any error.
    pub text: Option<String>,
    /// What is wrong, and what is not carried over or means something else, ordered by place.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts that were read.
    pub files: SourceMap,
}

/// Turns Compose files, laid over each other, into one stack file. Their names do not matter here.
///
/// Reads the files that the sources name, `.env` beside the first of them, and those that `include`, `extends` and
/// `env_file` name. Relative paths in the text stay relative to the directory of the first file.
pub fn import_compose(sources: &Sources) -> Imported {
    let sources = sources.clone().profile("*");
    let (tree, diagnostics, files) = examine_compose(&sources);
    // What `validate` says of the stack file is not about the import.
    let mut diagnostics = diagnostics;
    diagnostics.retain(|found| !matches!(found.code, Code::NotRunnable | Code::SecretInClear));
    let is_wrong = diagnostics.iter().any(Diagnostic::is_error);
    let tree = tree.filter(|_| !is_wrong);
    let text = tree.map(|tree| head(&diagnostics, &files) + &write(&files, &tree));
    Imported {
        text,
        diagnostics,
        files,
    }
}

/// Where it came from, and what was left behind.
fn head(diagnostics: &[Diagnostic], files: &SourceMap) -> String {
    let names = files.stack_names().join(", ");
    let mut head = format!("# Imported from {}.\n", clean(&names));
    let left = |found: &&Diagnostic| matches!(found.code, Code::ComposeLost | Code::ComposeChanged);
    let left: Vec<&Diagnostic> = diagnostics.iter().filter(left).collect();
    if !left.is_empty() {
        head += "# Not carried over, or not quite the same:\n";
        for found in left {
            head += &format!(
                "#   {}:{} {}\n",
                found.line,
                found.column,
                clean(&found.message)
            );
        }
    }
    head += "\n";
    head
}

/// On one line.
fn clean(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control()
                || matches!(
                    c,
                    '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
                )
            {
                ' '
            } else {
                c
            }
        })
        .collect()
}
