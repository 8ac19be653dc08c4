//! What the tests of Compose files share.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test program uses a part of it, and none exports it"
)]

use std::path::PathBuf;

use harness_config::{Code, Diagnostic, Sources};
use service_orchestration::spec::{StackName, StackSpec};

/// In the style of stacks that many people run.
pub const STACKS: [&str; 11] = [
    "voting-app",
    "wordpress",
    "elk",
    "kafka",
    "gitea",
    "immich",
    "sentry",
    "graph-node",
    "monitoring",
    "django",
    "microservices",
];

/// Where they are.
pub fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/compose")
}

/// A Compose file.
pub fn of(text: &str) -> Sources {
    Sources::new()
        .text("compose.yaml", text)
        .directory("/nonexistent/demo")
        .variable("SET", "value")
}

/// With the variables that these findings miss, empty.
pub fn set(mut sources: Sources, found: &[Diagnostic]) -> Sources {
    for found in found.iter().filter(|found| found.code == Code::Unset) {
        if let Some(name) = found.message.split('`').nth(1) {
            sources = sources.variable(name, "");
        }
    }
    sources
}

/// Without what a file's name and place make different.
pub fn without_places(mut stack: StackSpec) -> StackSpec {
    stack.files.clear();
    stack.sources = Default::default();
    stack.name = StackName::new("any").expect("a name");
    stack.environment.clear();
    for unit in stack.units.values_mut() {
        unit.origin = Default::default();
        for dependency in &mut unit.dependencies {
            dependency.origin = Default::default();
        }
    }
    stack
}
