//! Looking at the processes of this machine through `/proc` (Linux only).
//!
//! Owns: read-only questions about processes. Never sends a signal.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// Whether the process exists and has not ended; a zombie that waits for its parent counts as ended.
pub fn alive(pid: u32) -> bool {
    !matches!(process_state(pid), None | Some('Z' | 'X'))
}

/// The state letter of `/proc/PID/stat` (`R`, `S`, `T`, `Z` …), or `None` when there is no such process.
pub fn process_state(pid: u32) -> Option<char> {
    state(Path::new(&format!("/proc/{pid}/stat")))
}

/// Whether a process is stopped, and does nothing any more. `SIGSTOP` takes effect on each thread when that next enters
/// the kernel: whoever has sent it waits for this.
pub fn is_stopped(pid: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    let mut threads = threads.into_iter().flatten().flatten().peekable();
    threads.peek().is_some()
        && threads.all(|thread| state(&thread.path().join("stat")) == Some('T'))
}

/// The living processes whose environment holds exactly `marker` (`"NAME=value"`), by ascending PID.
///
/// Processes of other users, whose environment cannot be read, are left out. A process that was started this very
/// instant may not have its environment yet: wait with [`eventually`](crate::eventually).
pub fn processes_with_env(marker: &str) -> Vec<u32> {
    let holds_marker = |pid: &u32| {
        fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|environ| environ.split(|b| *b == 0).any(|v| v == marker.as_bytes()))
    };
    all()
        .into_iter()
        .filter(holds_marker)
        .filter(|pid| alive(*pid))
        .collect()
}

/// The session of a process, or `None` when there is no such process.
///
/// `0` stands for a session whose leader lives outside of this PID namespace, where `getsid` has no answer that a
/// checked process id could hold.
pub fn session_of(pid: u32) -> Option<u32> {
    after_name(pid)?.split(' ').nth(3)?.parse().ok()
}

/// The parent of a process, or `None` when there is no such process.
pub fn parent_of(pid: u32) -> Option<u32> {
    after_name(pid)?.split(' ').nth(1)?.parse().ok()
}

/// A thread, and how often it was put on a core: the kernel's count of its context switches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadAtWork {
    /// Its process.
    pub pid: u32,
    /// What it is called, cut to 15 bytes by the kernel.
    pub name: String,
    /// How often it gave its core away, by itself or not.
    pub switches: u64,
}

/// The threads of a process; none when there is no such process.
pub fn threads_of(pid: u32) -> Vec<ThreadAtWork> {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    threads
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|thread| {
            let status = fs::read_to_string(thread.path().join("status")).ok()?;
            let value = |key: &str| {
                let line = status.lines().find(|line| line.starts_with(key))?;
                Some(line[key.len()..].trim().to_owned())
            };
            let count = |key: &str| value(key)?.parse::<u64>().ok();
            Some(ThreadAtWork {
                pid,
                name: value("Name:")?,
                switches: count("voluntary_ctxt_switches:")?
                    + count("nonvoluntary_ctxt_switches:")?,
            })
        })
        .collect()
}

/// When the first of a process's timer descriptors will wake it; none when none is set.
pub fn next_timer(pid: u32) -> Option<Duration> {
    let infos = fs::read_dir(format!("/proc/{pid}/fdinfo"));
    infos
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|info| fs::read_to_string(info.path()).ok())
        .filter_map(|info| {
            let left = info
                .lines()
                .find_map(|line| line.strip_prefix("it_value: ("))?;
            let (seconds, nanos) = left.trim_end_matches(')').split_once(", ")?;
            Some(Duration::new(seconds.parse().ok()?, nanos.parse().ok()?))
        })
        .filter(|left| !left.is_zero())
        .min()
}

/// The living processes of a process group, by ascending PID.
pub fn group_members(group: u32) -> Vec<u32> {
    let group = group.to_string();
    let is_member = |pid: &u32| {
        after_name(*pid).is_some_and(|fields| fields.split(' ').nth(2) == Some(group.as_str()))
    };
    all()
        .into_iter()
        .filter(is_member)
        .filter(|pid| alive(*pid))
        .collect()
}

/// What follows the name in `/proc/PID/stat`; the name itself may hold spaces and parentheses.
fn after_name(pid: u32) -> Option<String> {
    after_name_in(Path::new(&format!("/proc/{pid}/stat")))
}

fn state(stat: &Path) -> Option<char> {
    after_name_in(stat)?.split(' ').next()?.chars().next()
}

fn after_name_in(stat: &Path) -> Option<String> {
    let stat = fs::read(stat).ok()?;
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    Some(
        String::from_utf8_lossy(&stat[name_end + 1..])
            .trim()
            .to_owned(),
    )
}

fn all() -> Vec<u32> {
    let mut pids: Vec<u32> = fs::read_dir("/proc")
        .expect("/proc is mounted")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    pids.sort_unstable();
    pids
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_child_is_alive_until_it_ends_and_a_zombie_is_not() {
        let mut child = Command::new("cat")
            .env("TESTKIT_MARKER", "processes-test")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("cat starts");
        assert!(alive(child.id()));
        // The kernel lets the parent go on a moment before the new program has its environment.
        crate::eventually_blocking(Duration::from_secs(5), "cat is found by its marker", || {
            processes_with_env("TESTKIT_MARKER=processes-test") == [child.id()]
        });
        drop(child.stdin.take());
        crate::eventually_blocking(Duration::from_secs(5), "cat ends", || {
            process_state(child.id()) == Some('Z')
        });
        assert!(!alive(child.id()));
        child.wait().expect("cat is reaped");
        assert_eq!(process_state(child.id()), None);
    }
}
