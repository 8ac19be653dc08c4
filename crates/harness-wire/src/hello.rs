//! The first exchange on a connection: which protocol version, which features, which programs.
//!
//! Owns: the `hello` request and how a version is agreed. Never decides what a version or feature changes.

use serde::{Deserialize, Serialize};

use crate::error::{RpcError, code};

/// What a program says about itself when a connection opens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The protocol versions it speaks.
    pub protocol: VersionRange,
    /// Optional abilities it has, by name. A peer ignores names it does not know.
    #[serde(default)]
    pub features: Vec<String>,
    /// Its name, for people.
    pub program: String,
    /// Its own version, for people.
    pub version: String,
}

impl Hello {
    /// A program that speaks the protocol of this crate and has no optional abilities.
    pub fn new(program: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            protocol: VersionRange::CURRENT,
            features: Vec::new(),
            program: program.into(),
            version: version.into(),
        }
    }

    /// The same program with optional abilities.
    #[must_use]
    pub fn with_features<I: IntoIterator<Item: Into<String>>>(mut self, features: I) -> Self {
        self.features = features.into_iter().map(Into::into).collect();
        self
    }
}

/// A range of protocol versions, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionRange {
    /// The oldest.
    pub min: u32,
    /// The newest.
    pub max: u32,
}

impl VersionRange {
    /// What this crate speaks.
    pub const CURRENT: Self = Self { min: 1, max: 1 };

    /// The newest version in both ranges.
    pub fn agree(self, other: Self) -> Option<u32> {
        let newest = self.max.min(other.max);
        (newest >= self.min && newest >= other.min).then_some(newest)
    }
}

impl std::fmt::Display for VersionRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.min == self.max {
            write!(f, "{}", self.min)
        } else {
            write!(f, "{} to {}", self.min, self.max)
        }
    }
}

/// What both sides settled on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreed {
    /// The protocol version in use.
    pub protocol: u32,
    /// What the peer said about itself.
    pub peer: Hello,
}

impl Agreed {
    /// Whether the peer has an optional ability.
    pub fn peer_has(&self, feature: &str) -> bool {
        self.peer.features.iter().any(|name| name == feature)
    }
}

/// The server's answer to a `hello` that asks for no common version.
pub(crate) fn incompatible(ours: VersionRange, theirs: VersionRange) -> RpcError {
    let message = format!("protocol version {theirs} is not spoken here, only {ours}");
    RpcError::new(code::INCOMPATIBLE, message)
        .with_data(serde_json::json!({ "min": ours.min, "max": ours.max }))
}

/// The name of the first request.
pub(crate) const METHOD: &str = "hello";

#[cfg(test)]
mod tests {
    use super::VersionRange;

    #[test]
    fn the_newest_common_version_is_agreed() {
        let range = |min, max| VersionRange { min, max };
        assert_eq!(range(1, 3).agree(range(2, 5)), Some(3));
        assert_eq!(range(2, 5).agree(range(1, 3)), Some(3));
        assert_eq!(range(1, 1).agree(range(2, 2)), None);
        assert_eq!(range(4, 6).agree(range(1, 3)), None);
        assert_eq!(
            range(3, 1).agree(range(1, 3)),
            None,
            "an empty range agrees with nothing"
        );
    }
}
