//! The programs of an earlier commit, whose services the present ones take over in the fault matrix.
//!
//! Owns: where they lie (`TARGET/base/COMMIT`) and that they are built once for each commit. Which commit that is stands in
//! `faults/base-commit`. Never touches the working tree.

use std::path::Path;

use crate::failure::Failure;
use crate::step::Step;
use crate::workspace;

/// Builds them unless they are there.
///
/// # Errors
/// When this clone has no such commit, or it does not build.
pub(crate) fn build() -> Result<(), Failure> {
    let root = workspace::root();
    let commit = workspace::read(&root.join("faults/base-commit"))?;
    let commit = commit.trim();
    let base = workspace::target_directory()?.join("base");
    let built = base.join(commit);
    if PROGRAMS.iter().all(|name| built.join(name).is_file()) {
        return Ok(());
    }
    let is_here = Step::new("git", ["cat-file", "-e", &format!("{commit}^{{commit}}")])
        .within(&root)
        .succeeds();
    if !is_here {
        return Err(Failure::Missing {
            what: format!("the commit {commit} of faults/base-commit in this clone"),
            advice: "fetch the whole history: `git fetch --unshallow`; `--quick` does without"
                .into(),
        });
    }
    let (source, target) = (base.join("source"), base.join("build"));
    remove(&source)?;
    std::fs::create_dir_all(&source).map_err(at(&source))?;
    let archive = source.join("source.tar").display().to_string();
    Step::new("git", ["archive", "--output", &archive, commit])
        .within(&root)
        .run()?;
    Step::new("tar", ["-xf", &archive]).within(&source).run()?;
    let words = [
        "build",
        "--quiet",
        "--locked",
        "--bins",
        "-p",
        "harness",
        "-p",
        "service-shim",
    ];
    Step::cargo(&words)
        .within(&source)
        .with("CARGO_TARGET_DIR", &target)
        // For its size: nobody looks into it with a debugger.
        .with("CARGO_PROFILE_DEV_DEBUG", "0")
        .run()?;
    std::fs::create_dir_all(&built).map_err(at(&built))?;
    for name in PROGRAMS {
        let program = built.join(name);
        std::fs::copy(target.join("debug").join(name), &program).map_err(at(&program))?;
    }
    remove(&source)?;
    remove(&target)
}

fn remove(directory: &Path) -> Result<(), Failure> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(at(directory)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn at(path: &Path) -> impl FnOnce(std::io::Error) -> Failure {
    let path = path.to_path_buf();
    move |source| Failure::File { path, source }
}

const PROGRAMS: [&str; 2] = ["harness", "harness-shim"];
