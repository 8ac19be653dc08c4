//! Reads and verifies the record.
//!
//! Owns: the order of the files, and what counts as a break. Works without a daemon.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::journal::{CURRENT, HEAD, read_head};
use super::record::AuditRecord;
use crate::protocol::{AuditPage, AuditReadParams, AuditVerified, SCHEMA_VERSION};

/// The record cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the audit record in {}", directory.display())]
pub struct AuditError {
    directory: PathBuf,
    #[source]
    source: io::Error,
}

/// Where the record of a state directory lies.
pub fn audit_directory(state: &Path) -> PathBuf {
    state.join("audit")
}

/// A page of the record: what is asked for, oldest first.
///
/// # Errors
/// [`AuditError`].
pub fn read(state: &Path, params: &AuditReadParams) -> Result<AuditPage, AuditError> {
    let limit = params
        .limit
        .map_or(PAGE, |limit| usize::try_from(limit).unwrap_or(PAGE))
        .clamp(1, PAGE);
    let is_wanted = |record: &AuditRecord| {
        params.after.is_none_or(|after| record.seq > after)
            && params.since.is_none_or(|since| record.time >= since)
    };
    let mut items: Vec<AuditRecord> = Vec::new();
    let mut files = files(state)?;
    if params.last {
        files.reverse();
    }
    // One more than is told shows whether there are more.
    for file in files {
        if items.len() > limit {
            break;
        }
        let text = text(state, &file)?;
        let wanted = text
            .lines()
            .filter_map(AuditRecord::parse)
            .filter(is_wanted);
        if params.last {
            items = wanted.chain(items).collect();
        } else {
            items.extend(wanted);
        }
    }
    let more = items.len() > limit;
    if params.last {
        items.drain(..items.len().saturating_sub(limit));
    } else {
        items.truncate(limit);
    }
    Ok(AuditPage {
        schema_version: SCHEMA_VERSION,
        items,
        more,
    })
}

/// Whether every line is the one that was written, and none is missing.
///
/// # Errors
/// [`AuditError`].
pub fn verify(state: &Path) -> Result<AuditVerified, AuditError> {
    let mut checked = Checked::default();
    for file in files(state)? {
        let name = file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let text = text(state, &file)?;
        for (line, number) in text.lines().zip(1_u64..) {
            checked.line(line, &format!("{name}:{number}"));
        }
    }
    checked.end(state)
}

/// What was seen of the record so far.
#[derive(Default)]
struct Checked {
    first: Option<u64>,
    last: Option<AuditRecord>,
    count: u64,
    missing: u64,
    /// A line that is none, which the next one may account for.
    unread: Option<String>,
    problems: Vec<String>,
}

impl Checked {
    fn line(&mut self, line: &str, place: &str) {
        let Some(record) = AuditRecord::parse(line) else {
            self.flush();
            self.unread = Some(format!("{place}: the line was changed"));
            return;
        };
        if record.after_torn_line {
            self.unread = None;
        }
        self.flush();
        if let Some(last) = &self.last
            && record.prev != last.hash
        {
            self.problems.push(format!(
                "{place}: record {} does not follow record {}",
                record.seq, last.seq
            ));
        }
        self.first.get_or_insert(record.seq);
        self.count += 1;
        self.missing += record.missing;
        self.last = Some(record);
    }

    fn flush(&mut self) {
        self.problems.extend(self.unread.take());
    }

    fn end(mut self, state: &Path) -> Result<AuditVerified, AuditError> {
        // A crash may have cut the very last line, and nobody has come since to say so; nobody can have cut it so that
        // it was there before: the head file says how far the record went.
        let is_torn_at_end = self.unread.take().is_some();
        let head = File::open(audit_directory(state).join(HEAD))
            .ok()
            .and_then(|head| read_head(&head));
        let last_seq = self.last.as_ref().map_or(0, |last| last.seq);
        match head {
            Some(head) if head.seq > last_seq => self.problems.push(format!(
                "the record ends with {last_seq}, and went as far as {}",
                head.seq
            )),
            Some(head)
                if self
                    .last
                    .as_ref()
                    .is_some_and(|last| last.seq == head.seq && last.hash != head.hash) =>
            {
                self.problems
                    .push(format!("record {last_seq} is not the one that was written"));
            }
            Some(_) => {}
            None if self.count > 0 => self
                .problems
                .push(format!("the file {HEAD} is missing or damaged")),
            None => {}
        }
        Ok(AuditVerified {
            schema_version: SCHEMA_VERSION,
            intact: self.problems.is_empty(),
            records: self.count,
            first: self.first,
            head_seq: last_seq,
            head_hash: self.last.map(|last| last.hash),
            missing: self.missing,
            torn_at_end: is_torn_at_end,
            problems: self.problems,
        })
    }
}

/// The files set aside, oldest first.
pub(super) fn archives(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("audit-") && name.ends_with(".jsonl") {
            found.push(path);
        }
    }
    // The number in the name has a fixed width.
    found.sort();
    Ok(found)
}

/// All files, oldest first; none when nothing was ever recorded.
fn files(state: &Path) -> Result<Vec<PathBuf>, AuditError> {
    let directory = audit_directory(state);
    let current = directory.join(CURRENT);
    match archives(&directory) {
        Ok(mut files) => {
            if current.exists() {
                files.push(current);
            }
            Ok(files)
        }
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(AuditError { directory, source }),
    }
}

fn text(state: &Path, file: &Path) -> Result<String, AuditError> {
    match std::fs::read(file) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        // Set aside or removed since the list was made.
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(source) => Err(AuditError {
            directory: audit_directory(state),
            source,
        }),
    }
}

/// Records in one answer.
const PAGE: usize = 500;
