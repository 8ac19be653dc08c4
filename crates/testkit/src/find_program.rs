//! Finds the programs that tests run, and builds each when it is missing or older than its sources.
//!
//! Owns: where they lie. A test of another crate cannot ask Cargo for them (binaries of a dev-dependency are not
//! built), so this does; Cargo's own lock makes it safe for many test processes at once.

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
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| FIXTURE.find())
}

/// The path of the program `service-shim`, which stands beside services as `harness-shim` does, built if need be.
/// `TESTKIT_SHIM` overrides it.
///
/// # Panics
/// When it can be neither found nor built.
pub fn shim_path() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| SHIM.find())
}

/// A program of this workspace.
struct Program {
    /// Its name, and how messages call it.
    name: &'static str,
    /// The package that it is built from.
    package: &'static str,
    /// That package's directory, seen from ours.
    directory: &'static str,
    /// The variable that names another program to be used instead.
    variable: &'static str,
}

impl Program {
    fn find(&self) -> PathBuf {
        match env::var_os(self.variable) {
            Some(path) => PathBuf::from(path),
            None => self.beside_the_tests(),
        }
    }

    /// `target/<profile>/<name>`, seen from the test binary in `target/<profile>/deps`.
    fn beside_the_tests(&self) -> PathBuf {
        let test = env::current_exe().expect("a running test has a path");
        let profile_dir = test
            .ancestors()
            .find(|dir| {
                dir.file_name()
                    .is_some_and(|name| name == "deps" || name == "examples")
            })
            .and_then(Path::parent)
            .or_else(|| test.parent())
            .expect("a test binary lies in a directory");
        let program = profile_dir.join(self.name);
        if !self.is_newer_than_sources(&program) {
            self.build(profile_dir);
        }
        assert!(
            program.is_file(),
            "cargo built {}, but not at {}",
            self.name,
            program.display()
        );
        program
    }

    fn build(&self, profile_dir: &Path) {
        let profile = match profile_dir.file_name().and_then(|name| name.to_str()) {
            Some("debug") | None => "dev",
            Some(other) => other,
        };
        let target_dir = profile_dir
            .parent()
            .expect("a profile directory lies in the target directory");
        let status = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["build", "--quiet", "--profile", profile])
            .args(["--package", self.package, "--bin", self.name])
            .arg("--target-dir")
            .arg(target_dir)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .unwrap_or_else(|error| {
                panic!(
                    "cargo does not start ({error}), and {} names no program",
                    self.variable
                )
            });
        assert!(
            status.success(),
            "cargo could not build {}: {status}",
            self.name
        );
    }

    fn is_newer_than_sources(&self, program: &Path) -> bool {
        let Some(built) = modified(program) else {
            return false;
        };
        let package = Path::new(env!("CARGO_MANIFEST_DIR")).join(self.directory);
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
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path)
        .and_then(|metadata| metadata.modified())
        .ok()
}

const FIXTURE: Program = Program {
    name: "fixture",
    package: "testkit",
    directory: ".",
    variable: "TESTKIT_FIXTURE",
};
const SHIM: Program = Program {
    name: "service-shim",
    package: "service-shim",
    directory: "../service-shim",
    variable: "TESTKIT_SHIM",
};
