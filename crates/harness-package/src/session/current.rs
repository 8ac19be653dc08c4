//! What is to be run of a slot, without its lock.
//!
//! Owns: the one line that says it. The link is asked once, so that what is said is of one version.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::store::{Place, SlotName, StoreError, current};

/// The current version of a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Current {
    /// Which.
    pub place: Place,
    /// The link that leads to its files.
    pub path: PathBuf,
    /// What it says of itself, as [`crate::About::to_json`] writes it.
    pub about: String,
}

/// The current version; none where there is none.
///
/// # Errors
/// [`StoreError::Io`].
pub fn look(root: &Path, slot: &SlotName) -> Result<Option<Current>, StoreError> {
    let found = current(root, slot)?;
    Ok(found.map(|(place, about)| Current {
        place,
        path: root.join(slot.as_str()).join("current"),
        about,
    }))
}
