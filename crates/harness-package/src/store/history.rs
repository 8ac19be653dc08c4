//! Which versions were current, in order.
//!
//! Owns: the file. What `current` says goes before what stands here: a process may have died between the two.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::error::StoreError;
use super::version::Place;

/// The places, the last one last, each once.
pub(super) fn read(slot: &Path) -> Result<Vec<Place>, StoreError> {
    let path = slot.join(HISTORY);
    match fs::read_to_string(&path) {
        // A line that is none was not written by us, and leads nowhere.
        Ok(text) => Ok(text
            .lines()
            .filter_map(|line| Place::try_from(line.to_owned()).ok())
            .collect()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(StoreError::io("read", path)(error)),
    }
}

/// Says that this one is current now.
pub(super) fn add(slot: &Path, place: &Place) -> Result<(), StoreError> {
    let mut history = read(slot)?;
    if history.last() == Some(place) {
        return Ok(());
    }
    history.retain(|earlier| earlier != place);
    history.push(place.clone());
    write(slot, &history)
}

pub(super) fn write(slot: &Path, history: &[Place]) -> Result<(), StoreError> {
    let text: String = history.iter().map(|place| place.path() + "\n").collect();
    let path = slot.join(HISTORY);
    replace(&path, text.as_bytes()).map_err(StoreError::io("write", path))
}

/// Writes a file whole or not at all. Only who has the lock writes here, so its name on the way is free to be taken.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let at = path.with_extension("new");
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&at)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if let Err(error) = written.and_then(|()| fs::rename(&at, path)) {
        let _ = fs::remove_file(&at);
        return Err(error);
    }
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

const HISTORY: &str = "history";
