//! The real programs in a directory of their own, run as the present user or as one without any rights.
//!
//! Owns: the directory, and the proof that nothing is left: when a [`Sandbox`] goes, `daemon stop` must succeed, and no
//! process, socket, FIFO, cgroup or held lock of it may remain.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use serde_json::Value;
use testkit::TempDir;

use super::remains;
use crate::support::Run;

/// A stack file, the programs, and a home for a daemon.
pub(crate) struct Sandbox {
    directory: TempDir,
    programs: PathBuf,
    is_nobody: bool,
}

impl Sandbox {
    /// With this text as `harness.yaml`; `FIXTURE` in it stands for the test program.
    pub(crate) fn new(stack: &str) -> Self {
        let programs = PathBuf::from(env!("CARGO_BIN_EXE_harness"));
        let programs = programs.parent().expect("a program lies in a directory");
        // Found here, so that it is built before anything is timed.
        testkit::fixture_path();
        let sandbox = Self {
            directory: testkit::temp_dir(),
            programs: programs.to_owned(),
            is_nobody: false,
        };
        sandbox.write("harness.yaml", stack);
        sandbox
    }

    /// The same for a user who may do nothing: no writable cgroup, no right to signal anybody else. Without the rights
    /// to become `nobody`, the present user is one already.
    pub(crate) fn unprivileged(stack: &str) -> Self {
        if !rustix::process::geteuid().is_root() {
            return Self::new(stack);
        }
        let mut sandbox = Self::new("");
        sandbox.is_nobody = true;
        let programs = sandbox.path().join("bin");
        fs::create_dir(&programs).expect("made");
        let copied = ["harness", "harness-shim"].map(|name| sandbox.programs.join(name));
        for program in copied
            .iter()
            .map(PathBuf::as_path)
            .chain([testkit::fixture_path()])
        {
            let copy = programs.join(program.file_name().expect("a program has a name"));
            fs::copy(program, &copy).expect("copied");
            fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).expect("its owner may");
        }
        sandbox.programs = programs;
        chown(sandbox.path(), Some(NOBODY), Some(NOBODY)).expect("root may");
        sandbox.write("harness.yaml", stack);
        sandbox
    }

    /// The same test for the present user and for one without rights.
    pub(crate) fn each(stack: &str, test: impl Fn(&Sandbox)) {
        test(&Self::new(stack));
        if rustix::process::geteuid().is_root() {
            test(&Self::unprivileged(stack));
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.path().join("home")
    }

    pub(crate) fn fixture(&self) -> PathBuf {
        match self.is_nobody {
            true => self.programs.join("fixture"),
            false => testkit::fixture_path().to_owned(),
        }
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("below the sandbox")).expect("made");
        let text = text.replace("FIXTURE", &self.fixture().display().to_string());
        fs::write(path, text).expect("written");
    }

    /// The program, to be run in the directory of the stack file.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let program = self.programs.join("harness");
        let mut command = match self.is_nobody {
            true => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]);
                command.arg(program);
                command
            }
            false => Command::new(program),
        };
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
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        Run::of(self.output(arguments))
    }

    pub(crate) fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the program runs")
    }

    /// The same, which must succeed.
    #[track_caller]
    pub(crate) fn ok(&self, arguments: &[&str]) -> Run {
        self.run(arguments).expect(0)
    }

    /// Runs it beside the test, its output thrown away.
    pub(crate) fn spawn(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("the program runs")
    }

    /// The daemon's process. Never starts one.
    #[track_caller]
    pub(crate) fn daemon(&self) -> u32 {
        let status = self.ok(&["daemon", "status", "-o", "json"]).json();
        pid(&status["pid"])
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let traces = remains::Traces::gather(self);
        let stopped = self.run(&["daemon", "stop"]);
        if std::thread::panicking() {
            eprintln!("daemon stop: {stopped:?}");
            let log = fs::read_to_string(self.home().join("log/daemon.log")).unwrap_or_default();
            eprintln!("daemon log:\n{log}");
            traces.kill_what_is_left();
            return;
        }
        assert_eq!(stopped.code, 0, "the daemon stops: {stopped:?}");
        traces.assert_nothing_is_left();
    }
}

/// Kills a process at once.
#[track_caller]
pub(crate) fn kill(pid: u32) {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .expect("a process");
    rustix::process::kill_process(pid, Signal::KILL).expect("it runs");
}

/// A process number in a document.
#[track_caller]
pub(crate) fn pid(value: &Value) -> u32 {
    let pid = value.as_u64().and_then(|pid| u32::try_from(pid).ok());
    pid.unwrap_or_else(|| panic!("{value} is no process"))
}

/// The memory a process has in use now.
pub(crate) fn resident_kb(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let figure = line.and_then(|line| line.trim().strip_suffix(" kB"));
    figure
        .and_then(|figure| figure.parse().ok())
        .expect("the kernel tells")
}

/// When a process was started, in ticks since the machine was: with its number, its identity.
pub(crate) fn started(pid: u32) -> String {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let behind_name = stat.rsplit(')').next().expect("a name in parentheses");
    let field = behind_name.split_whitespace().nth(19);
    field.expect("the kernel tells").to_owned()
}

const NOBODY: u32 = 65_534;

/// Long, because the machine may be busy with other tests.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
