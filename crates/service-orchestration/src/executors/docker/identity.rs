//! Who a container is, towards the engine.
//!
//! Owns: the labels, the names, and the identity of this installation, by which two of them on one engine never take
//! each other's containers for their own. Labels are public: no value of an environment variable stands in one.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use command_executor::blocking;
use container_engine::Filters;

use crate::executors::LaunchOrder;
use crate::spec::UnitId;

/// Of which installation.
pub(super) const HOME: &str = "org.harness.home";
/// Of which stack.
pub(super) const STACK: &str = "org.harness.stack";
/// Of which stack, for tools that know Compose.
pub(super) const COMPOSE_PROJECT: &str = "com.docker.compose.project";
/// Which run.
pub(super) const INSTANCE: &str = "org.harness.instance";
const SERVICE: &str = "org.harness.service";
const REPLICA: &str = "org.harness.replica";
const ATTEMPT: &str = "org.harness.attempt";
const STOP_SIGNAL: &str = "org.harness.stop-signal";
const HASH: &str = "org.harness.hash";

/// The identity of this installation, made when the first container is.
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

    /// Whether there can be containers of ours.
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
            // Of one caller only: several containers of a stack are first at once.
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

    /// What is ours.
    pub(super) fn filters(&self) -> io::Result<Filters> {
        Ok(Filters::all().label(HOME, &self.id()?))
    }
}

/// The labels of whatever belongs to a stack.
pub(super) fn stack_labels(home: &str, stack: &str) -> BTreeMap<String, String> {
    [(HOME, home), (STACK, stack), (COMPOSE_PROJECT, stack)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// The labels of a container: its own, those of its file and those that tools for Compose know.
pub(super) fn labels(home: &str, order: &LaunchOrder) -> BTreeMap<String, String> {
    let container = order.container.as_deref();
    let mut labels = container.map(|own| own.labels.clone()).unwrap_or_default();
    let unit = &order.unit;
    let hash = container.map(|own| own.hash.clone()).unwrap_or_default();
    labels.extend(stack_labels(home, unit.stack.as_str()));
    let own = [
        (SERVICE, unit.name.to_string()),
        (REPLICA, unit.replica.to_string()),
        (INSTANCE, order.instance_id.clone()),
        (ATTEMPT, order.attempt.to_string()),
        (HASH, hash.clone()),
        ("com.docker.compose.service", unit.name.to_string()),
        (
            "com.docker.compose.container-number",
            unit.replica.max(1).to_string(),
        ),
        ("com.docker.compose.oneoff", "False".to_owned()),
        ("com.docker.compose.config-hash", hash),
    ];
    labels.extend(own.map(|(name, value)| (name.to_owned(), value)));
    labels
}

/// The signal that asks a container to end, where its image names it.
pub(super) fn stop_label(signal: String) -> (String, String) {
    (STOP_SIGNAL.to_owned(), signal)
}

/// See [`stop_label`].
pub(super) fn stop_signal(labels: &BTreeMap<String, String>) -> Option<String> {
    labels.get(STOP_SIGNAL).cloned()
}

/// Which run a container is of.
pub(super) fn instance_of(labels: &BTreeMap<String, String>) -> Option<String> {
    labels.get(INSTANCE).cloned()
}

/// The name of a container that its file gives none.
pub(super) fn container_name(unit: &UnitId) -> String {
    format!("{}-{}-{}", unit.stack, unit.name, unit.replica.max(1))
}

/// The network of a stack.
pub(crate) fn network_name(stack: &str) -> String {
    format!("{stack}_default")
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
