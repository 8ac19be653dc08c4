//! Puts an archive onto a disk, whole or not at all.
//!
//! Owns: the directory `.staging-…`, and its one rename to `NAME/VERSION-SHA256`. Every directory is opened below the one before it
//! and never through a link, and every file must be new, so nothing outside of the staging directory can be reached,
//! whatever an archive says and whatever the checks before should have missed.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use ring::rand::{SecureRandom, SystemRandom};
use rustix::fs::{Mode as Bits, OFlags};
use rustix::io::Errno;

use crate::admit::{Admitted, InspectError, PassError};
use crate::archive::{Limits, Sink};
use crate::manifest::{Content, Entry, Manifest};
use crate::path::EntryPath;

/// A package on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpacked {
    /// Where its files are.
    pub path: PathBuf,
    /// What it says of itself.
    pub manifest: Manifest,
    /// Whether it was there already: nothing was written then, and what is there was not looked at again.
    pub was_there: bool,
}

/// Why a package is not on the disk.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnpackError {
    /// The archive cannot be used.
    #[error("the archive cannot be unpacked")]
    Archive(#[source] InspectError),
    /// The disk did not take it.
    #[error("cannot write below {}", path.display())]
    Write {
        /// The directory that was to take the package.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Admitted {
    /// Unpacks into `NAME/VERSION-SHA256` below `into`, which must exist.
    ///
    /// The whole archive is gone through before anything is written. Files are flushed before the rename, and the rename before this
    /// returns. Two unpackings of one archive at a time do not harm each other: one of them finds it there.
    ///
    /// # Errors
    /// [`UnpackError`]; nothing is left below `into` then. Only a process that is killed leaves its `.staging-…` behind, which
    /// nothing ever takes for a package.
    pub fn unpack(mut self, into: &Path, limits: &Limits) -> Result<Unpacked, UnpackError> {
        let manifest = self.inspect(limits).map_err(UnpackError::Archive)?;
        self.unpack_inspected(manifest, into, limits)
    }

    /// The same, of an archive that [`Admitted::inspect`] has gone through, with this manifest.
    pub(crate) fn unpack_inspected(
        mut self,
        manifest: Manifest,
        into: &Path,
        limits: &Limits,
    ) -> Result<Unpacked, UnpackError> {
        let about = manifest.about();
        let package = into.join(about.name.as_str());
        let path = package.join(format!("{}-{}", about.version, self.sha256()));
        let write = |source| UnpackError::Write {
            path: into.to_owned(),
            source,
        };
        let mut unpacked = Unpacked {
            path,
            manifest,
            was_there: true,
        };
        if is_there(&unpacked.path).map_err(write)? {
            return Ok(unpacked);
        }
        let mut staging = Staging::new(into).map_err(write)?;
        self.pass(limits, &mut staging)
            .map_err(|error| match error {
                PassError::Archive(error) => UnpackError::Archive(error),
                PassError::Sink(source) => write(source),
            })?;
        unpacked.was_there = !staging
            .publish(into, &package, &unpacked.path)
            .map_err(write)?;
        Ok(unpacked)
    }
}

fn is_there(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => Ok(true),
        Ok(_) => Err(io::ErrorKind::NotADirectory.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// A directory that is removed with all in it unless it was renamed.
struct Staging {
    path: PathBuf,
    root: OwnedFd,
    directories: BTreeSet<String>,
    file: Option<(File, Bits)>,
    is_published: bool,
}

impl Staging {
    fn new(into: &Path) -> io::Result<Self> {
        let mut chance = [0; 16];
        SystemRandom::new()
            .fill(&mut chance)
            .map_err(|_| io::Error::other("the system gave no random bytes"))?;
        let name = format!(".staging-{:032x}", u128::from_ne_bytes(chance));
        let parent = rustix::fs::open(into, DIRECTORY, Bits::empty())?;
        rustix::fs::mkdirat(&parent, &name, PRIVATE)?;
        let path = into.join(&name);
        match rustix::fs::openat(&parent, &name, DIRECTORY | OFlags::NOFOLLOW, Bits::empty()) {
            Ok(root) => Ok(Self {
                path,
                root,
                directories: BTreeSet::new(),
                file: None,
                is_published: false,
            }),
            Err(error) => {
                let _ = fs::remove_dir(&path);
                Err(error.into())
            }
        }
    }

    /// The directory that an entry goes to, made where it is missing.
    fn parent(&mut self, path: &EntryPath) -> io::Result<OwnedFd> {
        let mut directory = rustix::io::fcntl_dupfd_cloexec(&self.root, 0)?;
        for above in path.parents() {
            let name = last(above);
            if self.directories.insert(above.to_owned()) {
                rustix::fs::mkdirat(&directory, name, PRIVATE)?;
            }
            directory = rustix::fs::openat(
                &directory,
                name,
                DIRECTORY | OFlags::NOFOLLOW,
                Bits::empty(),
            )?;
        }
        Ok(directory)
    }

    /// Makes the directories readable and lasting, and gives them their place; whether it was free.
    fn publish(mut self, into: &Path, package: &Path, path: &Path) -> io::Result<bool> {
        // From below upwards, as each must be opened through those above it.
        for above in self.directories.iter().rev() {
            let mut directory = rustix::io::fcntl_dupfd_cloexec(&self.root, 0)?;
            for name in above.split('/') {
                let flags = DIRECTORY | OFlags::NOFOLLOW;
                directory = rustix::fs::openat(&directory, name, flags, Bits::empty())?;
            }
            settle(&directory)?;
        }
        settle(&self.root)?;
        let made = match fs::create_dir(package) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
            Err(error) => return Err(error),
        };
        match self.rename(into, package, path) {
            Err(error) if made => {
                // Another unpacking may have used it meanwhile; then it is not empty, and stays.
                let _ = fs::remove_dir(package);
                Err(error)
            }
            result => result,
        }
    }

    fn rename(&mut self, into: &Path, package: &Path, path: &Path) -> io::Result<bool> {
        let flags = DIRECTORY | OFlags::NOFOLLOW;
        let target = rustix::fs::open(package, flags, Bits::empty())?;
        let name = path.file_name().unwrap_or_default();
        // A plain rename suffices: a directory is renamed over an empty one only, and a package is never empty.
        match rustix::fs::renameat(rustix::fs::CWD, &self.path, &target, name) {
            Ok(()) => self.is_published = true,
            Err(Errno::EXIST | Errno::NOTEMPTY) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        rustix::fs::fsync(&target)?;
        rustix::fs::fsync(rustix::fs::open(into, DIRECTORY, Bits::empty())?)?;
        Ok(true)
    }
}

impl Sink for Staging {
    fn begin(&mut self, entry: &Entry) -> io::Result<()> {
        let parent = self.parent(&entry.path)?;
        let name = last(entry.path.as_str());
        match &entry.content {
            Content::Link { target } => {
                rustix::fs::symlinkat(target.as_str(), &parent, name)?;
            }
            Content::File { mode, .. } => {
                let file = rustix::fs::openat(&parent, name, NEW, Bits::RUSR | Bits::WUSR)?;
                let bits = Bits::from_raw_mode(mode.bits());
                self.file = Some((File::from(file), bits));
            }
        }
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        let (file, _) = self
            .file
            .as_mut()
            .expect("bytes follow the begin of a file");
        file.write_all(bytes)
    }

    fn end(&mut self) -> io::Result<()> {
        let (file, bits) = self
            .file
            .take()
            .expect("the end follows the begin of a file");
        // By number and not at creation: the umask of whoever unpacks has no say in it.
        rustix::fs::fchmod(&file, bits)?;
        file.sync_all()
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.is_published {
            // Nobody can be told here, and what stays is never taken for a package.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Readable, and flushed.
fn settle(directory: &OwnedFd) -> io::Result<()> {
    rustix::fs::fchmod(directory, Bits::from_raw_mode(0o755))?;
    rustix::fs::fsync(directory)?;
    Ok(())
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);
const NEW: OFlags = OFlags::WRONLY
    .union(OFlags::CREATE)
    .union(OFlags::EXCL)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
const PRIVATE: Bits = Bits::RWXU;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::digest::Digest;
    use crate::manifest::Mode;

    fn file(path: &str) -> Entry {
        let content = Content::File {
            mode: Mode::PLAIN,
            size: 0,
            sha256: Digest::of(b""),
        };
        let path = EntryPath::parse(path.as_bytes()).unwrap();
        Entry { path, content }
    }

    /// What the scanner refuses long before: here it is shown that writing alone would not get out either.
    #[test]
    fn writing_follows_no_link_even_if_one_is_there() {
        let home = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        let victim = outside.path().join("victim");
        fs::write(&victim, "untouched").unwrap();
        let mut staging = Staging::new(home.path()).unwrap();
        symlink(outside.path(), staging.path.join("directory")).unwrap();
        symlink(&victim, staging.path.join("file")).unwrap();
        symlink(outside.path().join("new"), staging.path.join("dangling")).unwrap();
        assert!(staging.begin(&file("directory/new")).is_err());
        // Also once the directory is thought to be known.
        assert!(staging.begin(&file("directory/new")).is_err());
        assert!(staging.begin(&file("file")).is_err());
        assert!(staging.begin(&file("dangling")).is_err());
        drop(staging);
        assert_eq!(fs::read(&victim).unwrap(), b"untouched");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }
}
