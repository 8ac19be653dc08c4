//! What is kept here of an attempt on another host: where it is.
//!
//! Owns: one small file for each, which is on the disk before anything is asked of the host. So whoever comes after us finds
//! every attempt that may live, also while its host is out of reach. No value of an environment variable stands in one.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use command_executor::blocking;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use service_shim::LogPolicy;

use super::directory::HostCall;

/// Where an attempt is, and where its output goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Slip {
    /// The host.
    pub(super) host: HostCall,
    /// Which run of its unit.
    pub(super) attempt: u64,
    /// Its run directory there.
    pub(super) run_dir: PathBuf,
    /// Its working directory there.
    pub(super) working_dir: PathBuf,
    /// Its log directory there.
    pub(super) log_dir: PathBuf,
    /// Its log here.
    pub(super) copy: LogPolicy,
}

/// All of them.
#[derive(Clone, Debug)]
pub(super) struct Slips(PathBuf);

impl Slips {
    pub(super) fn at(directory: PathBuf) -> Self {
        Self(directory)
    }

    fn file(&self, instance_id: &str) -> PathBuf {
        self.0.join(instance_id).with_extension(SUFFIX)
    }

    /// Keeps one; it is on the disk when this returns.
    pub(super) async fn keep(&self, instance_id: &str, slip: &Slip) -> io::Result<()> {
        let (directory, file) = (self.0.clone(), self.file(instance_id));
        let text = serde_json::to_vec(slip).map_err(io::Error::from)?;
        blocking::unblock(move || write(&directory, &file, &text)).await
    }

    /// The one of this attempt; none when nothing was ever asked of a host for it.
    pub(super) async fn find(&self, instance_id: &str) -> io::Result<Option<Slip>> {
        read_one(self.file(instance_id)).await
    }

    /// Removes one. Finding none is no error.
    pub(super) async fn remove(&self, instance_id: &str) {
        remove_one(self.file(instance_id)).await;
    }

    /// The attempts of which there is one.
    pub(super) async fn all(&self) -> BTreeSet<String> {
        instances(self.0.clone()).await
    }
}

/// What stands in a file of ours; none where there is no such file.
pub(in crate::executors) async fn read_one<T: DeserializeOwned>(
    file: PathBuf,
) -> io::Result<Option<T>> {
    match blocking::unblock(move || fs::read(file)).await {
        Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removes a file of ours. Finding none is no error.
pub(in crate::executors) async fn remove_one(file: PathBuf) {
    let removed = blocking::unblock(move || (fs::remove_file(&file), file)).await;
    match removed {
        (Err(error), path) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "a note of an attempt is left behind");
        }
        (Ok(()) | Err(_), _) => {}
    }
}

/// The attempts that have a file there.
pub(in crate::executors) async fn instances(directory: PathBuf) -> BTreeSet<String> {
    blocking::unblock(move || {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        entries
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let id = name.strip_suffix(SUFFIX)?.strip_suffix('.')?;
                service_shim::is_instance_id(id).then(|| id.to_owned())
            })
            .collect()
    })
    .await
}

/// What stands in each of our files there.
pub(super) fn read_all(directory: &Path) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let files = entries.map(|entry| entry.path());
    let ours = files.filter(|path| path.extension().is_some_and(|suffix| suffix == SUFFIX));
    ours.filter_map(|path| fs::read(path).ok()).collect()
}

/// Writes a file that is whole, and on the disk, before it has its name.
pub(in crate::executors) fn write(directory: &Path, file: &Path, text: &[u8]) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    // Of one caller only: several attempts of a stack may note the same at once.
    let new = file.with_extension(format!("{}.new", crate::host::instance_id()));
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut writer = options.open(&new)?;
    writer.write_all(text)?;
    writer.sync_all()?;
    fs::rename(&new, file)?;
    fs::File::open(directory)?.sync_all()
}

const SUFFIX: &str = "json";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_found_again_and_others_are_no_attempts() {
        let place = tempfile::tempdir().expect("a directory");
        let slips = Slips::at(place.path().join("slips"));
        let slip = Slip {
            host: HostCall {
                name: "build".into(),
                user: None,
                port: Some(2222),
                key: None,
            },
            attempt: 3,
            run_dir: "/home/me/run/0123456789ab".into(),
            working_dir: "/".into(),
            log_dir: "/home/me/log".into(),
            copy: LogPolicy::new("/var/log"),
        };
        async_io::block_on(async {
            assert_eq!(slips.find("0123456789ab").await.expect("none"), None);
            slips.keep("0123456789ab", &slip).await.expect("kept");
            fs::write(place.path().join("slips/home"), "x").expect("written");
            fs::write(place.path().join("slips/x.json"), "x").expect("written");
            assert_eq!(slips.all().await, ["0123456789ab".to_owned()].into());
            let found = slips.find("0123456789ab").await.expect("read");
            assert_eq!(found, Some(slip));
            slips.remove("0123456789ab").await;
            slips.remove("0123456789ab").await;
            assert_eq!(slips.all().await, BTreeSet::new());
        });
    }
}
