//! The real program in a home of its own.
//!
//! Owns: the cleaning up. When a [`Home`] goes, its daemon is stopped, and nothing of it may be left.
#![allow(dead_code, reason = "each test program uses a part of it")]

#[cfg(feature = "docker-tests")]
pub(crate) mod debris;
#[cfg(feature = "docker-tests")]
pub(crate) mod docker;
#[cfg(feature = "ssh-tests")]
pub(crate) mod hosts;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use testkit::{TempDir, eventually_blocking, processes_with_env};

/// A directory with a stack file, and a home for a daemon.
pub(crate) struct Home {
    directory: TempDir,
}

/// What a run of the program came to.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) raw: Vec<u8>,
}

impl Home {
    /// With this text as `harness.yaml`; `FIXTURE` in it stands for the test program.
    pub(crate) fn new(stack: &str) -> Self {
        let home = Self {
            directory: testkit::temp_dir(),
        };
        home.write("harness.yaml", stack);
        home
    }

    /// Without a stack file.
    pub(crate) fn empty() -> Self {
        Self {
            directory: testkit::temp_dir(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let fixture = testkit::fixture_path().display().to_string();
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("below the home")).expect("made");
        std::fs::write(path, text.replace("FIXTURE", &fixture)).expect("written");
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.path().join("home")
    }

    /// The program, to be run in the directory of the stack file.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
        command
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path())
            .env("LC_ALL", "C.UTF-8")
            .env("HARNESS_HOME", self.home())
            .env("HARNESS_LISTEN", "127.0.0.1:0")
            .stdin(Stdio::null());
        // The engine that the tests of containers are for.
        command.envs(std::env::var_os("DOCKER_HOST").map(|host| ("DOCKER_HOST", host)));
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        Run::of(self.command(arguments).output().expect("the program runs"))
    }

    /// The same, which must succeed.
    #[track_caller]
    pub(crate) fn ok(&self, arguments: &[&str]) -> Run {
        self.run(arguments).expect(0)
    }

    pub(crate) fn spawn(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program runs")
    }

    /// `status -o json`.
    #[track_caller]
    pub(crate) fn status(&self) -> serde_json::Value {
        self.ok(&["status", "-o", "json"]).json()
    }

    /// One unit of it.
    #[track_caller]
    pub(crate) fn unit(&self, name: &str) -> serde_json::Value {
        let status = self.status();
        let items = status["items"].as_array().expect("a list").clone();
        let found = items.into_iter().find(|unit| unit["name"] == name);
        found.unwrap_or_else(|| panic!("no {name} in {status}"))
    }

    /// Waits until a unit is in this state.
    #[track_caller]
    pub(crate) fn until(&self, unit: &str, state: &str) {
        eventually_blocking(DEADLINE, &format!("{unit} is {state}"), || {
            self.unit(unit)["state"] == state
        });
    }

    /// The processes of this home: the daemon, its shims, and their services.
    fn processes(&self) -> Vec<u32> {
        let marker = format!("HARNESS_HOME={}", self.home().display());
        let mut all = processes_with_env(&marker);
        let entries = std::fs::read_dir("/proc")
            .expect("/proc is mounted")
            .flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let is_here = |pid: &u32| {
            std::fs::read_link(format!("/proc/{pid}/cwd"))
                .is_ok_and(|cwd| cwd.starts_with(self.path()))
        };
        all.extend(pids.filter(is_here));
        all
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let stopped = self.run(&["daemon", "stop"]);
        if std::thread::panicking() {
            eprintln!("daemon stop: {stopped:?}");
            eprintln!("daemon log: {}", self.run(&["daemon", "logs"]).stdout);
            return;
        }
        assert_eq!(stopped.code, 0, "the daemon stops: {stopped:?}");
        eventually_blocking(DEADLINE, "no process is left", || {
            self.processes().is_empty()
        });
    }
}

impl Run {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            raw: output.stdout,
        }
    }

    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "stdout:\n{}\nstderr:\n{}",
            self.stdout, self.stderr
        );
        self
    }

    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(
            self.stderr.contains(text),
            "no {text:?} in stderr:\n{}\nstdout:\n{}",
            self.stderr,
            self.stdout
        );
        self
    }

    #[track_caller]
    pub(crate) fn shows(self, text: &str) -> Self {
        assert!(
            self.stdout.contains(text),
            "no {text:?} in stdout:\n{}\nstderr:\n{}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// Standard output as one document.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}

/// Long, because the machine may be busy with other tests.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);
