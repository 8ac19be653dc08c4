//! The handle of a process launched on this host.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use rustix::process::Signal as SystemSignal;

use crate::local::process::Process;
use crate::{Exit, ProcessHandle, Signal, SignalError, StdinHandle, WaitError, driver};

/// Control over a process of this host.
///
/// Dropping it kills a [`Target::Command`](crate::Target::Command), and lets a
/// [`ManagedProcess`](crate::ManagedProcess) go on unless it was told otherwise. Either way the process is reaped when
/// it ends.
#[derive(Debug)]
pub struct LocalHandle {
    process: Arc<Process>,
    kill_on_drop: bool,
    /// Taken once; never held across an await.
    stdin: Mutex<Stdin>,
}

/// Who has the writing end of the program's stdin.
#[derive(Debug)]
pub(crate) enum Stdin {
    /// Whoever asks for it first.
    Given(Option<StdinHandle>),
    /// The handle alone, which keeps it open and writes nothing.
    Held { _pipe: Option<StdinHandle> },
}

impl LocalHandle {
    /// A handle that kills when it is dropped, until it is told otherwise.
    pub(crate) fn new(process: Arc<Process>, stdin: Stdin) -> Self {
        Self {
            process,
            kill_on_drop: true,
            stdin: Mutex::new(stdin),
        }
    }

    /// Decides what dropping the handle does from now on.
    pub(crate) fn kill_on_drop(mut self, kill_on_drop: bool) -> Self {
        self.kill_on_drop = kill_on_drop;
        self
    }
}

#[async_trait]
impl ProcessHandle for LocalHandle {
    fn pid(&self) -> Option<u32> {
        Some(self.process.id())
    }

    fn take_stdin(&self) -> Option<StdinHandle> {
        let mut stdin = self
            .stdin
            .lock()
            .expect("nothing panics while it takes the handle");
        match &mut *stdin {
            Stdin::Given(handle) => handle.take(),
            Stdin::Held { .. } => None,
        }
    }

    async fn wait(&self) -> Result<Exit, WaitError> {
        let pid = self.process.id();
        self.process
            .wait()
            .await
            .map_err(|source| WaitError::Unwatchable { pid, source })
    }

    async fn signal(&self, signal: Signal) -> Result<(), SignalError> {
        self.process
            .signal(for_system(signal), signal.reaches_group())
            .map_err(|source| SignalError::Refused {
                signal,
                pid: self.process.id(),
                source,
            })
    }
}

impl Drop for LocalHandle {
    fn drop(&mut self) {
        if self.kill_on_drop
            && let Err(error) = self.process.signal(SystemSignal::KILL, true)
        {
            tracing::warn!(%error, pid = self.process.id(), "cannot kill a process whose handle was dropped");
        }
        self.process.release();
        if !self.process.has_ended() {
            let process = self.process.clone();
            driver::run(async move {
                if let Err(error) = process.wait().await {
                    tracing::warn!(%error, pid = process.id(), "cannot reap a process whose handle was dropped");
                }
            });
        }
    }
}

fn for_system(signal: Signal) -> SystemSignal {
    match signal {
        Signal::Terminate => SystemSignal::TERM,
        Signal::Kill => SystemSignal::KILL,
        Signal::Interrupt => SystemSignal::INT,
        Signal::Quit => SystemSignal::QUIT,
        Signal::Reload => SystemSignal::HUP,
        Signal::User1 => SystemSignal::USR1,
        Signal::User2 => SystemSignal::USR2,
    }
}
