//! The question whether a program exits with 0.
//!
//! Owns: the processes of one question, from their start until nothing of them is left. The program is started in a
//! process group of its own, without a terminal or input, and its output is read and mostly dropped. Linux only.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_io::{Async, Timer};
use command_executor::blocking;
use futures_lite::future;
use rustix::fs::{Access, access};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::output::Tail;
use super::sweep::{MARKER, Remains, Sweeper, marker_of};
use super::{Answer, Surroundings};

/// A program with everything it is started with.
#[derive(Clone)]
pub(crate) struct Program {
    name: String,
    args: Vec<String>,
    env: BTreeMap<String, String>,
    working_dir: PathBuf,
    directory: PathBuf,
    user: Option<u32>,
    group: Option<u32>,
    /// What the marker of every process of this probe begins with: the attempt, where one is asked, and the probe. The
    /// number of the question follows.
    pub(crate) marker: String,
    asked: Arc<AtomicU64>,
}

impl Program {
    /// `None` when there is no word at all.
    pub(crate) fn new(words: Vec<String>, from: &Surroundings) -> Option<Self> {
        let mut words = words.into_iter();
        let attempt = from.instance_id.as_deref().map(marker_of);
        Some(Self {
            name: words.next()?,
            args: words.collect(),
            env: from.env.clone(),
            working_dir: from.directory.join(&from.working_dir),
            directory: from.directory.clone(),
            user: from.user,
            group: from.group,
            marker: format!(
                "{}{}.",
                attempt.unwrap_or_default(),
                crate::host::instance_id()
            ),
            asked: Arc::default(),
        })
    }

    /// Runs it to its end, or to the end of its time. Dropping the future ends it, with all its processes.
    pub(crate) async fn ask(&self, sweeper: &Sweeper, timeout: Duration) -> Answer {
        let mut output = Tail::default();
        let late = async {
            Timer::after(timeout).await;
            None
        };
        let ended = future::or(async { Some(self.run(sweeper, &mut output).await) }, late).await;
        match ended {
            Some(Ok(status)) => judge(status, &output),
            Some(Err(error)) => Answer::unknown(format!("cannot run `{}`: {error}", self.name)),
            None => {
                // The next question waits until nothing of this one is left.
                sweeper.settled().await;
                Answer::bad(output.explain(&format!("no answer within {timeout:?}")))
            }
        }
    }

    async fn run(&self, sweeper: &Sweeper, output: &mut Tail) -> io::Result<ExitStatus> {
        let program = self.clone();
        let keeper = sweeper.clone();
        // Off this thread: starting a program takes the better part of a millisecond.
        let mut running = blocking::unblock(move || program.start(keeper)).await?;
        running.finish(output).await
    }

    fn start(&self, sweeper: Sweeper) -> io::Result<Running> {
        let (reader, writer) = io::pipe()?;
        // Of this question only: ending what it left must not touch the next one.
        let marker = format!(
            "{}{}.",
            self.marker,
            self.asked.fetch_add(1, Ordering::Relaxed)
        );
        let mut command = Command::new(self.find()?);
        command
            .arg0(&self.name)
            .args(&self.args)
            .env_clear()
            .envs(&self.env)
            .env(MARKER, &marker)
            .current_dir(&self.working_dir)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer);
        if let Some(user) = self.user {
            command.uid(user);
        }
        if let Some(group) = self.group {
            command.gid(group);
        }
        let child = command.spawn()?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        // From here on the program is ended when anything fails.
        let mut running = Running {
            leader: Some(child),
            pidfd: None,
            output: OwnedFd::from(reader),
            marker,
            sweeper,
        };
        let pidfd = pidfd_open(
            pid.expect("a child has a positive PID"),
            PidfdFlags::NONBLOCK,
        )?;
        running.pidfd = Some(pidfd);
        Ok(running)
    }

    /// The program's path. Found here and not by the library, which would look in our PATH or give up posix_spawn.
    fn find(&self) -> io::Result<PathBuf> {
        if self.name.contains('/') {
            return Ok(self.directory.join(&self.name));
        }
        let path = self.env.get("PATH").map_or(DEFAULT_PATH, String::as_str);
        let is_program = |path: &PathBuf| path.is_file() && access(path, Access::EXEC_OK).is_ok();
        let candidates = path
            .split(':')
            .map(|dir| self.working_dir.join(dir).join(&self.name));
        candidates
            .into_iter()
            .find(is_program)
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("not found in {path}")))
    }
}

impl fmt::Debug for Program {
    /// Without the environment: it may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "command `{}`", self.name)
    }
}

fn judge(status: ExitStatus, output: &Tail) -> Answer {
    match (status.code(), status.signal()) {
        (Some(0), _) => Answer::Good,
        (Some(code), _) => Answer::bad(output.explain(&format!("exit code {code}"))),
        (None, Some(signal)) => Answer::bad(output.explain(&format!("ended by signal {signal}"))),
        (None, None) => Answer::bad(output.explain("ended in an unknown way")),
    }
}

/// A started program. Dropping it ends all its processes, which goes on in the background.
#[derive(Debug)]
struct Running {
    /// Not reaped as long as it stands here.
    leader: Option<Child>,
    pidfd: Option<OwnedFd>,
    output: OwnedFd,
    marker: String,
    sweeper: Sweeper,
}

impl Running {
    async fn finish(&mut self, output: &mut Tail) -> io::Result<ExitStatus> {
        let pidfd = self.pidfd.as_ref().expect("started programs have one");
        let exit = Async::new_nonblocking(pidfd)?;
        let pipe = Async::new(&self.output)?;
        future::or(exit.readable(), pump(&pipe, output)).await?;
        let is_closed = drain(&pipe, output) || closes(&pipe, output).await;
        drop((exit, pipe));
        let mut leader = self.leader.take().expect("taken only here and in drop");
        let status = leader.wait()?;
        if !is_closed {
            // Something that it started still holds its output.
            self.sweep(None);
        }
        Ok(status)
    }

    fn sweep(&self, leader: Option<Child>) {
        self.sweeper.take(Remains {
            marker: self.marker.clone(),
            leader,
            done: None,
        });
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(leader) = self.leader.take() else {
            return;
        };
        if let Some(pidfd) = &self.pidfd {
            // The sweep would end it too; this makes it stop at once. It may have ended by itself.
            let _ = pidfd_send_signal(pidfd, Signal::KILL);
        }
        self.sweep(Some(leader));
    }
}

/// Reads what is written, and never ends but with an error: the exit of the program ends it.
async fn pump(pipe: &Async<&OwnedFd>, output: &mut Tail) -> io::Result<()> {
    loop {
        pipe.readable().await?;
        match read_some(pipe, output) {
            Ok(0) => future::pending().await,
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            Ok(_) | Err(_) => {}
        }
    }
}

/// Takes what is still in the pipe; whether nobody has its other end any more.
fn drain(pipe: &Async<&OwnedFd>, output: &mut Tail) -> bool {
    for _ in 0..MOST_LEFT_IN_A_PIPE {
        match read_some(pipe, output) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
    false
}

/// Whether the pipe is closed in a moment. A program that another thread starts at this very time holds every
/// descriptor of ours until it runs.
async fn closes(pipe: &Async<&OwnedFd>, output: &mut Tail) -> bool {
    let closed = async {
        loop {
            if pipe.readable().await.is_err() {
                return false;
            }
            if drain(pipe, output) {
                return true;
            }
        }
    };
    let still_open = async {
        Timer::after(SPAWN_AT_MOST).await;
        false
    };
    future::or(closed, still_open).await
}

fn read_some(pipe: &Async<&OwnedFd>, output: &mut Tail) -> io::Result<usize> {
    let mut buffer = [0; CHUNK];
    match rustix::io::read(pipe.get_ref(), &mut buffer) {
        Ok(read) => {
            output.push(&buffer[..read]);
            Ok(read)
        }
        Err(error) => Err(error.into()),
    }
}

const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";
/// Long for a spawn, short for an answer; only those that leave something running wait for it.
const SPAWN_AT_MOST: Duration = Duration::from_millis(10);
const CHUNK: usize = 8192;
/// In chunks: 64 KiB, the kernel's default pipe size.
const MOST_LEFT_IN_A_PIPE: usize = 8;
