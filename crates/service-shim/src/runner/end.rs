//! How the main process ended, and the record of it.
//!
//! Owns: the ways to learn an exit status, and `exit.json`. Never guesses: what nobody can know is unknown.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::process::{WaitId, WaitIdOptions};

use super::Host;
use crate::exit::ExitRecord;
use crate::identity::ProcessRef;
use crate::log::now_ns;
use crate::run_dir::{self, RunDir};
use crate::signal::Signal;
use crate::spec::{LAYOUT_VERSION, LaunchRecord};
use crate::{procfs, sys};

/// How the main process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MainEnd {
    Code(i32),
    Signal(i32),
    Unknown,
}

impl MainEnd {
    /// Reads a wait status.
    pub(super) fn from_status(status: i32) -> MainEnd {
        match status & 0x7f {
            0 => MainEnd::Code((status >> 8) & 0xff),
            signal => MainEnd::Signal(signal),
        }
    }

    /// The end of a process that is not (or not surely) our child, just after its pidfd told that it ended.
    pub(super) fn of_stranger(main: &ProcessRef, host: Host) -> MainEnd {
        if host == Host::Thread {
            // Our child, unless a predecessor started it.
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
            if let Ok(Some(status)) = rustix::process::waitid(WaitId::PidFd(main.as_fd()), options)
            {
                return match (status.exit_status(), status.terminating_signal()) {
                    (Some(code), _) => MainEnd::Code(code),
                    (None, Some(signal)) => MainEnd::Signal(signal),
                    (None, None) => MainEnd::Unknown,
                };
            }
        }
        let identity = main.identity();
        let give_up = Instant::now() + REAP_TIME;
        loop {
            // Once somebody has reaped it, kernels from 6.15 on keep the status for whoever holds a pidfd.
            if let Some(status) = sys::pidfd_exit_status(main.as_fd()) {
                return MainEnd::from_status(status);
            }
            // Until then it is in /proc, for whoever may trace it.
            match procfs::stat(identity.pid) {
                Ok(Some(stat)) if stat.start_ticks == identity.start_ticks && stat.is_zombie() => {
                    // Zero may also mean that we may not know: its parent reaps it soon, then the kernel tells.
                    if stat.wait_status != 0 || procfs::may_trace(identity.pid) {
                        return MainEnd::from_status(stat.wait_status);
                    }
                    if Instant::now() >= give_up {
                        return MainEnd::Unknown;
                    }
                    std::thread::sleep(Duration::from_millis(1));
                }
                _ => {
                    return sys::pidfd_exit_status(main.as_fd())
                        .map_or(MainEnd::Unknown, MainEnd::from_status);
                }
            }
        }
    }
}

/// The record of an end that was seen now.
pub(super) fn record(launch: &LaunchRecord, pid: Option<u32>, end: MainEnd) -> ExitRecord {
    let (code, signal) = match end {
        MainEnd::Code(code) => (Some(code), None),
        MainEnd::Signal(signal) => (None, Signal::from_number(signal)),
        MainEnd::Unknown => (None, None),
    };
    ExitRecord {
        layout: LAYOUT_VERSION,
        instance_id: launch.instance_id.clone(),
        attempt: launch.attempt,
        pid,
        code,
        signal,
        exit_unknown: end == MainEnd::Unknown,
        failure: None,
        ended_at_ns: now_ns(),
        stop: None,
    }
}

/// Writes `exit.json`. It takes the place, and the block, of `launch.json`, which nobody needs any more: so it costs no new
/// file, which is the dearest part of it, and a full disk does not matter.
pub(crate) fn write(run: &RunDir, exit: &ExitRecord) {
    if !replaces_launch_record(run, exit) {
        // There is none: nothing was ever started. If even this fails the end stays unknown to whoever comes later;
        // those connected now are told.
        drop(run.write_json(run_dir::EXIT, exit));
    }
}

fn replaces_launch_record(run: &RunDir, exit: &ExitRecord) -> bool {
    let Ok(mut bytes) = serde_json::to_vec(exit) else {
        return false;
    };
    let Ok(file) = run.open_file(run_dir::LAUNCH, OFlags::WRONLY) else {
        return false;
    };
    let Ok(stat) = rustix::fs::fstat(&file) else {
        return false;
    };
    // Blanks over the rest of the old text: cutting the file would give its block away.
    let length = usize::try_from(stat.st_size).unwrap_or(0);
    bytes.resize(bytes.len().max(length), b' ');
    // One write: whoever kills us finds the one record or the other, and `adopt` knows both.
    rustix::io::pwrite(&file, &bytes, 0) == Ok(bytes.len())
        && rustix::fs::renameat(run, run_dir::LAUNCH, run, run_dir::EXIT).is_ok()
}

/// The end that a predecessor wrote and did not come to give its name, which it gets now.
pub(super) fn unnamed(run: &RunDir) -> Option<ExitRecord> {
    let exit = run.read_json(run_dir::LAUNCH).ok()??;
    rustix::fs::renameat(run, run_dir::LAUNCH, run, run_dir::EXIT).ok()?;
    Some(exit)
}

// Init reaps at once; a container without one never does.
const REAP_TIME: Duration = Duration::from_millis(500);
