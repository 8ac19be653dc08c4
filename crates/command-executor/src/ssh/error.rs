//! What the client's failures mean.
//!
//! Owns: the reading of its words, in one place, and what can be done about each.

use std::io;
use std::path::PathBuf;

use super::{SshHost, SshHostError};
use crate::{ExecuteError, LaunchError};

/// Why a host could not be reached, or was lost.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SshError {
    /// There is no `ssh` here.
    #[error("this machine has no program `{program}`")]
    NoProgram {
        /// What was looked for.
        program: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Its key was never accepted.
    #[error("the key of {host} is not known")]
    UnknownKey {
        /// Which host.
        host: String,
    },
    /// It has another key than the one that was accepted: somebody else answers, or it was installed anew.
    #[error("{host} has another key than the one that is known")]
    ChangedKey {
        /// Which host.
        host: String,
    },
    /// Nothing listens there.
    #[error("{host} refuses connections at {address}")]
    Refused {
        /// Which host.
        host: String,
        /// Where.
        address: String,
    },
    /// Nobody answers there, or nothing leads there.
    #[error("no answer from {host} at {address}")]
    TimedOut {
        /// Which host.
        host: String,
        /// Where.
        address: String,
    },
    /// Its name has no address.
    #[error("the name {address} of {host} has no address")]
    Unresolvable {
        /// Which host.
        host: String,
        /// The name.
        address: String,
    },
    /// It takes none of our keys.
    #[error("{host} lets nobody in with the keys that were tried: {said}")]
    PermissionDenied {
        /// Which host.
        host: String,
        /// The client's own words.
        said: String,
    },
    /// The key's file can be read by others, so the client does not use it.
    #[error("the key for {host} can be read by others")]
    ExposedKey {
        /// Which host.
        host: String,
    },
    /// The connection ended while something ran over it. What ran may have been done, and may go on.
    #[error("the connection to {host} was lost")]
    Lost {
        /// Which host.
        host: String,
    },
    /// The client failed in another way.
    #[error("ssh to {host} failed: {said}")]
    Other {
        /// Which host.
        host: String,
        /// The client's own words.
        said: String,
    },
    /// The configuration cannot be written.
    #[error("cannot configure ssh in {}", directory.display())]
    Config {
        /// Where.
        directory: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The path of the shared connection's socket is longer than sockets' paths may be.
    #[error("{} is too long a path for a socket", path.display())]
    LongPath {
        /// Which.
        path: PathBuf,
    },
    /// A path that ssh would misread.
    #[error(transparent)]
    Path(#[from] SshHostError),
    /// The client could not be run to its end.
    #[error("cannot run ssh to {host}")]
    NotRun {
        /// Which host.
        host: String,
        /// Why.
        #[source]
        source: Box<ExecuteError>,
    },
}

impl SshError {
    /// What the client's last words mean, when it ended with its own exit code, 255.
    pub(crate) fn explain(host: &SshHost, stderr: &[u8]) -> Self {
        let text = String::from_utf8_lossy(stderr);
        let has = |words: &str| text.contains(words);
        let name = host.name().to_owned();
        let address = format!("{}:{}", host.address(), host.port());
        if has("REMOTE HOST IDENTIFICATION HAS CHANGED") {
            Self::ChangedKey { host: name }
        } else if has("Host key verification failed") {
            Self::UnknownKey { host: name }
        } else if has("Could not resolve hostname") {
            let address = host.address().to_owned();
            Self::Unresolvable {
                host: name,
                address,
            }
        } else if has("UNPROTECTED PRIVATE KEY FILE") {
            Self::ExposedKey { host: name }
        } else if has("Permission denied") || has("Too many authentication failures") {
            let said = last_line(&text);
            Self::PermissionDenied { host: name, said }
        } else if has("Connection refused") {
            Self::Refused {
                host: name,
                address,
            }
        } else if TIMED_OUT.into_iter().any(has) {
            Self::TimedOut {
                host: name,
                address,
            }
        } else if text.trim().is_empty() || LOST.into_iter().any(has) {
            Self::Lost { host: name }
        } else {
            let said = last_line(&text);
            Self::Other { host: name, said }
        }
    }

    pub(super) fn not_run(host: &SshHost, error: ExecuteError) -> Self {
        match error {
            ExecuteError::Launch(LaunchError::NotRunnable { program, source }) => {
                Self::NoProgram { program, source }
            }
            source => Self::NotRun {
                host: host.name().to_owned(),
                source: Box::new(source),
            },
        }
    }

    /// What can be done about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoProgram { .. } => "install OpenSSH's client (Debian: openssh-client)".to_owned(),
            Self::UnknownKey { host } => {
                format!("`harness host add {host}` shows its key and asks whether it is the right one")
            }
            Self::ChangedKey { host } => format!(
                "find out why: who owns it can compare keys. If it was installed anew, `harness host remove {host}` and \
                 `harness host add {host}`; if not, somebody else answers in its place"
            ),
            Self::Refused { .. } => "is sshd running there, and on this port?".to_owned(),
            Self::TimedOut { .. } => {
                "is it on, and does a way lead there? One behind another host needs it as its jump host".to_owned()
            }
            Self::Unresolvable { .. } => "give its address, or a name that this machine knows".to_owned(),
            Self::PermissionDenied { host, .. } => format!(
                "nothing asks for passwords: a key must let in (`ssh-copy-id`), the one of this host (`harness host list` \
                 names {host}'s) or one of your agent"
            ),
            Self::ExposedKey { .. } => "`chmod go= FILE`".to_owned(),
            Self::LongPath { .. } => "choose a shorter directory: HARNESS_HOME, or XDG_RUNTIME_DIR".to_owned(),
            Self::Lost { .. }
            | Self::Other { .. }
            | Self::Config { .. }
            | Self::Path(_)
            | Self::NotRun { .. } => return None,
        })
    }

    /// Whether it may succeed later without anybody's doing: it is the network or the host, not what it was asked.
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Refused { .. } | Self::TimedOut { .. } | Self::Lost { .. } => true,
            Self::NoProgram { .. }
            | Self::UnknownKey { .. }
            | Self::ChangedKey { .. }
            | Self::Unresolvable { .. }
            | Self::PermissionDenied { .. }
            | Self::ExposedKey { .. }
            | Self::Other { .. }
            | Self::Config { .. }
            | Self::LongPath { .. }
            | Self::Path(_)
            | Self::NotRun { .. } => false,
        }
    }
}

fn last_line(text: &str) -> String {
    let line = text.lines().rfind(|line| !line.trim().is_empty());
    line.unwrap_or_default().trim().to_owned()
}

const TIMED_OUT: [&str; 5] = [
    "timed out",
    "No route to host",
    "Network is unreachable",
    "banner exchange",
    "Host is down",
];

const LOST: [&str; 6] = [
    "Broken pipe",
    "Connection reset",
    "Connection closed",
    "closed by remote host",
    "not responding",
    "Connection to ",
];
