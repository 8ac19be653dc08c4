//! The subscription to events.
//!
//! Owns: its parameters and what precedes its items. An item is a [`service_orchestration::report::Event`] as it is.

use serde::{Deserialize, Serialize};
use service_orchestration::spec::StackName;

/// Parameters of `events.subscribe`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubscribeParams {
    /// The first sequence number wanted; null: only what happens from now on.
    #[serde(default)]
    pub since: Option<u64>,
    /// Only events of this stack; null: of all, and of the daemon itself.
    #[serde(default)]
    pub stack: Option<StackName>,
    /// End after the last event that had happened when the subscription began, instead of going on.
    #[serde(default)]
    pub until_now: bool,
}

/// Result of `events.subscribe`; the items follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// Events before the first one delivered that are no longer kept.
    #[serde(default)]
    pub missed: u64,
    /// The sequence number of the next event to happen.
    pub next: u64,
}
