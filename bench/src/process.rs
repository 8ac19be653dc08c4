//! Processes as the kernel counts them: memory, time on a core, wakeups, parents, death.
//!
//! Owns: reading `/proc`. Signals go through a pidfd, so none hits a stranger.

use std::collections::HashMap;
use std::fs;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::failure::Failure;

/// One process that can be signalled and whose end can be waited for.
#[derive(Debug)]
pub struct Held {
    pid: u32,
    handle: OwnedFd,
}

impl Held {
    /// Takes hold of a process that runs.
    ///
    /// # Errors
    /// When there is none with this number.
    pub fn new(pid: u32) -> Result<Self, Failure> {
        let known = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let number = known.ok_or_else(|| Failure::Wrong(format!("{pid} is no process id")))?;
        let handle = pidfd_open(number, PidfdFlags::empty())
            .map_err(|errno| Failure::io(format!("hold process {pid}"))(errno.into()))?;
        Ok(Self { pid, handle })
    }

    /// Its number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends a signal; to one that has ended, nothing.
    pub fn signal(&self, signal: Signal) {
        // Ended already: that is what was wanted.
        let _ = pidfd_send_signal(&self.handle, signal);
    }

    /// Returns when it has ended.
    ///
    /// # Errors
    /// [`Failure::Late`] when it has not before this moment.
    pub fn gone_by(&self, deadline: Instant) -> Result<(), Failure> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let wait = Timespec::try_from(left).ok();
            let mut fds = [PollFd::new(&self.handle, PollFlags::IN)];
            match poll(&mut fds, wait.as_ref()) {
                Ok(0) => {
                    return Err(Failure::Late {
                        awaited: format!("end of process {}", self.pid),
                        waited: PATIENCE,
                    });
                }
                Ok(_) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(Failure::io("wait for a process")(errno.into())),
            }
        }
    }
}

/// Returns when all have ended.
///
/// # Errors
/// [`Failure::Late`] when one has not within a minute.
pub fn all_gone(processes: &[Held]) -> Result<(), Failure> {
    let deadline = Instant::now() + PATIENCE;
    processes
        .iter()
        .try_for_each(|process| process.gone_by(deadline))
}

/// What processes used so far, all together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Time on a core, of all their threads.
    pub cpu: Duration,
    /// Time on a core of children that have ended and were waited for; in steps of 10 ms.
    pub cpu_of_children: Duration,
    /// How often a thread was put on a core.
    pub wakeups: u64,
}

impl Usage {
    /// What these processes used so far. One that has ended counts nothing.
    #[must_use]
    pub fn of(pids: &[u32]) -> Self {
        let mut sum = Self::default();
        for pid in pids {
            sum.add(*pid);
        }
        sum
    }

    /// What was used since.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(earlier.cpu),
            cpu_of_children: self.cpu_of_children.saturating_sub(earlier.cpu_of_children),
            wakeups: self.wakeups.saturating_sub(earlier.wakeups),
        }
    }

    fn add(&mut self, pid: u32) {
        let threads = fs::read_dir(format!("/proc/{pid}/task"));
        for thread in threads.into_iter().flatten().flatten() {
            let text = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
            let mut words = text
                .split_whitespace()
                .map(|word| word.parse().unwrap_or(0));
            self.cpu += Duration::from_nanos(words.next().unwrap_or(0));
            self.wakeups += words.nth(1).unwrap_or(0);
        }
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let ticks = ticks_of_children(&stat);
        self.cpu_of_children +=
            Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second());
    }
}

/// Proportional share of memory of these processes, in bytes.
#[must_use]
pub fn pss(pids: &[u32]) -> u64 {
    pids.iter()
        .map(|pid| kib_of(*pid, "smaps_rollup", "Pss:") * 1024)
        .sum()
}

/// Resident memory of a process, in bytes.
#[must_use]
pub fn rss(pid: u32) -> u64 {
    kib_of(pid, "status", "VmRSS:") * 1024
}

/// The parent of each process that runs now.
#[must_use]
pub fn parents() -> HashMap<u32, u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            Some((pid, after_name(&stat).nth(1)?.parse().ok()?))
        })
        .collect()
}

/// These processes and everything below them.
#[must_use]
pub fn trees(roots: &[u32]) -> Vec<u32> {
    let parents = parents();
    let is_below = |mut pid: u32| loop {
        if roots.contains(&pid) {
            return true;
        }
        match parents.get(&pid) {
            Some(parent) if *parent != pid => pid = *parent,
            _ => return false,
        }
    };
    parents
        .keys()
        .copied()
        .filter(|pid| is_below(*pid))
        .collect()
}

fn kib_of(pid: u32, file: &str, key: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(key));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .unwrap_or(0)
}

/// The words of a `stat` line after the program's name, which may hold anything.
fn after_name(stat: &str) -> impl Iterator<Item = &str> {
    stat.rsplit_once(')')
        .map_or("", |(_, rest)| rest)
        .split_whitespace()
}

fn ticks_of_children(stat: &str) -> u64 {
    after_name(stat)
        .skip(13)
        .take(2)
        .filter_map(|word| word.parse::<u64>().ok())
        .sum()
}

const PATIENCE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_a_parent() {
        let own = std::process::id();
        assert!(pss(&[own]) > 0 && rss(own) > 0);
        assert!(parents().contains_key(&own));
        assert!(trees(&[own]).contains(&own));
    }

    #[test]
    fn a_name_with_parentheses_shifts_no_column() {
        let stat = "7 (a) b) S 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18";
        assert_eq!(after_name(stat).nth(1), Some("3"));
        assert_eq!(ticks_of_children(stat), 15 + 16);
    }
}
