//! From version 1 of the state's file, which kept everything in clear, to version 2, which seals the records of stacks and units.
//!
//! Owns: that nothing of what was in clear stays on the disk under a name: the file is written anew beside the old one and
//! takes its place in one step. Whatever interrupts that leaves the old file as it was.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use redb::Database;

use super::StoreError;
use super::disk::{self, EVENTS, STACKS, UNITS};
use super::seal::{Of, Sealer};

/// Writes the state of `database`, which is of version 1, anew as version 2, and answers with that.
pub(super) fn first_to_second(
    database: Database,
    path: &Path,
    sealer: &Sealer,
) -> Result<Database, StoreError> {
    let new = path.with_extension("redb.new");
    let failed = |source| StoreError::Open {
        path: new.clone(),
        source,
    };
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        Ok(()) | Err(_) => {}
    }
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)
        .map_err(failed)?;
    let (written, _) = disk::open_database(&new)?;
    copy(&database, &written, sealer).map_err(|error| disk::classify(&new, error))?;
    // Both are let go before the name changes hands: what is open afterwards is the file of that name.
    drop(written);
    drop(database);
    std::fs::rename(&new, path).map_err(failed)?;
    path.parent()
        .map_or(Ok(()), |directory| File::open(directory)?.sync_all())
        .map_err(failed)?;
    tracing::info!(path = %path.display(), "the state was written anew, sealed");
    let (database, _) = disk::open_database(path)?;
    Ok(database)
}

fn copy(from: &Database, to: &Database, sealer: &Sealer) -> Result<(), redb::Error> {
    let raw = disk::read_all(from)?;
    let transaction = to.begin_write()?;
    {
        let mut stacks = transaction.open_table(STACKS)?;
        for (name, record) in &raw.stacks {
            stacks.insert(
                name.as_str(),
                sealer.seal(Of::Stack, name, record).as_slice(),
            )?;
        }
        let mut units = transaction.open_table(UNITS)?;
        for (name, record) in &raw.units {
            units.insert(
                name.as_str(),
                sealer.seal(Of::Unit, name, record).as_slice(),
            )?;
        }
        let mut events = transaction.open_table(EVENTS)?;
        for (seq, record) in &raw.events {
            events.insert(*seq, record.as_slice())?;
        }
    }
    transaction.commit()?;
    Ok(())
}
