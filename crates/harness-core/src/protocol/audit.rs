//! Calls about the record of changes.
//!
//! Owns: the shape of `audit -o json`.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::audit::AuditRecord;

/// Parameters of `audit.read`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditReadParams {
    /// Nothing up to this number.
    #[serde(default)]
    pub after: Option<u64>,
    /// Nothing older.
    #[serde(default)]
    pub since: Option<DateTime<Utc>>,
    /// The newest of them, not the oldest.
    #[serde(default)]
    pub last: bool,
    /// No more than this; there is a bound of 500 in any case.
    #[serde(default)]
    pub limit: Option<u32>,
}

/// Records, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditPage {
    /// [`SCHEMA_VERSION`](super::SCHEMA_VERSION).
    pub schema_version: u32,
    /// The records.
    pub items: Vec<AuditRecord>,
    /// Whether there are more that were asked for.
    pub more: bool,
}

/// Parameters of `audit.verify`: none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditVerifyParams {}

/// Whether the record is as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditVerified {
    /// [`SCHEMA_VERSION`](super::SCHEMA_VERSION).
    pub schema_version: u32,
    /// Whether nothing was changed, removed or put in between, and nothing cut off at the end.
    pub intact: bool,
    /// How many records there are.
    pub records: u64,
    /// The oldest that is kept.
    pub first: Option<u64>,
    /// The newest.
    pub head_seq: u64,
    /// Its hash: noted elsewhere, it shows a record that was written anew.
    pub head_hash: Option<String>,
    /// How many could not be written, by what the others say.
    pub missing: u64,
    /// Whether a crash cut the very last line.
    pub torn_at_end: bool,
    /// What is wrong, each with its place.
    pub problems: Vec<String>,
}
