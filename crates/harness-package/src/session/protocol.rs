//! The lines of a session.
//!
//! Owns: the wire types of version 1. A released field is never given another meaning.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::store::{Holder, Place, Version};

/// What shall be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "kebab-case")]
pub enum Order {
    /// The first: take the lock.
    Open {
        /// Who asks, for those who have to wait.
        who: String,
        /// How many bytes all versions of the slot together may have.
        quota: Option<u64>,
    },
    /// Is this archive there? Makes sure that there is room for it.
    Offer {
        /// Which.
        sha256: Digest,
        /// Its bytes.
        size: u64,
    },
    /// Check and unpack what was brought.
    Take {
        /// Which.
        sha256: Digest,
        /// The signature's file.
        signature: String,
        /// Whom to trust: the texts of public keys.
        keys: Vec<String>,
    },
    /// Keep what a setup script said.
    KeepOutput {
        /// Of which version.
        place: Place,
        /// What it said.
        output: String,
    },
    /// Make a version current.
    Switch {
        /// Which.
        place: Place,
    },
    /// Make the one current that was so before.
    Back,
    /// Remove all versions but so many.
    Prune {
        /// How many stay.
        keep: usize,
    },
    /// Remove a version.
    Remove {
        /// Which.
        place: Place,
    },
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "kebab-case")]
pub enum Reply {
    /// The lock is had.
    Opened {
        /// The slot.
        path: PathBuf,
        /// What is current.
        current: Option<Place>,
        /// All versions.
        versions: Vec<Version>,
    },
    /// The archive is to be written there.
    Wanted {
        /// Where.
        path: PathBuf,
    },
    /// It is there, and to be taken.
    Uploaded,
    /// It is unpacked.
    Taken {
        /// Which version it is.
        place: Place,
        /// Its files.
        directory: PathBuf,
        /// Its manifest without files, as [`crate::About::to_json`] writes it.
        about: String,
    },
    /// Another version is current.
    Switched {
        /// What was.
        from: Option<Place>,
        /// What is.
        to: Place,
        /// Its manifest without files.
        about: String,
    },
    /// These are gone.
    Removed {
        /// Which.
        places: Vec<Place>,
    },
    /// It is done.
    Done,
    /// It is not done, and nothing has changed.
    Refused {
        /// What can be done differently.
        kind: RefusalKind,
        /// Why, in full.
        message: String,
        /// Who has the lock.
        holder: Option<Holder>,
    },
}

/// The class of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalKind {
    /// Somebody else has the lock.
    Held,
    /// There is no room.
    Room,
    /// The archive may not be, or nobody who is trusted signed it.
    Archive,
    /// There is no such version, or it is the current one.
    Version,
    /// The order makes no sense here.
    Order,
    /// Anything else that the system said.
    System,
    /// A later version's, which this one does not know.
    #[serde(other)]
    Unknown,
}
