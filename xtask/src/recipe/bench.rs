//! The benchmarks: programs under `bench/`, run against a release build.
//!
//! Owns: finding and running them. What they measure and print is theirs; none of them is a test.

use std::path::Path;

use serde_json::Value;

use crate::failure::Failure;
use crate::step::Step;
use crate::workspace;

/// Runs the program of this name with the arguments after it, or all of them.
///
/// # Errors
/// When there is no such program, or one fails.
pub(crate) fn run(arguments: &[&str]) -> Result<(), Failure> {
    let root = workspace::root();
    let programs = programs(&workspace::metadata()?, &root.join("bench"));
    let (wanted, rest) = match arguments {
        [] => (programs.clone(), &[][..]),
        [name, rest @ ..] => (
            programs
                .iter()
                .filter(|p| p.name == *name)
                .cloned()
                .collect(),
            rest,
        ),
    };
    if wanted.is_empty() {
        let known: Vec<&str> = programs
            .iter()
            .map(|program| program.name.as_str())
            .collect();
        return Err(Failure::Missing {
            what: "no such benchmark".into(),
            advice: format!(
                "programs under bench/: {}",
                if known.is_empty() {
                    "none".into()
                } else {
                    known.join(", ")
                }
            ),
        });
    }
    Step::cargo(&["build", "--release", "--workspace", "--bins"])
        .within(&root)
        .run()?;
    for program in wanted {
        let cargo = [
            "run",
            "--release",
            "--quiet",
            "-p",
            &program.package,
            "--bin",
            &program.name,
            "--",
        ];
        Step::cargo(&[&cargo[..], rest].concat())
            .within(&root)
            .run()?;
    }
    Ok(())
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Program {
    package: String,
    name: String,
}

/// The programs of the members below `directory`, in order.
fn programs(metadata: &Value, directory: &Path) -> Vec<Program> {
    let mut found = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let manifest = package["manifest_path"].as_str().unwrap_or_default();
        if !Path::new(manifest).starts_with(directory) {
            continue;
        }
        for target in package["targets"].as_array().into_iter().flatten() {
            if target["kind"][0] == "bin" {
                found.push(Program {
                    package: package["name"].as_str().unwrap_or_default().to_owned(),
                    name: target["name"].as_str().unwrap_or_default().to_owned(),
                });
            }
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_programs_below_the_directory_are_benchmarks() {
        let metadata = serde_json::json!({"packages": [
            {"name": "bench", "manifest_path": "/w/bench/Cargo.toml",
             "targets": [{"kind": ["bin"], "name": "logs"}, {"kind": ["lib"], "name": "bench"}]},
            {"name": "harness", "manifest_path": "/w/crates/harness/Cargo.toml",
             "targets": [{"kind": ["bin"], "name": "harness"}]},
        ]});
        let found = programs(&metadata, Path::new("/w/bench"));
        assert_eq!(
            found,
            [Program {
                package: "bench".into(),
                name: "logs".into()
            }]
        );
    }
}
