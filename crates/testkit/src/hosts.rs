//! Other hosts to log in to: sets of `docker-test-env/hosts`.
//!
//! Owns: the set that a test made for itself, which ends with its value. The one that all share is left to whoever runs
//! the tests.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// A set of hosts that is up.
#[derive(Debug)]
pub struct Hosts {
    directory: PathBuf,
    /// Its name, where it is this value's own.
    own: Option<String>,
}

impl Hosts {
    /// The set that all tests share: the one of `HARNESS_TEST_HOSTS`, else `default`, brought up where it is not. Log in, and
    /// leave the hosts as they are.
    ///
    /// # Panics
    /// When there is none and it cannot be brought up: a test that needs hosts fails without them.
    pub fn shared() -> Self {
        let directory = std::env::var_os("HARNESS_TEST_HOSTS").filter(|value| !value.is_empty());
        Self {
            directory: directory.map_or_else(|| up(&["up"]), PathBuf::from),
            own: None,
        }
    }

    /// A set of one's own, to be broken.
    ///
    /// # Panics
    /// When it cannot be brought up.
    pub fn own(near: u32, far: u32) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let run = std::env::var("HARNESS_TEST_RUN").unwrap_or_else(|_| "x".to_owned());
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!(
            "{run}-{}-{}-{number}",
            std::process::id(),
            now.subsec_nanos()
        );
        let directory = up(&["up", &name, &near.to_string(), &far.to_string()]);
        Self {
            directory,
            own: Some(name),
        }
    }

    /// Where its `known_hosts` and `id_ed25519` lie.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The address of a host.
    ///
    /// # Panics
    /// When there is no such host.
    pub fn address(&self, host: &str) -> String {
        let file = self.directory.join(host).join("address");
        let text = std::fs::read_to_string(&file);
        let text = text.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        text.trim().to_owned()
    }

    /// Does something to a host of a set of one's own: `kill`, `boot`, `cut`, `heal`, `loss` with its percentage.
    ///
    /// # Panics
    /// When that fails, or the set is shared.
    pub fn act(&self, verb: &str, host: &str, more: &[&str]) {
        let set = self.own.as_deref().expect("a shared set is not broken");
        script(&[&[verb, set, host], more].concat());
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        if let Some(set) = &self.own {
            script(&["down", set]);
        }
    }
}

fn up(arguments: &[&str]) -> PathBuf {
    let said = script(arguments);
    let directory = said.trim().strip_prefix("HARNESS_TEST_HOSTS=");
    PathBuf::from(directory.unwrap_or_else(|| panic!("no directory in {said:?}")))
}

fn script(arguments: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docker-test-env/hosts");
    let mut command = if rustix::process::geteuid().is_root() {
        Command::new(script)
    } else {
        let mut sudo = Command::new("sudo");
        sudo.arg(script);
        sudo
    };
    let output = command.args(arguments).output();
    let output = output.expect("docker-test-env/hosts can be run");
    assert!(
        output.status.success(),
        "hosts {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
