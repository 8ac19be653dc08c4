//! The programs that rows use beside ours.
//!
//! Owns: that a missing one is a fault with advice, never a reason to leave a row out.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::fault::Fault;

/// A program in the PATH, or where system administration's programs lie.
pub(crate) fn find(program: &str) -> Result<PathBuf, Fault> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| Fault::Missing {
            what: program.to_owned(),
            advice: "run `cargo xtask setup`",
        })
}

/// Runs one with these arguments; it must succeed.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Result<(), Fault> {
    text(program, arguments).map(drop)
}

/// The same; what it wrote.
pub(crate) fn text(program: &str, arguments: &[&str]) -> Result<String, Fault> {
    let output = Command::new(find(program)?)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(Fault::io("run", program))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Fault::Ended {
        line: format!("{program} {}", arguments.join(" ")),
        code: output.status.code().unwrap_or(-1),
        said: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

/// Puts an empty file system of this kind and size (`size=1m,nr_inodes=20`) over a directory, in this row's namespace.
pub(crate) fn mount_tmpfs(options: &str, directory: &Path) -> Result<(), Fault> {
    // Private, as the programs want their directories to be.
    let options = format!("mode=0700,{options}");
    run(
        "mount",
        &[
            "-t",
            "tmpfs",
            "-o",
            &options,
            "faults",
            &directory.display().to_string(),
        ],
    )
}

/// Puts an ext4 of this size over a directory, out of an image beside it.
pub(crate) fn mount_ext4(mib: u64, directory: &Path) -> Result<(), Fault> {
    let image = directory.with_extension("ext4");
    std::fs::File::create(&image)
        .and_then(|file| file.set_len(mib << 20))
        .map_err(Fault::io("make", &image))?;
    let (image, directory) = (image.display().to_string(), directory.display().to_string());
    run("mkfs.ext4", &["-q", "-F", &image])?;
    run("mount", &["-o", "loop", &image, &directory])
}

/// Takes away what was put over a directory last.
pub(crate) fn unmount(directory: &Path) -> Result<(), Fault> {
    run("umount", &[&directory.display().to_string()])
}
