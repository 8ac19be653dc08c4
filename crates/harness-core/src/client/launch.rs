//! Brings a daemon up where none runs.
//!
//! Owns: when that may be done, how the daemon is detached from whoever starts it (its environment too), and what a failed start looks like.
//! Two clients at once end with one daemon: the second waits for the first, and finds what it started.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use async_io::Timer;
use async_process::{Child, Command};
use futures_lite::future;
use service_orchestration::blocking;

use super::connect::{Way, connect_after, connect_now};
use super::connection::Connection;
use super::{ConnectError, HarnessClient, is_running};
use crate::dirs::{Dirs, DirsError, daemon_environment};
use crate::files::{Watch, has_active_stacks, start_lock};

/// When a client that finds no daemon starts one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutoStart {
    /// Never.
    Never,
    /// When stacks were started and not stopped since, so that there is something to look after.
    WhenActive,
    /// Always: there will be something to look after.
    Always,
}

/// The program that is the daemon, and how it is called: `PROGRAM daemon run --detached [--listen ADDRESS]
/// [--allow-remote]`.
#[derive(Clone, Debug)]
pub struct DaemonProgram {
    /// The program.
    pub program: PathBuf,
    /// Where it shall listen; `None`: where it likes.
    pub listen: Option<String>,
    /// Whether that may be where other machines can reach it.
    pub allow_remote: bool,
}

/// How a client brings a daemon up, and when it may: at first, and when the daemon that it asks is killed.
#[derive(Clone, Debug)]
pub(super) struct Starter {
    pub(super) daemon: DaemonProgram,
    pub(super) auto_start: AutoStart,
}

impl Starter {
    /// Whether a daemon may be started in place of one that was there and was killed.
    pub(super) fn may_follow(&self, error: &ConnectError) -> bool {
        error.is_absence() && self.auto_start != AutoStart::Never
    }

    /// Whether a daemon may be started to repair this.
    pub(super) fn may_start(&self, dirs: &Dirs, error: &ConnectError) -> bool {
        error.is_absence()
            && match self.auto_start {
                AutoStart::Never => false,
                AutoStart::WhenActive => has_active_stacks(dirs.state()),
                AutoStart::Always => true,
            }
    }
}

/// Why there is no daemon even after an attempt to start one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// None runs and none was to be started, or one runs and cannot be talked to.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// There is no place for its files.
    #[error(transparent)]
    Dirs(#[from] DirsError),
    /// A file that the start needs cannot be used.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The program cannot be run.
    #[error("cannot run the daemon `{}`", program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The daemon ended before it answered.
    #[error("the daemon did not start ({status}):\n{output}")]
    Exited {
        /// How it ended.
        status: ExitStatus,
        /// What it said, from its log.
        output: String,
    },
    /// The daemon runs but does not answer in time.
    #[error("the daemon did not answer within {waited:?}; its log is {}", log.display())]
    TimedOut {
        /// How long it had.
        waited: Duration,
        /// Its log.
        log: PathBuf,
    },
}

impl LaunchError {
    /// What a program that gives up over it exits with. A daemon that ended with an exit code passes it on.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Connect(error) => error.exit_code(),
            Self::Exited { status, .. } => status
                .code()
                .and_then(|code| u8::try_from(code).ok())
                .unwrap_or(5),
            Self::Dirs(DirsError::Exposed { .. } | DirsError::Foreign { .. }) => 6,
            Self::Dirs(_) | Self::File { .. } | Self::Spawn { .. } | Self::TimedOut { .. } => 5,
        }
    }
}

impl HarnessClient {
    /// Connects to the daemon of these directories; brings one up first where `auto_start` says so, and again when the
    /// daemon is killed while this client is asking it.
    ///
    /// # Errors
    /// [`LaunchError`]; [`ConnectError::NotRunning`] in it when there is no daemon and none was to be started.
    pub async fn open(
        dirs: &Dirs,
        daemon: &DaemonProgram,
        auto_start: AutoStart,
    ) -> Result<Self, LaunchError> {
        let starter = Starter {
            daemon: daemon.clone(),
            auto_start,
        };
        let connection = match connect_now(dirs).await {
            Ok(connection) => connection,
            Err(error) if starter.may_start(dirs, &error) => bring_up(dirs, daemon).await?,
            Err(error) => connect_after(dirs, error).await?,
        };
        let way = Way::Local(dirs.clone(), Some(starter));
        Ok(Self::over(way, connection))
    }
}

/// Connects to the daemon of these directories, after starting it if none runs.
///
/// # Errors
/// [`LaunchError`].
///
/// # Cancellation
/// A daemon that was started goes on starting.
pub async fn ensure_daemon(
    dirs: &Dirs,
    daemon: &DaemonProgram,
) -> Result<HarnessClient, LaunchError> {
    HarnessClient::open(dirs, daemon, AutoStart::Always).await
}

/// A connection to the daemon that runs, or to one that is started now.
pub(super) async fn bring_up(
    dirs: &Dirs,
    daemon: &DaemonProgram,
) -> Result<Connection, LaunchError> {
    let only_one = may_start_alone(dirs).await?;
    // Whoever had the right may have started it.
    match connect_now(dirs).await {
        Ok(connection) => Ok(connection),
        Err(ConnectError::NotRunning { .. } | ConnectError::NoAnswer { .. }) => {
            bring_up_alone(dirs, daemon, &only_one).await
        }
        Err(error) => Err(error.into()),
    }
}

/// The right to bring a daemon up, which one client has at a time, until dropped.
#[derive(Debug)]
pub(super) struct OnlyOne {
    _lock: File,
}

/// Waits until nobody else brings a daemon up.
pub(super) async fn may_start_alone(dirs: &Dirs) -> Result<OnlyOne, LaunchError> {
    dirs.create()?;
    let state = dirs.state().to_owned();
    let lock = blocking::unblock(move || start_lock(&state)).await;
    let lock = lock.map_err(failed("lock", dirs))?;
    Ok(OnlyOne { _lock: lock })
}

/// Starts the daemon, and connects to it or to one that was quicker.
pub(super) async fn bring_up_alone(
    dirs: &Dirs,
    daemon: &DaemonProgram,
    _only_one: &OnlyOne,
) -> Result<Connection, LaunchError> {
    let watch = Watch::new(dirs.state()).map_err(failed("watch", dirs))?;
    let log = DaemonLog::open(dirs)?;
    // One that runs and does not answer is starting or ending; a second finds out which, and takes over if it may.
    let mut child = spawn(dirs, daemon, &log)?;
    let deadline = Instant::now() + START_PATIENCE;
    loop {
        let error = match connect_now(dirs).await {
            Ok(connection) => return Ok(connection),
            Err(error @ (ConnectError::NotRunning { .. } | ConnectError::NoAnswer { .. })) => error,
            Err(error) => return Err(error.into()),
        };
        match next(&watch, &mut child, deadline)
            .await
            .map_err(failed("watch", dirs))?
        {
            Next::Changed => {}
            Next::Exited(_) if is_running(dirs)? && connect_now(dirs).await.is_ok() => {}
            Next::Exited(status) => {
                return Err(LaunchError::Exited {
                    status,
                    output: log.said(),
                });
            }
            Next::TooLate => {
                tracing::debug!(%error, "the last answer of a daemon that did not start in time");
                return Err(LaunchError::TimedOut {
                    waited: START_PATIENCE,
                    log: log.path,
                });
            }
        }
    }
}

fn failed(action: &'static str, dirs: &Dirs) -> impl FnOnce(io::Error) -> LaunchError {
    let path = dirs.state().to_owned();
    move |source| LaunchError::File {
        action,
        path,
        source,
    }
}

enum Next {
    Changed,
    Exited(ExitStatus),
    TooLate,
}

async fn next(watch: &Watch, child: &mut Child, deadline: Instant) -> io::Result<Next> {
    let changed = async { watch.changed().await.map(|()| Next::Changed) };
    let exited = async { child.status().await.map(Next::Exited) };
    let too_late = async {
        Timer::at(deadline).await;
        Ok(Next::TooLate)
    };
    future::or(changed, future::or(exited, too_late)).await
}

/// Starts the daemon away from this process: other directory, no terminal, output to its log. It makes a session of its
/// own itself (`--detached`), so that starting it needs no code between fork and exec.
fn spawn(dirs: &Dirs, daemon: &DaemonProgram, log: &DaemonLog) -> Result<Child, LaunchError> {
    let output = || {
        log.file.try_clone().map_err(|source| LaunchError::File {
            action: "use",
            path: log.path.clone(),
            source,
        })
    };
    let mut command = Command::new(&daemon.program);
    command.args(["daemon", "run", "--detached"]);
    if let Some(listen) = &daemon.listen {
        command.args(["--listen", listen]);
    }
    if daemon.allow_remote {
        command.arg("--allow-remote");
    }
    command.env_clear();
    command.envs(daemon_environment());
    command.envs(dirs.variable());
    command
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(output()?)
        .stderr(output()?);
    command.spawn().map_err(|source| LaunchError::Spawn {
        program: daemon.program.clone(),
        source,
    })
}

/// The file that a detached daemon writes to.
struct DaemonLog {
    path: PathBuf,
    file: File,
    /// Where the output of this start begins.
    begins: u64,
}

impl DaemonLog {
    fn open(dirs: &Dirs) -> Result<Self, LaunchError> {
        let path = daemon_log(dirs);
        let failed = |source| LaunchError::File {
            action: "open",
            path: path.clone(),
            source,
        };
        let is_full = std::fs::metadata(&path).is_ok_and(|metadata| metadata.len() > MAX_LOG_BYTES);
        if is_full {
            std::fs::rename(&path, path.with_extension("log.1")).map_err(failed)?;
        }
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        let begins = file.metadata().map_err(failed)?.len();
        Ok(Self { file, begins, path })
    }

    /// What was written since it was opened.
    fn said(&self) -> String {
        let mut bytes = Vec::new();
        let mut file = &self.file;
        let read = file
            .seek(SeekFrom::Start(self.begins))
            .and_then(|_| file.take(MAX_SAID).read_to_end(&mut bytes));
        match read {
            Ok(0) => format!("it said nothing; its log is {}", self.path.display()),
            Ok(_) => String::from_utf8_lossy(&bytes).trim_end().to_owned(),
            Err(error) => format!("its log {} cannot be read: {error}", self.path.display()),
        }
    }
}

/// The file that a detached daemon writes to.
pub fn daemon_log(dirs: &Dirs) -> PathBuf {
    dirs.log().join(Path::new("daemon.log"))
}

/// Adoption of hundreds of services on a busy machine takes seconds.
const START_PATIENCE: Duration = Duration::from_secs(60);
const MAX_LOG_BYTES: u64 = 10 * 1024 * 1024;
const MAX_SAID: u64 = 16 * 1024;
