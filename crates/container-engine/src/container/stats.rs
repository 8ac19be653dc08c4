//! What a container uses.
//!
//! Owns: the choice among the figures of two kinds of cgroups.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::json::null_is_default;

/// What a container has used; everything is `None` when it does not run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Memory, without the pages of files that can be dropped.
    pub memory_bytes: Option<u64>,
    /// How much it may use: its own limit, else the machine's memory.
    pub memory_limit_bytes: Option<u64>,
    /// Processor time since its start, in nanoseconds.
    pub cpu_ns: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
}

/// What the engine writes.
#[derive(Deserialize)]
pub(crate) struct Answer {
    #[serde(default, deserialize_with = "null_is_default")]
    memory_stats: Memory,
    #[serde(default, deserialize_with = "null_is_default")]
    cpu_stats: Cpu,
    #[serde(default, deserialize_with = "null_is_default")]
    pids_stats: Pids,
}

#[derive(Deserialize, Default)]
struct Memory {
    usage: Option<u64>,
    limit: Option<u64>,
    #[serde(default, deserialize_with = "null_is_default")]
    stats: BTreeMap<String, serde_json::Value>,
}

#[derive(Deserialize, Default)]
struct Cpu {
    #[serde(default, deserialize_with = "null_is_default")]
    cpu_usage: CpuUsage,
}

#[derive(Deserialize, Default)]
struct CpuUsage {
    total_usage: Option<u64>,
}

#[derive(Deserialize, Default)]
struct Pids {
    current: Option<u64>,
}

impl From<Answer> for Stats {
    fn from(answer: Answer) -> Self {
        let memory = answer.memory_stats;
        let stat = |name: &str| memory.stats.get(name).and_then(serde_json::Value::as_u64);
        // The first is what cgroups of version 1 have.
        let droppable = stat("total_inactive_file").or_else(|| stat("inactive_file"));
        let usage = memory.usage;
        Self {
            memory_bytes: usage.map(|usage| usage.saturating_sub(droppable.unwrap_or(0))),
            memory_limit_bytes: memory.limit,
            // A container that does not run has used nothing, says the engine; it means that it does not know.
            cpu_ns: answer
                .cpu_stats
                .cpu_usage
                .total_usage
                .filter(|_| usage.is_some()),
            pids: answer.pids_stats.current,
        }
    }
}
