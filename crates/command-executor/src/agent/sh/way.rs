//! How a shell is begun: on a host, or on this machine.
//!
//! Owns: the command lines. Never says anything to what it starts.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::agent::error::ConnectError;
use crate::quote;
use crate::ssh::SshConnection;

/// Where the shell is.
#[derive(Debug, Clone)]
pub(super) enum Way {
    Ssh(SshConnection),
    /// For whoever wants to know what the shells of this machine make of us.
    Here {
        home: OsString,
    },
}

/// A shell: `sh`, or several words that mean one.
#[derive(Debug, Clone)]
pub(super) struct ShellWords(pub(super) Vec<String>);

impl Default for ShellWords {
    fn default() -> ShellWords {
        ShellWords(vec!["sh".to_owned()])
    }
}

impl Way {
    /// A shell that does what it reads.
    pub(super) fn reading(&self, shell: &ShellWords) -> Command {
        let mut command = self.begin(shell);
        command.arg("-s");
        command
    }

    /// A shell that does this, with these words for it.
    pub(super) fn doing(
        &self,
        shell: &ShellWords,
        script: &str,
        words: &[OsString],
    ) -> Result<Command, ConnectError> {
        let mut command = self.begin(shell);
        command.arg("-c");
        let all = std::iter::once(OsString::from(script)).chain(words.iter().cloned());
        for word in all {
            match self {
                Way::Ssh(_) => drop(command.arg(quote::word(word).map_err(|error| {
                    let said = error.to_string();
                    ConnectError::Runner { said }
                })?)),
                Way::Here { .. } => drop(command.arg(word)),
            }
        }
        Ok(command)
    }

    fn begin(&self, shell: &ShellWords) -> Command {
        match self {
            Way::Ssh(connection) => {
                let mut command = Command::new(connection.program());
                command.arg("-F").arg(connection.config());
                command.args(["-T", "--"]).arg(connection.host().name());
                command.args(&shell.0);
                command
            }
            Way::Here { home } => {
                let mut words = shell.0.iter();
                let mut command = Command::new(words.next().map_or("sh", String::as_str));
                command.args(words).env("HOME", home);
                command.process_group(0);
                command
            }
        }
    }
}
