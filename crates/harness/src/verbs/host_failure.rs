//! Why a host is not added, checked or removed.
//!
//! Owns: the words, the exit codes and the hints.

use command_executor::ssh::{SshError, SshHostError};
use harness_core::DirsError;
use harness_core::hosts::{HostBookError, HostWayError};

/// Why `host` did not end well.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HostFailure {
    /// The list of hosts, or what it says.
    #[error(transparent)]
    Book(#[from] HostBookError),
    /// A part of a host is none.
    #[error(transparent)]
    Host(#[from] SshHostError),
    /// It cannot be reached, or is not who it should be.
    #[error(transparent)]
    Ssh(#[from] SshError),
    /// No way leads there.
    #[error(transparent)]
    Way(HostWayError),
    /// There is no place for our files.
    #[error(transparent)]
    Dirs(#[from] DirsError),
    /// A name that has another meaning.
    #[error("`{name}` is this machine wherever a host is named")]
    Here { name: String },
    /// The key to log in with is not there.
    #[error("there is no key {key}")]
    NoKey { key: String },
    /// It shows no key.
    #[error("no sshd shows a key at {address}{from}")]
    Silent { address: String, from: String },
    /// Its key cannot be asked for or read.
    #[error("cannot {action}: {said}")]
    Scan { action: &'static str, said: String },
    /// Nobody can be asked whether the key is the right one.
    #[error(
        "the key of {name} is trusted by its fingerprint only where nobody can be asked: it is {fingerprint}"
    )]
    NeedsFingerprint { name: String, fingerprint: String },
    /// It shows other keys.
    #[error("{name} has no key {expected}: it shows {}", shown.join(", "))]
    OtherKey {
        name: String,
        expected: String,
        shown: Vec<String>,
    },
    /// Some of those that were checked. What was printed says why.
    #[error("{} cannot be used", names.join(", "))]
    Unusable { names: Vec<String>, exit_code: u8 },
}

impl From<HostWayError> for HostFailure {
    fn from(error: HostWayError) -> Self {
        match error {
            HostWayError::Book(error) => Self::Book(error),
            HostWayError::Host(error) => Self::Host(error),
            error => Self::Way(error),
        }
    }
}

impl HostFailure {
    /// What the program exits with.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Host(_)
            | Self::Here { .. }
            | Self::NeedsFingerprint { .. }
            | Self::NoKey { .. } => 2,
            Self::Book(HostBookError::Unknown { .. }) => 4,
            Self::OtherKey { .. } | Self::Dirs(_) | Self::Book(HostBookError::Exposed { .. }) => 6,
            Self::Ssh(error) => match error {
                SshError::UnknownKey { .. }
                | SshError::ChangedKey { .. }
                | SshError::PermissionDenied { .. }
                | SshError::ExposedKey { .. } => 6,
                SshError::Path(_) => 2,
                _ => 1,
            },
            Self::Book(_) | Self::Way(_) | Self::Silent { .. } | Self::Scan { .. } => 1,
            Self::Unusable { exit_code, .. } => *exit_code,
        }
    }

    /// What can be done about it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Book(HostBookError::Taken { name, .. }) => {
                Some(format!("`harness host remove {name}` first, or choose another name"))
            }
            Self::Book(HostBookError::Unknown { known, .. }) if !known.is_empty() => {
                Some(format!("the hosts: {}", known.join(", ")))
            }
            Self::Book(HostBookError::Unknown { .. }) => Some("`harness host add` adds one".to_owned()),
            Self::Book(HostBookError::Needed { .. }) => Some("remove those first".to_owned()),
            Self::Ssh(error) => error.hint(),
            Self::Silent { .. } => Some(
                "is it on, is this its address, does its sshd listen on this port? One behind another host needs --jump"
                    .to_owned(),
            ),
            Self::NeedsFingerprint { fingerprint, .. } => Some(format!(
                "compare it with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on the host, then --fingerprint {fingerprint}"
            )),
            Self::OtherKey { .. } => Some(
                "somebody else may answer in its place: ask who owns it for the right fingerprint".to_owned(),
            ),
            _ => None,
        }
    }
}
