//! The launch order that goes to the shim over its first connection, and the part of it that may touch the disk.
//!
//! Owns: [`LaunchSpec`] (complete, with secrets, never written anywhere) and [`LaunchRecord`] (`launch.json`).
//! Invariant: no argument and no environment value is ever part of a [`LaunchRecord`].

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::policy::{LogPolicy, StopPolicy};

/// The version of the run directory's layout this crate writes.
pub const LAYOUT_VERSION: u32 = 1;

/// Everything needed to run one attempt. Travels over a socket only: it holds secrets.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchSpec {
    /// Twelve hexadecimal digits that name the run directory and mark every process of the attempt.
    pub instance_id: String,
    /// Which run of the unit this is.
    pub attempt: u64,
    /// A path, or a name to look for in the `PATH` of `env`.
    pub program: RawString,
    /// Arguments, without the program.
    pub args: Vec<RawString>,
    /// The whole environment; nothing is inherited. The shim adds `HARNESS_INSTANCE_ID` and `NOTIFY_SOCKET`.
    pub env: Vec<(RawString, RawString)>,
    /// Where it runs; the daemon's directory when absent.
    pub cwd: Option<PathBuf>,
    /// User name or number to run as; the shim's own when absent.
    pub user: Option<String>,
    /// Group name or number; the user's own group when absent.
    pub group: Option<String>,
    /// The umask of the service.
    pub umask: u32,
    /// Whether set-user-id programs lose their power inside the service.
    pub no_new_privs: bool,
    /// Where its output goes.
    pub log: LogPolicy,
    /// How it is ended when nobody says otherwise.
    pub stop: StopPolicy,
    /// Whether the service reports readiness by `sd_notify`.
    pub notify: bool,
    /// Whether it gets a standard input that can be written to; `/dev/null` otherwise.
    pub stdin: bool,
    /// Whether a cgroup is made for it where one can be.
    pub cgroup: bool,
}

impl fmt::Debug for LaunchSpec {
    /// Names what is run; leaves out arguments and environment, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LaunchSpec")
            .field("instance_id", &self.instance_id)
            .field("attempt", &self.attempt)
            .field("program", &self.program)
            .finish_non_exhaustive()
    }
}

/// What a successor of the shim needs to know about the attempt: `launch.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchRecord {
    /// [`LAYOUT_VERSION`] of the writer.
    pub layout: u32,
    /// See [`LaunchSpec::instance_id`].
    pub instance_id: String,
    /// See [`LaunchSpec::attempt`].
    pub attempt: u64,
    /// The program's name, for messages.
    pub program: RawString,
    /// See [`LaunchSpec::log`].
    pub log: LogPolicy,
    /// See [`LaunchSpec::stop`].
    pub stop: StopPolicy,
    /// See [`LaunchSpec::notify`].
    pub notify: bool,
    /// See [`LaunchSpec::stdin`].
    pub stdin: bool,
    /// The numeric user the service runs as, when it is not the shim's.
    pub uid: Option<u32>,
    /// Where its cgroup is, if one could be made, as an absolute path in the file system. Written before it is made.
    pub cgroup: Option<PathBuf>,
}

/// A string of the operating system: text in JSON where it is text, a list of bytes where it is not.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RawString {
    /// Valid UTF-8.
    Text(String),
    /// Anything else.
    Bytes(Vec<u8>),
}

impl RawString {
    /// Takes bytes as they are.
    pub fn from_bytes(bytes: Vec<u8>) -> RawString {
        match String::from_utf8(bytes) {
            Ok(text) => RawString::Text(text),
            Err(error) => RawString::Bytes(error.into_bytes()),
        }
    }

    /// The bytes themselves.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            RawString::Text(text) => text.as_bytes(),
            RawString::Bytes(bytes) => bytes,
        }
    }

    /// The bytes as the operating system's string.
    pub fn as_os_str(&self) -> &OsStr {
        OsStr::from_bytes(self.as_bytes())
    }

    /// The same, owned, without a copy.
    pub fn into_bytes(self) -> Vec<u8> {
        match self {
            RawString::Text(text) => text.into_bytes(),
            RawString::Bytes(bytes) => bytes,
        }
    }
}

impl From<OsString> for RawString {
    fn from(value: OsString) -> RawString {
        RawString::from_bytes(value.into_vec())
    }
}

impl From<&str> for RawString {
    fn from(value: &str) -> RawString {
        RawString::Text(value.to_owned())
    }
}

impl fmt::Debug for RawString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(self.as_bytes()))
    }
}

impl fmt::Display for RawString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.as_bytes()))
    }
}
