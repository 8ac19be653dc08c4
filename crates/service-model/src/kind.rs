//! What a unit is, and how far one that is needed must have come.
//!
//! Owns: the two words, in their wire and journal form.

use serde::{Deserialize, Serialize};

/// Runs until told otherwise, or once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnitKind {
    /// Runs until told otherwise.
    Service,
    /// Runs to completion once.
    Task,
}

/// How far a dependency must have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gate {
    /// Launched.
    Started,
    /// Ready: its readiness probe has said so.
    Ready,
    /// Ended with success.
    Completed,
}
