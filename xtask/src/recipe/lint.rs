//! Formatting, clippy, and the rules of this workspace.
//!
//! Owns: which checks make up `lint`. The rules themselves stand in [`crate::tidy`].

use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::step::Step;
use crate::tidy::check;
use crate::workspace;

/// Everything, the cheapest first.
///
/// # Errors
/// The first check that does not pass.
pub(crate) fn run() -> Result<(), Failure> {
    Step::cargo(&["fmt", "--all", "--check"])
        .within(&workspace::root())
        .run()?;
    tidy()?;
    scripts()?;
    Step::cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--features",
        workspace::FEATURES,
        "--quiet",
        "--",
        "-D",
        "warnings",
    ])
    .within(&workspace::root())
    .run()
}

/// The rules of CODE-POLICY.md that a machine can hold.
///
/// # Errors
/// [`Failure::Untidy`] with every place that breaks one.
pub(crate) fn tidy() -> Result<(), Failure> {
    let findings = check::workspace()?;
    if findings.is_empty() {
        println!("tidy: nothing to mend");
        Ok(())
    } else {
        Err(Failure::Untidy { findings })
    }
}

/// The shell scripts, also those inside of images.
fn scripts() -> Result<(), Failure> {
    let root = workspace::root();
    let mut found = vec![root.join(".ci/run")];
    collect_scripts(&root.join("docker-test-env"), &mut found)?;
    found.sort();
    let arguments = ["--external-sources".into()].into_iter().chain(found);
    let arguments: Vec<PathBuf> = arguments.collect();
    Step::new("shellcheck", arguments).within(&root).run()
}

/// Files below `directory` that begin as a shell's script does.
fn collect_scripts(directory: &Path, found: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let unusable = |source| Failure::File {
        path: directory.to_path_buf(),
        source,
    };
    for entry in std::fs::read_dir(directory).map_err(unusable)? {
        let path = entry.map_err(unusable)?.path();
        if path.is_dir() {
            collect_scripts(&path, found)?;
        } else {
            let text = workspace::read(&path)?;
            let first = text.lines().next().unwrap_or_default();
            if first.starts_with("#!") && first.ends_with("sh") {
                found.push(path);
            }
        }
    }
    Ok(())
}

/// The parts of the toolchain that `lint` needs and this one lacks.
pub(crate) fn missing_components() -> Vec<&'static str> {
    [("rustfmt", "fmt"), ("clippy", "clippy")]
        .into_iter()
        .filter(|(_, verb)| !Step::cargo(&[verb, "--version"]).succeeds())
        .map(|(component, _)| component)
        .collect()
}
