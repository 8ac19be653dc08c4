//! All rules, over the whole workspace.
//!
//! Owns: which files are read and which rules apply. What a rule says stands in its own file.

use crate::failure::Failure;
use crate::step::Step;
use crate::tidy::source::Source;
use crate::tidy::{arrows, forbidden, links, purity, runtime, shape, waits};
use crate::workspace;

/// The rules that look at one source file.
const RULES: [fn(&Source) -> Vec<String>; 9] = [
    shape::size,
    shape::header,
    shape::declarations,
    forbidden::unsafe_code,
    forbidden::unfinished,
    forbidden::raw_signals,
    forbidden::bare_allowances,
    purity::model,
    waits::sleeps,
];

/// Every finding in the workspace, in the order of the files.
///
/// # Errors
/// When a file cannot be read, or cargo does not answer.
pub(crate) fn workspace() -> Result<Vec<String>, Failure> {
    let root = workspace::root();
    let mut found = Vec::new();
    for path in workspace::files(&root, "rs")? {
        let name = path.strip_prefix(&root).unwrap_or(&path).to_string_lossy();
        let source = Source::new(name.replace('\\', "/"), workspace::read(&path)?);
        found.extend(RULES.iter().flat_map(|rule| rule(&source)));
    }
    for path in workspace::files(&root, "md")? {
        let name = path.strip_prefix(&root).unwrap_or(&path).to_string_lossy();
        let directory = path.parent().unwrap_or(&root);
        let exists = |link: &str| directory.join(link).exists();
        found.extend(links::broken(&name, &workspace::read(&path)?, exists));
    }
    let page = workspace::read(&root.join("ARCHITECTURE.md"))?;
    found.extend(arrows::compare(
        &arrows::declared(&page),
        &arrows::actual(&workspace::metadata()?),
    ));
    found.extend(runtime::runtimes(&normal_dependencies()?));
    Ok(found)
}

/// Everything that is linked into the published crates, one line each: name, version, features.
fn normal_dependencies() -> Result<String, Failure> {
    Step::cargo(&[
        "tree",
        "--workspace",
        "--exclude",
        "testkit",
        "--exclude",
        "faults",
        "--exclude",
        "xtask",
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--format",
        "{p} {f}",
    ])
    .within(&workspace::root())
    .text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_is_tidy() {
        let found = workspace().expect("every file is read and cargo answers");
        assert!(found.is_empty(), "{}", found.join("\n"));
    }
}
