//! What a reader of a log finds.
//!
//! Owns: the shapes only. Never reads.

use serde::{Deserialize, Serialize};

use super::format::Stream;

/// What a reader finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// An attempt begins.
    Begin {
        /// Which.
        attempt: u64,
        /// When, in nanoseconds since 1970.
        at_ns: u64,
    },
    /// A piece of output.
    Data {
        /// Where it was written.
        stream: Stream,
        /// By which attempt.
        attempt: u64,
        /// When it was moved to the log, in nanoseconds since 1970.
        at_ns: u64,
        /// Where it stands in its stream, since the log began.
        offset: u64,
        /// At most 256 KiB; not cut at any boundary that means something.
        bytes: Vec<u8>,
    },
    /// An attempt has ended, and nothing of it comes after this.
    End {
        /// Which.
        attempt: u64,
        /// When, in nanoseconds since 1970.
        at_ns: u64,
    },
    /// Bytes that were written by the service and are not there.
    Gap {
        /// Of which stream.
        stream: Stream,
        /// How many; 0 where nobody knows.
        bytes: u64,
        /// Why.
        cause: GapCause,
    },
}

/// Why bytes are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GapCause {
    /// Their segment was removed to keep the log within its cap.
    Rotated,
    /// The disk was full.
    DiskFull,
    /// Who kept them until they could be fetched, such as a container engine, does not have them any more.
    NotKept,
    /// They were recorded and are gone: a power cut, or somebody shortened the file.
    Lost,
}
