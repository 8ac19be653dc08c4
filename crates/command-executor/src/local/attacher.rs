//! Observes processes of this host that somebody else started.
//!
//! Invariant: holds a pidfd that was opened while the identity matched, so a recycled PID is never taken for the
//! process. Never signals.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use async_io::Async;
use async_trait::async_trait;
use futures_lite::stream::{self, StreamExt};
use service_shim::ProcessRef;

use crate::blocking::unblock;
use crate::event::{ProcessEvent, ProcessEventStream};
use crate::local::stat::is_alive;
use crate::{
    AttachError, AttachedHandle, AttachedProcess, AttachedStatus, Attacher, Exit, ProcessIdentity,
    ProcessMatch, Target, WaitError,
};

/// Observes processes of this host.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalAttacher {}

impl LocalAttacher {
    /// An attacher; it holds nothing.
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl Attacher for LocalAttacher {
    type Handle = LocalAttachedHandle;

    async fn attach(
        &self,
        target: &Target,
    ) -> Result<(ProcessEventStream, LocalAttachedHandle), AttachError> {
        let Target::AttachedProcess(process) = target else {
            let target = Box::new(target.clone());
            return Err(AttachError::Unsupported {
                attacher: "the local attacher",
                target,
            });
        };
        let process = process.clone();
        let observed = Arc::new(unblock(move || Observed::find(&process)).await?);
        let attached =
            ProcessEvent::system(format!("attached to process {}", observed.identity().pid));
        let watched = observed.clone();
        let end = stream::once_future(async move {
            match watched.wait().await {
                Ok(exit) => ProcessEvent::exited(exit),
                Err(error) => ProcessEvent::system(format!("cannot watch it: {error}")),
            }
        });
        let events = ProcessEventStream::new(stream::once(attached).chain(end));
        Ok((events, LocalAttachedHandle { observed }))
    }
}

/// Sight of one process of this host.
#[derive(Debug, Clone)]
pub struct LocalAttachedHandle {
    observed: Arc<Observed>,
}

#[async_trait]
impl AttachedHandle for LocalAttachedHandle {
    fn identity(&self) -> &ProcessIdentity {
        self.observed.identity()
    }

    async fn status(&self) -> Result<AttachedStatus, WaitError> {
        Ok(self.observed.status())
    }

    async fn wait(&self) -> Result<Exit, WaitError> {
        self.observed
            .wait()
            .await
            .map_err(|source| self.unwatchable(source))
    }
}

impl LocalAttachedHandle {
    fn unwatchable(&self, source: io::Error) -> WaitError {
        WaitError::Unwatchable {
            pid: self.observed.identity().pid,
            source,
        }
    }
}

#[derive(Debug)]
struct Observed {
    process: Async<ProcessRef>,
}

impl Observed {
    fn find(process: &AttachedProcess) -> Result<Self, AttachError> {
        match process {
            AttachedProcess::Pid(pid) => Self::open(*pid),
            AttachedProcess::Name(name) => Self::open(only_process_named(name)?),
            AttachedProcess::Identity(identity) => {
                let pid = identity.pid;
                let found = ProcessRef::open(identity)
                    .map_err(|source| AttachError::Unidentified { pid, source })?;
                Self::hold(found, || AttachError::Ended {
                    identity: Box::new(identity.clone()),
                })
            }
        }
    }

    fn open(pid: u32) -> Result<Self, AttachError> {
        let found =
            ProcessRef::capture(pid).map_err(|source| AttachError::Unidentified { pid, source })?;
        Self::hold(found, || AttachError::NoSuchProcess { pid })
    }

    /// Looks once more whether the pidfd still means a living process: if it does, no other process can have had the PID
    /// when the identity was read.
    fn hold(
        found: Option<ProcessRef>,
        gone: impl FnOnce() -> AttachError,
    ) -> Result<Self, AttachError> {
        let Some(process) = found.filter(ProcessRef::is_alive) else {
            return Err(gone());
        };
        let pid = process.identity().pid;
        let process =
            Async::new(process).map_err(|source| AttachError::Unidentified { pid, source })?;
        Ok(Self { process })
    }

    fn identity(&self) -> &ProcessIdentity {
        self.process.get_ref().identity()
    }

    fn status(&self) -> AttachedStatus {
        if self.process.get_ref().is_alive() {
            AttachedStatus::Running
        } else {
            AttachedStatus::Ended(Exit::Unknown)
        }
    }

    async fn wait(&self) -> io::Result<Exit> {
        while self.status() == AttachedStatus::Running {
            self.process.readable().await?;
        }
        Ok(Exit::Unknown)
    }
}

fn only_process_named(name: &str) -> Result<u32, AttachError> {
    let mut matches = processes_named(name).map_err(|source| AttachError::NoList { source })?;
    match matches.len() {
        0 => Err(AttachError::NoSuchName {
            name: name.to_owned(),
        }),
        1 => Ok(matches.remove(0).pid),
        _ => Err(AttachError::Ambiguous {
            name: name.to_owned(),
            matches,
        }),
    }
}

/// The living processes of this name except the calling one, by ascending PID.
fn processes_named(name: &str) -> io::Result<Vec<ProcessMatch>> {
    let mut matches: Vec<ProcessMatch> = fs::read_dir("/proc")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != std::process::id() && is_alive(*pid))
        .filter_map(|pid| matching(pid, name))
        .collect();
    matches.sort_unstable_by_key(|found| found.pid);
    Ok(matches)
}

/// The process if its executable, its command line or the kernel gives it this name.
fn matching(pid: u32, name: &str) -> Option<ProcessMatch> {
    let command_line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let first_word = command_line
        .split(|byte| *byte == 0)
        .next()
        .unwrap_or_default();
    let is_name = |path: &Path| path.file_name() == Some(OsStr::new(name));
    // A login shell is called `-bash`; a kernel thread has no command line, only a short name.
    let is_match = is_name(Path::new(OsStr::from_bytes(first_word)))
        || fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|executable| is_name(&executable))
        || fs::read_to_string(format!("/proc/{pid}/comm"))
            .is_ok_and(|comm| comm.trim_end() == name);
    is_match.then(|| ProcessMatch {
        pid,
        command: shown(&command_line),
    })
}

fn shown(command_line: &[u8]) -> String {
    let words = String::from_utf8_lossy(command_line)
        .trim_end_matches('\0')
        .replace('\0', " ");
    words.chars().take(SHOWN_CHARACTERS).collect()
}

/// A line of a terminal.
const SHOWN_CHARACTERS: usize = 80;
