//! Finds the program `fixture`, and builds it when it is missing or older than its sources.
//!
//! Owns: where the fixture lies. A test of another crate cannot ask Cargo for it (binaries of a dev-dependency are
//! not built), so this does; Cargo's own lock makes it safe for many test processes at once.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

/// The path of the program `fixture`, built if need be. `TESTKIT_FIXTURE` overrides it.
///
/// # Panics
/// When it can be neither found nor built.
pub fn fixture_path() -> &'static Path {
    static FIXTURE: OnceLock<PathBuf> = OnceLock::new();
    FIXTURE.get_or_init(|| match env::var_os("TESTKIT_FIXTURE") {
        Some(path) => PathBuf::from(path),
        None => beside_the_tests(),
    })
}

/// `target/<profile>/fixture`, seen from the test binary in `target/<profile>/deps`.
fn beside_the_tests() -> PathBuf {
    let test = env::current_exe().expect("a running test has a path");
    let profile_dir = test
        .ancestors()
        .find(|dir| dir.file_name().is_some_and(|name| name == "deps"))
        .and_then(Path::parent)
        .or_else(|| test.parent())
        .expect("a test binary lies in a directory");
    let fixture = profile_dir.join("fixture");
    if !is_newer_than_sources(&fixture) {
        build(profile_dir);
    }
    assert!(
        fixture.is_file(),
        "cargo built the fixture, but not at {}",
        fixture.display()
    );
    fixture
}

fn build(profile_dir: &Path) {
    let profile = match profile_dir.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(other) => other,
    };
    let target_dir = profile_dir
        .parent()
        .expect("a profile directory lies in the target directory");
    let status = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args([
            "build",
            "--quiet",
            "--package",
            "testkit",
            "--bin",
            "fixture",
            "--profile",
            profile,
        ])
        .arg("--target-dir")
        .arg(target_dir)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .expect("cargo starts, or TESTKIT_FIXTURE names the program");
    assert!(
        status.success(),
        "cargo could not build the fixture: {status}"
    );
}

fn is_newer_than_sources(fixture: &Path) -> bool {
    let Some(built) = modified(fixture) else {
        return false;
    };
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pending = vec![package.join("Cargo.toml"), package.join("src")];
    while let Some(path) = pending.pop() {
        match fs::read_dir(&path) {
            Ok(entries) => pending.extend(entries.flatten().map(|entry| entry.path())),
            Err(_) if modified(&path).is_none_or(|changed| changed > built) => return false,
            Err(_) => {}
        }
    }
    true
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path)
        .and_then(|metadata| metadata.modified())
        .ok()
}
