//! What the host's shell is given: a line that everybody there can read, and what only the program shall.
//!
//! Owns: the script around the program. It is for POSIX shells, as which sshd runs it: `$SHELL -c LINE`, leader of a group
//! of its own.

use std::ffi::{OsStr, OsString};

use crate::quote::{self, QuoteError};
use crate::{Command, LayerError};

use super::layer::inexpressible;

/// How the program's end is told when whoever launched it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tie {
    /// Stdin is nothing but the tie: with its end, the program's group is ended.
    Watched,
    /// Stdin is the program's own, and its end the program's business.
    Own,
}

/// The line for the host's shell: the program's arguments, and no value of a variable.
pub(super) fn line(command: &Command, values: usize, tie: Tie) -> Result<OsString, QuoteError> {
    let mut line = OsString::new();
    if values > 0 {
        // One byte at a time: what comes after them is the program's.
        line.push(format!(
            "harness_env=$(dd bs=1 count={values} 2>/dev/null); case $harness_env in *'{END}') ;; *) exit 255 ;; esac; "
        ));
    }
    if tie == Tie::Watched {
        line.push(WATCH);
    }
    if values > 0 {
        line.push("eval \"$harness_env\"; unset harness_env; ");
    }
    // The shell stays, because sshd tells of a signal in a way that the client does not pass on: 255. The traps keep it
    // there when its group is signalled, and are not the program's.
    line.push("trap : INT QUIT TERM; (");
    line.push(quote::command(&without_values(command))?);
    line.push("); exit $?");
    Ok(line)
}

/// The script that sets the variables, to be written to stdin; empty when there are none.
pub(super) fn values(command: &Command) -> Result<Vec<u8>, LayerError> {
    let mut script = OsString::new();
    for (name, value) in command.get_envs() {
        let Some(value) = value else { continue };
        let name = name.to_str().filter(|name| is_variable(name));
        let name = name.ok_or_else(|| inexpressible("a variable that a shell cannot set"))?;
        script.push(format!("export {name}="));
        script.push(quote::word(value)?);
        script.push("\n");
    }
    if !script.is_empty() {
        script.push(END);
    }
    Ok(script.into_encoded_bytes())
}

fn is_variable(name: &str) -> bool {
    let is_inside = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.bytes().all(is_inside)
        && name
            .bytes()
            .next()
            .is_some_and(|byte| !byte.is_ascii_digit())
        && !READ_ONLY.contains(&name)
}

/// The same command, its variables left out but for those that it removes.
fn without_values(command: &Command) -> Command {
    let mut bare = Command::new(command.get_program());
    bare.args(command.get_args());
    for (name, _) in command.get_envs().filter(|(_, value)| value.is_none()) {
        bare.env_remove(OsStr::new(name));
    }
    if let Some(directory) = command.get_current_dir() {
        bare.current_dir(directory);
    }
    bare
}

/// With it the variables are whole: the connection may end in the middle of them.
const END: &str = ": whole";

/// What bash lets nobody set, and what another shell takes for its own.
const READ_ONLY: [&str; 8] = [
    "BASHOPTS",
    "BASH_VERSINFO",
    "EUID",
    "IFS",
    "PPID",
    "SHELLOPTS",
    "UID",
    "harness_env",
];

/// Waits for the end of stdin beside the program, and then ends its group: asks, and insists after five seconds. When the
/// program has ended before, there is nothing to do: sshd has reaped the shell by the time that it closes stdin.
const WATCH: &str = "exec 3<&0 </dev/null; \
    (trap '' HUP INT QUIT TERM; cat <&3; kill -0 $$ || exit; kill -TERM -$$ || kill -TERM $$; \
    for i in 1 2 3 4 5; do sleep 1; kill -0 $$ || break; done; kill -KILL -$$) >/dev/null 2>&1 & \
    exec 3<&-; ";
