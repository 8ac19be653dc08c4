//! A private directory of small private files.
//!
//! Owns: modes, ownership, atomic writes and the lock. Never looks into a file.

use std::fs::{DirBuilder, File, Metadata, OpenOptions, rename};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::PkiError;

/// A directory only its owner can enter.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// Opens it, and makes it when there is none.
    ///
    /// # Errors
    /// [`PkiError::Exposed`] or [`PkiError::Foreign`] when others have access to it.
    pub fn open_or_create(path: &Path) -> Result<Self, PkiError> {
        match DirBuilder::new().recursive(true).mode(0o700).create(path) {
            Ok(()) => Self::open(path),
            Err(source) => Err(failed("create", path, source)),
        }
    }

    /// Opens it.
    ///
    /// # Errors
    /// [`PkiError::Absent`], else as [`Directory::open_or_create`].
    pub fn open(path: &Path) -> Result<Self, PkiError> {
        let metadata = match std::fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(source) if source.kind() == io::ErrorKind::NotFound => {
                return Err(PkiError::Absent {
                    path: path.to_owned(),
                });
            }
            Err(source) => return Err(failed("look at", path, source)),
        };
        check(path, &metadata)?;
        Ok(Self {
            path: path.to_owned(),
        })
    }

    /// Where a file of it lies.
    pub fn path(&self, file: &str) -> PathBuf {
        self.path.join(file)
    }

    /// Waits for, then holds, the right to change the directory. Dropping the file releases it.
    ///
    /// # Errors
    /// [`PkiError::Io`].
    pub fn lock(&self) -> Result<File, PkiError> {
        let path = self.path("lock");
        let file = options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|source| failed("open", &path, source))?;
        file.lock()
            .map_err(|source| failed("lock", &path, source))?;
        Ok(file)
    }

    /// The text of a file that only its owner can read; `None` when there is none.
    ///
    /// # Errors
    /// [`PkiError::Exposed`] or [`PkiError::Foreign`] when others have access to it, [`PkiError::Io`].
    pub fn read(&self, file: &str) -> Result<Option<String>, PkiError> {
        let path = self.path(file);
        let mut opened = match options().read(true).open(&path) {
            Ok(opened) => opened,
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(failed("open", &path, source)),
        };
        // Asked of the open file, not of the path: nobody can swap it in between.
        let metadata = opened
            .metadata()
            .map_err(|source| failed("look at", &path, source))?;
        check(&path, &metadata)?;
        if metadata.len() > MAX_BYTES {
            return Err(PkiError::Damaged { path });
        }
        let mut text = String::new();
        opened
            .read_to_string(&mut text)
            .map_err(|source| failed("read", &path, source))?;
        Ok(Some(text))
    }

    /// Replaces a file in one step, on disk when it returns. The caller holds the lock.
    ///
    /// # Errors
    /// [`PkiError::Io`]; the file is then as it was.
    pub fn write(&self, file: &str, text: &str) -> Result<(), PkiError> {
        let aside = self.path(&format!(".{file}.new"));
        // Left behind by a process that died here; the lock says nobody is writing it now.
        match std::fs::remove_file(&aside) {
            Ok(()) => {}
            Err(source) if source.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(failed("remove", &aside, source)),
        }
        let write = || -> io::Result<()> {
            let mut created = options().write(true).create_new(true).open(&aside)?;
            created.write_all(text.as_bytes())?;
            created.sync_all()?;
            rename(&aside, self.path(file))?;
            File::open(&self.path)?.sync_all()
        };
        write().map_err(|source| failed("write", &self.path(file), source))
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    // Symbolic links are not followed: a key is a file in this directory and nowhere else.
    options
        .mode(0o600)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
    options
}

fn check(path: &Path, metadata: &Metadata) -> Result<(), PkiError> {
    let owner = metadata.uid();
    if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        return Err(PkiError::Foreign {
            path: path.to_owned(),
            owner,
        });
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(PkiError::Exposed {
            path: path.to_owned(),
            mode,
        });
    }
    Ok(())
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> PkiError {
    PkiError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

/// A certificate with its key is about 1 KiB, a register of a thousand clients about 500 KiB.
const MAX_BYTES: u64 = 4 * 1024 * 1024;
