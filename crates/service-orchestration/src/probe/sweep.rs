//! Ends what a command probe left behind.
//!
//! Owns: the programs that are being ended, until nothing of them is left. Finds them by the marker in their
//! environment and by their process group, and signals through pidfds only. Linux only.
//!
//! Invariant: a group's number is looked for only while its leader is unreaped, so it cannot be another's by then.

#[cfg(not(target_os = "linux"))]
compile_error!("command probes need Linux: pidfds and /proc are what their cleanup rests on");

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::process::Child;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::channel::oneshot;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Variable that every process of a command probe finds in its environment.
pub(crate) const MARKER: &str = "HARNESS_PROBE_ID";

/// Ends process trees, many at once, on a thread of its own that lives only while there is something to do.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sweeper {
    // A lock because work comes from `drop`, which cannot wait. Held to put in and to take out, never over an await.
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<Remains>,
    is_running: bool,
}

/// What must be ended.
#[derive(Debug)]
pub(crate) struct Remains {
    /// The value of [`MARKER`]; empty: nothing but `done`.
    pub(crate) marker: String,
    /// The leader of the group, not reaped yet.
    pub(crate) leader: Option<Child>,
    /// Told when nothing is left.
    pub(crate) done: Option<oneshot::Sender<()>>,
}

impl Sweeper {
    /// Takes over what must be ended. Never blocks.
    pub(crate) fn take(&self, remains: Remains) {
        let mut state = self.lock();
        state.waiting.push(remains);
        if !std::mem::replace(&mut state.is_running, true) {
            let sweeper = self.clone();
            // Detached because it must outlive whoever dropped the probe; it ends once nothing is left to end.
            blocking::unblock(move || sweeper.work()).detach();
        }
    }

    /// Returns once everything that was taken over before is gone.
    pub(crate) async fn settled(&self) {
        let (done, gone) = oneshot::channel();
        self.take(Remains {
            marker: String::new(),
            leader: None,
            done: Some(done),
        });
        // An error means that the thread died with it: nothing to wait for.
        let _ = gone.await;
    }

    fn work(&self) {
        loop {
            let mut batch = {
                let mut state = self.lock();
                if state.waiting.is_empty() {
                    state.is_running = false;
                    return;
                }
                std::mem::take(&mut state.waiting)
            };
            end(&mut batch);
            for remains in &mut batch {
                reap(remains.leader.take());
                if let Some(done) = remains.done.take() {
                    // Who asked may have stopped waiting.
                    let _ = done.send(());
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends rounds of what is found until a round finds nothing: what was forked meanwhile is found by the next.
fn end(batch: &mut [Remains]) {
    let markers: Vec<&str> = batch
        .iter()
        .map(|remains| remains.marker.as_str())
        .filter(|marker| !marker.is_empty())
        .collect();
    let groups: Vec<u32> = batch
        .iter()
        .filter_map(|remains| remains.leader.as_ref().map(Child::id))
        .collect();
    if markers.is_empty() && groups.is_empty() {
        return;
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = find(&markers, &groups);
        if found.is_empty() {
            return;
        }
        for process in &found {
            // It may have ended by itself, or be another user's: both show in the next round.
            let _ = pidfd_send_signal(process, Signal::KILL);
        }
        if !wait(&found, deadline) {
            tracing::warn!(processes = found.len(), "processes of a probe do not end");
            return;
        }
    }
}

/// The living processes with one of these markers or in one of these groups.
fn find(markers: &[&str], groups: &[u32]) -> Vec<OwnedFd> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return vec![];
    };
    let pids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid: i32| {
        if !belongs(pid, markers, groups) {
            return None;
        }
        let process = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
        // Looked at again: only now is it certain that the descriptor is the process that was looked at.
        belongs(pid, markers, groups).then_some(process)
    })
    .collect()
}

fn belongs(pid: i32, markers: &[&str], groups: &[u32]) -> bool {
    let Ok(stat) = fs::read(format!("/proc/{pid}/stat")) else {
        return false;
    };
    let Some((is_zombie, group)) = parse(&stat) else {
        return false;
    };
    if is_zombie {
        return false;
    }
    groups.contains(&group)
        || fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environ| carries(&environ, markers))
}

/// From `/proc/PID/stat`: whether it has ended, and its process group. The name may hold spaces and parentheses.
fn parse(stat: &[u8]) -> Option<(bool, u32)> {
    let close = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(stat.get(close + 1..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    let group = fields.nth(1)?.parse().ok()?;
    Some((matches!(state, "Z" | "X"), group))
}

fn carries(environ: &[u8], markers: &[&str]) -> bool {
    environ.split(|byte| *byte == 0).any(|entry| {
        entry
            .strip_prefix(MARKER.as_bytes())
            .and_then(|rest| rest.strip_prefix(b"="))
            .is_some_and(|value| markers.iter().any(|marker| marker.as_bytes() == value))
    })
}

/// Waits until all have ended; `false` when the deadline passed before.
fn wait(processes: &[OwnedFd], deadline: Instant) -> bool {
    processes.iter().all(|process| {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).expect("a patience of seconds fits");
        let mut wanted = [PollFd::new(process, PollFlags::IN)];
        matches!(poll(&mut wanted, Some(&timeout)), Ok(1))
    })
}

/// A leader that is stuck in the kernel is left to be reaped by whoever reaps us.
fn reap(leader: Option<Child>) {
    let Some(mut leader) = leader else {
        return;
    };
    let ended: io::Result<_> = leader.try_wait();
    if !matches!(ended, Ok(Some(_))) {
        tracing::warn!(
            pid = leader.id(),
            "the program of a probe could not be reaped"
        );
    }
}

/// How long a killed process may take to go. Only the kernel can make it take that long.
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_is_no_trap() {
        assert_eq!(parse(b"7 (a) Z (b)) S 1 42 41 0"), Some((false, 42)));
        assert_eq!(parse(b"7 (x) Z 1 42 41 0"), Some((true, 42)));
        assert_eq!(parse(b"7 (x"), None);
    }

    #[test]
    fn only_the_whole_marker_counts() {
        let environ = b"A=1\0HARNESS_PROBE_ID=12\0";
        assert!(carries(environ, &["7", "12"]));
        assert!(!carries(environ, &["1", "123"]));
        assert!(!carries(b"XHARNESS_PROBE_ID=12\0", &["12"]));
    }
}
