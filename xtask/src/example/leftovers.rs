//! What a stack must not leave behind: processes, sockets, FIFOs, held locks.
//!
//! Owns: how each is recognised (Linux: `/proc`). Never removes anything.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::failure::Failure;
use crate::sandbox::Sandbox;

/// Processes and a directory to look at once everything is stopped.
#[derive(Debug)]
pub(crate) struct Leftovers {
    /// Process ids with their start times: a number alone may be another process by then.
    processes: BTreeSet<(u64, String)>,
    home: PathBuf,
}

impl Leftovers {
    /// Watches the home of this sandbox.
    pub(crate) fn watch(sandbox: &Sandbox) -> Self {
        Self {
            processes: BTreeSet::new(),
            home: sandbox.home().to_path_buf(),
        }
    }

    /// Remembers the processes that a status names, with all their descendants and what started them.
    pub(crate) fn add(&mut self, status: &Value) {
        let mut wanted: BTreeSet<u64> = status["items"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|item| item["pid"].as_u64())
            .collect();
        let all = processes();
        loop {
            let more: BTreeSet<u64> = all
                .iter()
                .filter(|process| wanted.contains(&process.parent))
                .map(|process| process.pid)
                .filter(|pid| !wanted.contains(pid))
                .collect();
            if more.is_empty() {
                break;
            }
            wanted.extend(more);
        }
        self.processes.extend(
            all.into_iter()
                .filter(|process| wanted.contains(&process.pid))
                .map(|process| (process.pid, process.started)),
        );
    }

    /// Nothing of what was seen is left.
    ///
    /// # Errors
    /// [`Failure::Unmet`] naming everything that is.
    pub(crate) fn expect_none(&self) -> Result<(), Failure> {
        let mut found = Vec::new();
        let home = self.home.to_string_lossy();
        for process in processes() {
            let was_seen = self
                .processes
                .contains(&(process.pid, process.started.clone()));
            if was_seen || process.command.contains(&*home) {
                found.push(format!("process {}: {}", process.pid, process.command));
            }
        }
        find_endpoints(&self.home, &mut found);
        if found.is_empty() {
            Ok(())
        } else {
            Err(Failure::Unmet {
                claim: "no process, socket, FIFO or lock is left".into(),
                found: found.join("\n          "),
            })
        }
    }
}

struct Process {
    pid: u64,
    parent: u64,
    started: String,
    command: String,
}

/// Every process of the machine that is not a zombie. One that ends meanwhile is left out.
fn processes() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let pid: u64 = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            // The name in parentheses may hold anything; the fields are counted after it (man 5 proc_pid_stat).
            let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
            let command = fs::read(entry.path().join("cmdline")).ok()?;
            (*fields.first()? != "Z").then_some(Process {
                pid,
                parent: fields.get(1)?.parse().ok()?,
                started: (*fields.get(19)?).to_owned(),
                command: String::from_utf8_lossy(&command).replace('\0', " "),
            })
        })
        .collect()
}

fn find_endpoints(directory: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if kind.is_dir() {
            find_endpoints(&path, found);
        } else if kind.is_socket() || kind.is_fifo() {
            found.push(format!("{}: a socket or FIFO", path.display()));
        } else if kind.is_file() && path.to_string_lossy().contains("lock") && is_locked(&path) {
            found.push(format!("{}: locked", path.display()));
        }
    }
}

fn is_locked(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| matches!(file.try_lock(), Err(fs::TryLockError::WouldBlock)))
}
