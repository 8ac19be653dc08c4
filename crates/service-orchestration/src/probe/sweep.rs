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

use command_executor::blocking::unblock_detached;
use futures::channel::oneshot;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Variable that every process of a command probe finds in its environment.
pub(crate) const MARKER: &str = "HARNESS_PROBE_ID";

/// What the marker of every process of every probe of an attempt begins with.
pub(crate) fn marker_of(instance_id: &str) -> String {
    format!("{instance_id}/")
}

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
    /// What the value of [`MARKER`] begins with; empty: nothing but `done`.
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
            unblock_detached(move || sweeper.work());
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
    let mut empty_scans = 0;
    let mut looks_left = MOST_SECOND_LOOKS;
    while empty_scans < ENOUGH_EMPTY_SCANS {
        let found = find(&markers, &groups);
        for process in &found.members {
            // It may have ended by itself, or be another user's: both show in the next round.
            let _ = pidfd_send_signal(process, Signal::KILL);
        }
        if !wait(&found.members, deadline) {
            tracing::warn!(
                processes = found.members.len(),
                "processes of a probe do not end"
            );
            return;
        }
        if !found.members.is_empty() {
            empty_scans = 0;
        } else if found.has_unclear && looks_left > 0 {
            looks_left -= 1;
            std::thread::sleep(BETWEEN_LOOKS);
        } else {
            empty_scans += 1;
        }
    }
}

struct Found {
    members: Vec<OwnedFd>,
    /// A process is between two programs: whose it is shows in a moment.
    has_unclear: bool,
}

/// The living processes with one of these markers or in one of these groups.
fn find(markers: &[&str], groups: &[u32]) -> Found {
    let mut found = Found {
        members: Vec::new(),
        has_unclear: false,
    };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    for pid in pids.filter_map(Pid::from_raw) {
        match belongs(pid, markers, groups) {
            Belongs::No => {}
            Belongs::Unclear => found.has_unclear = true,
            Belongs::Yes => {
                let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else {
                    continue;
                };
                // Looked at again: only now is it certain that the descriptor is the process that was looked at.
                match belongs(pid, markers, groups) {
                    Belongs::Yes => found.members.push(process),
                    Belongs::No | Belongs::Unclear => found.has_unclear = true,
                }
            }
        }
    }
    found
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Belongs {
    Yes,
    No,
    /// It has no environment: while a process takes up its next program, that is so for some microseconds.
    Unclear,
}

fn belongs(pid: Pid, markers: &[&str], groups: &[u32]) -> Belongs {
    let stat = fs::read(format!("/proc/{pid}/stat"));
    let Some((Life::Process, group)) = stat.ok().and_then(|stat| parse(&stat)) else {
        return Belongs::No;
    };
    if groups.contains(&group) {
        return Belongs::Yes;
    }
    match fs::read(format!("/proc/{pid}/environ")) {
        Ok(environ) if environ.is_empty() => Belongs::Unclear,
        Ok(environ) if carries(&environ, markers) => Belongs::Yes,
        Ok(_) | Err(_) => Belongs::No,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Process,
    Zombie,
    Kernel,
}

/// From `/proc/PID/stat`: what it is, and its process group. The name may hold spaces and parentheses.
fn parse(stat: &[u8]) -> Option<(Life, u32)> {
    let close = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(stat.get(close + 1..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    let group = fields.nth(1)?.parse().ok()?;
    let flags: u32 = fields.nth(3)?.parse().ok()?;
    let life = match state {
        "Z" | "X" => Life::Zombie,
        _ if flags & KERNEL_THREAD != 0 => Life::Kernel,
        _ => Life::Process,
    };
    Some((life, group))
}

fn carries(environ: &[u8], markers: &[&str]) -> bool {
    environ.split(|byte| *byte == 0).any(|entry| {
        entry
            .strip_prefix(MARKER.as_bytes())
            .and_then(|rest| rest.strip_prefix(b"="))
            .is_some_and(|value| {
                markers
                    .iter()
                    .any(|marker| value.starts_with(marker.as_bytes()))
            })
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

/// The list of processes is no snapshot: one that forks and ends while it is read can slip through once.
const ENOUGH_EMPTY_SCANS: u32 = 2;

/// A process with an empty environment of its own must not hold the sweep up for ever.
const MOST_SECOND_LOOKS: u32 = 10;
const BETWEEN_LOOKS: Duration = Duration::from_millis(1);

/// `PF_KTHREAD` of the kernel: it has no environment and never will.
const KERNEL_THREAD: u32 = 0x0020_0000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_is_no_trap() {
        assert_eq!(
            parse(b"7 (a) Z (b)) S 1 42 41 0 -1 64 0"),
            Some((Life::Process, 42))
        );
        assert_eq!(
            parse(b"7 (x) Z 1 42 41 0 -1 64 0"),
            Some((Life::Zombie, 42))
        );
        assert_eq!(
            parse(b"2 (k) S 0 0 0 0 -1 2129984 0"),
            Some((Life::Kernel, 0))
        );
        assert_eq!(parse(b"7 (x"), None);
    }

    #[test]
    fn one_question_is_told_from_the_others_and_a_probe_from_other_probes() {
        let environ = b"A=1\0HARNESS_PROBE_ID=ab.12.\0";
        assert!(carries(environ, &["ab.7.", "ab.12."]));
        assert!(carries(environ, &["ab."]), "the whole probe");
        assert!(!carries(environ, &["ab.1.", "abc.", "12."]));
        assert!(!carries(b"XHARNESS_PROBE_ID=ab.12.\0", &["ab.12."]));
    }
}
