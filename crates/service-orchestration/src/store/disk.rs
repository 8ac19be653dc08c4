//! The store on disk: one file, one owner, one transaction a turn.
//!
//! Owns: `state.redb` and `lock` in the state directory. A damaged file is reported and left as it is. The records of
//! stacks and units hold environments and secrets: they are sealed (see [`super::seal`]); events are not.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use redb::{
    Database, DatabaseError, ReadableDatabase, ReadableTable, StorageError, TableDefinition,
    TableError,
};
use rustix::fs::FlockOperation;
use zeroize::Zeroizing;

use super::key::{self, DefinitionKey};
use super::seal::{Of, Sealer};
use super::{Batch, Kept, Store, StoreError, migrate};

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
pub(super) const STACKS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("stacks");
pub(super) const UNITS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("units");
pub(super) const EVENTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("events");

/// What others have registered. There is none in a file that no daemon with a discovery API has written to; one without
/// leaves it as it is, and what it tells is old then, but nothing that would last: it runs out by itself.
const STANDINGS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("standings");

/// The format of the file. A released one is never changed: the next number stands beside it. In 1, no record was
/// sealed.
pub(super) const FORMAT: u64 = 2;

/// Events kept on disk. 10,000 of some 300 bytes are 3 MB.
const MAX_EVENTS: u64 = 10_000;

/// Pages held in memory, in bytes. A state of 500 units is some 300 KB; events, most of the file, are written and read once.
const CACHE_BYTES: usize = 1 << 20;

/// State in a directory that nobody else may use while this value lives.
#[derive(Debug)]
pub struct DiskStore {
    path: PathBuf,
    /// A lock because `Store` is shared with the committing thread; held for one call, never across an await. It is
    /// empty while a failed file is being opened anew.
    database: Mutex<Option<Database>>,
    sealer: Sealer,
    key: DefinitionKey,
    /// Held open for its flock.
    _lock: File,
}

impl DiskStore {
    /// Takes the directory, making it (0700) when it is not there, and opens the file in it.
    ///
    /// # Errors
    /// [`StoreError::Held`] when another process has it, [`StoreError::Damaged`] and [`StoreError::TooNew`] when the
    /// file in it cannot be used, [`StoreError::KeyGone`] when nothing opens it, [`StoreError::Open`] when the directory
    /// or the key cannot be used.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        let open_error = |source| StoreError::Open {
            path: directory.to_path_buf(),
            source,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(open_error)?;
        let lock = take_lock(directory)?;
        let path = directory.join("state.redb");
        if !path.exists() {
            // Made here, so that it is private from its first byte.
            OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)
                .map_err(open_error)?;
        }
        let (mut database, format) = open_database(&path)?;
        let raw = read_all(&database).map_err(|error| classify(&path, error))?;
        let is_sealed = format > 1 && !raw.stacks.is_empty();
        let (sealer, key) = key::open(directory, is_sealed)?;
        if format == 1 {
            database = migrate::first_to_second(database, &path, &sealer)?;
        }
        Ok(Self {
            path,
            database: Mutex::new(Some(database)),
            sealer,
            key,
            _lock: lock,
        })
    }

    /// What was sealed as this record.
    fn open_record(
        &self,
        of: Of,
        name: &str,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        self.sealer
            .open(of, name, sealed)
            .ok_or_else(|| StoreError::Damaged {
                path: self.path.clone(),
                source: format!("what is kept of `{name}` was not sealed with the key beside it")
                    .into(),
            })
    }

    fn with_database<T>(
        &self,
        act: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let mut slot = self
            .database
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let database = match slot.take() {
            Some(database) => database,
            // A file that has gone meanwhile is not made anew: what it held would be forgotten in silence.
            None if !self.path.exists() => {
                return Err(StoreError::Failed {
                    path: self.path.clone(),
                    source: "the file has gone".into(),
                });
            }
            None => open_database(&self.path)?.0,
        };
        match act(&database) {
            Ok(value) => {
                *slot = Some(database);
                Ok(value)
            }
            // After a failed write the file's state in memory is not to be trusted: the next call opens it anew.
            Err(error) => Err(classify(&self.path, error)),
        }
    }
}

impl Store for DiskStore {
    fn load(&self) -> Result<Kept, StoreError> {
        let raw = self.with_database(read_all)?;
        let damaged = |source: serde_json::Error| StoreError::Damaged {
            path: self.path.clone(),
            source: source.into(),
        };
        let mut kept = Kept {
            key: self.key.clone(),
            ..Kept::default()
        };
        for (name, sealed) in &raw.stacks {
            let record = self.open_record(Of::Stack, name, sealed)?;
            kept.stacks
                .push(serde_json::from_slice(&record).map_err(damaged)?);
        }
        for (name, sealed) in &raw.units {
            let record = self.open_record(Of::Unit, name, sealed)?;
            kept.units
                .push(serde_json::from_slice(&record).map_err(damaged)?);
        }
        for (_, record) in &raw.events {
            kept.events
                .push(serde_json::from_slice(record).map_err(damaged)?);
        }
        for (name, record) in &raw.standings {
            match serde_json::from_slice(record) {
                Ok(standing) => kept.standings.push(standing),
                // No reason to keep everything else from going on: whoever registered it does so again.
                Err(error) => tracing::warn!(name, %error, "what was registered cannot be read"),
            }
        }
        Ok(kept)
    }

    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        self.with_database(|database| write_all(database, batch, &self.sealer))
    }
}

#[derive(Default)]
pub(super) struct Raw {
    pub(super) stacks: Vec<(String, Vec<u8>)>,
    pub(super) units: Vec<(String, Vec<u8>)>,
    pub(super) events: Vec<(u64, Vec<u8>)>,
    standings: Vec<(String, Vec<u8>)>,
}

pub(super) fn read_all(database: &Database) -> Result<Raw, redb::Error> {
    let transaction = database.begin_read()?;
    let mut raw = Raw::default();
    for entry in transaction.open_table(STACKS)?.iter()? {
        let (name, record) = entry?;
        raw.stacks
            .push((name.value().to_owned(), record.value().to_vec()));
    }
    for entry in transaction.open_table(UNITS)?.iter()? {
        let (name, record) = entry?;
        raw.units
            .push((name.value().to_owned(), record.value().to_vec()));
    }
    for entry in transaction.open_table(EVENTS)?.iter()? {
        let (seq, record) = entry?;
        raw.events.push((seq.value(), record.value().to_vec()));
    }
    let standings = match transaction.open_table(STANDINGS) {
        Ok(standings) => standings,
        Err(TableError::TableDoesNotExist(_)) => return Ok(raw),
        Err(error) => return Err(error.into()),
    };
    for entry in standings.iter()? {
        let (name, record) = entry?;
        raw.standings
            .push((name.value().to_owned(), record.value().to_vec()));
    }
    Ok(raw)
}

fn write_all(database: &Database, batch: &Batch, sealer: &Sealer) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut stacks = transaction.open_table(STACKS)?;
        for (name, stack) in &batch.stacks {
            match stack {
                Some(stack) => {
                    let record = Zeroizing::new(encode(stack));
                    let sealed = sealer.seal(Of::Stack, name.as_str(), &record);
                    stacks.insert(name.as_str(), sealed.as_slice())?
                }
                None => stacks.remove(name.as_str())?,
            };
        }
        let mut units = transaction.open_table(UNITS)?;
        for (id, record) in &batch.units {
            let key = id.to_string();
            match record {
                Some(record) => {
                    let record = Zeroizing::new(encode(record));
                    let sealed = sealer.seal(Of::Unit, &key, &record);
                    units.insert(key.as_str(), sealed.as_slice())?
                }
                None => units.remove(key.as_str())?,
            };
        }
        let mut events = transaction.open_table(EVENTS)?;
        for event in &batch.events {
            events.insert(event.seq, encode(event.as_ref()).as_slice())?;
        }
        if let Some(last) = batch.events.last() {
            let keep_from = last.seq.saturating_sub(MAX_EVENTS);
            events.retain_in(..keep_from, |_, _| false)?;
        }
        if !batch.standings.is_empty() {
            let mut standings = transaction.open_table(STANDINGS)?;
            for (key, standing) in &batch.standings {
                let key = key.to_string();
                match standing {
                    Some(standing) => {
                        standings.insert(key.as_str(), encode(standing).as_slice())?
                    }
                    None => standings.remove(key.as_str())?,
                };
            }
        }
    }
    transaction.commit()?;
    Ok(())
}

pub(super) fn encode(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value)
        .expect("the journal's types have string keys and no failing serializer")
}

/// The file, and its format.
pub(super) fn open_database(path: &Path) -> Result<(Database, u64), StoreError> {
    let database = Database::builder()
        .set_cache_size(CACHE_BYTES)
        .create(path)
        .map_err(|error| match error {
            DatabaseError::Storage(StorageError::Io(source))
                if source.kind() == ErrorKind::StorageFull =>
            {
                classify(path, redb::Error::Io(source))
            }
            DatabaseError::Storage(StorageError::Io(source))
                if source.kind() != ErrorKind::InvalidData =>
            {
                StoreError::Open {
                    path: path.to_path_buf(),
                    source,
                }
            }
            other => StoreError::Damaged {
                path: path.to_path_buf(),
                source: other.into(),
            },
        })?;
    let format = prepare(&database).map_err(|error| classify(path, error))?;
    if format > FORMAT {
        return Err(StoreError::TooNew {
            path: path.to_path_buf(),
            found: format,
            known: FORMAT,
        });
    }
    Ok((database, format))
}

/// Makes the tables that are missing; answers with the format of the file.
fn prepare(database: &Database) -> Result<u64, redb::Error> {
    {
        let transaction = database.begin_read()?;
        if let Ok(meta) = transaction.open_table(META)
            && let Some(format) = meta.get("format")?
        {
            return Ok(format.value());
        }
    }
    let transaction = database.begin_write()?;
    transaction.open_table(META)?.insert("format", FORMAT)?;
    transaction.open_table(STACKS)?;
    transaction.open_table(UNITS)?;
    transaction.open_table(EVENTS)?;
    transaction.commit()?;
    Ok(FORMAT)
}

pub(super) fn classify(path: &Path, error: redb::Error) -> StoreError {
    let path = path.to_path_buf();
    match error {
        redb::Error::Io(source) if source.kind() == ErrorKind::StorageFull => StoreError::Full {
            path,
            source: source.into(),
        },
        redb::Error::Corrupted(text) => StoreError::Damaged {
            path,
            source: text.into(),
        },
        other => StoreError::Failed {
            path,
            source: other.into(),
        },
    }
}

fn take_lock(directory: &Path) -> Result<File, StoreError> {
    let path = directory.join("lock");
    let open_error = |source| StoreError::Open {
        path: path.clone(),
        source,
    };
    let mut lock = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(open_error)?;
    if let Err(errno) = rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        if errno != rustix::io::Errno::WOULDBLOCK {
            return Err(open_error(errno.into()));
        }
        let mut holder = String::new();
        let holder = match lock.read_to_string(&mut holder) {
            Ok(1..) => holder.trim().to_owned(),
            Ok(0) | Err(_) => "?".to_owned(),
        };
        return Err(StoreError::Held {
            path: directory.to_path_buf(),
            holder,
        });
    }
    lock.set_len(0).map_err(open_error)?;
    lock.rewind().map_err(open_error)?;
    writeln!(lock, "{}", std::process::id()).map_err(open_error)?;
    Ok(lock)
}
