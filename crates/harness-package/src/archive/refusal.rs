//! Why an archive is refused.
//!
//! Owns: one variant for each reason, and the limits.

use crate::manifest::{ManifestError, Mode};
use crate::path::{Clash, EntryPath, LinkFault, PathFault};

/// How much an archive may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Entries, the manifest included.
    pub entries: usize,
    /// Bytes after decompression, headers included.
    pub total_bytes: u64,
    /// Bytes after decompression for each byte of the archive. Not asked below one MiB: there a short run of zeros
    /// suffices to exceed it, and no harm is done.
    pub ratio: u64,
    /// Bytes of the manifest.
    pub manifest_bytes: u64,
}

impl Default for Limits {
    /// 100,000 entries, 2 GiB, 200:1; the manifest 64 MiB, which that many entries with usual paths need half of.
    fn default() -> Self {
        Self {
            entries: 100_000,
            total_bytes: 2 << 30,
            ratio: 200,
            manifest_bytes: 64 << 20,
        }
    }
}

/// Why an archive is not taken. Paths are shown with what is unprintable escaped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It ends too early.
    #[error("the archive is cut off")]
    Truncated,
    /// Something follows its end: after the tar, after the gzip, or where a block is filled up.
    #[error("something follows the end of the archive")]
    TrailingGarbage,
    /// It is no gzip, or a damaged one.
    #[error("the archive is not whole gzip data")]
    NotGzip,
    /// A header that is not of the one form that packages use.
    #[error("header {index}: {what}")]
    BadHeader {
        /// Which header, from zero.
        index: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// An extended header says another size than the header.
    #[error("entry {index}: its two headers disagree about its size")]
    SizesDisagree {
        /// Which header, from zero.
        index: usize,
    },
    /// A path that may not be.
    #[error("`{path}`")]
    Path {
        /// The path.
        path: String,
        /// Why.
        #[source]
        fault: PathFault,
    },
    /// A path that cannot stand beside those before it.
    #[error("`{path}`")]
    Clash {
        /// The later path.
        path: String,
        /// Why.
        #[source]
        clash: Clash,
    },
    /// A hard link.
    #[error("`{path}` is a hard link")]
    HardLink {
        /// The entry.
        path: String,
    },
    /// A character or block device.
    #[error("`{path}` is a device")]
    Device {
        /// The entry.
        path: String,
    },
    /// A named pipe.
    #[error("`{path}` is a FIFO")]
    Fifo {
        /// The entry.
        path: String,
    },
    /// A sparse file, by its type or by an extended header.
    #[error("`{path}` is a sparse file")]
    Sparse {
        /// The entry.
        path: String,
    },
    /// A directory: they come with what is in them.
    #[error("`{path}` is a directory, which no package lists")]
    Directory {
        /// The entry.
        path: String,
    },
    /// Any other type of entry.
    #[error("`{path}` is of the unknown type {kind:?}")]
    UnknownType {
        /// The entry.
        path: String,
        /// The letter of its type.
        kind: char,
    },
    /// A symbolic link that leads out, or may do so.
    #[error("the symbolic link `{path}`")]
    Link {
        /// The entry.
        path: String,
        /// Why.
        #[source]
        fault: LinkFault,
    },
    /// A file that would run as its owner or group.
    #[error("`{path}` is setuid or setgid")]
    SetId {
        /// The entry.
        path: String,
    },
    /// More entries than [`Limits::entries`].
    #[error("the archive holds more than {limit} entries")]
    TooManyEntries {
        /// The limit.
        limit: usize,
    },
    /// More bytes than [`Limits::total_bytes`].
    #[error("the archive holds more than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// It grows more than [`Limits::ratio`].
    #[error("the archive grows to more than {limit} times its size")]
    Ratio {
        /// The limit.
        limit: u64,
    },
    /// The first entry is not the manifest, or it is larger than [`Limits::manifest_bytes`].
    #[error("the archive does not begin with its manifest")]
    NoManifest,
    /// The manifest cannot be taken.
    #[error("its manifest cannot be taken")]
    Manifest(#[source] ManifestError),
    /// The manifest lists what is not there.
    #[error("`{path}` is in the manifest, not in the archive")]
    Missing {
        /// The entry.
        path: EntryPath,
    },
    /// There is what the manifest does not list.
    #[error("`{path}` is in the archive, not in the manifest")]
    Unlisted {
        /// The entry.
        path: EntryPath,
    },
    /// A file where the manifest has a link, a link where it has a file, or another target.
    #[error(
        "`{path}` is a link where the manifest has none, the other way round, or leads elsewhere"
    )]
    WrongLink {
        /// The entry.
        path: EntryPath,
    },
    /// Other permissions than the manifest says.
    #[error("`{path}` has mode {found:o}, and {} in the manifest", String::from(*.expected))]
    WrongMode {
        /// The entry.
        path: EntryPath,
        /// What the manifest says.
        expected: Mode,
        /// What the archive says.
        found: u32,
    },
    /// Another length than the manifest says.
    #[error("`{path}` has {found} bytes, and {expected} in the manifest")]
    WrongSize {
        /// The entry.
        path: EntryPath,
        /// What the manifest says.
        expected: u64,
        /// What the archive says.
        found: u64,
    },
    /// Other bytes than the manifest says.
    #[error("`{path}` has another sha256 than in the manifest")]
    WrongHash {
        /// The entry.
        path: EntryPath,
    },
}
