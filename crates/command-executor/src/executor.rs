//! The entry: runs commands through one launcher and observes through one attacher.

use futures_lite::StreamExt;

use crate::event::{LineEnd, ProcessEvent, ProcessEventStream, ProcessEventType};
use crate::{
    AttachError, Attacher, Command, ExecutionLayer, Exit, LaunchError, Launcher, LayeredLauncher,
    LocalAttacher, LocalLauncher, ProcessHandle, Target, WaitError,
};

/// Runs commands in one place.
#[derive(Debug, Clone)]
pub struct Executor<L, A = LocalAttacher> {
    launcher: L,
    attacher: A,
    output_limit: usize,
}

impl Executor<LocalLauncher> {
    /// Runs commands on this host.
    pub fn local() -> Self {
        Self::new(LocalLauncher::new())
    }
}

impl<L> Executor<L> {
    /// Runs commands through `launcher`, and attaches to processes of this host.
    pub fn new(launcher: L) -> Self {
        Self::with_attacher(launcher, LocalAttacher::new())
    }
}

impl<L, A> Executor<L, A> {
    /// Runs commands through `launcher`, and attaches through `attacher`.
    pub fn with_attacher(launcher: L, attacher: A) -> Self {
        Self {
            launcher,
            attacher,
            output_limit: DEFAULT_OUTPUT_LIMIT,
        }
    }

    /// Sends every command through `layer` first. A further layer goes inside this one; [`LayeredLauncher`] takes
    /// several at once.
    pub fn with_layer(
        self,
        layer: impl ExecutionLayer + 'static,
    ) -> Executor<LayeredLauncher<L>, A> {
        Executor {
            launcher: LayeredLauncher::new(self.launcher).with_layer(layer),
            attacher: self.attacher,
            output_limit: self.output_limit,
        }
    }

    /// Sets how many bytes of each stream [`execute`](Self::execute) keeps (16 MiB by default).
    #[must_use]
    pub fn output_limit(mut self, bytes: usize) -> Self {
        self.output_limit = bytes;
        self
    }

    /// The launcher.
    pub fn launcher(&self) -> &L {
        &self.launcher
    }
}

impl<L: Launcher, A> Executor<L, A> {
    /// Starts `command` and returns its events and its handle; see [`Launcher::launch`].
    ///
    /// Keep the stream and read it: a program stops while its output is not read, and gets SIGPIPE for writing after
    /// the stream was dropped. Output nobody wants goes to [`OutputMode::Null`](crate::OutputMode::Null).
    ///
    /// # Errors
    /// [`LaunchError`]; nothing runs then.
    pub async fn launch(
        &self,
        target: &Target,
        command: Command,
    ) -> Result<(ProcessEventStream, L::Handle), LaunchError> {
        self.launcher.launch(target, command).await
    }

    /// Runs `command` to its end and returns how it ended and what it wrote.
    ///
    /// Of each stream at most the [`output_limit`](Self::output_limit) is kept; the rest is read and dropped, so that
    /// the program is never held up, and [`Completed::truncated`] says so.
    ///
    /// # Errors
    /// [`ExecuteError`]. A program that ends with a code other than 0 is no error.
    ///
    /// # Cancellation
    /// Dropping the future drops the handle: a [`Target::Command`] is killed.
    pub async fn execute(
        &self,
        target: &Target,
        command: Command,
    ) -> Result<Completed, ExecuteError> {
        let (mut events, handle) = self.launch(target, command).await?;
        let mut completed = Completed {
            exit: Exit::Unknown,
            stdout: vec![],
            stderr: vec![],
            truncated: false,
        };
        while let Some(event) = events.next().await {
            completed.add(&event, self.output_limit);
        }
        completed.exit = handle.wait().await?;
        Ok(completed)
    }
}

impl<L: Send + Sync, A: Attacher> Executor<L, A> {
    /// Observes a process that runs already; see [`Attacher::attach`].
    ///
    /// # Errors
    /// [`AttachError`] when there is no such process, or more than one.
    pub async fn attach(
        &self,
        target: &Target,
    ) -> Result<(ProcessEventStream, A::Handle), AttachError> {
        self.attacher.attach(target).await
    }
}

/// A command that has run to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Completed {
    /// How it ended.
    pub exit: Exit,
    /// What it wrote to stdout, byte for byte.
    pub stdout: Vec<u8>,
    /// What it wrote to stderr, byte for byte.
    pub stderr: Vec<u8>,
    /// Whether one of the two was longer than the limit and is cut there.
    pub truncated: bool,
}

impl Completed {
    fn add(&mut self, event: &ProcessEvent, limit: usize) {
        let kept = match event.event_type {
            ProcessEventType::Stdout => &mut self.stdout,
            ProcessEventType::Stderr => &mut self.stderr,
            ProcessEventType::Started | ProcessEventType::Exit | ProcessEventType::System => return,
        };
        let newline: &[u8] = if event.line_end == Some(LineEnd::Newline) {
            b"\n"
        } else {
            b""
        };
        for part in [event.data.bytes(), newline] {
            let room = limit - kept.len();
            kept.extend_from_slice(&part[..part.len().min(room)]);
            self.truncated |= part.len() > room;
        }
    }
}

/// Why a command could not be run to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExecuteError {
    /// It could not be started.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// Its end could not be awaited; it may still run.
    #[error(transparent)]
    Wait(#[from] WaitError),
}

/// Far more than a command that is run for its answer writes.
const DEFAULT_OUTPUT_LIMIT: usize = 16 * 1024 * 1024;
