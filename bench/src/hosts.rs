//! Other hosts: a set of `docker-test-env/hosts`.
//!
//! Owns: the set, which goes with its value. What a host is, is the script's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::contender::run;
use crate::failure::Failure;

/// Hosts that are up: `host1` and so on.
#[derive(Debug)]
pub struct Hosts {
    set: String,
    directory: PathBuf,
}

impl Hosts {
    /// So many, on a network that this machine is on. Needs root.
    ///
    /// # Errors
    /// When they do not come up.
    pub fn up(count: usize) -> Result<Self, Failure> {
        let set = format!("bench-{}", std::process::id());
        let said = run(script().args(["up", &set, &count.to_string(), "0"]))?.stdout;
        let said = String::from_utf8_lossy(&said);
        let directory = said.trim().strip_prefix("HARNESS_TEST_HOSTS=");
        let wrong = || Failure::Wrong(format!("docker-test-env/hosts said `{said}`"));
        let directory = PathBuf::from(directory.ok_or_else(wrong)?);
        Ok(Self { set, directory })
    }

    /// Where `ssh_config`, `known_hosts` and `id_ed25519` lie.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The address of a host.
    ///
    /// # Errors
    /// When there is no such host.
    pub fn address(&self, host: &str) -> Result<String, Failure> {
        let file = self.directory.join(host).join("address");
        let text = fs::read_to_string(&file);
        let text = text.map_err(Failure::io(format!("read {}", file.display())))?;
        Ok(text.trim().to_owned())
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        // What is not there cannot be taken down, which is as good.
        let _ = run(script().args(["down", &self.set]));
    }
}

fn script() -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docker-test-env/hosts"))
}
