//! A store that forgets: for embedders who want no state on disk, and for tests.
//!
//! Owns: nothing beyond its own life.

use super::{Batch, Kept, Store, StoreError};

/// Keeps nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct MemoryStore;

impl Store for MemoryStore {
    fn load(&self) -> Result<Kept, StoreError> {
        Ok(Kept::default())
    }

    fn commit(&self, _batch: &Batch) -> Result<(), StoreError> {
        Ok(())
    }
}
