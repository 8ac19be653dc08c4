//! One daemon per state directory, and one client at a time that brings it up.
//!
//! Owns: both lock files. The kernel frees a lock when its holder is gone, however it went.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use async_io::Timer;
use futures_lite::future;

use super::{Endpoint, Watch};

/// Why a state directory is not ours.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    #[error("cannot lock {}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// Somebody else has it, who may not have written yet who it is.
    #[error("somebody else has it")]
    Held { holder_pid: Option<u32> },
}

/// The right to be the daemon of a state directory, until dropped.
#[derive(Debug)]
pub(crate) struct StateLock {
    _file: File,
}

impl StateLock {
    /// Takes the lock; from a daemon that no longer answers, or does not answer yet, as soon as it is free.
    ///
    /// # Errors
    /// [`LockError::Held`] at once when the holder answers, else after `patience`.
    pub(crate) async fn take(state: &Path, patience: Duration) -> Result<Self, LockError> {
        let path = state.join(STATE_LOCK);
        let failed = |source| LockError::Io {
            path: path.clone(),
            source,
        };
        let watch = Watch::new(state).map_err(failed)?;
        let mut file = open(&path).map_err(failed)?;
        let deadline = Instant::now() + patience;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
            let answers = matches!(Endpoint::read(state), Ok(Some(_)));
            if answers || Instant::now() >= deadline {
                return Err(LockError::Held {
                    holder_pid: holder(&path),
                });
            }
            // Its holder's end is seen as a change. The timer is for who only looked whether it is held.
            let again = async {
                Timer::after(LOOKED_AT).await;
                Ok(())
            };
            future::or(watch.changed(), again).await.map_err(failed)?;
        }
        file.set_len(0)
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(failed)?;
        Ok(Self { _file: file })
    }
}

/// Whether a daemon owns the directory.
///
/// Looks by taking the lock shared for an instant; a daemon that starts at that instant tries again.
pub(crate) fn is_locked(state: &Path) -> io::Result<bool> {
    let file = match File::open(state.join(STATE_LOCK)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Waits for, then holds, the right to bring a daemon up. Blocks the thread.
pub(crate) fn start_lock(state: &Path) -> io::Result<File> {
    let file = open(&state.join(START_LOCK))?;
    file.lock()?;
    Ok(file)
}

/// Whether somebody brings a daemon up, or another in the place of one that ends.
///
/// Looks by taking the lock shared for an instant; whoever wants it whole waits that long.
pub(crate) fn is_being_started(state: &Path) -> bool {
    let Ok(file) = File::open(state.join(START_LOCK)) else {
        return false;
    };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

fn holder(path: &Path) -> Option<u32> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// How long a glance at the lock may last.
const LOOKED_AT: Duration = Duration::from_millis(20);
const STATE_LOCK: &str = "daemon.lock";
const START_LOCK: &str = "start.lock";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_owner_learns_who_the_first_is() {
        testkit::run_everywhere(|| async {
            let directory = testkit::temp_dir();
            let first = StateLock::take(directory.path(), Duration::ZERO)
                .await
                .expect("free");
            assert!(is_locked(directory.path()).expect("readable"));
            match StateLock::take(directory.path(), Duration::ZERO).await {
                Err(LockError::Held { holder_pid }) => {
                    assert_eq!(holder_pid, Some(std::process::id()))
                }
                other => panic!("{other:?}"),
            }
            drop(first);
            assert!(!is_locked(directory.path()).expect("readable"));
            StateLock::take(directory.path(), Duration::ZERO)
                .await
                .expect("free again");
        });
    }

    #[test]
    fn a_daemon_that_is_about_to_end_is_waited_for() {
        async_io::block_on(async {
            let directory = testkit::temp_dir();
            let first = StateLock::take(directory.path(), Duration::ZERO)
                .await
                .expect("free");
            let second = StateLock::take(directory.path(), Duration::from_secs(10));
            let ending = async {
                future::yield_now().await;
                drop(first);
            };
            let (second, ()) = future::zip(second, ending).await;
            second.expect("free in time");
        });
    }

    #[test]
    fn it_shows_that_somebody_brings_a_daemon_up() {
        let directory = testkit::temp_dir();
        assert!(!is_being_started(directory.path()));
        let lock = start_lock(directory.path()).expect("free");
        assert!(is_being_started(directory.path()));
        drop(lock);
        assert!(!is_being_started(directory.path()));
    }

    #[test]
    fn a_directory_without_a_lock_file_is_free() {
        let directory = testkit::temp_dir();
        assert!(!is_locked(directory.path()).expect("readable"));
    }
}
