//! What is there, without a lock.
//!
//! Owns: the line for each slot. What changes meanwhile is seen before or after, never half.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::store::{SlotName, StoreError, Version, list, slots};

/// One line of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotVersions {
    /// Which slot.
    pub slot: SlotName,
    /// What is in it.
    pub versions: Vec<Version>,
}

/// Every slot below a root that has a version, in order.
///
/// # Errors
/// [`StoreError::Io`].
pub fn list_all(root: &Path) -> Result<Vec<SlotVersions>, StoreError> {
    let mut found = Vec::new();
    for slot in slots(root)? {
        let versions = list(root, &slot)?;
        if !versions.is_empty() {
            found.push(SlotVersions { slot, versions });
        }
    }
    Ok(found)
}
