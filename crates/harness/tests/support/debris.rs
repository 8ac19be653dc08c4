//! What a failed build leaves on an engine that builds by containers.
//!
//! Owns: how it is marked in a recipe, and that it goes. On an engine with BuildKit there is none.

use std::path::Path;
use std::process::Command;

/// The containers of builds that failed; they go with this value.
pub(crate) struct Debris(String);

impl Debris {
    /// Of the recipes in this directory, which nobody else has.
    pub(crate) fn of(directory: &Path) -> Self {
        Self(format!("harness-test.build={}", directory.display()))
    }

    /// The line of a recipe that marks the steps below it.
    pub(crate) fn mark(&self) -> String {
        format!("LABEL {}\n", self.0)
    }

    fn list(&self) -> Vec<String> {
        let label = format!("label={}", self.0);
        let list = Command::new("docker")
            .args(["ps", "--all", "--quiet", "--filter", &label])
            .output()
            .expect("docker's command line is there");
        let ids = String::from_utf8_lossy(&list.stdout);
        ids.lines().map(str::to_owned).collect()
    }
}

impl Drop for Debris {
    fn drop(&mut self) {
        let left = self.list();
        if !left.is_empty() {
            let remove = ["rm", "--force", "--volumes"];
            drop(Command::new("docker").args(remove).args(&left).output());
        }
        if !std::thread::panicking() {
            assert!(self.list().is_empty(), "nothing of a failed build is left");
        }
    }
}
