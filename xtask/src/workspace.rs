//! Where things stand in this workspace.
//!
//! Owns: its root, its target directory and the package graph as cargo tells it. Never writes.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::failure::Failure;
use crate::step::Step;

/// What is built and tested, as a feature of each crate that has tests against a running engine, or against other hosts.
///
/// One list for every call of cargo: with another one, everything that depends on these crates is built again.
pub(crate) const FEATURES: &str = "command-executor/docker-tests,command-executor/ssh-tests,container-engine/docker-tests,harness-mesh/ssh-tests,harness/docker-tests,harness/ssh-tests,service-orchestration/docker-tests,service-orchestration/ssh-tests,service-registry/docker-tests";

/// The directory of the workspace's `Cargo.toml`.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask is a directory of the workspace")
        .to_path_buf()
}

/// What `cargo metadata` says about the members, without their dependencies' own graph.
///
/// # Errors
/// When cargo refuses, or answers something else than JSON.
pub(crate) fn metadata() -> Result<Value, Failure> {
    let text = Step::cargo(&["metadata", "--no-deps", "--format-version", "1"])
        .within(&root())
        .text()?;
    serde_json::from_str(&text).map_err(|error| Failure::Unreadable {
        what: "the answer of cargo metadata".into(),
        detail: error.to_string(),
    })
}

/// Where a development build puts its programs.
///
/// # Errors
/// As [`metadata`].
pub(crate) fn programs() -> Result<PathBuf, Failure> {
    Ok(target_directory()?.join("debug"))
}

/// Where builds put what they make.
///
/// # Errors
/// As [`metadata`].
pub(crate) fn target_directory() -> Result<PathBuf, Failure> {
    let metadata = metadata()?;
    let directory = metadata["target_directory"]
        .as_str()
        .ok_or_else(|| Failure::Unreadable {
            what: "the answer of cargo metadata".into(),
            detail: "no target_directory".into(),
        })?;
    Ok(PathBuf::from(directory))
}

/// The text of a file of the workspace.
///
/// # Errors
/// When it cannot be read as UTF-8.
pub(crate) fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|source| Failure::File {
        path: path.to_path_buf(),
        source,
    })
}

/// Every file below `directory` with this extension, in order; directories named in `.gitignore` style as `target*`
/// or starting with a dot are left out.
///
/// # Errors
/// When a directory cannot be listed.
pub(crate) fn files(directory: &Path, extension: &str) -> Result<Vec<PathBuf>, Failure> {
    let unusable = |source| Failure::File {
        path: directory.to_path_buf(),
        source,
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(unusable)? {
        let path = entry.map_err(unusable)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if !name.starts_with("target") && !name.starts_with('.') {
                found.extend(files(&path, extension)?);
            }
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
