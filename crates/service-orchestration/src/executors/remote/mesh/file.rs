//! What is kept of a mesh: the form on disk.
//!
//! Owns: one file for each mesh, and beside it the secret that its pairs' shared keys follow from, which only its owner reads.
//! No key but public ones stands in the file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder};
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use harness_mesh::MeshSecret;
use serde::{Deserialize, Serialize};

use super::super::directory::HostCall;
use super::super::slip::write;
use crate::spec::StackName;

/// A mesh, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) stack: StackName,
    pub(super) network: String,
    pub(super) subnet: Option<String>,
    pub(super) hosts: BTreeMap<String, HostRecord>,
    pub(super) pairs: Vec<PairRecord>,
    pub(super) relays: Vec<RelayRecord>,
    pub(super) sights: Vec<SightRecord>,
    /// In the order in which they were handed out.
    pub(super) addresses: Vec<AddressRecord>,
}

/// A host of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HostRecord {
    pub(super) call: Option<HostCall>,
    pub(super) may_relay: bool,
    /// Whether something of the mesh may be there.
    pub(super) is_touched: bool,
    pub(super) port: Option<u16>,
    pub(super) key: Option<String>,
    /// The key that it is going to use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) turn: Option<TurnRecord>,
    pub(super) at: Vec<IpAddr>,
}

/// A change of a key that has begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TurnRecord {
    pub(super) to: String,
    /// Whether all that talk to it know that key.
    pub(super) is_known: bool,
}

/// Two that need each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PairRecord {
    pub(super) hosts: [String; 2],
    pub(super) stacks: BTreeSet<StackName>,
}

/// Who carries for two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RelayRecord {
    pub(super) hosts: [String; 2],
    pub(super) relay: String,
}

/// Where one reaches another; absent where it does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SightRecord {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) at: Option<IpAddr>,
}

/// An address that a host has, or had last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AddressRecord {
    pub(super) host: String,
    pub(super) address: IpAddr,
    pub(super) is_held: bool,
}

/// Keeps it; it is on the disk when this returns. Blocks.
pub(super) fn keep(directory: &Path, stem: &str, record: &Record) -> io::Result<()> {
    make(directory)?;
    let text = serde_json::to_vec(record).map_err(io::Error::from)?;
    write(directory, &path(directory, stem), &text)
}

/// Its secret, made when there is none. Blocks.
pub(super) fn secret(directory: &Path, stem: &str) -> io::Result<MeshSecret> {
    let file = path(directory, stem).with_extension("secret");
    match fs::read(&file) {
        Ok(bytes) => MeshSecret::from_bytes(&bytes).map_err(io::Error::other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make(directory)?;
            let secret = MeshSecret::generate().map_err(io::Error::other)?;
            write(directory, &file, secret.as_bytes())?;
            Ok(secret)
        }
        Err(error) => Err(error),
    }
}

/// All that are kept, by the names of their files. Blocks.
pub(super) fn all(directory: &Path) -> BTreeMap<String, Record> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let files = entries.map(|entry| entry.path());
    let records = files
        .filter(|path| path.extension().is_some_and(|suffix| suffix == SUFFIX))
        .filter_map(|path| {
            let stem = path.file_stem()?.to_str()?.to_owned();
            let text = fs::read(&path).ok()?;
            match serde_json::from_slice(&text) {
                Ok(record) => Some((stem, record)),
                Err(error) => {
                    tracing::error!(path = %path.display(), %error, "what was kept of a mesh cannot be read");
                    None
                }
            }
        });
    records.collect()
}

/// Nothing of it is kept any more. Blocks.
pub(super) fn forget(directory: &Path, stem: &str) {
    let file = path(directory, stem);
    for file in [file.with_extension("secret"), file] {
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %file.display(), %error, "a note of a mesh is left behind");
            }
            Ok(()) | Err(_) => {}
        }
    }
}

/// Who is not its owner does not see what it holds.
fn make(directory: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
}

fn path(directory: &Path, stem: &str) -> PathBuf {
    directory.join(format!("{stem}.{SUFFIX}"))
}

const SUFFIX: &str = "json";
