//! What to run: program, arguments, environment, directory, and what its standard streams are.
//!
//! Owns: the description. Never runs anything. Its `Debug` shows the names of environment variables, never their
//! values, which may be secrets.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

/// A command to run somewhere, built like [`std::process::Command`].
#[derive(Clone, PartialEq, Eq)]
pub struct Command {
    program: OsString,
    arguments: Vec<OsString>,
    /// `None` removes the variable from what would be inherited.
    environment: BTreeMap<OsString, Option<OsString>>,
    inherits_environment: bool,
    directory: Option<PathBuf>,
    streams: Streams,
}

/// What belongs to the caller rather than to the place where the command runs; layers pass it on unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Streams {
    stdin: StdinMode,
    stdout: OutputMode,
    stderr: OutputMode,
    max_line_bytes: usize,
    /// What stdin begins with, before anything that the caller writes.
    preamble: Preamble,
}

/// Bytes that may be secrets: `Debug` shows how many there are.
#[derive(Clone, Default, PartialEq, Eq)]
struct Preamble(Vec<u8>);

/// Where a command's stdin comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StdinMode {
    /// From nowhere (the default).
    Null,
    /// From the caller's own stdin.
    Inherit,
    /// From a channel: [`ProcessHandle::take_stdin`](crate::ProcessHandle::take_stdin).
    Channel,
    /// From a pipe with nothing in it that stays open as long as the handle: its end tells a program that watches for it
    /// that whoever launched it has let go, or is gone.
    Held,
}

/// Where a command's stdout or stderr goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputMode {
    /// Into the event stream (the default).
    Events,
    /// Nowhere.
    Null,
    /// To the caller's own stdout or stderr.
    Inherit,
}

impl Command {
    /// A command without arguments that inherits the environment and the directory.
    ///
    /// A program without a slash is looked for in `PATH`.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            arguments: Vec::new(),
            environment: BTreeMap::new(),
            inherits_environment: true,
            directory: None,
            streams: Streams {
                stdin: StdinMode::Null,
                stdout: OutputMode::Events,
                stderr: OutputMode::Events,
                max_line_bytes: DEFAULT_MAX_LINE_BYTES,
                preamble: Preamble::default(),
            },
        }
    }

    /// A command whose standard streams are those of `inner`: what a layer starts from when it wraps one.
    pub fn wrapping(program: impl AsRef<OsStr>, inner: &Self) -> Self {
        Self {
            streams: inner.streams.clone(),
            ..Self::new(program)
        }
    }

    /// Adds one argument.
    pub fn arg(&mut self, argument: impl AsRef<OsStr>) -> &mut Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args<I, S>(&mut self, arguments: I) -> &mut Self
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.arguments.extend(
            arguments
                .into_iter()
                .map(|argument| argument.as_ref().to_owned()),
        );
        self
    }

    /// Sets an environment variable.
    pub fn env(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Self {
        self.environment
            .insert(name.as_ref().to_owned(), Some(value.as_ref().to_owned()));
        self
    }

    /// Sets environment variables.
    pub fn envs<I, K, V>(&mut self, variables: I) -> &mut Self
    where
        I: IntoIterator<Item = (K, V)>,
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        for (name, value) in variables {
            self.env(name, value);
        }
        self
    }

    /// Removes an environment variable, whether set here or inherited.
    pub fn env_remove(&mut self, name: impl AsRef<OsStr>) -> &mut Self {
        self.environment.insert(name.as_ref().to_owned(), None);
        self
    }

    /// Forgets the variables set so far and inherits none.
    pub fn env_clear(&mut self) -> &mut Self {
        self.environment.clear();
        self.inherits_environment = false;
        self
    }

    /// Sets the directory to run in. Give the program as an absolute path or a bare name then: which directory a
    /// relative path starts from differs between systems.
    pub fn current_dir(&mut self, directory: impl AsRef<Path>) -> &mut Self {
        self.directory = Some(directory.as_ref().to_owned());
        self
    }

    /// Sets where stdin comes from.
    pub fn stdin(&mut self, mode: StdinMode) -> &mut Self {
        self.streams.stdin = mode;
        self
    }

    /// Sets where stdout goes.
    pub fn stdout(&mut self, mode: OutputMode) -> &mut Self {
        self.streams.stdout = mode;
        self
    }

    /// Sets where stderr goes.
    pub fn stderr(&mut self, mode: OutputMode) -> &mut Self {
        self.streams.stderr = mode;
        self
    }

    /// Sets how many bytes of one line an event holds at most (64 KiB by default, at least 16); a longer line comes in
    /// several events.
    pub fn max_line_bytes(&mut self, bytes: usize) -> &mut Self {
        self.streams.max_line_bytes = bytes.max(MIN_MAX_LINE_BYTES);
        self
    }

    /// The program.
    pub fn get_program(&self) -> &OsStr {
        &self.program
    }

    /// The arguments.
    pub fn get_args(&self) -> impl ExactSizeIterator<Item = &OsStr> {
        self.arguments.iter().map(OsString::as_os_str)
    }

    /// The variables set here (`Some`) or removed (`None`), by name.
    pub fn get_envs(&self) -> impl ExactSizeIterator<Item = (&OsStr, Option<&OsStr>)> {
        self.environment
            .iter()
            .map(|(name, value)| (name.as_os_str(), value.as_deref()))
    }

    /// Whether variables that are not named here are inherited.
    pub fn inherits_env(&self) -> bool {
        self.inherits_environment
    }

    /// The directory to run in, if one is set.
    pub fn get_current_dir(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// Where stdin comes from.
    pub fn get_stdin(&self) -> StdinMode {
        self.streams.stdin
    }

    /// Where stdout goes.
    pub fn get_stdout(&self) -> OutputMode {
        self.streams.stdout
    }

    /// Where stderr goes.
    pub fn get_stderr(&self) -> OutputMode {
        self.streams.stderr
    }

    /// How many bytes of one line an event holds at most.
    pub fn get_max_line_bytes(&self) -> usize {
        self.streams.max_line_bytes
    }

    /// Puts bytes before those that stdin begins with so far. They are written where stdin is a pipe of ours.
    pub(crate) fn prepend_to_stdin(&mut self, mut bytes: Vec<u8>) {
        let Preamble(rest) = &mut self.streams.preamble;
        bytes.append(rest);
        *rest = bytes;
    }

    /// What stdin begins with.
    pub(crate) fn stdin_preamble(&self) -> &[u8] {
        &self.streams.preamble.0
    }

    /// The program's name for messages.
    pub(crate) fn program_text(&self) -> String {
        self.program.to_string_lossy().into_owned()
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("program", &self.program)
            .field("arguments", &self.arguments)
            .field("environment", &self.environment.keys())
            .field("inherits_environment", &self.inherits_environment)
            .field("directory", &self.directory)
            .field("streams", &self.streams)
            .finish()
    }
}

impl fmt::Debug for Preamble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// The kernel's default pipe size: what one read returns at most anyway.
const DEFAULT_MAX_LINE_BYTES: usize = 64 * 1024;

/// Room for the longest UTF-8 sequence several times over, so that cutting a line always makes progress.
const MIN_MAX_LINE_BYTES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_never_shows_a_value_of_the_environment() {
        let mut command = Command::new("psql");
        command.env("PGPASSWORD", "hunter2");
        let shown = format!("{command:?}");
        assert!(
            shown.contains("PGPASSWORD") && !shown.contains("hunter2"),
            "{shown}"
        );
    }

    #[test]
    fn clearing_the_environment_forgets_what_was_set_before_but_not_after() {
        let mut command = Command::new("env");
        command
            .env("A", "1")
            .env_clear()
            .env("B", "2")
            .env_remove("C");
        let variables: Vec<_> = command.get_envs().collect();
        assert_eq!(
            variables,
            [("B".as_ref(), Some("2".as_ref())), ("C".as_ref(), None)]
        );
        assert!(!command.inherits_env());
    }

    #[test]
    fn a_wrapper_keeps_the_streams_of_what_it_wraps() {
        let mut inner = Command::new("cat");
        inner
            .stdin(StdinMode::Channel)
            .stderr(OutputMode::Null)
            .max_line_bytes(100)
            .env("A", "1");
        let outer = Command::wrapping("ssh", &inner);
        assert_eq!(outer.get_stdin(), StdinMode::Channel);
        assert_eq!(outer.get_stderr(), OutputMode::Null);
        assert_eq!(outer.get_max_line_bytes(), 100);
        assert_eq!(outer.get_envs().len(), 0);
    }
}
