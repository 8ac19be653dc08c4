//! What every session of a daemon sees.
//!
//! Owns: the note of active stacks, and the one way to end the daemon. Who may come in is [`Access`]'s, what was changed
//! [`Audit`]'s.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_channel::{Receiver, Sender};
use service_orchestration::ServiceManager;
use service_orchestration::spec::StackName;

use super::inputs::Inputs;
use super::watching::Watches;
use crate::access::Access;
use crate::audit::Audit;
use crate::files::{Active, Endpoint};
use crate::hosts::BookDirectory;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) manager: ServiceManager,
    pub(super) hosts: Arc<BookDirectory>,
    pub(super) endpoint: Endpoint,
    pub(super) state: PathBuf,
    pub(super) access: Arc<Access>,
    pub(super) audit: Audit,
    pub(super) watches: Watches,
    pub(super) inputs: Inputs,
    // A lock, because the note must be on disk before a start is ordered, whichever session orders it. It is held for a
    // write of one small file.
    active: Mutex<Noted>,
    pub(super) attendance: Sender<StackName>,
    endings: Sender<Ending>,
}

/// The note, and how often a stack was noted.
#[derive(Debug)]
pub(super) struct Noted {
    pub(super) active: Active,
    pub(super) starts: u64,
}

/// Somebody wants the daemon to end.
#[derive(Debug)]
pub(super) struct Ending {
    /// What runs is left to the next daemon.
    pub(super) keep: bool,
    /// Kept until everything is done, then dropped.
    pub(super) done: Sender<Infallible>,
    /// Open for as long as the one who asked has still something to say.
    pub(super) asker: Receiver<Infallible>,
}

/// The receiving ends of a [`Shared`].
#[derive(Debug)]
pub(super) struct Inboxes {
    pub(super) attendance: Receiver<StackName>,
    pub(super) endings: Receiver<Ending>,
}

/// The end of the daemon, as the one who asked for it sees it.
#[derive(Debug)]
pub(super) struct EndOfDaemon {
    done: Receiver<Infallible>,
    _asker: Sender<Infallible>,
}

impl EndOfDaemon {
    /// Waits until everything is done. The daemon waits for this value to be dropped before it closes its sessions.
    pub(super) async fn reached(&self) {
        let Err(async_channel::RecvError) = self.done.recv().await;
    }
}

impl Shared {
    pub(super) fn new(
        manager: ServiceManager,
        hosts: Arc<BookDirectory>,
        endpoint: Endpoint,
        state: PathBuf,
        access: Arc<Access>,
        audit: Audit,
    ) -> (Self, Inboxes) {
        // One message for each order of a client, taken at once: the number in flight is theirs.
        let (attendance, attended) = async_channel::unbounded();
        let (endings, ended) = async_channel::unbounded();
        let active = Active::load(&state);
        let active = Mutex::new(Noted { active, starts: 0 });
        let shared = Self {
            manager,
            hosts,
            endpoint,
            state,
            access,
            audit,
            watches: Watches::default(),
            inputs: Inputs::default(),
            active,
            attendance,
            endings,
        };
        (
            shared,
            Inboxes {
                attendance: attended,
                endings: ended,
            },
        )
    }

    pub(super) fn noted(&self) -> MutexGuard<'_, Noted> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a stack is about to be ordered up.
    pub(super) fn note_start(&self, stack: &StackName) {
        let mut noted = self.noted();
        noted.starts += 1;
        noted.active.add(stack);
    }

    /// Has the stack taken off the note once nothing of it runs.
    pub(super) fn attend(&self, stack: &StackName) {
        // A daemon that is ending clears or keeps the whole note itself.
        let _ending = self.attendance.try_send(stack.clone());
    }

    /// Orders the end of the daemon.
    pub(super) fn end(&self, keep: bool) -> EndOfDaemon {
        let (done, seen) = async_channel::bounded(1);
        let (alive, asker) = async_channel::bounded(1);
        // Nobody there any more means that the end has come: `seen` then says so at once.
        let _ended = self.endings.try_send(Ending { keep, done, asker });
        EndOfDaemon {
            done: seen,
            _asker: alive,
        }
    }
}
