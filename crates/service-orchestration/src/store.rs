//! What survives a restart of the daemon.
//!
//! Owns: the shape of what is kept, and the place where it is kept. One turn of the supervisor is one [`Batch`], written
//! whole or not at all. Never decides what is kept.

mod disk;
mod key;
mod memory;
mod migrate;
mod record;
#[cfg(test)]
mod samples;
mod seal;

pub use disk::DiskStore;
pub use key::DefinitionKey;
pub use memory::MemoryStore;
pub use record::{Batch, Kept, StackRecord, StoredCause, StoredState, StoredTimes, UnitRecord};

use std::path::PathBuf;

/// Where state is kept. Calls block: the supervisor makes them on a thread of their own.
pub trait Store: Send + Sync + std::fmt::Debug {
    /// Everything that was kept.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    fn load(&self) -> Result<Kept, StoreError>;

    /// Keeps all of the batch, or nothing of it; when it returns, it survives a power cut.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be kept. The store may be tried again.
    fn commit(&self, batch: &Batch) -> Result<(), StoreError>;
}

/// Why state could not be kept or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process owns the directory.
    #[error("{} is in use by process {holder}", .path.display())]
    Held {
        /// The store's file.
        path: PathBuf,
        /// Whose it is; `?` when that process does not say.
        holder: String,
    },
    /// The directory or file cannot be opened or locked.
    #[error("cannot open the state in {}", .path.display())]
    Open {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is no store, or a damaged one. It was not touched.
    #[error("the state in {} is damaged: move the file away to begin anew (running services will not be known)", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file was written by a newer version.
    #[error("the state in {} has format {found}; this program knows up to {known}", .path.display())]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// The newest one known.
        known: u64,
    },
    /// The key that the state was sealed with is not there.
    #[error("{} is gone, and the state beside it cannot be opened without it: put it back, or move the state away to begin anew (running services will not be known)", .path.display())]
    KeyGone {
        /// The key's file.
        path: PathBuf,
    },
    /// There is no room.
    #[error("no room left to keep state in {}", .path.display())]
    Full {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Reading or writing failed.
    #[error("cannot keep state in {}", .path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
