//! Whether there is room for what is about to be written.
//!
//! Owns: the reckoning. Somebody else may take the room meanwhile; what is written then fails and leaves nothing.

use std::path::Path;

use rustix::fs::statvfs;

use super::error::StoreError;
use super::version::{Version, versions};
use crate::manifest::{Content, Manifest};

/// Refuses what the file system has no room for.
pub(super) fn check(directory: &Path, bytes: u64, files: u64) -> Result<(), StoreError> {
    let found = statvfs(directory).map_err(|error| {
        let source = error.into();
        StoreError::io("ask for the free space of", directory)(source)
    })?;
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let needed = bytes.saturating_add(MARGIN);
    if needed > free {
        return Err(StoreError::NoRoom { needed, free });
    }
    // Some file systems count none.
    if found.f_files > 0 && files > found.f_favail {
        let (needed, free) = (files, found.f_favail);
        return Err(StoreError::NoInodes { needed, free });
    }
    Ok(())
}

/// Refuses what would be more than the slot may have.
pub(super) fn check_quota(slot: &Path, needed: u64, quota: u64) -> Result<(), StoreError> {
    let there: u64 = versions(slot)?
        .iter()
        .map(|Version { bytes, .. }| *bytes)
        .sum();
    let total = there.saturating_add(needed);
    match total > quota {
        true => Err(StoreError::Quota {
            needed,
            total,
            quota,
        }),
        false => Ok(()),
    }
}

/// The bytes of a package's files, what they take on a disk, and how many files and directories they are.
pub(super) fn need(manifest: &Manifest) -> (u64, u64, u64) {
    let (mut bytes, mut on_disk, mut files) = (0u64, 0u64, 1u64);
    let mut directories = std::collections::BTreeSet::new();
    for entry in manifest.entries() {
        directories.extend(entry.path.parents());
        files += 1;
        if let Content::File { size, .. } = &entry.content {
            bytes = bytes.saturating_add(*size);
            on_disk = on_disk.saturating_add(size.next_multiple_of(BLOCK));
        }
    }
    let directories = directories.len() as u64;
    on_disk = on_disk.saturating_add(directories * BLOCK);
    (bytes, on_disk, files + directories)
}

/// What most file systems give out at a time.
const BLOCK: u64 = 4096;

/// For the directories themselves, and what is written about a version.
const MARGIN: u64 = 64 << 10;
