//! The YAML of the documentation is valid.
//!
//! Owns: which pages are read. A block marked `part` is not a whole stack file and only shows a detail.

use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::fenced;
use crate::sandbox::Sandbox;
use crate::workspace;

/// Validates every whole stack file in README.md and docs/, and returns how many there were.
///
/// # Errors
/// When one is refused; the program's own words are shown.
pub(crate) fn run() -> Result<usize, Failure> {
    let root = workspace::root();
    let mut pages: Vec<PathBuf> = workspace::files(&root.join("docs"), "md")?;
    pages.push(root.join("README.md"));
    let sandbox = Sandbox::new()?;
    for context in CONTEXTS {
        let recipe = sandbox.home().join(context).join("Dockerfile");
        write(&recipe, "FROM scratch\n")?;
    }
    let mut refused = Vec::new();
    let mut seen = 0;
    for page in pages {
        for block in fenced::blocks(&workspace::read(&page)?) {
            if !block.is_in("yaml") || block.is_marked("part") {
                continue;
            }
            seen += 1;
            let file = sandbox.home().join("block.yaml");
            write(&file, &block.text)?;
            let output = sandbox
                .harness(&["validate", &file.to_string_lossy()])
                .output()?;
            if !output.status.success() {
                let place = page.strip_prefix(&root).unwrap_or(&page).display();
                refused.push(format!(
                    "{place}:{}: {}",
                    block.line,
                    String::from_utf8_lossy(&output.stderr).trim()
                ));
            }
        }
    }
    if refused.is_empty() {
        Ok(seen)
    } else {
        Err(Failure::Untidy { findings: refused })
    }
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let directory = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory)
        .and_then(|()| std::fs::write(path, text))
        .map_err(|source| Failure::File {
            path: path.to_owned(),
            source,
        })
}

/// What the pages' services are built from: `validate` looks whether it is there.
const CONTEXTS: [&str; 1] = ["api"];
