//! Who a container is, towards the engine.
//!
//! Owns: the labels, the names, and the identity of this installation, by which two of them on one engine never take
//! each other's containers for their own. Labels are public: no value of an environment variable stands in one, and
//! hashes of such are made with a key.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use command_executor::blocking;
use container_engine::Filters;
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};

use crate::executors::installation::{Installation, make_once};
use crate::executors::{KnownOneOff, LaunchOrder};
use crate::spec::{StackName, UnitId, UnitName};

/// Of which installation.
pub(super) const HOME: &str = "org.harness.home";
/// Of which stack.
pub(super) const STACK: &str = "org.harness.stack";
/// Of which stack, for tools that know Compose.
pub(super) const COMPOSE_PROJECT: &str = "com.docker.compose.project";
/// Which run; of what is kept, none.
pub(super) const INSTANCE: &str = "org.harness.instance";
/// Of which unit.
pub(super) const SERVICE: &str = "org.harness.service";
/// Of which of its instances.
pub(super) const REPLICA: &str = "org.harness.replica";
const ATTEMPT: &str = "org.harness.attempt";
const STOP_SIGNAL: &str = "org.harness.stop-signal";
/// By which definition.
pub(super) const HASH: &str = "org.harness.hash";
/// Which one-off run: nothing that looks for the container of a unit finds it, because it has none of the labels of one.
pub(super) const ONE_OFF: &str = "org.harness.one-off";
/// What has to be known of a one-off run to find it again.
const ONE_OFF_RECORD: &str = "org.harness.one-off.record";
const COMPOSE_HASH: &str = "com.docker.compose.config-hash";

/// The identity of this installation, made when the first container is, and a key that goes with it.
#[derive(Debug)]
pub(super) struct Home(Installation);

impl Home {
    pub(super) fn at(directory: PathBuf) -> Self {
        Self(Installation::at(directory))
    }

    pub(super) fn directory(&self) -> &Path {
        self.0.directory()
    }

    fn key_file(&self) -> PathBuf {
        self.directory().join("key")
    }

    /// Whether there can be containers of ours.
    pub(super) fn is_known(&self) -> bool {
        self.0.is_known()
    }

    /// Makes both, unless they are there.
    pub(super) async fn make(&self) -> io::Result<()> {
        let (directory, key) = (self.directory().to_owned(), self.key_file());
        if !key.exists() {
            blocking::unblock(move || make_once(&directory, &key, &secret()?)).await?;
        }
        // The identity last: who finds it finds the key.
        self.0.make().await
    }

    pub(super) fn id(&self) -> io::Result<String> {
        self.0.id()
    }

    /// The hash of what a container is made by: nobody who sees it can find a value in there by trying.
    pub(super) fn hash(&self, parts: &[&[u8]]) -> io::Result<String> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &fs::read(self.key_file())?);
        let mut context = hmac::Context::with_key(&key);
        for part in parts {
            // With its length before it, no part can pass for a piece of another.
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part);
        }
        let tag = context.sign();
        Ok(tag.as_ref().iter().map(|b| format!("{b:02x}")).collect())
    }

    /// What is ours.
    pub(super) fn filters(&self) -> io::Result<Filters> {
        Ok(Filters::all().label(HOME, &self.id()?))
    }
}

fn secret() -> io::Result<String> {
    let mut bytes = [0; 32];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| io::Error::other("the kernel gives no chance"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The labels of whatever belongs to a stack.
pub(super) fn stack_labels(home: &str, stack: &str) -> BTreeMap<String, String> {
    [(HOME, home), (STACK, stack), (COMPOSE_PROJECT, stack)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// The labels of whatever belongs to a unit.
pub(super) fn unit_labels(home: &str, unit: &UnitId) -> BTreeMap<String, String> {
    let mut labels = stack_labels(home, unit.stack.as_str());
    labels.insert(SERVICE.to_owned(), unit.name.to_string());
    labels.insert(REPLICA.to_owned(), unit.replica.to_string());
    labels
}

/// What belongs to a unit.
pub(super) fn of_unit(home: &str, unit: &UnitId) -> Filters {
    let labels = unit_labels(home, unit);
    let own = [HOME, STACK, SERVICE, REPLICA].map(|name| (name, &labels[name]));
    own.into_iter()
        .fold(Filters::all(), |all, (name, value)| all.label(name, value))
}

/// To which unit something belongs.
pub(super) fn unit_of(labels: &BTreeMap<String, String>) -> Option<UnitId> {
    Some(UnitId {
        stack: StackName::new(labels.get(STACK)?).ok()?,
        name: UnitName::new(labels.get(SERVICE)?).ok()?,
        replica: labels.get(REPLICA)?.parse().ok()?,
    })
}

/// The labels of a container: its own, those of its file and those that tools for Compose know. Of one that is kept,
/// nothing tells of one run.
pub(super) fn labels(home: &str, order: &LaunchOrder) -> BTreeMap<String, String> {
    let container = order.container.as_deref();
    let mut labels = container.map(|own| own.labels.clone()).unwrap_or_default();
    let unit = &order.unit;
    labels.extend(unit_labels(home, unit));
    let own = [
        ("com.docker.compose.service", unit.name.to_string()),
        (
            "com.docker.compose.container-number",
            unit.replica.max(1).to_string(),
        ),
        ("com.docker.compose.oneoff", "False".to_owned()),
    ];
    labels.extend(own.map(|(name, value)| (name.to_owned(), value)));
    if !container.is_some_and(|own| own.keep) {
        let hash = container.map(|own| own.hash.clone()).unwrap_or_default();
        labels.insert(INSTANCE.to_owned(), order.instance_id.clone());
        labels.insert(ATTEMPT.to_owned(), order.attempt.to_string());
        labels.extend(hash_labels(&hash));
    }
    labels
}

/// Where the stack is from, for tools that know Compose.
pub(super) fn project_labels(order: &LaunchOrder) -> Vec<(String, String)> {
    let directory = order.working_dir.to_string_lossy().into_owned();
    let files = order.container.iter().flat_map(|own| &own.files);
    let files: Vec<String> = files
        .map(|file| order.working_dir.join(file).to_string_lossy().into_owned())
        .collect();
    let labels = [
        ("com.docker.compose.project.working_dir", directory),
        ("com.docker.compose.project.config_files", files.join(",")),
    ];
    let told = labels.into_iter().filter(|(_, value)| !value.is_empty());
    told.map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The labels of the network of a stack.
pub(super) fn network_labels(home: &str, stack: &str) -> BTreeMap<String, String> {
    let mut labels = stack_labels(home, stack);
    labels.insert(
        "com.docker.compose.network".to_owned(),
        "default".to_owned(),
    );
    labels
}

/// The labels of the container of a one-off run. Those by which containers of a unit are found are not among them.
pub(super) fn one_off_labels(
    home: &str,
    known: &KnownOneOff,
    own: BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut labels = own;
    labels.extend(stack_labels(home, known.unit.stack.as_str()));
    let record = serde_json::to_string(known).expect("names and numbers can be JSON");
    let ours = [
        (ONE_OFF, known.id.clone()),
        (ONE_OFF_RECORD, record),
        ("com.docker.compose.service", known.unit.name.to_string()),
        ("com.docker.compose.oneoff", "True".to_owned()),
    ];
    labels.extend(ours.map(|(name, value)| (name.to_owned(), value)));
    labels
}

/// The one-off run of a container with these labels.
pub(super) fn one_off_of(labels: &BTreeMap<String, String>) -> Option<KnownOneOff> {
    serde_json::from_str(labels.get(ONE_OFF_RECORD)?).ok()
}

/// By what a container is made.
pub(super) fn hash_labels(hash: &str) -> [(String, String); 2] {
    [HASH, COMPOSE_HASH].map(|name| (name.to_owned(), hash.to_owned()))
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
        assert_eq!(files, 2, "the identity and the key");
    }
}
