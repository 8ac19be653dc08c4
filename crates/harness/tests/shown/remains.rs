//! What a sandbox could leave behind on the machine.
//!
//! Owns: the search for it. Signals only processes that carry the marks of this one sandbox, and only when its test has
//! failed already.

use std::fs::{self, File};
use std::net::TcpStream;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use serde_json::Value;
use testkit::{alive, eventually_blocking};

use super::sandbox::{Sandbox, kill};

/// Everything by which something of a sandbox can be found.
pub(crate) struct Traces {
    directory: PathBuf,
    home: PathBuf,
    daemon: Option<u32>,
    listen: Option<String>,
    instances: Vec<String>,
}

impl Traces {
    /// Asks the daemon, if one runs.
    pub(super) fn gather(sandbox: &Sandbox) -> Self {
        let daemon = sandbox.run(&["daemon", "status", "-o", "json"]);
        let daemon: Value = serde_json::from_str(&daemon.stdout).unwrap_or_default();
        let events = sandbox.run(&["events", "-o", "json"]).stdout;
        let instance = |line: &str| -> Option<String> {
            let event: Value = serde_json::from_str(line).ok()?;
            Some(event["event_data"]["instance_id"].as_str()?.to_owned())
        };
        let mut instances: Vec<String> = events.lines().filter_map(instance).collect();
        instances.sort_unstable();
        instances.dedup();
        Self {
            directory: sandbox.path().to_owned(),
            home: sandbox.home(),
            daemon: daemon["pid"]
                .as_u64()
                .and_then(|pid| u32::try_from(pid).ok()),
            listen: daemon["listen"].as_str().map(str::to_owned),
            instances,
        }
    }

    /// At once: `daemon stop` returns when everything is really gone. Only the daemon's own process, which has released
    /// all it had and said so, may still be on its last instructions.
    #[track_caller]
    pub(super) fn assert_nothing_is_left(&self) {
        if let Some(daemon) = self.daemon {
            eventually_blocking(Duration::from_secs(5), "the daemon is gone", || {
                !alive(daemon)
            });
        }
        let processes: Vec<String> = self.processes().into_iter().map(described).collect();
        assert!(processes.is_empty(), "left: {processes:?}");
        let mut files = Vec::new();
        collect(&self.home, &mut files);
        for file in files {
            let kind = fs::symlink_metadata(&file)
                .expect("it was just listed")
                .file_type();
            assert!(
                !kind.is_socket() && !kind.is_fifo(),
                "left: {}",
                file.display()
            );
            if file
                .file_name()
                .is_some_and(|name| name.to_string_lossy().contains("lock"))
            {
                let lock = File::open(&file).expect("it is ours");
                let taken = flock(&lock, FlockOperation::NonBlockingLockExclusive);
                assert!(taken.is_ok(), "somebody holds {}", file.display());
            }
        }
        let sockets = fs::read_to_string("/proc/net/unix").expect("/proc is mounted");
        let home = self.home.display().to_string();
        assert!(
            !sockets.contains(&home),
            "a socket of {home} is left:\n{sockets}"
        );
        if let Some(listen) = &self.listen {
            assert!(
                TcpStream::connect(listen).is_err(),
                "somebody listens at {listen}"
            );
        }
        let groups = self.cgroups();
        assert!(groups.is_empty(), "left: {groups:?}");
    }

    pub(super) fn kill_what_is_left(&self) {
        self.processes()
            .into_iter()
            .filter(|pid| alive(*pid))
            .for_each(kill);
    }

    /// The living processes that work in the sandbox, have it in their environment, or carry an instance's mark.
    fn processes(&self) -> Vec<u32> {
        let entries = fs::read_dir("/proc").expect("/proc is mounted").flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let own = std::process::id();
        pids.filter(|pid| *pid != own && alive(*pid) && self.is_ours(*pid))
            .collect()
    }

    fn is_ours(&self, pid: u32) -> bool {
        let is_here = |name: &str| {
            fs::read_link(format!("/proc/{pid}/{name}"))
                .is_ok_and(|to| to.starts_with(&self.directory))
        };
        let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let environ = String::from_utf8_lossy(&environ);
        let directory = self.directory.display().to_string();
        let has_mark = |variable: &str| {
            variable.contains(&directory)
                || variable
                    .strip_prefix("HARNESS_INSTANCE_ID=")
                    .is_some_and(|id| self.instances.iter().any(|instance| instance == id))
        };
        is_here("cwd") || is_here("exe") || environ.split('\0').any(has_mark)
    }

    /// The cgroups of its attempts.
    fn cgroups(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut pending = vec![PathBuf::from("/sys/fs/cgroup")];
        while let Some(directory) = pending.pop() {
            for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
                if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    continue;
                }
                let name = entry.file_name();
                let instance = name.to_str().and_then(|name| name.strip_prefix("harness-"));
                if instance.is_some_and(|id| self.instances.iter().any(|instance| instance == id)) {
                    found.push(entry.path());
                }
                pending.push(entry.path());
            }
        }
        found
    }
}

fn described(pid: u32) -> String {
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    format!(
        "{pid} {}",
        String::from_utf8_lossy(&command).replace('\0', " ")
    )
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => collect(&entry.path(), files),
            _ => files.push(entry.path()),
        }
    }
}
