//! What must be known of all services before one of them is turned.
//!
//! Owns: which services are tasks, and which are asked for their image's own health check.
//!
//! A service is a task when something waits for its success, nothing waits for it in another way, its restart policy is to
//! leave it ended (or to try again a number of times), and it neither listens nor has a health check. A task that
//! succeeded is not run again until its definition changes; Compose runs it at every `up`.

use std::collections::{BTreeMap, BTreeSet};

use super::nodes::{get, written};
use crate::yaml::{Entry, Node, Value};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// The services that become tasks.
    pub(super) tasks: BTreeSet<String>,
    /// Those whose health others wait for, and that have no health check of their own.
    pub(super) asked: BTreeSet<String>,
    /// Those that have a health check, of whichever kind.
    pub(super) checked: BTreeSet<String>,
}

/// The plan for these services.
pub(super) fn plan(services: &[Entry]) -> Plan {
    let mut conditions: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for service in services {
        for (name, condition) in waits(&service.value) {
            conditions.entry(name).or_default().push(condition);
        }
    }
    let mut plan = Plan::default();
    for service in services {
        let waited = conditions.get(&service.key).map(Vec::as_slice);
        let waited = waited.unwrap_or_default();
        if has_check(&service.value) {
            plan.checked.insert(service.key.clone());
        } else if waited.contains(&HEALTHY) {
            plan.asked.insert(service.key.clone());
            plan.checked.insert(service.key.clone());
        }
        let is_waited_out = !waited.is_empty() && waited.iter().all(|c| *c == COMPLETED);
        if is_waited_out && retries(&service.value).is_some() && is_quiet(&service.value) {
            plan.tasks.insert(service.key.clone());
        }
    }
    plan
}

pub(super) const STARTED: &str = "service_started";
pub(super) const HEALTHY: &str = "service_healthy";
pub(super) const COMPLETED: &str = "service_completed_successfully";

/// How often a service that ended badly is tried again; none when it is to run on.
pub(super) fn retries(service: &Node) -> Option<&str> {
    let policy = get(service, "restart").map_or(Some("no"), written)?;
    match policy {
        "no" | "false" => Some("0"),
        policy => policy
            .strip_prefix("on-failure:")
            .filter(|count| count.parse::<u32>().is_ok()),
    }
}

/// What a service waits for, and how.
fn waits(service: &Node) -> Vec<(String, &str)> {
    let Some(node) = get(service, "depends_on") else {
        return Vec::new();
    };
    match &node.value {
        Value::Map(entries) => entries
            .iter()
            .map(|entry| {
                let condition = get(&entry.value, "condition").and_then(written);
                (entry.key.clone(), condition.unwrap_or(STARTED))
            })
            .collect(),
        Value::List(items) => items
            .iter()
            .filter_map(|item| Some((written(item)?.to_owned(), STARTED)))
            .collect(),
        Value::Scalar(_) => Vec::new(),
    }
}

fn has_check(service: &Node) -> bool {
    let Some(check) = get(service, "healthcheck") else {
        return false;
    };
    let is_disabled = get(check, "disable").and_then(written) == Some("true");
    let test = get(check, "test");
    let is_none = test
        .and_then(|test| test.items().first())
        .and_then(written)
        .is_some_and(|first| first == "NONE");
    !is_disabled && !is_none
}

/// Neither listens nor says that it is healthy, and runs once.
fn is_quiet(service: &Node) -> bool {
    ["ports", "healthcheck", "scale", "deploy"]
        .iter()
        .all(|key| get(service, key).is_none())
}
