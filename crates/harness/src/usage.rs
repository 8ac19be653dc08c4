//! What services take of this machine: memory and processor time of each one's processes.
//!
//! Owns: the reading of `/proc`, and which processes are a service's: all that descend from it or from the shim beside
//! it, which inherits those whose parent has ended. Works for services of this machine only.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use harness_core::report::UnitStatus;

/// What the processes of a unit take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// In memory now. Pages that processes share are counted for each.
    pub(crate) resident_bytes: u64,
    /// Since each of them was started, in user and kernel mode.
    pub(crate) processor: Duration,
}

/// A process, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Process {
    parent: u32,
    ticks: u64,
}

/// What these units take, by name. One that does not run, or cannot be seen from here, is left out.
pub(crate) fn usage(units: &[&UnitStatus]) -> BTreeMap<String, Usage> {
    let processes = processes();
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (pid, process) in &processes {
        children.entry(process.parent).or_default().push(*pid);
    }
    let of_unit = |unit: &&UnitStatus| {
        // The processes of another machine have other numbers.
        let pid = unit.pid.filter(|_| unit.host.is_none())?;
        let main = processes.get(&pid)?;
        // Only what we launched has a shim for a parent.
        let root = match unit.target.as_str() {
            "process" if main.parent > 1 => main.parent,
            _ => pid,
        };
        let mut usage = Usage::default();
        let mut open = vec![root];
        while let Some(pid) = open.pop() {
            open.extend(children.get(&pid).into_iter().flatten());
            if pid != root || root == unit.pid? {
                usage.resident_bytes += resident_bytes(pid);
                usage.processor += processor(processes.get(&pid)?.ticks);
            }
        }
        Some((unit.name.clone(), usage))
    };
    units.iter().filter_map(of_unit).collect()
}

fn processes() -> BTreeMap<u32, Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let with_facts = |pid: u32| {
        let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
        Some((pid, process(&String::from_utf8_lossy(&stat))?))
    };
    pids.filter_map(with_facts).collect()
}

/// A line of `/proc/PID/stat`. The name in brackets may hold anything, brackets too.
fn process(stat: &str) -> Option<Process> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = behind_name.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Process {
        parent: number(PARENT)?.try_into().ok()?,
        ticks: number(USER_TICKS)? + number(KERNEL_TICKS)?,
    })
}

fn resident_bytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kibibytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.unwrap_or_default() * 1024
}

fn processor(ticks: u64) -> Duration {
    Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
}

/// Fields of `/proc/PID/stat` behind the name, counted from 0.
const PARENT: usize = 1;
const USER_TICKS: usize = 11;
const KERNEL_TICKS: usize = 12;
/// What Linux tells programs on every architecture that we build for, whatever its own timer does.
const TICKS_PER_SECOND: u64 = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::sample;

    #[test]
    fn a_name_with_brackets_does_not_matter() {
        let stat = "7 (a) b (c)) S 3 7 7 0 -1 4194304 1 0 0 0 150 50 0 0 20 0 1 0 9 0 0";
        let expected = Process {
            parent: 3,
            ticks: 200,
        };
        assert_eq!(process(stat), Some(expected));
        assert_eq!(processor(200), Duration::from_secs(2));
        assert_eq!(process("7 (cut"), None);
    }

    #[test]
    fn a_process_that_runs_takes_memory() {
        let mut unit = sample::stopped("api", None, "none", &[]);
        unit.target = "process-attach".to_owned();
        unit.pid = Some(std::process::id());
        let usage = usage(&[&unit]);
        assert!(usage["api"].resident_bytes > 4096, "{usage:?}");
        unit.pid = None;
        assert_eq!(super::usage(&[&unit]), BTreeMap::new());
    }
}
