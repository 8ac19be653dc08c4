//! Appends to the record.
//!
//! Owns: the open file, its rotation, and the head file that says how far the record goes. Blocks on small writes.
//!
//! Invariant: a line is only ever added behind the last one; files are removed whole, the oldest first.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::reading::{archives, audit_directory};
use super::record::{AuditRecord, Entry, NOTHING};
use crate::access::WallClock;

/// The record of a daemon, open for appending.
#[derive(Debug)]
pub(crate) struct Audit {
    // A lock, because sessions of every client meet here. It is held for the writing of a line.
    writer: Mutex<Writer>,
    clock: WallClock,
}

/// When a line must be on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Before the call is answered.
    Now,
    /// When the system writes it.
    Soon,
}

#[derive(Debug)]
struct Writer {
    directory: PathBuf,
    file: File,
    bytes: u64,
    head: File,
    last: Last,
    missing: u64,
    after_torn_line: bool,
    max_bytes: u64,
    is_closed: bool,
}

/// The last line.
#[derive(Debug, Clone)]
pub(super) struct Last {
    pub(super) seq: u64,
    pub(super) hash: String,
}

impl Audit {
    /// Opens the record of a state directory behind its last line.
    pub(crate) fn open(state: &Path, clock: WallClock) -> io::Result<Self> {
        Self::with_size(state, clock, MAX_BYTES)
    }

    fn with_size(state: &Path, clock: WallClock, max_bytes: u64) -> io::Result<Self> {
        let directory = audit_directory(state);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)?;
        let mut file = open(&directory.join(CURRENT))?;
        let head = open_head(&directory)?;
        let mut text = String::new();
        file.seek(SeekFrom::Start(0))?;
        // What is no text is a torn line too.
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        text.push_str(&String::from_utf8_lossy(&bytes));
        let is_torn = !text.is_empty() && !text.ends_with('\n');
        if is_torn {
            file.write_all(b"\n")?;
        }
        let complete = text.rsplit_once('\n').map_or("", |(lines, _)| lines);
        let last = match complete.lines().rev().find_map(AuditRecord::parse) {
            Some(record) => Last::of(record),
            None => last_archived(&directory)?
                .or_else(|| read_head(&head))
                .unwrap_or_else(Last::none),
        };
        let bytes = file.seek(SeekFrom::End(0))?;
        let writer = Writer {
            directory,
            file,
            bytes,
            head,
            last,
            missing: 0,
            after_torn_line: is_torn,
            max_bytes,
            is_closed: false,
        };
        Ok(Self {
            writer: Mutex::new(writer),
            clock,
        })
    }

    /// Adds a line. One that cannot be written is counted, and the next one says so.
    pub(crate) fn append(&self, entry: Entry, durability: Durability) {
        let time = self.clock.now().into();
        let mut writer = self.writer();
        if writer.is_closed {
            tracing::debug!(
                method = entry.method,
                "a call was not recorded: the daemon has let go"
            );
            return;
        }
        if let Err(error) = writer.append(entry, time, durability) {
            writer.missing += 1;
            tracing::warn!(%error, missing = writer.missing, "the audit record cannot be written");
        }
    }

    /// Leaves the record to the next daemon: nothing is added from here on.
    pub(crate) fn close(&self) {
        let mut writer = self.writer();
        writer.is_closed = true;
        if let Err(error) = writer.file.sync_data() {
            tracing::warn!(%error, "the audit record cannot be forced to disk");
        }
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer {
    fn append(
        &mut self,
        entry: Entry,
        time: chrono::DateTime<chrono::Utc>,
        durability: Durability,
    ) -> io::Result<()> {
        if self.bytes >= self.max_bytes {
            self.rotate()?;
        }
        let record = AuditRecord {
            seq: self.last.seq + 1,
            time,
            client: entry.client,
            role: entry.role,
            certificate: entry.certificate,
            from: entry.from,
            method: entry.method.to_owned(),
            stack: entry.stack,
            units: entry.units,
            about: entry.about,
            outcome: entry.outcome,
            missing: self.missing,
            after_torn_line: self.after_torn_line,
            prev: self.last.hash.clone(),
            hash: String::new(),
        };
        let (line, hash) = record.line();
        if let Err(error) = self.file.write_all(line.as_bytes()) {
            // Half a line: what follows must begin on a line of its own.
            let whole = self.file.set_len(self.bytes);
            self.after_torn_line |= whole.is_err();
            self.file.seek(SeekFrom::End(0))?;
            return Err(error);
        }
        self.bytes += u64::try_from(line.len()).unwrap_or(u64::MAX);
        self.last = Last {
            seq: record.seq,
            hash,
        };
        (self.missing, self.after_torn_line) = (0, false);
        let head = format!("{:020} {}\n", self.last.seq, self.last.hash);
        self.head.write_all_at(head.as_bytes(), 0)?;
        match durability {
            Durability::Now => self.file.sync_data(),
            Durability::Soon => Ok(()),
        }
    }

    /// Sets the file aside under the number of the line that follows it, and begins another.
    fn rotate(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        let aside = format!("audit-{:020}.jsonl", self.last.seq);
        std::fs::rename(self.directory.join(CURRENT), self.directory.join(aside))?;
        self.file = open(&self.directory.join(CURRENT))?;
        self.bytes = 0;
        let all = archives(&self.directory)?;
        let surplus = all.len().saturating_sub(MAX_ARCHIVES);
        for oldest in all.iter().take(surplus) {
            std::fs::remove_file(oldest)?;
        }
        Ok(())
    }
}

impl Last {
    fn of(record: AuditRecord) -> Self {
        Self {
            seq: record.seq,
            hash: record.hash,
        }
    }

    fn none() -> Self {
        Self {
            seq: 0,
            hash: NOTHING.to_owned(),
        }
    }
}

/// How far the record goes, by the head file.
pub(super) fn read_head(head: &File) -> Option<Last> {
    let mut text = [0; 20 + 1 + 64];
    head.read_exact_at(&mut text, 0).ok()?;
    let (seq, hash) = std::str::from_utf8(&text).ok()?.split_once(' ')?;
    Some(Last {
        seq: seq.parse().ok()?,
        hash: hash.to_owned(),
    })
}

fn last_archived(directory: &Path) -> io::Result<Option<Last>> {
    let Some(newest) = archives(directory)?.pop() else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(&std::fs::read(newest)?).into_owned();
    Ok(text
        .lines()
        .rev()
        .find_map(AuditRecord::parse)
        .map(Last::of))
}

fn open(path: &Path) -> io::Result<File> {
    options().append(true).open(path)
}

fn open_head(directory: &Path) -> io::Result<File> {
    options()
        .write(true)
        .truncate(false)
        .open(directory.join(HEAD))
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .create(true)
        .mode(0o600)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
    options
}

/// The file that is written to.
pub(super) const CURRENT: &str = "audit.jsonl";
/// How far the record goes.
pub(super) const HEAD: &str = "audit.head";
/// About 12,000 lines.
const MAX_BYTES: u64 = 4 * 1024 * 1024;
/// With the current one 36 MiB at most.
const MAX_ARCHIVES: usize = 8;

#[cfg(test)]
mod tests;
