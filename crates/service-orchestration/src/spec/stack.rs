//! A whole stack.
//!
//! Owns: the units of one stack and what they share.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use service_registry::{Network, NetworkError};

use super::{SecretName, SecretSpec, ServiceSpec, StackName, UnitName, VolumeSpec};

/// Everything one stack file says, checked and substituted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackSpec {
    /// Its name.
    pub name: StackName,
    /// Free text for people.
    pub description: Option<String>,
    /// What relative paths are relative to.
    pub directory: PathBuf,
    /// Every file that was read for it: those of [`Self::sources`], and what those lead to.
    pub files: Vec<PathBuf>,
    /// What it is read from, when it is read again.
    #[serde(default, skip_serializing_if = "StackSources::is_unknown")]
    pub sources: StackSources,
    /// What every local process of it finds in its environment: the allow-listed part of the environment of whoever
    /// ran `start` (PATH, HOME, LANG, …).
    pub environment: BTreeMap<String, String>,
    /// Its networks.
    pub networks: BTreeMap<String, NetworkSpec>,
    /// What its containers share beyond their own life, by the name in the file.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<String, VolumeSpec>,
    /// Its services and tasks.
    pub units: BTreeMap<UnitName, ServiceSpec>,
    /// Services and tasks of its files that are in no active profile. They are not started with the others; one that
    /// runs, because it was asked for before, is still one of the stack.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inactive: BTreeMap<UnitName, ServiceSpec>,
    /// How many bytes the logs of its units may hold together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_total: Option<u64>,
    /// Where its secrets come from. Their values are [`super::SecretValues`], and never in here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<SecretName, SecretSpec>,
}

/// What a stack is read from. Nothing is known of one that came from no file, or was defined before this was kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackSources {
    /// The stack files, in the order in which they are laid over each other.
    pub files: Vec<PathBuf>,
    /// The environment files that stand in for `.env` beside the first, later ones before earlier ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env_files: Vec<PathBuf>,
}

impl StackSources {
    /// Whether nothing is known.
    pub fn is_unknown(&self) -> bool {
        self.files.is_empty()
    }
}

/// A network that units can be on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkSpec {
    /// What kind it is.
    pub kind: NetworkKind,
    /// Its addresses in CIDR form.
    pub subnet: Option<String>,
    /// Its nodes and other settings as the file says them.
    pub details: serde_json::Value,
}

impl NetworkSpec {
    /// Its addresses, where the file says which.
    ///
    /// # Errors
    /// [`NetworkError`] when what it says is no network.
    pub fn addresses(&self) -> Result<Option<Network>, NetworkError> {
        self.subnet.as_deref().map(str::parse).transpose()
    }
}

/// What kind of network it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkKind {
    /// This machine.
    Local,
    /// Hosts that reach each other directly.
    Lan,
    /// A mesh.
    Wireguard,
}

/// A place in a stack file. Line and column count from 1, columns in characters; 0 means that it came from no file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The index of the file in [`StackSpec::files`].
    pub file: u32,
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}
