//! Calls about the daemon itself.
//!
//! Owns: the shape of `daemon status -o json`.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use service_orchestration::spec::{StackName, StackSources};

/// Parameters of `daemon.status`: none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DaemonStatusParams {}

/// Who the daemon is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonInfo {
    /// [`SCHEMA_VERSION`](super::SCHEMA_VERSION).
    pub schema_version: u32,
    /// Its process.
    pub pid: u32,
    /// Where it listens: `host:port`.
    pub listen: String,
    /// The program that it is: `harness`, or a specialised daemon.
    pub program: String,
    /// That program's version.
    pub version: String,
    /// Since when it answers.
    pub started_at: DateTime<Utc>,
    /// Whether it runs in the background, where `daemon restart` can replace it. Daemons that do not say so do.
    #[serde(default = "in_the_background")]
    pub detached: bool,
    /// Its state directory.
    pub state_directory: PathBuf,
    /// Its stacks, by name.
    pub stacks: Vec<StackSummary>,
}

fn in_the_background() -> bool {
    true
}

/// A stack in a list of stacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackSummary {
    /// Its name.
    pub name: StackName,
    /// Free text for people.
    pub description: Option<String>,
    /// What its relative paths are relative to.
    pub directory: PathBuf,
    /// Every file that was read for it.
    pub files: Vec<PathBuf>,
    /// What it is read from, when it is read again. Daemons that do not say so have not kept it.
    #[serde(default, skip_serializing_if = "StackSources::is_unknown")]
    pub sources: StackSources,
    /// How many units it has, each replica counted.
    pub units: u32,
    /// How many of them may have a process.
    pub active: u32,
    /// How many of them are ready (tasks: completed).
    pub ready: u32,
}

/// Parameters of `daemon.shutdown`. It answers when everything is done; the daemon ends right after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShutdownParams {
    /// Leave what runs to the next daemon, instead of stopping it.
    #[serde(default)]
    pub keep: bool,
}
