//! What earlier versions have written: `tests/samples` of this workspace.
//!
//! Owns: finding them and making copies to work on. Never changes one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A home as one version left it.
#[derive(Clone, Debug)]
pub struct Sample {
    directory: PathBuf,
}

/// All of them, oldest first.
///
/// # Panics
/// When they are not where they are checked in.
pub fn samples() -> Vec<Sample> {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/samples");
    let entries = fs::read_dir(&all).expect("the samples are checked in");
    let mut found: Vec<_> = entries
        .map(|entry| entry.expect("a readable directory").path())
        .filter(|path| path.is_dir())
        .map(|directory| Sample { directory })
        .collect();
    found.sort_by_key(|sample| sample.format("state"));
    found
}

/// Those of this format of something.
///
/// # Panics
/// When there is none: a format that was raised needs one.
pub fn samples_of(what: &str, format: u64) -> Vec<Sample> {
    let mut found = samples();
    found.retain(|sample| sample.format(what) == format);
    assert!(
        !found.is_empty(),
        "no sample of {what} {format}: make one by `cargo xtask samples VERSION`"
    );
    found
}

impl Sample {
    /// Something in it.
    pub fn path(&self, below: &str) -> PathBuf {
        self.directory.join(below)
    }

    /// Which format something in it is of.
    ///
    /// # Panics
    /// When the sample does not say so.
    pub fn format(&self, what: &str) -> u64 {
        let text = fs::read_to_string(self.path("formats")).expect("a sample says its formats");
        let found = text.lines().find_map(|line| line.strip_prefix(what));
        let number = found.and_then(|rest| rest.trim().parse().ok());
        number.unwrap_or_else(|| panic!("no format of {what} in {text:?}"))
    }

    /// The files below a directory of it, in order.
    ///
    /// # Panics
    /// When the directory cannot be read.
    pub fn files(&self, below: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        collect(&self.path(below), &mut found);
        found.sort();
        found
    }

    /// Copies the home, for its owner alone as the programs want it, and with the directories that were empty. Where
    /// logs go is said in clear, and follows: nothing is written where the sample was made.
    ///
    /// # Panics
    /// When it cannot be copied.
    pub fn copy_home(&self, to: &Path) {
        let home = self.path("home");
        for below in ["config", "state", "run", "log"] {
            make_private(&to.join(below));
        }
        for file in self.files("home") {
            let below = file.strip_prefix(&home).expect("it was found below");
            let copy = to.join(below);
            let mut parent = to.to_path_buf();
            for part in below.parent().into_iter().flatten() {
                parent.push(part);
                make_private(&parent);
            }
            fs::copy(&file, &copy).expect("a file can be copied");
            if below.ends_with("launch.json") {
                let text = fs::read_to_string(&file).expect("checked in");
                let there = text.replace(MADE_IN, &to.display().to_string());
                assert_ne!(text, there, "it says where its log goes");
                fs::write(&copy, there).expect("ours");
            }
            fs::set_permissions(&copy, PermissionsExt::from_mode(0o600)).expect("ours");
        }
    }
}

/// As `cargo xtask samples` has it.
const MADE_IN: &str = "/tmp/harness-sample/home";

fn make_private(directory: &Path) {
    fs::create_dir_all(directory).expect("a directory can be made");
    fs::set_permissions(directory, PermissionsExt::from_mode(0o700)).expect("ours");
}

fn collect(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory of a sample") {
        let path = entry.expect("a readable directory").path();
        match path.is_dir() {
            true => collect(&path, found),
            false => found.push(path),
        }
    }
}
