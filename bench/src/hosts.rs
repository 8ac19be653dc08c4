//! Other hosts: a set of `docker-test-env/hosts`.
//!
//! Owns: the set, which goes with its value. What a host is, is the script's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::contender::run;
use crate::failure::Failure;
use crate::ours::Ours;

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
        Self::near_and_far(count, 0)
    }

    /// The same, and so many behind a router that lets only through what they begin: `far1` and so on, reached through `router`.
    ///
    /// # Errors
    /// When they do not come up.
    pub fn near_and_far(near: usize, far: usize) -> Result<Self, Failure> {
        let set = format!("bench-{}", std::process::id());
        let (near, far) = (near.to_string(), far.to_string());
        let said = run(script().args(["up", &set, &near, &far]))?.stdout;
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

impl Hosts {
    /// What a shell on a host says to a script.
    ///
    /// # Errors
    /// When it fails there.
    pub fn sh(&self, host: &str, script: &str) -> Result<String, Failure> {
        let mut ssh = Command::new("ssh");
        ssh.arg("-F").arg(self.directory.join("ssh_config"));
        let said = run(ssh.args([host, script]))?.stdout;
        Ok(String::from_utf8_lossy(&said).trim().to_owned())
    }

    /// Has `harness` trust a host, by the fingerprint that its owner would tell, reached through another where one is named.
    ///
    /// # Errors
    /// When it does not.
    pub fn trust(&self, ours: &Ours, host: &str, jump: Option<&str>) -> Result<(), Failure> {
        let (key, address) = (self.directory.join("id_ed25519"), self.address(host)?);
        let (key, print) = (key.display().to_string(), self.fingerprint(&address)?);
        let mut words = vec!["host", "add", host, "--address", &address, "--user", "root"];
        words.extend(["--key", &key, "--fingerprint", &print]);
        words.extend(jump.into_iter().flat_map(|jump| ["--jump", jump]));
        ours.run(&words).map(drop)
    }

    fn fingerprint(&self, address: &str) -> Result<String, Failure> {
        let mut command = Command::new("ssh-keygen");
        command.args(["-l", "-F", address, "-f"]);
        let said = run(command.arg(self.directory.join("known_hosts")))?.stdout;
        let said = String::from_utf8_lossy(&said);
        let mut words = said.split_whitespace();
        let found = words.find(|word| word.starts_with("SHA256:"));
        let wrong = || Failure::Wrong(format!("no key of {address} is known: {said}"));
        found.map(str::to_owned).ok_or_else(wrong)
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
