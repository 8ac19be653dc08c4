//! Observes processes of this host that somebody else started.
//!
//! Invariant: holds a pidfd that was opened while the identity matched, so a recycled PID is never taken for the
//! process. Never signals.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use async_io::Async;
use async_trait::async_trait;
use futures_lite::stream::{self, StreamExt};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::event::{ProcessEvent, ProcessEventStream};
use crate::local::identity::is_alive;
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
        let observed = Arc::new(blocking::unblock(move || Observed::find(&process)).await?);
        let attached =
            ProcessEvent::system(format!("attached to process {}", observed.identity.pid()));
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
        &self.observed.identity
    }

    async fn status(&self) -> Result<AttachedStatus, WaitError> {
        self.observed
            .status()
            .map_err(|source| self.unwatchable(source))
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
            pid: self.observed.identity.pid(),
            source,
        }
    }
}

#[derive(Debug)]
struct Observed {
    identity: ProcessIdentity,
    pidfd: Async<OwnedFd>,
}

impl Observed {
    fn find(process: &AttachedProcess) -> Result<Self, AttachError> {
        match process {
            AttachedProcess::Pid(pid) => Self::open(*pid),
            AttachedProcess::Name(name) => Self::open(only_process_named(name)?),
            AttachedProcess::Identity(identity) => match Self::open(identity.pid()) {
                Ok(observed) if observed.identity == *identity => Ok(observed),
                Ok(_) | Err(AttachError::NoSuchProcess { .. }) => Err(AttachError::Ended {
                    identity: Box::new(identity.clone()),
                }),
                Err(error) => Err(error),
            },
        }
    }

    /// First the pidfd, then the identity, then a look whether the pidfd still means a living process: if it does, no
    /// other process can have had the PID when the identity was read.
    fn open(pid: u32) -> Result<Self, AttachError> {
        let gone = AttachError::NoSuchProcess { pid };
        let Some(number) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
            return Err(gone);
        };
        let unreadable = |source| AttachError::NoList { source };
        let pidfd = match pidfd_open(number, PidfdFlags::empty()) {
            Ok(pidfd) => Async::new(pidfd).map_err(unreadable)?,
            // INVAL: the number of a thread that is no process.
            Err(Errno::SRCH | Errno::INVAL) => return Err(gone),
            Err(error) => return Err(unreadable(error.into())),
        };
        let identity = ProcessIdentity::of(pid);
        if has_ended(&pidfd).map_err(unreadable)? {
            return Err(gone);
        }
        let identity = identity.map_err(|source| AttachError::Unidentified { pid, source })?;
        Ok(Self { identity, pidfd })
    }

    fn status(&self) -> io::Result<AttachedStatus> {
        let ended = has_ended(&self.pidfd)?;
        Ok(if ended {
            AttachedStatus::Ended(Exit::Unknown)
        } else {
            AttachedStatus::Running
        })
    }

    async fn wait(&self) -> io::Result<Exit> {
        while !has_ended(&self.pidfd)? {
            self.pidfd.readable().await?;
        }
        Ok(Exit::Unknown)
    }
}

/// A pidfd is readable from the moment its process ends.
fn has_ended(pidfd: &Async<OwnedFd>) -> io::Result<bool> {
    let mut descriptors = [PollFd::new(pidfd, PollFlags::IN)];
    match poll(
        &mut descriptors,
        Some(&Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        }),
    ) {
        Ok(_) => Ok(!descriptors[0].revents().is_empty()),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
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
