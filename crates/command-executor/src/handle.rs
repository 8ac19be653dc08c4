//! Control over a launched process.
//!
//! Invariant: a signal is sent only while the process (or its group) is provably the one that was launched. A process
//! that has ended swallows signals without an error.

use std::fmt::Debug;
use std::io;

use async_trait::async_trait;

use crate::{Exit, StdinHandle};

/// Full control over one launched process.
///
/// Any number of tasks may use one handle at the same time.
#[async_trait]
pub trait ProcessHandle: Debug + Send + Sync {
    /// The PID of the main process, where it is one of this host.
    fn pid(&self) -> Option<u32>;

    /// The writing end of the program's stdin, once, when it was launched with
    /// [`StdinMode::Channel`](crate::StdinMode::Channel).
    fn take_stdin(&self) -> Option<StdinHandle>;

    /// Waits for the end of the main process and returns it, at once and always the same when it has ended before.
    ///
    /// The output does not matter here: it may be read before, meanwhile or after. But a program whose output nobody
    /// reads stops when its pipe is full, and then never ends.
    ///
    /// # Errors
    /// [`WaitError`] when the operating system refuses to tell; the process may still run.
    ///
    /// # Cancellation
    /// Dropping the future loses nothing; call again.
    async fn wait(&self) -> Result<Exit, WaitError>;

    /// Sends one signal. Returns when it is sent; only [`wait`](Self::wait) tells what it did.
    ///
    /// [`Signal::Reload`], [`Signal::User1`] and [`Signal::User2`] concern the main process alone; the others reach
    /// the whole group of a [`ManagedProcess`](crate::ManagedProcess), survivors of an ended main process included.
    ///
    /// # Errors
    /// [`SignalError`] when it was refused. A process that has ended is no error.
    async fn signal(&self, signal: Signal) -> Result<(), SignalError>;

    /// Asks the process to end (TERM).
    ///
    /// # Errors
    /// As [`signal`](Self::signal).
    async fn terminate(&self) -> Result<(), SignalError> {
        self.signal(Signal::Terminate).await
    }

    /// Ends the process (KILL).
    ///
    /// # Errors
    /// As [`signal`](Self::signal).
    async fn kill(&self) -> Result<(), SignalError> {
        self.signal(Signal::Kill).await
    }

    /// Interrupts the process, as Ctrl-C does (INT).
    ///
    /// # Errors
    /// As [`signal`](Self::signal).
    async fn interrupt(&self) -> Result<(), SignalError> {
        self.signal(Signal::Interrupt).await
    }

    /// Asks the main process to read its configuration again (HUP).
    ///
    /// # Errors
    /// As [`signal`](Self::signal).
    async fn reload(&self) -> Result<(), SignalError> {
        self.signal(Signal::Reload).await
    }
}

#[async_trait]
impl<H: ProcessHandle + ?Sized> ProcessHandle for Box<H> {
    fn pid(&self) -> Option<u32> {
        (**self).pid()
    }

    fn take_stdin(&self) -> Option<StdinHandle> {
        (**self).take_stdin()
    }

    async fn wait(&self) -> Result<Exit, WaitError> {
        (**self).wait().await
    }

    async fn signal(&self, signal: Signal) -> Result<(), SignalError> {
        (**self).signal(signal).await
    }
}

/// The signals a process can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    /// TERM: please end.
    Terminate,
    /// KILL: end.
    Kill,
    /// INT: Ctrl-C.
    Interrupt,
    /// QUIT: some programs end gracefully on it.
    Quit,
    /// HUP: read the configuration again.
    Reload,
    /// USR1: what the program makes of it.
    User1,
    /// USR2: what the program makes of it.
    User2,
}

impl Signal {
    /// Whether it is meant for the whole group rather than for the main process alone.
    pub fn reaches_group(self) -> bool {
        match self {
            Self::Terminate | Self::Kill | Self::Interrupt | Self::Quit => true,
            Self::Reload | Self::User1 | Self::User2 => false,
        }
    }
}

/// Why a signal could not be sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignalError {
    /// The operating system refused; usually the program runs as another user.
    #[error("cannot send {signal:?} to process {pid}")]
    Refused {
        /// What was to be sent.
        signal: Signal,
        /// The main process.
        pid: u32,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Why the end of a process could not be awaited.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The operating system refused to tell whether it has ended.
    #[error("cannot watch process {pid}")]
    Unwatchable {
        /// The main process.
        pid: u32,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}
