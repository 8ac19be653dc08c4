//! Where a test's services lie, and the orders for them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use command_executor::supervised::SupervisedLaunch;
use service_shim::LogPolicy;
use service_shim::log::{Entry, LogReader, Start};

use super::stop;

/// A temporary directory with the run directories and the log of a test.
pub(crate) struct Place {
    pub(crate) dir: PathBuf,
    _removed_with_us: Option<tempfile::TempDir>,
}

impl Place {
    pub(crate) fn new() -> Place {
        let dir = tempfile::tempdir().expect("a temporary directory");
        Place {
            dir: dir.path().to_owned(),
            _removed_with_us: Some(dir),
        }
    }

    /// The place of another process.
    pub(crate) fn in_dir(dir: &str) -> Place {
        Place {
            dir: dir.into(),
            _removed_with_us: None,
        }
    }

    pub(crate) fn script(&self, script: &str) -> SupervisedLaunch {
        let mut order = self.program("/bin/sh");
        order.args = vec!["-c".into(), script.into()];
        order
    }

    pub(crate) fn program(&self, program: &str) -> SupervisedLaunch {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(1);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        SupervisedLaunch {
            run_root: self.dir.join("run"),
            // Unique on the machine: leftovers are found by it.
            instance_id: format!("{:06x}{number:06x}", std::process::id()),
            attempt: 1,
            program: program.into(),
            args: Vec::new(),
            env: BTreeMap::from([(OsString::from("PATH"), OsString::from("/usr/bin:/bin"))]),
            cwd: None,
            user: None,
            group: None,
            log: LogPolicy::new(self.log_dir()),
            stop: stop(1000),
            notify: false,
            stdin: false,
            cgroup: false,
        }
    }

    pub(crate) fn log_dir(&self) -> PathBuf {
        self.dir.join("log")
    }

    pub(crate) fn output(&self) -> Vec<u8> {
        let mut reader = LogReader::open(&self.log_dir(), Start::Oldest).expect("a log");
        let mut all = Vec::new();
        while let Some(entry) = reader.next_entry().expect("readable") {
            if let Entry::Data { bytes, .. } = entry {
                all.extend(bytes);
            }
        }
        all
    }

    pub(crate) async fn wait_for(&self, text: &[u8]) {
        while self.output() != text {
            smol::Timer::after(Duration::from_millis(5)).await;
        }
    }
}

pub(crate) trait WithStdin {
    fn with_stdin(self) -> Self;
}

impl WithStdin for SupervisedLaunch {
    fn with_stdin(mut self) -> SupervisedLaunch {
        self.stdin = true;
        self
    }
}
