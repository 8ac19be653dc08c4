//! Finds out what became of an attempt, and takes it over when it runs.
//!
//! Owns: the order of the questions: is its end recorded, does a shim serve it, else a new shim looks. Never calls
//! an attempt ended on a guess.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use async_io::Timer;
use futures_lite::FutureExt;
use service_shim::protocol::{self, Notice, NotifyState, Request};
use service_shim::{ExitRecord, Identity, StartFailureKind};

use super::error::AdoptError;
use super::process::{NoticeReader, SupervisedProcess};
use super::program::{ShimChild, Started};
use super::shore::{Shore, Sight};

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
pub async fn adopt(run_dir: &Path, shore: &Shore) -> Result<Adopted, AdoptError> {
    // First, for the service may end any moment.
    let output = shore.hold_output(run_dir);
    match find(run_dir, shore).await? {
        Found::Ended(exit) => Ok(Adopted::Ended(exit)),
        Found::Alive(contact) => {
            let mut process = SupervisedProcess::new(
                run_dir.to_owned(),
                shore.clone(),
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
pub(super) async fn find(path: &Path, shore: &Shore) -> Result<Found, AdoptError> {
    let give_up = Instant::now() + PATIENCE;
    loop {
        let found = match shore.look(path).await? {
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

/// Where an attempt is and how to reach it, for requests that may have to bring up a new shim.
#[derive(Debug, Clone)]
pub(super) struct Address {
    pub(super) run_dir: PathBuf,
    pub(super) shore: Shore,
}

// A shim answers within microseconds; a machine that swaps may need longer.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(5);
