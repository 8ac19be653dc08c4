//! Who we are towards whoever runs attempts of several installations: engines, and other hosts.
//!
//! Owns: the identity of this installation, by which two of them never take each other's attempts for their own.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use command_executor::blocking;

/// The identity of this installation, made when something of ours is first made there.
#[derive(Debug)]
pub(super) struct Installation {
    directory: PathBuf,
}

impl Installation {
    pub(super) fn at(directory: PathBuf) -> Self {
        Self { directory }
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    fn file(&self) -> PathBuf {
        self.directory.join("home")
    }

    /// Whether there can be something of ours.
    pub(super) fn is_known(&self) -> bool {
        self.file().exists()
    }

    /// Makes the identity, unless it is there.
    pub(super) async fn make(&self) -> io::Result<()> {
        if self.is_known() {
            return Ok(());
        }
        let (directory, file) = (self.directory.clone(), self.file());
        blocking::unblock(move || make_once(&directory, &file, &crate::host::instance_id())).await
    }

    pub(super) fn id(&self) -> io::Result<String> {
        fs::read_to_string(self.file())
    }
}

/// Makes a file with this text that is whole before it has its name. Whoever was first stays.
pub(super) fn make_once(directory: &Path, file: &Path, text: &str) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    // Of one caller only: several attempts of a stack are first at once.
    let new = directory.join(format!(".home-{}", crate::host::instance_id()));
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut writer = options.open(&new)?;
    writer.write_all(text.as_bytes())?;
    writer.sync_all()?;
    match fs::hard_link(&new, file) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    fs::remove_file(&new)?;
    fs::File::open(directory)?.sync_all()
}
