//! The connection to a host, which all commands for it share.
//!
//! Owns: opening it and closing it. It is a process of the client's own (its `ControlMaster`), so it also serves whoever
//! runs this program next, and ends ten minutes after its last command.

use std::path::{Path, PathBuf};

use super::config::Files;
use super::{SshError, SshForward, SshHost, SshLayer, host};
use crate::blocking::unblock;
use crate::{Command, Completed, Executor, Exit, Target};

/// The way to one host.
#[derive(Debug, Clone)]
pub struct SshConnection {
    host: SshHost,
    files: Files,
    program: PathBuf,
}

impl SshConnection {
    /// The way to `host`, configured in `directory`, which is made for the caller alone; several hosts may share it.
    /// Only keys that stand in `known_hosts` are trusted. Nothing is connected yet.
    ///
    /// # Errors
    /// [`SshError::Config`] when the directory cannot be written or others have access to it, [`SshError::LongPath`] when
    /// it is too deep for sockets, [`SshError::Path`] when ssh would misread one of the two.
    pub async fn prepare(
        host: SshHost,
        directory: impl Into<PathBuf>,
        known_hosts: impl Into<PathBuf>,
    ) -> Result<Self, SshError> {
        let files = Files {
            directory: directory.into(),
            known_hosts: known_hosts.into(),
        };
        host::path(&files.directory)?;
        host::path(&files.known_hosts)?;
        let program = PathBuf::from("ssh");
        let connection = Self {
            host,
            files,
            program,
        };
        connection.check_lengths()?;
        let written = connection.clone();
        unblock(move || written.files.write(&written.host))
            .await
            .map_err(|source| SshError::Config {
                directory: connection.files.directory.clone(),
                source,
            })?;
        Ok(connection)
    }

    /// Sets which program is the client; without it, `ssh` is looked for in `PATH`.
    #[must_use]
    pub fn with_program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = program.into();
        self
    }

    /// The client.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    /// The host.
    pub fn host(&self) -> &SshHost {
        &self.host
    }

    /// The client's configuration.
    pub(crate) fn config(&self) -> PathBuf {
        self.files.config(&self.host)
    }

    /// Connects and logs in, unless that has been done. From then on commands take a round trip instead of a login.
    ///
    /// # Errors
    /// [`SshError`].
    ///
    /// # Cancellation
    /// Dropping the future ends the attempt.
    pub async fn open(&self) -> Result<(), SshError> {
        // A command, and not only a connection: when two do so at once, the one that comes second ends with it.
        self.client(&["-o", "ControlMaster=auto", "-T"], &["true"])
            .await
            .map(drop)
    }

    /// Whether the shared connection is there. It may be dead, and not known to be yet.
    ///
    /// # Errors
    /// [`SshError::NoProgram`], [`SshError::NotRun`].
    pub async fn is_open(&self) -> Result<bool, SshError> {
        let completed = self.execute(&["-O", "check"], &[]).await?;
        Ok(completed.exit == Exit::Code(0))
    }

    /// Ends the shared connection and every command over it, and nothing when there is none.
    ///
    /// # Errors
    /// As [`is_open`](Self::is_open).
    pub async fn close(&self) -> Result<(), SshError> {
        self.execute(&["-O", "exit"], &[]).await.map(drop)
    }

    /// Lets the shared connection end with the last command over it, and nothing when there is none. Whoever comes next
    /// opens another one.
    ///
    /// # Errors
    /// As [`is_open`](Self::is_open).
    pub async fn leave(&self) -> Result<(), SshError> {
        self.execute(&["-O", "stop"], &[]).await.map(drop)
    }

    /// Has the shared connection carry connections until it ends. What it carries already is no error.
    pub(crate) async fn forward(
        &self,
        direction: Direction,
        forward: &SshForward,
    ) -> Result<(), SshError> {
        self.forwarding("forward", direction, forward).await
    }

    /// Has it carry them no more; those that are open go on.
    pub(crate) async fn cancel(
        &self,
        direction: Direction,
        forward: &SshForward,
    ) -> Result<(), SshError> {
        self.forwarding("cancel", direction, forward).await
    }

    async fn forwarding(
        &self,
        what: &str,
        direction: Direction,
        forward: &SshForward,
    ) -> Result<(), SshError> {
        let option = match direction {
            Direction::Local => "-L",
            Direction::Remote => "-R",
        };
        let forward = forward.to_string();
        let words = ["-o", "ClearAllForwardings=no", "-O", what, option, &forward];
        self.client(&words, &[]).await.map(drop)
    }

    /// Runs a command there to its end, as [`SshLayer`] says. What the client itself has to say comes as an error.
    ///
    /// # Errors
    /// [`SshError`]; also when the command itself ended with 255, which is not told apart.
    ///
    /// # Cancellation
    /// Dropping the future ends the command.
    pub async fn run(&self, command: Command) -> Result<Completed, SshError> {
        let executor = Executor::local().with_layer(SshLayer::new(self));
        let completed = executor
            .execute(&Target::Command, command)
            .await
            .map_err(|error| SshError::not_run(&self.host, error))?;
        self.explained(completed)
    }

    /// Runs the client with these options, and these words for the host.
    async fn client(&self, options: &[&str], words: &[&str]) -> Result<Completed, SshError> {
        let completed = self.execute(options, words).await?;
        self.explained(completed)
    }

    async fn execute(&self, options: &[&str], words: &[&str]) -> Result<Completed, SshError> {
        let mut command = Command::new(&self.program);
        command.arg("-F").arg(self.config());
        command.args(options).arg("--").arg(self.host.name());
        command.args(words);
        Executor::local()
            .execute(&Target::Command, command)
            .await
            .map_err(|error| SshError::not_run(&self.host, error))
    }

    fn explained(&self, completed: Completed) -> Result<Completed, SshError> {
        match completed.exit {
            Exit::Code(255) => Err(SshError::explain(&self.host, &completed.stderr)),
            Exit::Code(_) | Exit::Signal(_) | Exit::Unknown => Ok(completed),
        }
    }

    fn check_lengths(&self) -> Result<(), SshError> {
        let mut next = Some(&self.host);
        while let Some(host) = next {
            let path = self.files.control(host);
            if path.as_os_str().len() + SOCKET_SUFFIX > LONGEST_SOCKET {
                return Err(SshError::LongPath { path });
            }
            next = host.jump();
        }
        Ok(())
    }
}

/// Which end of a connection listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// This machine.
    Local,
    /// The host.
    Remote,
}

/// `sun_path` of Linux, without its last byte.
const LONGEST_SOCKET: usize = 107;

/// The client makes its socket beside the name that it is given: a dot and sixteen letters.
const SOCKET_SUFFIX: usize = 17;
