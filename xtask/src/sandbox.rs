//! A home of its own for the program under test: nothing of the user's is read or changed.
//!
//! Owns: a temporary directory with configuration, state and run directories in it, and the daemon that lives there,
//! which it stops when dropped. Never touches a daemon that it did not start.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::failure::Failure;
use crate::step::Step;
use crate::workspace;

/// How long a condition may take to come true: long enough for a machine that is busy with something else.
const PATIENCE: Duration = Duration::from_secs(60);

/// From one look at a condition to the next.
const PAUSE: Duration = Duration::from_millis(50);

/// A home, the built programs, and a daemon as soon as one is started.
#[derive(Debug)]
pub(crate) struct Sandbox {
    home: PathBuf,
    programs: PathBuf,
}

impl Sandbox {
    /// Builds every program of the workspace and makes an empty home.
    ///
    /// # Errors
    /// When something does not build, or the temporary directory cannot be written.
    pub(crate) fn new() -> Result<Self, Failure> {
        build_programs()?;
        // Short: the daemon's sockets lie below, and a socket's path ends at 108 bytes.
        let home = std::env::temp_dir().join(format!("hx-{}", std::process::id()));
        std::fs::create_dir_all(&home).map_err(|source| Failure::File {
            path: home.clone(),
            source,
        })?;
        Ok(Self {
            home,
            programs: workspace::programs()?,
        })
    }

    /// The temporary directory.
    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// A program that finds `harness` in its PATH and this home in its environment.
    pub(crate) fn step(&self, program: &str, arguments: &[&str]) -> Step {
        let mut path = OsString::from(&self.programs);
        if let Some(rest) = std::env::var_os("PATH") {
            path.push(":");
            path.push(rest);
        }
        Step::new(program, arguments)
            .within(&workspace::root())
            .with("PATH", path)
            .with("HOME", &self.home)
            .with("HARNESS_HOME", self.home.join("h"))
            .with("HARNESS_LISTEN", "127.0.0.1:0")
            .with("EXAMPLES_BIN", &self.programs)
            .with("NO_COLOR", "1")
            .without("HARNESS_FILE")
    }

    /// `harness arguments…` in this home.
    pub(crate) fn harness(&self, arguments: &[&str]) -> Step {
        let program = self.programs.join("harness");
        self.step(&program.to_string_lossy(), arguments)
    }

    /// The status of every unit of `stack`, as the program prints it for machines.
    ///
    /// # Errors
    /// When the program fails or its answer is not JSON.
    pub(crate) fn status(&self, stack: &str) -> Result<Value, Failure> {
        let text = self
            .harness(&["status", "-p", stack, "-o", "json"])
            .text()?;
        serde_json::from_str(&text).map_err(|error| Failure::Unreadable {
            what: "the answer of `harness status -o json`".into(),
            detail: format!("{error}: {text}"),
        })
    }

    /// Stops the daemon and every stack with it, and waits for it.
    ///
    /// # Errors
    /// When the program says that it could not.
    pub(crate) fn stop_daemon(&self) -> Result<(), Failure> {
        self.harness(&["daemon", "stop"]).text().map(drop)
    }

    /// Looks at a condition until it holds. `look` answers with what it wanted, or with what it saw instead.
    ///
    /// # Errors
    /// [`Failure::Overdue`] with what was last seen, after a minute.
    pub(crate) fn wait_for<T>(
        claim: &str,
        mut look: impl FnMut() -> Result<T, String>,
    ) -> Result<T, Failure> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match look() {
                Ok(wanted) => return Ok(wanted),
                Err(last_seen) if Instant::now() >= deadline => {
                    return Err(Failure::Overdue {
                        claim: claim.into(),
                        last_seen,
                    });
                }
                // The condition is another process's; there is nothing to be woken by.
                Err(_) => std::thread::sleep(PAUSE),
            }
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // Only when a recipe failed half-way does one still run; its own error is the one to report.
        if self.home.join("h").exists() {
            self.harness(&["daemon", "stop"]).succeeds();
        }
        if std::env::var_os("XTASK_KEEP").is_some() {
            eprintln!("kept: {}", self.home.display());
        } else if let Err(error) = std::fs::remove_dir_all(&self.home) {
            eprintln!("cannot remove {}: {error}", self.home.display());
        }
    }
}

/// Builds every program of the workspace as the tests use it.
///
/// # Errors
/// When something does not build.
pub(crate) fn build_programs() -> Result<(), Failure> {
    Step::cargo(&[
        "build",
        "--quiet",
        "--workspace",
        "--bins",
        "--features",
        workspace::FEATURES,
    ])
    .within(&workspace::root())
    .run()
}

/// One unit of a status document.
///
/// # Errors
/// When it is not in there.
pub(crate) fn item<'a>(status: &'a Value, name: &str) -> Result<&'a Value, Failure> {
    status["items"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|item| item["name"] == name)
        .ok_or_else(|| Failure::Unmet {
            claim: format!("the status names `{name}`"),
            found: status.to_string(),
        })
}

/// Fails with the claim and what was found, unless it holds.
///
/// # Errors
/// [`Failure::Unmet`].
pub(crate) fn expect(holds: bool, claim: &str, found: impl ToString) -> Result<(), Failure> {
    if holds {
        Ok(())
    } else {
        Err(Failure::Unmet {
            claim: claim.into(),
            found: found.to_string(),
        })
    }
}
