//! Finds out what became of an attempt, and takes it over when it runs.
//!
//! Owns: the order of the questions: is its end recorded, does a shim serve it, else a new shim looks. Never calls
//! an attempt ended on a guess.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use async_io::Timer;
use futures_lite::FutureExt;
use service_shim::protocol::{self, Notice, NotifyState, Request};
use service_shim::{ExitRecord, Identity, LAYOUT_VERSION, RunDir, StartFailureKind, Task};

use super::error::AdoptError;
use super::process::{NoticeReader, SupervisedProcess};
use super::program::{ShimChild, ShimProgram, Started};
use crate::blocking::unblock;

/// What became of an attempt.
#[derive(Debug)]
pub enum Adopted {
    /// It runs, and is watched again.
    Alive(SupervisedProcess),
    /// It is over, or was never started. `exit_unknown` when nobody saw how.
    Ended(ExitRecord),
}

/// Takes over the attempt of a run directory, whoever launched it. Starts a shim when its own has died.
///
/// Returns at once when the attempt is over. When only leftovers of its tree run, they are ended first.
///
/// # Errors
/// [`AdoptError`]: what became of it is not known, and it must be counted as alive. Calling again is allowed.
///
/// # Cancellation
/// Safe: dropping the future leaves the attempt as it is, perhaps with a new shim.
pub async fn adopt(run_dir: &Path, shim: &ShimProgram) -> Result<Adopted, AdoptError> {
    // First, for the service may end any moment. A few local system calls that do not wait: worth no trip to another thread.
    let output = RunDir::open(run_dir).map_or_else(|_| Vec::new(), |run| run.hold_output());
    match find(run_dir, shim).await? {
        Found::Ended(exit) => Ok(Adopted::Ended(exit)),
        Found::Alive(contact) => {
            let mut process = SupervisedProcess::new(
                run_dir.to_owned(),
                shim.clone(),
                contact.identity,
                contact.notices,
                contact.child,
                output,
            );
            process.remember(contact.notify);
            Ok(Adopted::Alive(process))
        }
    }
}

/// What became of it, as an owner needs to know.
pub(super) enum Found {
    Alive(Contact),
    Ended(ExitRecord),
}

/// A subscribed connection to a shim.
pub(super) struct Contact {
    pub(super) identity: Identity,
    pub(super) notify: NotifyState,
    pub(super) notices: NoticeReader,
    pub(super) child: Option<ShimChild>,
}

/// Asks until there is an answer. Another shim may be coming up or going down at the same moment.
pub(super) async fn find(path: &Path, shim: &ShimProgram) -> Result<Found, AdoptError> {
    let give_up = Instant::now() + PATIENCE;
    loop {
        let (directory, program) = (path.to_owned(), shim.clone());
        let found = match unblock(move || look(&directory, &program)).await? {
            Sight::Ended(exit) => Some(Found::Ended(exit)),
            Sight::Served(stream) => match NoticeReader::new(stream) {
                Ok(notices) => greet(notices, None).await.unwrap_or(None),
                Err(_) => None,
            },
            Sight::Adopting(started) => wait_for_adopter(started).await?,
        };
        if let Some(found) = found {
            return Ok(found);
        }
        if Instant::now() >= give_up {
            return Err(AdoptError::Silent {
                path: path.to_owned(),
            });
        }
        Timer::after(PAUSE).await;
    }
}

/// What the run directory says at first sight.
enum Sight {
    Ended(ExitRecord),
    /// A shim listens.
    Served(UnixStream),
    /// None did: one was started to take over.
    Adopting(Started),
}

/// One look at the run directory. Blocks for as long as a spawn takes.
fn look(path: &Path, shim: &ShimProgram) -> Result<Sight, AdoptError> {
    let unreadable = |source| AdoptError::RunDirectory {
        path: path.to_owned(),
        source,
    };
    let run = match RunDir::open(path) {
        Ok(run) => run,
        // The directory is made before anything else: nothing was ever started.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Sight::Ended(never_started(path)));
        }
        Err(error) => return Err(unreadable(error)),
    };
    if let Some(exit) = run.exit().map_err(unreadable)? {
        return Ok(Sight::Ended(exit));
    }
    match run.connect() {
        Ok(stream) => Ok(Sight::Served(stream)),
        Err(error) if is_unserved(&error) => {
            let program = shim.path();
            let started = shim
                .start(Task::Adopt, run)
                .map_err(|source| AdoptError::Shim { program, source })?;
            Ok(Sight::Adopting(started))
        }
        Err(error) => Err(unreadable(error)),
    }
}

fn is_unserved(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}

async fn wait_for_adopter(started: Started) -> Result<Option<Found>, AdoptError> {
    let child = started.shim;
    let Ok(mut notices) = NoticeReader::new(started.stream) else {
        return Ok(None);
    };
    // No limit: it may have leftovers to end first, for as long as their grace lasts. It always answers or dies.
    match notices.next().await {
        Ok(Some(Notice::Started { .. })) => Ok(greet(notices, child).await.unwrap_or(None)),
        Ok(Some(Notice::Exited { exit })) => Ok(Some(Found::Ended(exit))),
        Ok(Some(Notice::Failed { failure })) => match failure.kind {
            // Somebody else was quicker: ask that one.
            StartFailureKind::Locked => Ok(None),
            _ => Err(AdoptError::Refused {
                message: failure.message,
            }),
        },
        Ok(Some(_) | None) | Err(_) => Ok(None),
    }
}

/// Subscribes and learns who the service is; none when the shim went away meanwhile, an error when it is silent.
async fn greet(mut notices: NoticeReader, child: Option<ShimChild>) -> io::Result<Option<Found>> {
    let silent = async {
        Timer::after(PATIENCE).await;
        Err(io::ErrorKind::TimedOut.into())
    };
    match introduce(&mut notices).or(silent).await? {
        Some(Introduction::Alive { identity, notify }) => Ok(Some(Found::Alive(Contact {
            identity,
            notify,
            notices,
            child,
        }))),
        Some(Introduction::Ended(exit)) => Ok(Some(Found::Ended(exit))),
        None => Ok(None),
    }
}

/// What a shim answers when it is asked who it serves.
enum Introduction {
    Alive {
        identity: Identity,
        notify: NotifyState,
    },
    Ended(ExitRecord),
}

async fn introduce(notices: &mut NoticeReader) -> io::Result<Option<Introduction>> {
    notices.write(&protocol::encode(Request::Subscribe)).await?;
    notices.write(&protocol::encode(Request::Status)).await?;
    while let Some(notice) = notices.next().await? {
        match notice {
            Notice::Status(status) => {
                let notify = status.notify;
                return Ok(status
                    .identity
                    .map(|identity| Introduction::Alive { identity, notify }));
            }
            Notice::Exited { exit } => return Ok(Some(Introduction::Ended(exit))),
            _ => {}
        }
    }
    Ok(None)
}

fn never_started(path: &Path) -> ExitRecord {
    let since_1970 = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    ExitRecord {
        layout: LAYOUT_VERSION,
        instance_id: path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default(),
        attempt: 0,
        pid: None,
        code: None,
        signal: None,
        exit_unknown: true,
        failure: None,
        ended_at_ns: u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX),
        stop: None,
    }
}

/// Where an attempt is and how to reach it, for requests that may have to bring up a new shim.
#[derive(Debug, Clone)]
pub(super) struct Address {
    pub(super) run_dir: PathBuf,
    pub(super) shim: ShimProgram,
}

// A shim answers within microseconds; a machine that swaps may need longer.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(5);
