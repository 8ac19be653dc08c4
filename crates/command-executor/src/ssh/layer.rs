//! A command on another host.
//!
//! Owns: how a [`Command`] is spelled for the client's command line, and what of it cannot be. Never connects.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::line::{self, Tie};
use super::{SshConnection, SshHost, SshHostError};
use crate::layer::with_defaults;
use crate::{Command, ExecutionLayer, LayerError, StdinMode};

/// Runs the command on another host, through OpenSSH's client.
///
/// What a [`Command`] says is meant there: the program is looked for in the `PATH` that a login has there, and directories
/// are that host's. Standard streams are the caller's, byte for byte. The exit code is the program's own; 128 and the
/// number for a signal that ended it, as shells say it; 126 and 127 where it cannot be run; 255 where the host cannot be
/// reached, or is lost meanwhile. A program that ends with 255 itself is not told apart from that.
///
/// The shared connection of [`SshConnection::open`] is used where there is one, and another one made for this command where
/// there is none. A command with forwarding always has one of its own, so that nothing is forwarded once it has ended.
///
/// # Environment
/// Values of variables go over stdin, before the program's own: they are in no argument, here or there. So they cannot be
/// had with a terminal, nor with a stdin that is inherited.
///
/// Arguments and directories stand in the command line of `ssh` here and of a shell there: every user of the two machines
/// can read them, as on one machine.
///
/// # Signals and the end
/// A signal ends `ssh` here and does not reach the program. What the program learns of the end of `ssh`, by a signal, by a
/// dropped handle, by `kill -9` of this process or by a lost connection, depends on its stdin:
///
/// - [`StdinMode::Null`]: its group is asked to end (TERM), and killed after five seconds. It does not outlive its handle,
///   not even that of a [`ManagedProcess`](crate::ManagedProcess). The host learns of a lost connection when its sshd does,
///   which may be hours: a command that must end then needs a limit of its own.
/// - with [`with_tty`](Self::with_tty): the host hangs its terminal up (HUP).
/// - [`StdinMode::Channel`], [`StdinMode::Held`], [`StdinMode::Inherit`]: its stdin ends, and nothing else happens. A program
///   that does not read it goes on. [`DockerLayer::with_mark`](crate::DockerLayer::with_mark) is what reaches one: set the
///   variable `HARNESS_EXEC`, and run [`DockerLayer::signal_marked`](crate::DockerLayer::signal_marked) through this layer.
///
/// What shall outlive its connection needs a shim there, and no layer.
///
/// # What cannot be carried
/// [`LayerError::Inexpressible`] refuses: an environment that inherits nothing, variables that a shell cannot set, values
/// where stdin cannot carry them, and with a terminal a stderr that goes elsewhere than stdout.
#[derive(Clone, PartialEq, Eq)]
pub struct SshLayer {
    host: SshHost,
    program: PathBuf,
    config: PathBuf,
    working_dir: Option<PathBuf>,
    environment: BTreeMap<OsString, OsString>,
    tty: bool,
    agent: bool,
    /// The option that says which way, and what.
    forwards: Vec<(&'static str, SshForward)>,
}

/// A port that is forwarded: connections to `listen` go on to `to`, as seen from the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshForward {
    listen: SocketAddr,
    to: String,
    port: u16,
}

impl SshForward {
    /// From one address to a port of a host, which the other end looks for.
    ///
    /// # Errors
    /// [`SshHostError`] when that is no host, or port 0.
    pub fn new(listen: SocketAddr, to: impl Into<String>, port: u16) -> Result<Self, SshHostError> {
        let to = SshHost::new("forward")?.with_address(to)?.with_port(port)?;
        Ok(Self {
            listen,
            to: to.address().to_owned(),
            port,
        })
    }
}

impl fmt::Display for SshForward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ip, listen) = (self.listen.ip(), self.listen.port());
        write!(f, "[{ip}]:{listen}:[{}]:{}", self.to, self.port)
    }
}

impl SshLayer {
    /// On the host of this connection.
    pub fn new(connection: &SshConnection) -> Self {
        Self {
            host: connection.host().clone(),
            program: connection.program().to_owned(),
            config: connection.config(),
            working_dir: None,
            environment: BTreeMap::new(),
            tty: false,
            agent: false,
            forwards: Vec::new(),
        }
    }

    /// Sets the directory to run in. A command's own wins; a relative one starts from here, or from the login's.
    #[must_use]
    pub fn with_working_dir(mut self, directory: impl AsRef<Path>) -> Self {
        self.working_dir = Some(directory.as_ref().to_owned());
        self
    }

    /// Adds a variable. What the command sets or removes itself wins.
    #[must_use]
    pub fn with_env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment
            .insert(name.as_ref().to_owned(), value.as_ref().to_owned());
        self
    }

    /// Sets whether the program gets a terminal. Its stdout and stderr are one stream then, and line ends are the
    /// terminal's.
    #[must_use]
    pub fn with_tty(mut self, tty: bool) -> Self {
        self.tty = tty;
        self
    }

    /// Sets whether the program may use the agent of this process (`SSH_AUTH_SOCK`), as may then whoever is root there.
    #[must_use]
    pub fn with_agent_forwarding(mut self, agent: bool) -> Self {
        self.agent = agent;
        self
    }

    /// Listens here, and connects from there, while the command runs.
    #[must_use]
    pub fn with_local_forward(mut self, forward: SshForward) -> Self {
        self.forwards.push(("-L", forward));
        self
    }

    /// Listens there, and connects from here, while the command runs.
    #[must_use]
    pub fn with_remote_forward(mut self, forward: SshForward) -> Self {
        self.forwards.push(("-R", forward));
        self
    }

    /// The command with what the layer adds.
    fn completed(&self, command: Command) -> Command {
        let mut command = with_defaults(command, &self.environment);
        if let Some(base) = &self.working_dir {
            let directory = command.get_current_dir().map(|own| base.join(own));
            command.current_dir(directory.as_ref().unwrap_or(base));
        }
        command
    }

    fn options(&self, outer: &mut Command) {
        outer.arg("-F").arg(&self.config);
        outer.arg(if self.tty { "-tt" } else { "-T" });
        if self.agent || !self.forwards.is_empty() {
            outer.args(["-o", "ControlPath=none"]);
        }
        if self.agent {
            outer.arg("-A");
        }
        if !self.forwards.is_empty() {
            outer.args(["-o", "ClearAllForwardings=no"]);
        }
        for (direction, forward) in &self.forwards {
            outer.arg(direction).arg(forward.to_string());
        }
        outer.arg("--").arg(self.host.name());
    }
}

impl ExecutionLayer for SshLayer {
    fn apply(&self, command: Command) -> Result<Command, LayerError> {
        if !command.inherits_env() {
            return Err(inexpressible("an environment without the host's own"));
        }
        if self.tty && command.get_stdout() != command.get_stderr() {
            return Err(inexpressible("a terminal whose stderr goes elsewhere"));
        }
        let command = self.completed(command);
        let values = line::values(&command)?;
        if !values.is_empty() && (self.tty || command.get_stdin() == StdinMode::Inherit) {
            let part = "values of variables, with a terminal or a stdin that is inherited";
            return Err(inexpressible(part));
        }
        let is_watched = command.get_stdin() == StdinMode::Null && !self.tty;
        let tie = if is_watched { Tie::Watched } else { Tie::Own };
        let mut outer = Command::wrapping(&self.program, &command);
        if is_watched {
            outer.stdin(StdinMode::Held);
        }
        self.options(&mut outer);
        outer.arg(line::line(&command, values.len(), tie)?);
        outer.prepend_to_stdin(values);
        Ok(outer)
    }
}

impl fmt::Debug for SshLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names only: values may be secrets.
        f.debug_struct("SshLayer")
            .field("host", &self.host)
            .field("program", &self.program)
            .field("config", &self.config)
            .field("working_dir", &self.working_dir)
            .field("environment", &self.environment.keys())
            .field("tty", &self.tty)
            .field("agent", &self.agent)
            .field("forwards", &self.forwards)
            .finish()
    }
}

pub(super) fn inexpressible(part: impl Into<String>) -> LayerError {
    LayerError::Inexpressible {
        layer: "a login over ssh",
        part: part.into(),
    }
}
