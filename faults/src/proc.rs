//! Questions about processes, answered by `/proc`, and signals that reach nobody else.
//!
//! Owns: what a process looks like from here. A row runs in a PID namespace of its own: every process that it sees is
//! its own doing.

use std::collections::BTreeMap;
use std::fs;

use rustix::process::{Pid, PidfdFlags, Signal};

/// A process that lives, or waits to be reaped.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) state: char,
    pub(crate) parent: u32,
    pub(crate) command: String,
    environment: BTreeMap<String, String>,
}

impl Process {
    /// The attempt whose mark it carries.
    pub(crate) fn instance(&self) -> Option<&str> {
        self.environment.get(INSTANCE).map(String::as_str)
    }

    /// The unit in whose name it was started.
    pub(crate) fn service(&self) -> Option<&str> {
        self.environment.get("HARNESS_SERVICE").map(String::as_str)
    }

    pub(crate) fn is_zombie(&self) -> bool {
        self.state == 'Z'
    }

    pub(crate) fn described(&self) -> String {
        let marks: Vec<&str> = self.service().into_iter().chain(self.instance()).collect();
        let command = match self.command.as_str() {
            "" => std::fs::read_to_string(format!("/proc/{}/comm", self.pid)).unwrap_or_default(),
            command => command.to_owned(),
        };
        let (pid, state, parent) = (self.pid, self.state, self.parent);
        format!(
            "{pid} [{state}] of {parent} {} {}",
            command.trim(),
            marks.join(" ")
        )
    }
}

/// Every process there is.
pub(crate) fn all() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(look).collect()
}

/// The living ones that carry the mark of an attempt and are its own, not its shim's.
pub(crate) fn marked() -> Vec<Process> {
    let mut found = all();
    found.retain(|process| !process.is_zombie() && process.instance().is_some());
    found
}

/// One process.
pub(crate) fn look(pid: u32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    Some(Process {
        pid,
        state,
        parent,
        command: String::from_utf8_lossy(&command)
            .replace('\0', " ")
            .trim()
            .to_owned(),
        environment: String::from_utf8_lossy(&environment)
            .split('\0')
            .filter_map(|entry| entry.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
    })
}

/// Whether it has not ended.
pub(crate) fn is_alive(pid: u32) -> bool {
    testkit::alive(pid)
}

/// How many descriptors it has open.
pub(crate) fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// How many threads it has.
pub(crate) fn threads(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count)
}

/// Memory in use, in KiB: what is its own, without files that are mapped.
pub(crate) fn anonymous_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok())
        .unwrap_or(0)
}

/// Sends a signal, through a pidfd. Whether there was somebody to send it to.
pub(crate) fn signal(pid: u32, signal: Signal) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return false;
    };
    rustix::process::pidfd_open(pid, PidfdFlags::empty())
        .is_ok_and(|pidfd| rustix::process::pidfd_send_signal(&pidfd, signal).is_ok())
}

/// Kills it at once.
pub(crate) fn kill(pid: u32) -> bool {
    signal(pid, Signal::KILL)
}

const INSTANCE: &str = "HARNESS_INSTANCE_ID";
