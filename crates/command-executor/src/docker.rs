//! A command in a running container, by `docker exec` or `podman exec`.
//!
//! Owns: how a [`Command`] is spelled for the engine's command line, and what of it cannot be. Never talks to an engine,
//! and does not know who made the container.

mod names;
mod signal;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use crate::layer::with_defaults;
use crate::{Command, ExecutionLayer, LayerError, StdinMode};

/// Runs the command in a container that runs already.
///
/// What a [`Command`] says is meant inside: the program is looked for in the container's `PATH`, the environment that is
/// inherited is the container's, a directory is one of the container's. Standard streams are the caller's, byte for byte,
/// and the exit code is the program's own; 126 and 127 are the engine's where the program cannot be run, and 1 where the
/// container does not run. The program never gets more rights than the container has (`--privileged` is not offered).
///
/// # Environment
/// The engine's command line gets `--env=NAME` for each variable, and the value in its own environment: no value is among
/// the arguments, where every user of the machine could read it. So a variable that the command line itself reads
/// (`PATH`, `HOME`, `DOCKER_*`, `LD_*` and their like) cannot be carried; the program `env` sets it inside, for values
/// that are no secret.
///
/// That is so with [`LocalLayer`](crate::LocalLayer) around this layer, too. A layer that sends a shell line elsewhere,
/// spelled by [`quote::command`](crate::quote::command), carries the same variables as assignments before the engine's
/// command line: exact, but part of that line, and as public as the layer makes it.
///
/// # What cannot be carried
/// [`LayerError::Inexpressible`] refuses: text that is not UTF-8, which engines would change; a relative directory
/// without [`with_working_dir`](Self::with_working_dir); an environment that inherits nothing; a removed variable where
/// the command line is podman's; and with a terminal, stdin from a channel and a stderr that goes elsewhere than stdout.
///
/// # Signals and the end
/// A signal reaches the engine's command line and not the program: engines let the program go on when the command line
/// has ended, by a dropped handle or otherwise. With [`with_mark`](Self::with_mark) the program can be reached, and all
/// that it started: [`signal_marked`](Self::signal_marked). With a terminal, Ctrl-C is a byte that goes through it, and
/// the window's size follows.
///
/// ```
/// use command_executor::{Command, DockerLayer, ExecutionLayer};
///
/// let layer = DockerLayer::new("shop-db-1").with_user("postgres").with_env("PGPASSWORD", "geheim");
/// let outer = layer.apply(Command::new("psql"))?;
/// let words: Vec<_> = outer.get_args().collect();
/// assert_eq!(words, ["exec", "--user=postgres", "--env=PGPASSWORD", "shop-db-1", "psql"]);
/// # Ok::<(), command_executor::LayerError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct DockerLayer {
    container: OsString,
    cli: Vec<OsString>,
    user: Option<OsString>,
    working_dir: Option<PathBuf>,
    environment: BTreeMap<OsString, OsString>,
    mark: Option<String>,
    tty: bool,
    interactive: Option<bool>,
}

impl DockerLayer {
    /// In this container, by name or id, through `docker`.
    pub fn new(container: impl AsRef<OsStr>) -> Self {
        Self {
            container: container.as_ref().to_owned(),
            cli: vec!["docker".into()],
            user: None,
            working_dir: None,
            environment: BTreeMap::new(),
            mark: None,
            tty: false,
            interactive: None,
        }
    }

    /// Sets the words before `exec`: `podman`, or `docker -H unix:///run/other.sock`.
    #[must_use]
    pub fn with_cli<S: AsRef<OsStr>>(mut self, words: impl IntoIterator<Item = S>) -> Self {
        self.cli = words
            .into_iter()
            .map(|word| word.as_ref().to_owned())
            .collect();
        self
    }

    /// Sets who runs the command: `USER`, `UID` or `USER:GROUP`. Without it, the container's user does.
    #[must_use]
    pub fn with_user(mut self, user: impl AsRef<OsStr>) -> Self {
        self.user = Some(user.as_ref().to_owned());
        self
    }

    /// Sets the directory to run in, an absolute one. A command's own wins; a relative one starts from here.
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

    /// Sets whether the program gets a terminal. Its stdout and stderr are one stream then, the caller's stdin must be a
    /// terminal if it is passed on, and line ends are the terminal's.
    #[must_use]
    pub fn with_tty(mut self, tty: bool) -> Self {
        self.tty = tty;
        self
    }

    /// Sets whether stdin is kept open for the program. By default it is unless the command's is [`StdinMode::Null`].
    #[must_use]
    pub fn with_interactive(mut self, interactive: bool) -> Self {
        self.interactive = Some(interactive);
        self
    }

    /// The variables to add, a removed one as `None`.
    fn variables<'a>(
        &'a self,
        command: &'a Command,
    ) -> Result<BTreeMap<&'a OsStr, Option<&'a OsStr>>, LayerError> {
        let mut all: BTreeMap<_, _> = command.get_envs().collect();
        if let Some(mark) = &self.mark {
            all.insert(OsStr::new(signal::MARK), Some(OsStr::new(mark)));
        }
        for (name, value) in &all {
            names::check(name)?;
            let shown = name.to_string_lossy();
            match value {
                Some(value) => {
                    plain(value, || format!("the value of `{shown}`"))?;
                }
                None if self.is_podman() => {
                    return Err(inexpressible(format!("the removal of `{shown}` by podman")));
                }
                None => {}
            }
        }
        Ok(all)
    }

    fn directory(&self, command: &Command) -> Result<Option<PathBuf>, LayerError> {
        let own = self.working_dir.as_deref();
        let directory = match (own, command.get_current_dir()) {
            (Some(base), Some(relative)) => base.join(relative),
            (None, Some(only)) | (Some(only), None) => only.to_owned(),
            (None, None) => return Ok(None),
        };
        if !directory.is_absolute() {
            let shown = directory.display();
            return Err(inexpressible(format!("the relative directory `{shown}`")));
        }
        Ok(Some(directory))
    }

    /// Whether stdin is passed on.
    fn is_interactive(&self, command: &Command) -> Result<bool, LayerError> {
        let has_stdin = command.get_stdin() != StdinMode::Null;
        let interactive = self.interactive.unwrap_or(has_stdin);
        if has_stdin && !interactive {
            return Err(inexpressible("a stdin that it shall not pass on"));
        }
        Ok(interactive)
    }

    fn check_terminal(&self, command: &Command) -> Result<(), LayerError> {
        if !self.tty {
            return Ok(());
        }
        if command.get_stdin() == StdinMode::Channel {
            return Err(inexpressible("a terminal whose stdin is a channel"));
        }
        if command.get_stdout() != command.get_stderr() {
            return Err(inexpressible("a terminal whose stderr goes elsewhere"));
        }
        Ok(())
    }

    /// Its command line leaves out what it cannot find, where docker's has it removed.
    fn is_podman(&self) -> bool {
        let program = self.cli.first().map(Path::new).and_then(Path::file_name);
        program.is_some_and(|name| name.to_string_lossy().starts_with("podman"))
    }
}

impl ExecutionLayer for DockerLayer {
    fn apply(&self, command: Command) -> Result<Command, LayerError> {
        let Some((program, leading)) = self.cli.split_first() else {
            return Err(inexpressible("anything without a command line to do it"));
        };
        if !command.inherits_env() {
            let part = "an environment without the container's own";
            return Err(inexpressible(part));
        }
        self.check_terminal(&command)?;
        let command = with_defaults(command, &self.environment);
        let mut outer = Command::wrapping(program, &command);
        outer.args(leading).arg("exec");
        if self.is_interactive(&command)? {
            outer.arg("--interactive");
        }
        if self.tty {
            outer.arg("--tty");
        }
        if let Some(user) = &self.user {
            outer.arg(option("--user=", plain(user, || "a user".to_owned())?));
        }
        if let Some(directory) = self.directory(&command)? {
            let directory = plain(directory.as_os_str(), || "a directory".to_owned())?;
            outer.arg(option("--workdir=", directory));
        }
        for (name, value) in self.variables(&command)? {
            outer.arg(option("--env=", name));
            match value {
                Some(value) => outer.env(name, value),
                // A name without a value has the engine remove it.
                None => outer.env_remove(name),
            };
        }
        let container = plain(&self.container, || "the name of a container".to_owned())?;
        if container.is_empty() || container.to_string_lossy().starts_with('-') {
            return Err(inexpressible("a container whose name can be none"));
        }
        outer.arg(container);
        outer.arg(plain(command.get_program(), || "a program".to_owned())?);
        for argument in command.get_args() {
            outer.arg(plain(argument, || "an argument".to_owned())?);
        }
        Ok(outer)
    }
}

impl fmt::Debug for DockerLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names only: values may be secrets.
        f.debug_struct("DockerLayer")
            .field("container", &self.container)
            .field("cli", &self.cli)
            .field("user", &self.user)
            .field("working_dir", &self.working_dir)
            .field("environment", &self.environment.keys())
            .field("mark", &self.mark)
            .field("tty", &self.tty)
            .field("interactive", &self.interactive)
            .finish()
    }
}

/// The text, if an engine takes it as it is.
fn plain(text: &OsStr, what: impl FnOnce() -> String) -> Result<&OsStr, LayerError> {
    match text.to_str() {
        Some(utf8) if !utf8.contains('\0') => Ok(text),
        Some(_) => Err(inexpressible(format!("{} with a NUL byte", what()))),
        None => Err(inexpressible(format!("{} that is not UTF-8", what()))),
    }
}

fn option(name: &str, value: &OsStr) -> OsString {
    let mut option = OsString::from(name);
    option.push(value);
    option
}

fn inexpressible(part: impl Into<String>) -> LayerError {
    LayerError::Inexpressible {
        layer: "an exec in a container",
        part: part.into(),
    }
}
