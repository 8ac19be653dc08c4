//! Whom we trust: a directory with a file for each key.
//!
//! Owns: reading that directory, and the rule that nobody but its owner may change it. Never writes there.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::key::{KeyError, KeyId, PublicKey};
use super::sign::{FileHash, Signature, SignatureError};

/// The keys whose packages are taken.
#[derive(Debug, Clone, Default)]
pub struct TrustStore {
    keys: BTreeMap<KeyId, PublicKey>,
}

/// Why whom we trust is not known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// The directory or a key in it cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// What.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others may write there, and could trust in our name.
    #[error("{} may be written by others than its owner (mode {mode:o}); take that from them", path.display())]
    Writable {
        /// What.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It belongs to somebody who is neither us nor root.
    #[error("{} belongs to user {owner}", path.display())]
    Owner {
        /// What.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// A file that holds no key.
    #[error("{} holds no key", path.display())]
    Key {
        /// What.
        path: PathBuf,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// Two different keys with one number.
    #[error("{} has the number {id} of another key", path.display())]
    SameId {
        /// The later file.
        path: PathBuf,
        /// The number.
        id: KeyId,
    },
}

impl TrustStore {
    /// Reads every `*.pub` in a directory, as minisign names the files of public keys. Other files are left alone. A directory
    /// that does not exist trusts nobody.
    ///
    /// # Errors
    /// [`TrustError`]: one file that cannot be taken makes the whole store unusable, so that a damaged key is seen.
    pub fn read(directory: &Path) -> Result<Self, TrustError> {
        let read = |path: &Path| {
            let path = path.to_owned();
            move |source| TrustError::Read { path, source }
        };
        let children = match fs::read_dir(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            result => result.map_err(read(directory))?,
        };
        check_owner(directory)?;
        let mut paths = children
            .map(|child| child.map(|child| child.path()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(read(directory))?;
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "pub"));
        paths.sort();
        let mut store = Self::default();
        for path in paths {
            check_owner(&path)?;
            let text = fs::read_to_string(&path).map_err(read(&path))?;
            let key = PublicKey::parse(&text).map_err(|source| TrustError::Key {
                path: path.clone(),
                source,
            })?;
            let id = key.id();
            if store.keys.insert(id, key).is_some_and(|other| other != key) {
                return Err(TrustError::SameId { path, id });
            }
        }
        Ok(store)
    }

    /// A store of keys at hand.
    #[must_use]
    pub fn of(keys: impl IntoIterator<Item = PublicKey>) -> Self {
        let keys = keys.into_iter().map(|key| (key.id(), key)).collect();
        Self { keys }
    }

    /// The keys in it.
    pub fn keys(&self) -> impl Iterator<Item = &PublicKey> {
        self.keys.values()
    }

    /// Whether somebody we trust signed the file with this hash.
    pub(crate) fn check(
        &self,
        signature: &Signature,
        hash: &FileHash,
    ) -> Result<KeyId, SignatureError> {
        let made_by = signature.key();
        let key = self.keys.get(&made_by);
        let key = key.ok_or(SignatureError::OtherKey { made_by })?;
        signature.check(hash, key)?;
        Ok(made_by)
    }
}

fn check_owner(path: &Path) -> Result<(), TrustError> {
    let path = path.to_owned();
    let metadata = match fs::metadata(&path) {
        Ok(metadata) => metadata,
        Err(source) => return Err(TrustError::Read { path, source }),
    };
    let (owner, mode) = (metadata.uid(), metadata.mode() & 0o7777);
    if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        return Err(TrustError::Owner { path, owner });
    }
    if mode & 0o022 != 0 {
        return Err(TrustError::Writable { path, mode });
    }
    Ok(())
}
