//! The end of a run, for those who wait for it.
//!
//! Owns: the one watcher of an attempt that no supervisor watches. Whoever waits, watches for all.

use std::fmt;
use std::sync::Arc;

use async_lock::Mutex;

use super::{AttemptEvent, RunningAttempt};
use crate::report::ExitInfo;

/// The end of a run. Clones speak of the same one.
#[derive(Clone)]
pub(crate) struct End(Arc<Mutex<Watched>>);

enum Watched {
    /// Nobody else watches it: whoever waits does.
    Running(Box<dyn RunningAttempt>),
    /// The supervisor watches it, and tells once.
    Told(async_channel::Receiver<ExitInfo>),
    Ended(ExitInfo),
}

impl End {
    /// The end of an attempt that nobody else watches.
    pub(crate) fn of(attempt: Box<dyn RunningAttempt>) -> Self {
        Self(Arc::new(Mutex::new(Watched::Running(attempt))))
    }

    /// An end that somebody else will tell.
    pub(crate) fn told(receiver: async_channel::Receiver<ExitInfo>) -> Self {
        Self(Arc::new(Mutex::new(Watched::Told(receiver))))
    }

    /// How the run ended, once it has.
    ///
    /// # Cancellation
    /// Dropping the future loses nothing.
    pub(crate) async fn wait(&self) -> ExitInfo {
        // A lock, because any number of readers may wait and one of them must watch. It spans the await by design: the
        // others have nothing else to wait for.
        let mut watched = self.0.lock().await;
        loop {
            let exit = match &mut *watched {
                Watched::Ended(exit) => return exit.clone(),
                Watched::Running(attempt) => match attempt.next().await {
                    AttemptEvent::Exited(exit) => exit,
                    AttemptEvent::Notified { .. }
                    | AttemptEvent::Unreachable(_)
                    | AttemptEvent::Reached
                    | AttemptEvent::Paused
                    | AttemptEvent::Networks { .. }
                    | AttemptEvent::Resumed
                    | AttemptEvent::Checked => continue,
                },
                Watched::Told(receiver) => receiver.recv().await.unwrap_or(ExitInfo {
                    exit_unknown: true,
                    ..ExitInfo::default()
                }),
            };
            *watched = Watched::Ended(exit);
        }
    }

    /// How the run ended, when that is already known.
    pub(crate) async fn known(&self) -> Option<ExitInfo> {
        match &*self.0.try_lock()? {
            Watched::Ended(exit) => Some(exit.clone()),
            Watched::Running(_) | Watched::Told(_) => None,
        }
    }
}

impl fmt::Debug for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("End")
    }
}
