//! Why a slot is as it was.
//!
//! Owns: the words.

use std::io;
use std::path::PathBuf;

use super::lock::Holder;
use super::version::Place;
use crate::admit::AdmitError;
use crate::signature::KeyError;
use crate::unpack::UnpackError;

/// Why something was not done to a slot. What was current is current still.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Somebody else changes it.
    #[error("{} has the lock since {} (process {})", holder.who, holder.since(), holder.pid)]
    Held {
        /// Who.
        holder: Holder,
    },
    /// The system refuses.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The disk has not enough room.
    #[error("{needed} bytes are needed, and {free} are free")]
    NoRoom {
        /// How much it takes.
        needed: u64,
        /// How much there is.
        free: u64,
    },
    /// The file system has not enough inodes.
    #[error("{needed} files are needed, and the file system has room for {free} more")]
    NoInodes {
        /// How many it takes.
        needed: u64,
        /// How many there are.
        free: u64,
    },
    /// The slot may not have so much.
    #[error("{needed} bytes more would be {total}, and the slot may have {quota}")]
    Quota {
        /// How much it takes.
        needed: u64,
        /// What it would come to.
        total: u64,
        /// How much there may be.
        quota: u64,
    },
    /// The archive was not brought.
    #[error("there is no archive {}", path.display())]
    NotUploaded {
        /// Where it is looked for.
        path: PathBuf,
    },
    /// What shall be trusted is no key.
    #[error("a key that shall be trusted is none")]
    Key(#[source] KeyError),
    /// The archive is not let in.
    #[error("the archive is not let in")]
    Admit(#[source] AdmitError),
    /// The archive cannot be used.
    #[error("the package is not taken")]
    Unpack(#[source] UnpackError),
    /// There is no such version.
    #[error("there is no version {place}")]
    NoVersion {
        /// Which.
        place: Place,
    },
    /// Nothing to go back to.
    #[error("no earlier version is there to go back to")]
    NoEarlier,
    /// The one that is to run stays.
    #[error("{place} is the current version")]
    Current {
        /// Which.
        place: Place,
    },
}

impl StoreError {
    pub(super) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}
