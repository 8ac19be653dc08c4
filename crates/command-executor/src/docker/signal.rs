//! Reaching a program in a container, where signals to the engine's command line end.
//!
//! Owns: the mark that the program and all that it starts bear in their environment, and the shell line that finds them
//! by it.

use super::DockerLayer;
use crate::{Command, Signal};

impl DockerLayer {
    /// Sets a mark, unique to a command, by which [`signal_marked`](Self::signal_marked) finds it: it is the variable
    /// `HARNESS_EXEC` in the program's environment, and in that of whatever it starts.
    #[must_use]
    pub fn with_mark(mut self, mark: impl Into<String>) -> Self {
        self.mark = Some(mark.into());
        self
    }

    /// The command that sends `signal` to everything that bears `mark`, to be run through the same layers.
    ///
    /// It exits with 0 when there was something to signal, and with 1 when there was nothing. It needs `sh` and `tr` in
    /// the container (the engine's 126 or 127 says that there are none), and the rights of the marked program's user.
    /// What has taken another user's identity meanwhile, or another environment, is not found.
    pub fn signal_marked(mark: &str, signal: Signal) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-c", SCRIPT, "sh"])
            .arg(format!("{MARK}={mark}"))
            .arg(name(signal));
        command
    }
}

fn name(signal: Signal) -> &'static str {
    match signal {
        Signal::Terminate => "TERM",
        Signal::Kill => "KILL",
        Signal::Interrupt => "INT",
        Signal::Quit => "QUIT",
        Signal::Reload => "HUP",
        Signal::User1 => "USR1",
        Signal::User2 => "USR2",
    }
}

/// The variable that bears the mark.
pub(super) const MARK: &str = "HARNESS_EXEC";

/// The shell itself may bear the mark, too; what it starts meanwhile is not in the list that it goes through.
const SCRIPT: &str = r#"line='
'
found=1
for file in /proc/[0-9]*/environ; do
  pid=${file#/proc/}
  pid=${pid%/environ}
  [ "$pid" = $$ ] && continue
  case "$line$({ tr '\0' '\n' <"$file"; } 2>/dev/null)$line" in
    *"$line$1$line"*) kill -s "$2" "$pid" 2>/dev/null && found=0 ;;
  esac
done
exit $found"#;
