//! Which host an attempt is on.
//!
//! Owns: one small file for each, on the disk before anything is asked of the host: so the next daemon finds every attempt that may
//! live, also while its host is out of reach.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use command_executor::blocking;
use serde::{Deserialize, Serialize};

use crate::executors::remote::{instances, read_one, remove_one, write};

/// What stands in a file.
#[derive(Debug, Serialize, Deserialize)]
struct Slip {
    host: String,
}

/// All of them.
#[derive(Clone, Debug)]
pub(super) struct HostSlips(PathBuf);

impl HostSlips {
    pub(super) fn at(directory: PathBuf) -> Self {
        Self(directory)
    }

    fn file(&self, instance_id: &str) -> PathBuf {
        self.0.join(instance_id).with_extension("json")
    }

    /// Notes it; it is on the disk when this returns.
    pub(super) async fn keep(&self, instance_id: &str, host: &str) -> io::Result<()> {
        let (directory, file) = (self.0.clone(), self.file(instance_id));
        let host = host.to_owned();
        let text = serde_json::to_vec(&Slip { host }).map_err(io::Error::from)?;
        blocking::unblock(move || write(&directory, &file, &text)).await
    }

    /// The host of an attempt; none when it is on none.
    pub(super) async fn find(&self, instance_id: &str) -> io::Result<Option<String>> {
        let found: Option<Slip> = read_one(self.file(instance_id)).await?;
        Ok(found.map(|slip| slip.host))
    }

    /// Forgets it. Finding none is no error.
    pub(super) async fn remove(&self, instance_id: &str) {
        remove_one(self.file(instance_id)).await;
    }

    /// The attempts on hosts.
    pub(super) async fn all(&self) -> BTreeSet<String> {
        instances(self.0.clone()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_on_its_host_until_that_is_forgotten() {
        let place = tempfile::tempdir().expect("a directory");
        let slips = HostSlips::at(place.path().join("attempts"));
        async_io::block_on(async {
            assert_eq!(slips.find("0123456789ab").await.expect("none"), None);
            slips.keep("0123456789ab", "build").await.expect("kept");
            let found = slips.find("0123456789ab").await.expect("readable");
            assert_eq!(found.as_deref(), Some("build"));
            assert_eq!(slips.all().await, ["0123456789ab".to_owned()].into());
            slips.remove("0123456789ab").await;
            slips.remove("0123456789ab").await;
            assert_eq!(slips.all().await, BTreeSet::new());
        });
    }
}
