//! One change at a time, and who makes it.
//!
//! Owns: the lock file. The kernel lets the lock go when its holder dies, so a dead one holds up nobody; what the file says is for
//! people only.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::error::StoreError;

/// Who changes a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// As whoever asked for it says.
    pub who: String,
    /// In seconds since 1970, by this machine's clock.
    pub since_s: u64,
    /// The process on this machine.
    pub pid: u32,
}

impl Holder {
    /// This process, now.
    pub(super) fn now(who: &str) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            who: who.to_owned(),
            since_s: since.unwrap_or_default().as_secs(),
            pid: std::process::id(),
        }
    }

    /// The time as people read it, in UTC.
    #[must_use]
    pub fn since(&self) -> String {
        let at = UNIX_EPOCH.checked_add(Duration::from_secs(self.since_s));
        humantime::format_rfc3339_seconds(at.unwrap_or(UNIX_EPOCH)).to_string()
    }
}

/// The lock, for as long as this lives.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    pub(super) fn take(path: &Path, who: &str) -> Result<Self, StoreError> {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let mut file = options
            .mode(0o600)
            .open(path)
            .map_err(StoreError::io("open", path))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let holder = read(&mut file);
                return Err(StoreError::Held { holder });
            }
            Err(error) => return Err(StoreError::io("lock", path)(error.into())),
        }
        write(&mut file, &Holder::now(who)).map_err(StoreError::io("write", path))?;
        Ok(Self { _file: file })
    }
}

/// Who has it. Between taking and saying so there is a moment, and a holder who cannot be read is one.
fn read(file: &mut File) -> Holder {
    let mut text = Vec::new();
    let read = file.take(MOST_BYTES).read_to_end(&mut text);
    read.ok()
        .and_then(|_| serde_json::from_slice(&text).ok())
        .unwrap_or_else(|| Holder {
            who: "somebody".to_owned(),
            ..Holder::now("")
        })
}

fn write(file: &mut File, holder: &Holder) -> io::Result<()> {
    let text = serde_json::to_vec(holder)?;
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(&text)
}

/// A name of any sensible length, and two numbers.
const MOST_BYTES: u64 = 16 << 10;
