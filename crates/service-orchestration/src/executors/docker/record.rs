//! Which container an attempt runs in.
//!
//! Owns: one small file for each attempt of a unit whose container is kept, on the disk before the container is started.
//! Labels of a container cannot change, so nothing at the engine tells its runs apart but when each began.
//!
//! Invariant: an attempt has begun if, and only if, the last start of its container is another one than the file names.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use command_executor::blocking;
use serde::{Deserialize, Serialize};
use service_shim::LogPolicy;

use super::past::Past;

/// What is kept of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// Its stack.
    pub(super) stack: String,
    /// The engine's id of its container.
    pub(super) container: String,
    /// When the run before began, in nanoseconds since 1970 by the engine's clock; absent when it never ran.
    pub(super) before_ns: Option<u64>,
    /// When that ended, by the same clock: one that ended later, and runs, was started by somebody else since. Absent in records
    /// of earlier versions.
    #[serde(default)]
    pub(super) before_ended_ns: Option<Option<u64>>,
    /// What the container has said before this attempt.
    pub(super) past: Option<Past>,
    /// Where its output goes.
    pub(super) output: LogPolicy,
}

/// The files of all attempts.
#[derive(Clone, Debug)]
pub(super) struct Records {
    directory: PathBuf,
}

impl Records {
    pub(super) fn at(directory: PathBuf) -> Self {
        Self { directory }
    }

    fn file(&self, instance_id: &str) -> PathBuf {
        self.directory.join(format!("{instance_id}.json"))
    }

    /// Keeps it: whole and on the disk when this returns.
    pub(super) async fn write(&self, instance_id: &str, record: &Record) -> io::Result<()> {
        let (directory, file) = (self.directory.clone(), self.file(instance_id));
        let text = serde_json::to_vec(record).expect("paths and numbers can be JSON");
        blocking::unblock(move || {
            fs::create_dir_all(&directory)?;
            let new = file.with_extension("new");
            let mut options = fs::OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600);
            let mut writer = options.open(&new)?;
            writer.write_all(&text)?;
            writer.sync_all()?;
            fs::rename(&new, &file)?;
            fs::File::open(&directory)?.sync_all()
        })
        .await
    }

    /// What is kept; nothing when no container of it was ever to be started.
    pub(super) async fn read(&self, instance_id: &str) -> io::Result<Option<Record>> {
        let file = self.file(instance_id);
        blocking::unblock(move || match fs::read(file) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        })
        .await
    }

    /// Forgets it. Whether there was anything to forget.
    pub(super) async fn remove(&self, instance_id: &str) -> io::Result<bool> {
        let file = self.file(instance_id);
        blocking::unblock(move || match fs::remove_file(file) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        })
        .await
    }

    /// The attempts of which something is kept.
    pub(super) fn all(&self) -> impl Iterator<Item = String> {
        let entries = fs::read_dir(&self.directory)
            .into_iter()
            .flatten()
            .flatten();
        entries.filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            // Also what somebody died over: it is forgotten by the same name.
            name.strip_suffix(".json").map(str::to_owned)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::block_on;

    #[test]
    fn what_is_kept_is_found_again_until_it_is_forgotten() {
        let place = tempfile::tempdir().expect("a directory");
        let records = Records::at(place.path().join("runs"));
        assert_eq!(
            block_on(records.read("0123456789ab")).expect("readable"),
            None
        );
        let record = Record {
            stack: "shop".into(),
            container: "c1".into(),
            before_ns: Some(7),
            before_ended_ns: Some(Some(8)),
            past: Some(Past {
                at_ns: [9, 8],
                counts: [2, 0],
            }),
            output: LogPolicy::new("/log"),
        };
        block_on(records.write("0123456789ab", &record)).expect("writable");
        let found = block_on(records.read("0123456789ab")).expect("readable");
        assert_eq!(found, Some(record));
        assert_eq!(records.all().collect::<Vec<_>>(), ["0123456789ab"]);
        assert!(block_on(records.remove("0123456789ab")).expect("removable"));
        assert!(!block_on(records.remove("0123456789ab")).expect("removable"));
        assert_eq!(records.all().count(), 0);
    }
}
