//! A stream that becomes a file.
//!
//! Owns: the file until it has its name: it is written beside it, checked, and put in its place whole, or is gone.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::event::PollFlags;
use rustix::fs::FallocateFlags;
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use super::protocol::{Failure, FailureKind};
use super::work::{Inbox, Opened, Port, Step, Work};

/// A file that comes.
pub(super) struct Receive {
    staged: Option<Staged>,
    hash: Sha256,
    expected: String,
    left: u64,
}

/// A file that has no name yet; gone with this value, unless it was given one.
struct Staged {
    file: File,
    at: PathBuf,
    path: PathBuf,
    mode: u32,
    is_placed: bool,
}

impl Receive {
    pub(super) fn begin(
        path: &Path,
        mode: u32,
        sha256: String,
        size: u64,
    ) -> Result<Receive, Failure> {
        let failed = |error| Failure::system(&format!("cannot write {}", path.display()), &error);
        let staged = Staged::make(path, mode).map_err(failed)?;
        staged.reserve(size).map_err(failed)?;
        Ok(Receive {
            staged: Some(staged),
            hash: Sha256::new(),
            expected: sha256,
            left: size,
        })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let left = self.left.checked_sub(length);
        self.left = left.ok_or_else(|| wrong("it is longer than was announced"))?;
        let staged = self.staged.as_mut().expect("it is there until the end");
        let path = &staged.path;
        let written = staged.file.write_all(bytes);
        written.map_err(|error| {
            Failure::system(&format!("cannot write {}", path.display()), &error)
        })?;
        self.hash.update(bytes);
        Ok(())
    }

    /// What remains to be done with a file that is whole.
    fn finish(&mut self) -> Result<Step, Failure> {
        if self.left > 0 {
            return Err(wrong("it is shorter than was announced"));
        }
        if hexadecimal(&self.hash.finalize_reset()) != self.expected {
            return Err(wrong("its hash is not the one that was announced"));
        }
        let staged = self.staged.take().expect("it is there until the end");
        Ok(Step::Last(Box::new(move || {
            let path = staged.path.clone();
            let placed = staged.place();
            placed.map(|()| Opened::default()).map_err(|error| {
                Failure::system(&format!("cannot place {}", path.display()), &error)
            })
        })))
    }
}

impl Work for Receive {
    fn waits_for<'a>(
        &'a self,
        _has_input: bool,
        _has_room: bool,
        _fds: &mut Vec<(BorrowedFd<'a>, PollFlags)>,
    ) {
    }

    fn step(&mut self, inbox: &mut Inbox, port: &mut Port<'_>) -> Result<Step, Failure> {
        while let Some(bytes) = inbox.front() {
            let length = bytes.len();
            self.write(bytes)?;
            inbox.take(length, port);
        }
        match inbox.is_over() {
            true => self.finish(),
            false => Ok(Step::Goes),
        }
    }
}

impl Staged {
    fn make(path: &Path, mode: u32) -> io::Result<Staged> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let (true, Some(name), Some(parent)) =
            (path.is_absolute(), path.file_name(), path.parent())
        else {
            let message = "a file needs an absolute path";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let mut fresh = std::ffi::OsString::from(".");
        fresh.push(name);
        fresh.push(format!(".{}.{number}.new", std::process::id()));
        let at = parent.join(fresh);
        // Whoever had our number before us has left it.
        match fs::remove_file(&at) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(&at)?;
        Ok(Staged {
            file,
            at,
            path: path.to_owned(),
            mode: mode & 0o777,
            is_placed: false,
        })
    }

    /// Has the disk keep room for all of it, where it can.
    fn reserve(&self, size: u64) -> io::Result<()> {
        if size == 0 {
            return Ok(());
        }
        match rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, 0, size) {
            Ok(()) | Err(Errno::NOTSUP | Errno::NOSYS) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn place(mut self) -> io::Result<()> {
        self.file
            .set_permissions(Permissions::from_mode(self.mode))?;
        self.file.sync_all()?;
        fs::rename(&self.at, &self.path)?;
        self.is_placed = true;
        if let Some(parent) = self.path.parent() {
            File::open(parent)?.sync_all()?;
        }
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.is_placed {
            drop(fs::remove_file(&self.at));
        }
    }
}

fn wrong(message: &str) -> Failure {
    Failure::new(FailureKind::Content, message)
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
