//! What to launch.
//!
//! Owns: the order as callers give it, and its translation into what travels to the shim.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use service_shim::{LaunchSpec, LogPolicy, RawString, StopPolicy};

/// One attempt to be launched beside a shim.
#[derive(Clone)]
pub struct SupervisedLaunch {
    /// Where run directories are made; made itself when missing.
    pub run_root: PathBuf,
    /// Twelve hexadecimal digits: the name of the run directory, and what every process of the attempt carries as
    /// `HARNESS_INSTANCE_ID`.
    pub instance_id: String,
    /// Which run of the unit this is.
    pub attempt: u64,
    /// A path, or a name to look for in the `PATH` of `env`.
    pub program: OsString,
    /// Arguments, without the program.
    pub args: Vec<OsString>,
    /// The whole environment; nothing is inherited.
    pub env: BTreeMap<OsString, OsString>,
    /// Where it runs; this program's directory when absent.
    pub cwd: Option<PathBuf>,
    /// User name or number to run as.
    pub user: Option<String>,
    /// Group name or number; the user's own when absent.
    pub group: Option<String>,
    /// Where its output goes.
    pub log: LogPolicy,
    /// How it is ended when nobody says otherwise.
    pub stop: StopPolicy,
    /// Whether it reports readiness by `sd_notify`.
    pub notify: bool,
    /// Whether it gets a standard input that can be written to.
    pub stdin: bool,
    /// Whether a cgroup is made for it where one can be.
    pub cgroup: bool,
}

impl SupervisedLaunch {
    /// Where the attempt's run directory is.
    pub fn run_dir(&self) -> PathBuf {
        self.run_root.join(&self.instance_id)
    }

    pub(super) fn into_spec(self) -> LaunchSpec {
        let pair =
            |(name, value): (OsString, OsString)| (RawString::from(name), RawString::from(value));
        // A service that becomes another user on purpose may need to do so again (a server with workers of their own).
        let no_new_privs = self.user.is_none() && self.group.is_none();
        LaunchSpec {
            instance_id: self.instance_id,
            attempt: self.attempt,
            program: self.program.into(),
            args: self.args.into_iter().map(RawString::from).collect(),
            env: self.env.into_iter().map(pair).collect(),
            cwd: self.cwd,
            user: self.user,
            group: self.group,
            umask: DEFAULT_UMASK,
            no_new_privs,
            log: self.log,
            stop: self.stop,
            notify: self.notify,
            stdin: self.stdin,
            cgroup: self.cgroup,
        }
    }
}

impl fmt::Debug for SupervisedLaunch {
    /// Names what is launched; leaves out arguments and environment, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SupervisedLaunch")
            .field("run_dir", &self.run_dir())
            .field("attempt", &self.attempt)
            .field("program", &self.program)
            .finish_non_exhaustive()
    }
}

// Of a login shell; whoever starts us may have a stricter one that is not meant for services.
const DEFAULT_UMASK: u32 = 0o022;
