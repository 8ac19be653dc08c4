//! Who we are towards hosts that run attempts of several installations.
//!
//! Owns: the identity of this installation, by which two of them never take each other's attempts for their own.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use command_executor::blocking;

/// The identity of this installation, made when something of ours is first made there.
#[derive(Debug)]
pub(super) struct Home {
    directory: PathBuf,
}

impl Home {
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
        blocking::unblock(move || {
            fs::create_dir_all(&directory)?;
            // Of one caller only: several attempts of a stack are first at once.
            let id = crate::host::instance_id();
            let new = directory.join(format!(".home-{id}"));
            let mut options = fs::OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600);
            let mut writer = options.open(&new)?;
            writer.write_all(id.as_bytes())?;
            writer.sync_all()?;
            // Whoever was first stays.
            match fs::hard_link(&new, &file) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                Ok(()) | Err(_) => {}
            }
            fs::remove_file(&new)?;
            fs::File::open(&directory)?.sync_all()
        })
        .await
    }

    pub(super) fn id(&self) -> io::Result<String> {
        fs::read_to_string(self.file())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_first_makes_the_identity_and_all_see_the_same() {
        let directory = tempfile::tempdir().expect("a directory");
        let home = std::sync::Arc::new(Home::at(directory.path().join("docker")));
        let makers: Vec<_> = (0..16)
            .map(|_| {
                let home = std::sync::Arc::clone(&home);
                std::thread::spawn(move || {
                    futures_lite::future::block_on(home.make()).expect("made");
                    home.id().expect("there")
                })
            })
            .collect();
        let ids: std::collections::BTreeSet<String> = makers
            .into_iter()
            .map(|maker| maker.join().expect("ended"))
            .collect();
        assert_eq!(ids.len(), 1);
        let files = fs::read_dir(home.directory()).expect("there").count();
        assert_eq!(files, 1);
    }
}
