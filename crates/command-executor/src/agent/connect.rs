//! How an agent is started, and what it is spoken to through.
//!
//! Owns: the form that every way has, and the one by a child process of ours.

use std::any::Any;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use async_io::{Async, Timer};
use async_trait::async_trait;
use futures_lite::{AsyncRead, AsyncReadExt, AsyncWrite, FutureExt};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use service_shim::{AGENT_VERB, EMBEDDED_FLAG};

use super::error::ConnectError;
use super::forward::HostForward;
use super::link::AgentLink;
use crate::blocking::unblock;
use crate::supervised::ShimChild;

/// What an agent is spoken to through.
pub struct AgentPipes {
    /// What it says.
    pub reader: Box<dyn AsyncRead + Send + Unpin>,
    /// What it hears.
    pub writer: Box<dyn AsyncWrite + Send + Unpin>,
    /// Kept for as long as the connection is: its process, for one.
    pub hold: Box<dyn Any + Send>,
}

impl fmt::Debug for AgentPipes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentPipes").finish_non_exhaustive()
    }
}

/// A way to an agent, for [`HostLink`](super::HostLink) to take again and again.
#[async_trait]
pub trait Connector: Send + Sync + 'static {
    /// What the host is called in messages.
    fn name(&self) -> &str;

    /// Starts an agent there and has heard its greeting.
    async fn connect(&self) -> Result<AgentLink, ConnectError>;

    /// Has connections carried from now on, until the connection is lost. Twice is as good as once.
    async fn forward(&self, _way: &HostForward) -> Result<(), ConnectError> {
        Err(ConnectError::NoForward)
    }

    /// They need not be carried any more.
    async fn forward_no_more(&self, _way: &HostForward) -> Result<(), ConnectError> {
        Ok(())
    }

    /// The last connection went silent, or none comes after it: what it shared with the next is to be given up.
    async fn give_up(&self) {}
}

/// An agent that is a child of ours, on this machine.
#[derive(Debug, Clone)]
pub struct LocalAgent {
    program: PathBuf,
    flag: Option<&'static str>,
    home: Option<PathBuf>,
}

impl LocalAgent {
    /// A program whose main is [`service_shim::main`].
    pub fn at(program: impl Into<PathBuf>) -> LocalAgent {
        LocalAgent {
            program: program.into(),
            flag: None,
            home: None,
        }
    }

    /// A program whose main begins with [`service_shim::run_if_asked`].
    pub fn embedded_in(program: impl Into<PathBuf>) -> LocalAgent {
        LocalAgent {
            program: program.into(),
            flag: Some(EMBEDDED_FLAG),
            home: None,
        }
    }

    /// With another home than ours.
    #[must_use]
    pub fn with_home(mut self, home: impl Into<PathBuf>) -> LocalAgent {
        self.home = Some(home.into());
        self
    }
}

#[async_trait]
impl Connector for LocalAgent {
    fn name(&self) -> &str {
        "this machine"
    }

    async fn connect(&self) -> Result<AgentLink, ConnectError> {
        let mut command = Command::new(&self.program);
        command.args(self.flag).arg(AGENT_VERB);
        if let Some(home) = &self.home {
            command.env("HOME", home);
        }
        let started = start(command).await;
        let started = started.map_err(|source| ConnectError::Program {
            program: self.program.clone(),
            source,
        })?;
        let link = AgentLink::open(started.pipes).await?;
        // What it has to complain about later, it says to nobody.
        drop(started.stderr);
        Ok(link)
    }
}

/// A program that was started as the other end of a connection.
pub(super) struct StartedAgent {
    pub(super) pipes: AgentPipes,
    pub(super) stderr: ChildStderr,
}

/// A child that is killed and waited for when nobody needs it.
struct KilledOnDrop {
    pidfd: OwnedFd,
    _child: ShimChild,
}

/// Starts a program with pipes for all that it says and hears.
pub(super) async fn start(mut command: Command) -> io::Result<StartedAgent> {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = unblock(move || command.spawn()).await?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let (stdin, stdout) = stdin.zip(stdout).expect("both are pipes");
    let stderr = child.stderr.take().expect("it is a pipe");
    let hold = hold(child)?;
    Ok(StartedAgent {
        pipes: AgentPipes {
            reader: Box::new(Async::new(stdout)?),
            writer: Box::new(Async::new(stdin)?),
            hold: Box::new(hold),
        },
        stderr,
    })
}

fn hold(child: Child) -> io::Result<KilledOnDrop> {
    let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?;
    let child = ShimChild::new(child);
    Ok(KilledOnDrop {
        pidfd,
        _child: child,
    })
}

impl Drop for KilledOnDrop {
    fn drop(&mut self) {
        // Fails when it has ended by itself.
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
    }
}

/// The first words of what a program has to complain about, once it has ended.
pub(super) async fn complaint(stderr: ChildStderr) -> Vec<u8> {
    let mut said = vec![0; MOST_COMPLAINT];
    let mut length = 0;
    let Ok(mut stderr) = Async::new(stderr) else {
        return Vec::new();
    };
    let read = async {
        while let Ok(more @ 1..) = stderr.read(&mut said[length..]).await {
            length += more;
        }
    };
    let late = async {
        Timer::after(COMPLAINT_PATIENCE).await;
    };
    read.or(late).await;
    said.truncate(length);
    said
}

const MOST_COMPLAINT: usize = 16 * 1024;

/// It has ended, or is about to. Somebody else may have its stderr.
const COMPLAINT_PATIENCE: Duration = Duration::from_secs(2);
