//! From a host that is written down to the way to it.
//!
//! Owns: what the client of SSH is told of a host, and of those before it. Never connects.

use std::path::{Path, PathBuf};

use command_executor::ssh::{SshHost, SshHostError};
use service_orchestration::executors::HostCall;

use super::directory::directory_of;
use super::{HostBook, HostBookError, HostEntry};

/// Why no way leads to a host.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostWayError {
    /// The host, or one that it is reached through, is not written down.
    #[error(transparent)]
    Book(#[from] HostBookError),
    /// A part of it is none.
    #[error(transparent)]
    Host(#[from] SshHostError),
    /// A way in circles, or too long a one.
    #[error("the way to {name} has too many jump hosts")]
    Hops {
        /// The host that was too many.
        name: String,
    },
}

impl HostBook {
    /// The host as the client of SSH knows it, and those that it is reached through.
    ///
    /// # Errors
    /// [`HostWayError`] when a part of it is wrong, or a jump host is not known.
    pub fn way(&self, entry: &HostEntry) -> Result<SshHost, HostWayError> {
        self.hop(entry, 0)
    }

    /// The host that is meant, with what the call says otherwise.
    ///
    /// # Errors
    /// [`HostBookError::Unknown`].
    pub fn called(&self, call: &HostCall) -> Result<HostEntry, HostBookError> {
        let entry = self.find(&call.name)?.clone();
        Ok(HostEntry {
            user: call.user.clone().or(entry.user),
            port: call.port.unwrap_or(entry.port),
            key: call.key.clone().or(entry.key),
            ..entry
        })
    }

    /// Where the files of the client lie below `root` for a host that is not logged in to as it is written down.
    ///
    /// # Errors
    /// As [`way`](Self::way).
    pub fn own_directory(&self, root: &Path, entry: &HostEntry) -> Result<PathBuf, HostWayError> {
        Ok(directory_of(root, &self.way(entry)?))
    }

    fn hop(&self, entry: &HostEntry, hops: usize) -> Result<SshHost, HostWayError> {
        if hops > MOST_HOPS {
            return Err(HostWayError::Hops {
                name: entry.name.clone(),
            });
        }
        let host = SshHost::new(&entry.name)?;
        let mut host = host.with_address(&entry.address)?.with_port(entry.port)?;
        if let Some(user) = &entry.user {
            host = host.with_user(user)?;
        }
        if let Some(key) = &entry.key {
            host = host.with_identity(key)?;
        }
        if let Some(jump) = &entry.jump {
            host = host.with_jump(self.hop(self.get(jump)?, hops + 1)?);
        }
        Ok(host)
    }
}

/// More than anybody's network has, and few enough that a file that was changed by hand cannot lead in circles.
const MOST_HOPS: usize = 8;
