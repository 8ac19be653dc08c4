//! The one quoting routine: words for a POSIX shell.
//!
//! Owns: how a word or a whole [`Command`] is spelled so that `sh -c` reads exactly it. The result is for non-interactive
//! shells (dash, bash, busybox ash are tested). A NUL byte, which no shell can carry, is refused.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use crate::Command;

/// One word, quoted where it needs to be.
///
/// # Errors
/// [`QuoteError`] for a NUL byte.
pub fn word(word: impl AsRef<OsStr>) -> Result<OsString, QuoteError> {
    match shlex::bytes::try_quote(word.as_ref().as_bytes()) {
        Ok(quoted) => Ok(OsString::from_vec(quoted.into_owned())),
        Err(_) => Err(QuoteError {
            word: word.as_ref().to_string_lossy().into_owned(),
        }),
    }
}

/// Several words, quoted and separated by spaces.
///
/// # Errors
/// [`QuoteError`] for a NUL byte.
pub fn words<S: AsRef<OsStr>>(words: impl IntoIterator<Item = S>) -> Result<OsString, QuoteError> {
    let mut line = OsString::new();
    for each in words {
        if !line.is_empty() {
            line.push(" ");
        }
        line.push(word(each)?);
    }
    Ok(line)
}

/// A whole command as one shell line: directory, environment, program, arguments. The shell is replaced by the
/// program, so signals and the exit code are the program's own.
///
/// # Errors
/// [`QuoteError`] for a NUL byte.
pub fn command(command: &Command) -> Result<OsString, QuoteError> {
    let mut line = OsString::new();
    if let Some(directory) = command.get_current_dir() {
        line.push("CDPATH= cd ");
        line.push(word(unambiguous(directory))?);
        line.push(" && ");
    }
    line.push("exec env");
    if !command.inherits_env() {
        line.push(" -i");
    }
    // Removals first: `env` takes options only before assignments.
    for (name, _) in command.get_envs().filter(|(_, value)| value.is_none()) {
        line.push(" -u ");
        line.push(word(name)?);
    }
    for (name, value) in command
        .get_envs()
        .filter_map(|(name, value)| Some((name, value?)))
    {
        let mut assignment = name.to_owned();
        assignment.push("=");
        assignment.push(value);
        line.push(" ");
        line.push(word(assignment)?);
    }
    if is_misread_by_env(command.get_program()) {
        line.push(" sh -c 'exec \"$0\" \"$@\"'");
    }
    line.push(" ");
    line.push(words(
        std::iter::once(command.get_program()).chain(command.get_args()),
    )?);
    Ok(line)
}

/// A word that no shell can carry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} holds a NUL byte")]
pub struct QuoteError {
    word: String,
}

/// `cd -` means the previous directory, and `-P` is an option.
fn unambiguous(directory: &Path) -> std::path::PathBuf {
    if directory.is_absolute() {
        directory.to_owned()
    } else {
        Path::new(".").join(directory)
    }
}

/// `env` takes `a=b` for an assignment and `-x` for an option.
fn is_misread_by_env(program: &OsStr) -> bool {
    program.as_bytes().contains(&b'=') || program.as_bytes().starts_with(b"-")
}
