//! A slot that this process may change.
//!
//! Owns: the lock for as long as it lives, what earlier holders left behind when they died, and the one rename by which a version becomes
//! current.
//!
//! Invariant: `current` is absent or leads to a version that is whole.

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

use super::error::StoreError;
use super::history;
use super::lock::Lock;
use super::room;
use super::version::{
    ABOUT, CURRENT, Note, Place, SlotName, VERSIONS, Version, current_in, names, versions,
};
use crate::digest::Digest;

/// See the module.
#[derive(Debug)]
pub struct Slot {
    pub(super) path: PathBuf,
    /// How many bytes all versions together may have.
    pub(super) quota: Option<u64>,
    _lock: Lock,
}

/// What is there of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Offered {
    /// Nothing: it is to be brought here.
    Wanted(PathBuf),
    /// It was brought.
    Uploaded,
    /// It is unpacked.
    Unpacked(Place),
}

/// A change of what is current.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switched {
    /// What was.
    pub from: Option<Place>,
    /// What is.
    pub to: Place,
}

impl Slot {
    /// Takes the lock of a slot, which is made where it is missing, and clears away what dead holders have left.
    ///
    /// # Errors
    /// [`StoreError::Held`] says by whom.
    pub fn open(root: &Path, name: &SlotName, who: &str) -> Result<Self, StoreError> {
        let path = root.join(name.as_str());
        for directory in ["", UPLOAD, VERSIONS, ABOUT, SETUP] {
            let directory = path.join(directory);
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&directory)
                .map_err(StoreError::io("make", &directory))?;
        }
        let lock = Lock::take(&path.join("lock"), who)?;
        let slot = Self {
            path,
            quota: None,
            _lock: lock,
        };
        slot.sweep()?;
        if let Some(place) = slot.current()? {
            history::add(&slot.path, &place)?;
        }
        Ok(slot)
    }

    /// No more than so many bytes in all its versions.
    #[must_use]
    pub fn with_quota(mut self, bytes: Option<u64>) -> Self {
        self.quota = bytes;
        self
    }

    /// Where `current` is, and the versions.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Which version is to run.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn current(&self) -> Result<Option<Place>, StoreError> {
        current_in(&self.path)
    }

    /// Every version.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn versions(&self) -> Result<Vec<Version>, StoreError> {
        versions(&self.path)
    }

    /// What a version says of itself, as [`crate::About::to_json`] writes it.
    ///
    /// # Errors
    /// [`StoreError::NoVersion`].
    pub fn about(&self, place: &Place) -> Result<String, StoreError> {
        self.require(place)?;
        let path = Note::path(&self.path, place.sha256);
        let note = Note::read(&self.path, place.sha256);
        Ok(note.map_err(StoreError::io("read", path))?.about)
    }

    /// Where the files of a version are.
    #[must_use]
    pub fn directory(&self, place: &Place) -> PathBuf {
        self.path.join(VERSIONS).join(place.path())
    }

    /// Says what is there of an archive, and makes sure that there is room for what is not.
    ///
    /// # Errors
    /// [`StoreError::NoRoom`], [`StoreError::Quota`].
    pub fn offer(&self, sha256: Digest, size: u64) -> Result<Offered, StoreError> {
        let known = self.versions()?;
        let known = known.into_iter().find(|known| known.place.sha256 == sha256);
        if let Some(known) = known {
            return Ok(Offered::Unpacked(known.place));
        }
        let path = self.upload(sha256);
        match fs::metadata(&path) {
            Ok(metadata) if metadata.len() == size => return Ok(Offered::Uploaded),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(StoreError::io("look at", path)(error)),
        }
        // What others brought and did not use is in the way of this one.
        for name in names(&self.path.join(UPLOAD))? {
            let path = self.path.join(UPLOAD).join(name);
            fs::remove_file(&path).map_err(StoreError::io("remove", path))?;
        }
        room::check(&self.path, size, 1)?;
        if let Some(quota) = self.quota {
            room::check_quota(&self.path, size, quota)?;
        }
        Ok(Offered::Wanted(path))
    }

    /// Keeps what a setup script said.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn keep_output(&self, place: &Place, output: &[u8]) -> Result<(), StoreError> {
        self.require(place)?;
        let path = self.path.join(SETUP).join(format!("{}.log", place.sha256));
        history::replace(&path, output).map_err(StoreError::io("write", path))
    }

    /// Makes a version the current one, by one rename. It lasts when this returns.
    ///
    /// # Errors
    /// [`StoreError::NoVersion`].
    pub fn switch(&self, place: &Place) -> Result<Switched, StoreError> {
        self.require(place)?;
        let from = self.current()?;
        let path = self.path.join(CURRENT);
        if from.as_ref() != Some(place) {
            let target = format!("{VERSIONS}/{}", place.path());
            self.link(&target, &path)
                .map_err(StoreError::io("switch", &path))?;
        }
        history::add(&self.path, place)?;
        let to = place.clone();
        Ok(Switched { from, to })
    }

    /// Makes the version current that was so before this one.
    ///
    /// # Errors
    /// [`StoreError::NoEarlier`].
    pub fn back(&self) -> Result<Switched, StoreError> {
        let current = self.current()?;
        let mut history = history::read(&self.path)?;
        let is_there = |place: &Place| self.directory(place).is_dir();
        let earlier = history
            .iter()
            .rposition(|place| Some(place) != current.as_ref() && is_there(place));
        let place = match earlier {
            Some(at) => history.swap_remove(at),
            None => return Err(StoreError::NoEarlier),
        };
        let switched = self.switch(&place)?;
        // The one that was left is not what the next step back leads to.
        if let Some(left) = &switched.from {
            let mut history = history::read(&self.path)?;
            history.retain(|earlier| earlier != left);
            history.insert(0, left.clone());
            history::write(&self.path, &history)?;
        }
        Ok(switched)
    }

    /// Removes all versions but this many of those that were current last. The current one stays, and counts.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn prune(&self, keep: usize) -> Result<Vec<Place>, StoreError> {
        let history = history::read(&self.path)?;
        let current = self.current()?;
        let age = |place: &Place| history.iter().rev().position(|earlier| earlier == place);
        let mut removed = Vec::new();
        for version in self.versions()? {
            let place = version.place;
            let is_kept = age(&place).is_some_and(|age| age < keep);
            if !is_kept && current.as_ref() != Some(&place) {
                self.remove(&place)?;
                removed.push(place);
            }
        }
        Ok(removed)
    }

    /// Removes one version.
    ///
    /// # Errors
    /// [`StoreError::Current`], [`StoreError::NoVersion`].
    pub fn remove(&self, place: &Place) -> Result<(), StoreError> {
        self.require(place)?;
        if self.current()?.as_ref() == Some(place) {
            let place = place.clone();
            return Err(StoreError::Current { place });
        }
        let mut history = history::read(&self.path)?;
        history.retain(|earlier| earlier != place);
        history::write(&self.path, &history)?;
        // First out of its place: whatever happens next, nobody takes half of it for a version.
        let path = self.directory(place);
        let gone = self
            .path
            .join(VERSIONS)
            .join(format!(".gone-{}", place.sha256));
        fs::rename(&path, &gone).map_err(StoreError::io("remove", &path))?;
        fs::remove_dir_all(&gone).map_err(StoreError::io("remove", gone))?;
        for path in [
            Note::path(&self.path, place.sha256),
            self.path.join(SETUP).join(format!("{}.log", place.sha256)),
        ] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(StoreError::io("remove", path)(error));
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    pub(super) fn upload(&self, sha256: Digest) -> PathBuf {
        self.path.join(UPLOAD).join(sha256.to_string())
    }

    fn require(&self, place: &Place) -> Result<(), StoreError> {
        match self.directory(place).is_dir() {
            true => Ok(()),
            false => Err(StoreError::NoVersion {
                place: place.clone(),
            }),
        }
    }

    fn link(&self, target: &str, path: &Path) -> io::Result<()> {
        let at = self.path.join(".current.new");
        match fs::remove_file(&at) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        symlink(target, &at)?;
        fs::rename(&at, path)?;
        File::open(&self.path)?.sync_all()
    }

    /// Notes about what never came to be here.
    fn sweep_notes(&self) -> Result<(), StoreError> {
        let known: Vec<String> = self
            .versions()?
            .iter()
            .map(|version| format!("{}.json", version.place.sha256))
            .collect();
        for name in names(&self.path.join(ABOUT))? {
            if !known.contains(&name) {
                let path = self.path.join(ABOUT).join(name);
                fs::remove_file(&path).map_err(StoreError::io("remove", path))?;
            }
        }
        Ok(())
    }

    /// What was on its way in or out when its process died. An archive that was brought whole is of use still.
    fn sweep(&self) -> Result<(), StoreError> {
        for name in names(&self.path.join(VERSIONS))? {
            if name.starts_with(".staging-") || name.starts_with(".gone-") {
                let path = self.path.join(VERSIONS).join(name);
                fs::remove_dir_all(&path).map_err(StoreError::io("remove", path))?;
            }
        }
        for name in names(&self.path.join(UPLOAD))? {
            if name.starts_with('.') {
                let path = self.path.join(UPLOAD).join(name);
                match fs::remove_file(&path) {
                    // Whoever wrote it has cleared it away.
                    Err(error) if error.kind() != ErrorKind::NotFound => {
                        return Err(StoreError::io("remove", path)(error));
                    }
                    Ok(()) | Err(_) => {}
                }
            }
        }
        self.sweep_notes()
    }
}

const UPLOAD: &str = "upload";
const SETUP: &str = "setup";
