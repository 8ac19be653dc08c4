//! The real programs in a directory of their own, run as the present user or as one without any rights.
//!
//! Owns: the directory, and the end of what was started in it. What has to hold there is [`crate::invariants`].

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::fault::{Fault, promise};
use crate::player::Account;
use crate::proc;
use crate::tools;
use crate::wait::{Look, PATIENCE, until, until_true};

/// A stack file, the programs, and a home for a daemon.
#[derive(Debug)]
pub(crate) struct Place {
    directory: TempDir,
    programs: PathBuf,
    /// Another than the present one.
    user: Option<u32>,
    /// What stands before the program: how it is confined.
    confined: Vec<String>,
    /// Where `harness` is taken from, if not from the programs.
    earlier: Option<PathBuf>,
    variables: Vec<(String, String)>,
}

/// What a run of the program came to.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) line: String,
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl Place {
    /// With this text as `harness.yaml`. `PLAYER` in it stands for the program of [`crate::player`], `FIXTURE` for the
    /// misbehaving one of the tests.
    pub(crate) fn new(stack: &str) -> Result<Self, Fault> {
        let own = std::env::current_exe().map_err(Fault::io("find", "this program"))?;
        let programs = own.parent().unwrap_or(Path::new("/")).to_owned();
        for name in PROGRAMS {
            if !programs.join(name).is_file() {
                return Err(Fault::Missing {
                    what: format!("{name} beside {}", own.display()),
                    advice: "run it by `cargo xtask faults`, which builds what it needs",
                });
            }
        }
        // Short: sockets lie below, and a socket's path ends at 108 bytes.
        let directory = tempfile::Builder::new().prefix("hf-").tempdir();
        let mut directory = directory.map_err(Fault::io("make", std::env::temp_dir()))?;
        directory.disable_cleanup(std::env::var_os("FAULTS_KEEP").is_some());
        let place = Self {
            directory,
            programs,
            user: None,
            confined: Vec::new(),
            earlier: None,
            variables: Vec::new(),
        };
        place.write("harness.yaml", stack)?;
        Ok(place)
    }

    /// The same for a user who may do nothing: no writable cgroup, no right to signal anybody else.
    pub(crate) fn unprivileged(stack: &str) -> Result<Self, Fault> {
        Self::of_user(NOBODY, stack)
    }

    /// The same for one with this number.
    pub(crate) fn of_user(user: u32, stack: &str) -> Result<Self, Fault> {
        let mut place = Self::new("")?;
        let own = place.path().join("bin");
        fs::create_dir(&own).map_err(Fault::io("make", &own))?;
        for name in PROGRAMS {
            let copy = own.join(name);
            fs::copy(place.programs.join(name), &copy).map_err(Fault::io("copy", &copy))?;
            fs::set_permissions(&copy, fs::Permissions::from_mode(0o755))
                .map_err(Fault::io("open up", &copy))?;
        }
        place.programs = own;
        place.user = Some(user);
        chown(place.path(), Some(user), Some(user)).map_err(Fault::io("give", place.path()))?;
        place.write("harness.yaml", stack)?;
        Ok(place)
    }

    /// With the programs of the commit in `faults/base-commit` instead of the present ones, until [`Place::upgrade`].
    pub(crate) fn downgrade(&mut self) -> Result<(), Fault> {
        let target = self.programs.parent().unwrap_or(Path::new("/"));
        let earlier = target.join("base").join(BASE_COMMIT.trim());
        for name in &PROGRAMS[..2] {
            if !earlier.join(name).is_file() {
                return Err(Fault::Missing {
                    what: earlier.join(name).display().to_string(),
                    advice: "run it by `cargo xtask faults upgrade-adopt`, which builds the earlier commit",
                });
            }
        }
        self.earlier = Some(earlier);
        Ok(())
    }

    /// With the present programs from here on.
    pub(crate) fn upgrade(&mut self) {
        self.earlier = None;
    }

    /// With this variable for every program that is started here from now on.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.into()));
    }

    /// Starts what is run from now on by these words, which end with the program that they run.
    pub(crate) fn confine(&mut self, words: &[&str]) {
        self.confined = words.iter().map(|word| (*word).to_owned()).collect();
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.path().join("home")
    }

    /// One of the programs under test, or of those that play services.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// What the services say that they did.
    pub(crate) fn account(&self) -> Account {
        Account::of(self.path())
    }

    /// Writes a file below the place.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<(), Fault> {
        let path = self.path().join(name);
        let player = format!("{}, play", self.program("faults").display());
        let text = text
            .replace("PLAYER", &player)
            .replace("FIXTURE", &self.program("fixture").display().to_string());
        fs::write(&path, text).map_err(Fault::io("write", path))
    }

    /// The program, to be run in the directory of the stack file.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let program = match &self.earlier {
            Some(earlier) => earlier.join("harness"),
            None => self.program("harness"),
        };
        let mut words = self.confined.clone();
        if let Some(user) = self.user {
            words.extend(["setpriv".to_owned(), "--clear-groups".to_owned()]);
            words.extend([format!("--reuid={user}"), format!("--regid={user}")]);
            words.push("--".to_owned());
        }
        words.push(program.display().to_string());
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path())
            .env("LC_ALL", "C.UTF-8")
            .env("HARNESS_HOME", self.home())
            .env("HARNESS_LISTEN", "127.0.0.1:0")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<Run, Fault> {
        let begun = Instant::now();
        let output = self.command(arguments).output();
        let output = output.map_err(Fault::io("run", self.program("harness")))?;
        let run = Run::of(arguments, output, begun.elapsed());
        // Seen when the row fails: what led to it.
        eprintln!(
            "{:>6} ms  {} -> {} {}",
            run.took.as_millis(),
            run.line,
            run.code,
            run.stderr.trim()
        );
        Ok(run)
    }

    /// The same, which must succeed.
    pub(crate) fn ok(&self, arguments: &[&str]) -> Result<Run, Fault> {
        let run = self.run(arguments)?;
        if run.code == 0 {
            Ok(run)
        } else {
            Err(run.fault())
        }
    }

    /// Runs it until it ends, or until it is in vain because this has come true; it is killed then, as by a user who is
    /// tired of waiting. Its exit code, if it had one.
    pub(crate) fn run_unless(
        &self,
        arguments: &[&str],
        mut in_vain: impl FnMut() -> bool,
    ) -> Result<Option<i32>, Fault> {
        let mut child = self.spawn(arguments)?;
        let ended = until(
            PATIENCE,
            &format!("harness {} ends", arguments.join(" ")),
            || {
                let status = child
                    .try_wait()
                    .map_err(Fault::io("await", self.program("harness")))?;
                Ok(match status {
                    Some(status) => Look::Holds(status.code()),
                    None if in_vain() => Look::Holds(None),
                    None => Look::NotYet("it runs".to_owned()),
                })
            },
        );
        // It has ended already, unless it was in vain.
        let _ = child.kill();
        child
            .wait()
            .map_err(Fault::io("await", self.program("harness")))?;
        ended
    }

    /// Runs it beside the row, its output thrown away.
    pub(crate) fn spawn(&self, arguments: &[&str]) -> Result<Child, Fault> {
        let mut command = self.command(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
            .spawn()
            .map_err(Fault::io("run", self.program("harness")))
    }

    /// The daemon's process; none when none answers. Never starts one.
    pub(crate) fn daemon(&self) -> Result<Option<u32>, Fault> {
        let run = self.run(&["daemon", "status", "-o", "json"])?;
        match run.code {
            0 => Ok(number(&run.json()?["pid"])),
            5 => Ok(None),
            _ => Err(run.fault()),
        }
    }

    /// Brings up a daemon if none runs, and answers with its process.
    pub(crate) fn daemon_up(&self) -> Result<u32, Fault> {
        self.ok(&["daemon", "start"])?;
        self.daemon()?
            .ok_or_else(|| Fault::broken("a daemon that was started runs", "none"))
    }

    /// Kills the daemon and waits until it is gone.
    pub(crate) fn kill_daemon(&self) -> Result<(), Fault> {
        if let Some(pid) = self.daemon()? {
            proc::kill(pid);
            until_true(PATIENCE, "the killed daemon is gone", || {
                !proc::is_alive(pid)
            })?;
        }
        Ok(())
    }

    /// The last lines of the daemon's log, for a fault that needs an explanation.
    pub(crate) fn daemon_log(&self) -> String {
        let text = fs::read_to_string(self.home().join("log/daemon.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// Ends the daemon with everything that it looks after; then nothing of the place may be left.
    pub(crate) fn finish(self) -> Result<(), Fault> {
        let stopped = self.run(&["daemon", "stop"])?;
        if stopped.code != 0 {
            return Err(stopped.fault());
        }
        until(PATIENCE, "nothing is left", || {
            let left = self.left_over();
            Ok(if left.is_empty() {
                Look::Holds(())
            } else {
                Look::NotYet(left.join(", "))
            })
        })?;
        promise(
            self.account().violations().is_empty(),
            "no unit ever lives twice",
            || self.account().violations().join(", "),
        )
    }

    /// Processes, zombies, FIFOs and sockets that nobody needs once everything was stopped.
    fn left_over(&self) -> Vec<String> {
        let own = std::process::id();
        let is_ours = |process: &proc::Process| {
            process.is_zombie()
                || process.instance().is_some()
                || PROGRAMS[..2].iter().any(|name| {
                    let program = self.program(name).display().to_string();
                    process.command.starts_with(&program)
                })
        };
        let mut left: Vec<String> = proc::all()
            .into_iter()
            .filter(|process| process.pid != own && is_ours(process))
            .map(|process| process.described())
            .collect();
        left.extend(
            special_files(&self.home())
                .iter()
                .map(|path| path.display().to_string()),
        );
        left
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // A file system that was put over something here is in this row's namespace only, but hides what is to be removed.
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let here = self.path().display().to_string();
        let points = mounts.lines().filter_map(|line| line.split(' ').nth(1));
        let mut points: Vec<&str> = points.filter(|point| point.starts_with(&here)).collect();
        points.reverse();
        for point in points {
            // Best effort: what cannot be unmounted goes with the namespace.
            let _ = tools::run("umount", &["-l", point]);
        }
    }
}

impl Run {
    fn of(arguments: &[&str], output: Output, took: Duration) -> Self {
        Self {
            line: format!("harness {}", arguments.join(" ")),
            code: output.status.code().unwrap_or(-1),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            took,
        }
    }

    /// That it ended as it did, as a fault.
    pub(crate) fn fault(self) -> Fault {
        let stdout = String::from_utf8_lossy(&self.stdout);
        let said: Vec<&str> = [stdout.trim(), self.stderr.trim()]
            .into_iter()
            .filter(|text| !text.is_empty())
            .collect();
        Fault::Ended {
            line: self.line.clone(),
            code: self.code,
            said: said.join("\n"),
        }
    }

    /// Standard output as one document.
    pub(crate) fn json(&self) -> Result<Value, Fault> {
        serde_json::from_slice(&self.stdout).map_err(|_| Fault::Unreadable {
            what: "what harness printed",
            text: String::from_utf8_lossy(&self.stdout).into_owned(),
        })
    }
}

/// The FIFOs and sockets below a directory.
pub(crate) fn special_files(directory: &Path) -> Vec<PathBuf> {
    use std::os::unix::fs::FileTypeExt;
    let mut found = Vec::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => pending.push(entry.path()),
                Ok(kind) if kind.is_fifo() || kind.is_socket() => found.push(entry.path()),
                Ok(_) | Err(_) => {}
            }
        }
    }
    found
}

/// A process number in a document.
pub(crate) fn number(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|number| u32::try_from(number).ok())
}

const BASE_COMMIT: &str = include_str!("../base-commit");

/// The programs under test first, then those that play services.
const PROGRAMS: [&str; 4] = ["harness", "harness-shim", "faults", "fixture"];

const NOBODY: u32 = 65_534;
