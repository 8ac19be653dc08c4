//! One line of the record.
//!
//! Owns: its form and its hash. A line is the JSON of an [`AuditRecord`] whose last field is `hash`: SHA-256 of the line
//! up to that field. The hash is of bytes as written, so that no reader has to write JSON the same way.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use harness_wire::Role;

use crate::access::hex;

/// What somebody changed, or tried to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// Its number; the first is 1.
    pub seq: u64,
    /// When the call ended.
    pub time: DateTime<Utc>,
    /// The client that called; empty for one that had no certificate.
    pub client: String,
    /// Its role at that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// The first half of the fingerprint of its certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// Where it called from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What it called.
    pub method: String,
    /// The stack that the call was about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<String>,
    /// The units that were named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub units: Vec<String>,
    /// The client that the call was about, or what else it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// `ok`, `abandoned` when the client left before the answer, or the code of the error.
    pub outcome: String,
    /// How many lines before this one could not be written.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub missing: u64,
    /// Whether the line before this one was cut short by a crash.
    #[serde(default, skip_serializing_if = "is_false")]
    pub after_torn_line: bool,
    /// The hash of the line before; zeros for the first.
    pub prev: String,
    /// The hash of this line. Filled in by whoever reads or writes a line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hash: String,
}

/// A record as its cause knows it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry {
    pub(crate) client: String,
    pub(crate) role: Option<Role>,
    pub(crate) certificate: Option<String>,
    pub(crate) from: Option<String>,
    pub(crate) method: &'static str,
    pub(crate) stack: Option<String>,
    pub(crate) units: Vec<String>,
    pub(crate) about: Option<String>,
    pub(crate) outcome: String,
}

impl AuditRecord {
    /// The line that says this, newline included, and its hash.
    pub(super) fn line(&self) -> (String, String) {
        debug_assert!(self.hash.is_empty(), "a line is hashed once");
        let mut text = serde_json::to_string(self).expect("text and numbers always serialise");
        text.pop();
        let hash = hash(&text);
        (format!("{text}{MARK}{hash}\"}}\n"), hash)
    }

    /// What a line says, if it is one and its hash is that of its text.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let (text, end) = line.rsplit_once(MARK)?;
        let written = end.strip_suffix("\"}")?;
        let record: Self = serde_json::from_str(line).ok()?;
        (hash(text) == written && record.hash == written).then_some(record)
    }
}

fn hash(text: &str) -> String {
    hex(&Sha256::digest(text))
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "the form is that which serde asks for"
)]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "the form is that which serde asks for"
)]
fn is_false(flag: &bool) -> bool {
    !*flag
}

/// What stands before the first line.
pub(super) const NOTHING: &str = "0000000000000000000000000000000000000000000000000000000000000000";
const MARK: &str = ",\"hash\":\"";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_written_as_it_was_read() {
        let mut seen = 0;
        for sample in testkit::samples() {
            let text = std::fs::read_to_string(sample.path("home/state/audit/audit.jsonl"));
            for line in text.expect("checked in").lines() {
                let mut record = AuditRecord::parse(line).expect("a line");
                record.hash.clear();
                assert_eq!(record.line().0.trim_end(), line);
                seen += 1;
            }
        }
        assert!(seen > 3, "{seen}");
    }
}
