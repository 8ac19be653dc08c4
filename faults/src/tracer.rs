//! System calls of a running process: seen, made to fail, or made its last.
//!
//! Owns: how `strace` is asked. It counts calls by name and thread, so a point is a name and a number: the first thread
//! whose call it is meets the fault.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::fault::Fault;
use crate::place::Place;
use crate::proc;
use crate::tools;
use crate::wait::{Look, PATIENCE, until};

/// The n-th call of this name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Point {
    pub(crate) name: String,
    pub(crate) number: usize,
}

impl std::fmt::Display for Point {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}#{}", self.name, self.number)
    }
}

/// What happens to calls.
#[derive(Clone, Debug)]
pub(crate) enum Effect {
    /// They are written down.
    Seen,
    /// The process is killed instead of the call.
    Killed(Point),
    /// These calls fail, from this one on to the last, or just this one (`3+`, `3`).
    Failing {
        names: &'static str,
        error: &'static str,
        when: String,
    },
}

/// A process under observation.
#[derive(Debug)]
pub(crate) struct Tracer {
    strace: Child,
    trace: PathBuf,
    /// Whether it started whom it observes.
    is_parent: bool,
}

impl Tracer {
    /// Attaches to every thread of a process.
    pub(crate) fn attach(place: &Place, pid: u32, effect: &Effect) -> Result<Self, Fault> {
        // What it starts is let go once it is another program.
        let mut tracer = Self::spawn(place, effect, false, |strace| {
            strace.args(["-b", "execve", "-p", &pid.to_string()]);
        })?;
        until(PATIENCE, "strace has every thread", || {
            match tracer.strace.try_wait() {
                // Its point was met while it came: whom it observed is gone.
                Ok(Some(status)) if status.success() => return Ok(Look::Holds(())),
                Ok(Some(status)) => {
                    return Err(Fault::broken("strace attaches", status.to_string()));
                }
                Ok(None) | Err(_) => {}
            }
            let untraced = threads(pid)
                .into_iter()
                .filter(|path| !is_traced(path))
                .count();
            Ok(if untraced == 0 {
                Look::Holds(())
            } else {
                Look::NotYet(format!("{untraced} are free"))
            })
        })?;
        Ok(tracer)
    }

    /// Starts a program under observation.
    pub(crate) fn start(place: &Place, command: &Command, effect: &Effect) -> Result<Self, Fault> {
        Self::spawn(place, effect, true, |strace| {
            strace.env_clear();
            for (name, value) in command.get_envs() {
                if let Some(value) = value {
                    strace.env(name, value);
                }
            }
            strace
                .arg("--")
                .arg(command.get_program())
                .args(command.get_args());
            strace.current_dir(place.path());
        })
    }

    fn spawn(
        place: &Place,
        effect: &Effect,
        is_parent: bool,
        whom: impl FnOnce(&mut Command),
    ) -> Result<Self, Fault> {
        let trace = place.path().join("trace");
        let mut strace = Command::new(tools::find("strace")?);
        strace.args(["-f", "-q", "-s", "16", "-e", "signal=none"]);
        strace.args(effect.arguments()).arg("-o").arg(&trace);
        whom(&mut strace);
        strace
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let strace = strace.spawn().map_err(Fault::io("run", "strace"))?;
        Ok(Self {
            strace,
            trace,
            is_parent,
        })
    }

    /// The process that it started.
    pub(crate) fn started(&self) -> Option<u32> {
        let own = self.strace.id();
        proc::all()
            .into_iter()
            .find(|process| process.parent == own)
            .map(|process| process.pid)
    }

    /// Whether whom it observed has ended, within this time.
    pub(crate) fn has_ended(&mut self, limit: Duration) -> bool {
        until(limit, "the observed process has ended", || {
            let ended = matches!(self.strace.try_wait(), Ok(Some(_)));
            Ok(crate::wait::seen(ended, &"it runs"))
        })
        .is_ok()
    }

    /// Lets go; kills whom it started.
    pub(crate) fn detach(mut self) -> Result<(), Fault> {
        self.let_go()
    }

    /// Lets go, and answers with the points at which something was changed.
    pub(crate) fn points(mut self) -> Result<BTreeSet<Point>, Fault> {
        self.let_go()?;
        let text = fs::read_to_string(&self.trace).map_err(Fault::io("read", &self.trace))?;
        Ok(points(&text))
    }

    fn let_go(&mut self) -> Result<(), Fault> {
        match (self.is_parent, self.started()) {
            // It would pass the signal on, and the end of the observed is no orderly one here.
            (true, Some(started)) => proc::kill(started),
            (true, None) => false,
            (false, _) => proc::signal(self.strace.id(), rustix::process::Signal::TERM),
        };
        if !self.has_ended(PATIENCE) {
            // It now and then waits for ever for a process that died as it came; whom it holds is let go by this, too.
            proc::kill(self.strace.id());
        }
        self.strace.wait().map_err(Fault::io("await", "strace"))?;
        Ok(())
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // Ended already, unless a row stops half way.
        let _ = self.let_go();
    }
}

impl Effect {
    /// The options of `strace`, with which rows can also put it in front of a shim.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        match self {
            Self::Seen => words(&["-e", &format!("trace={CHANGING}")]),
            Self::Killed(point) => words(&[
                "-e",
                &format!("trace={}", point.name),
                "-e",
                &format!("inject={}:signal=KILL:when={}", point.name, point.number),
            ]),
            Self::Failing { names, error, when } => words(&[
                "-e",
                &format!("trace={names}"),
                "-e",
                &format!("inject={names}:error={error}:when={when}"),
            ]),
        }
    }
}

/// The points of a trace at which something is changed that others can see.
pub(crate) fn points(trace: &str) -> BTreeSet<Point> {
    // Between fork and exec a child is no daemon, and is killed in rows of its own.
    let children: BTreeSet<&str> = trace
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(thread, call)| is_number(thread) && call.trim_start().starts_with("execve("))
        .map(|(thread, _)| thread)
        .collect();
    let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut found = BTreeSet::new();
    for line in trace.lines() {
        // Of a single thread that is followed nowhere, there is no number in front.
        let (thread, call) = match line.split_once(' ') {
            Some((thread, call)) if is_number(thread) => (thread, call.trim_start()),
            Some(_) | None => ("", line),
        };
        if children.contains(thread) {
            continue;
        }
        let Some((name, _)) = call.split_once('(') else {
            continue;
        };
        if !name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            continue;
        }
        let count = counts
            .entry((thread.to_owned(), name.to_owned()))
            .or_default();
        *count += 1;
        if changes_something(name, line) {
            found.insert(Point {
                name: name.to_owned(),
                number: *count,
            });
        }
    }
    found
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())
}

fn changes_something(name: &str, line: &str) -> bool {
    match name {
        "openat" => line.contains("O_CREAT"),
        "fcntl" => line.contains("F_SETLK"),
        "splice" => !line.contains("EAGAIN"),
        // A wake-up of another thread, by an eventfd.
        "write" => !line.contains(r#""\1\0\0\0\0\0\0\0", 8"#),
        _ => true,
    }
}

fn threads(pid: u32) -> Vec<PathBuf> {
    let entries = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    entries.map(|entry| entry.path()).collect()
}

fn is_traced(thread: &Path) -> bool {
    let status = fs::read_to_string(thread.join("status")).unwrap_or_default();
    status.lines().any(|line| {
        line.strip_prefix("TracerPid:")
            .is_some_and(|tracer| tracer.trim() != "0")
    })
}

/// What changes files, processes, or what others have been told.
const CHANGING: &str = "openat,creat,mkdir,mkdirat,mknod,mknodat,unlink,unlinkat,rmdir,rename,renameat,renameat2,link,\
linkat,symlink,symlinkat,ftruncate,fallocate,write,writev,pwrite64,pwritev,fsync,fdatasync,clone,clone3,vfork,fork,execve,\
kill,pidfd_send_signal,sendto,sendmsg,splice,flock,fcntl,bind,listen";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_counted_by_thread_and_name_and_reads_are_none() {
        let trace = "\
1 openat(AT_FDCWD, \"a\", O_RDONLY) = 3
1 openat(AT_FDCWD, \"b\", O_RDWR|O_CREAT, 0600) = 3
2 openat(AT_FDCWD, \"c\", O_WRONLY|O_CREAT, 0600 <unfinished ...>
1 write(4, \"\\1\\0\\0\\0\\0\\0\\0\\0\", 8) = 8
2 <... openat resumed>) = 5
2 fdatasync(5) = 0
3 mkdir(\"x\") = 0
3 execve(\"y\", []) = 0
";
        let found: Vec<String> = points(trace).iter().map(Point::to_string).collect();
        assert_eq!(found, ["fdatasync#1", "openat#1", "openat#2"]);
    }
}
