//! What kind of thing is launched or attached to.

use crate::ProcessIdentity;

/// What to launch a command as, or what to attach to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// A one-off command: in the caller's process group, killed when its handle is dropped.
    Command,
    /// A long-running process with its whole group under control.
    ManagedProcess(ManagedProcess),
    /// A local process that somebody else started: it is observed, never signalled.
    AttachedProcess(AttachedProcess),
}

/// Options of a long-running process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagedProcess {
    own_group: bool,
    kill_on_drop: bool,
}

impl ManagedProcess {
    /// A process in a group of its own that goes on when its handle is dropped.
    pub fn new() -> Self {
        Self {
            own_group: true,
            kill_on_drop: false,
        }
    }

    /// Whether the process leads a process group of its own, which signals then reach as a whole (the default).
    ///
    /// Without one it stays in the caller's group, where the terminal's Ctrl-C reaches it too, and only the main
    /// process is signalled.
    #[must_use]
    pub fn own_group(mut self, own_group: bool) -> Self {
        self.own_group = own_group;
        self
    }

    /// Whether dropping the handle kills the process and its group. By default it goes on.
    #[must_use]
    pub fn kill_on_drop(mut self, kill_on_drop: bool) -> Self {
        self.kill_on_drop = kill_on_drop;
        self
    }

    /// Whether it leads a group of its own.
    pub fn has_own_group(&self) -> bool {
        self.own_group
    }

    /// Whether dropping the handle kills it.
    pub fn is_killed_on_drop(&self) -> bool {
        self.kill_on_drop
    }
}

impl Default for ManagedProcess {
    fn default() -> Self {
        Self::new()
    }
}

/// How a running local process is found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttachedProcess {
    /// The process that has this PID now.
    Pid(u32),
    /// The one process of this name: the name of the executable or of the first word of its command line.
    Name(String),
    /// Exactly the process that was identified before, never one that has got its PID since.
    Identity(ProcessIdentity),
}
