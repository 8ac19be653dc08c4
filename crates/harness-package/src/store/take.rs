//! From an archive that was brought to a version that is there.
//!
//! Owns: the order: hash and signature, then the whole archive gone through, then room, and only then the first file of it.

use std::fs::{self, File};
use std::io::ErrorKind;

use super::error::StoreError;
use super::history::replace;
use super::room;
use super::slot::Slot;
use super::version::{Note, Place, VERSIONS};
use crate::admit::{Right, admit};
use crate::archive::Limits;
use crate::digest::Digest;
use crate::signature::{PublicKey, TrustStore};
use crate::unpack::UnpackError;

/// A version that is there now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Which.
    pub place: Place,
    /// Whether it was there before.
    pub was_there: bool,
}

impl Slot {
    /// Unpacks an archive that was brought, if one of `keys` (texts of public keys) signed it. The archive is gone afterwards,
    /// whether it was taken or not.
    ///
    /// # Errors
    /// [`StoreError`]; nothing of it is there then.
    pub fn take(
        &self,
        sha256: Digest,
        signature: &str,
        keys: &[String],
        limits: &Limits,
    ) -> Result<Taken, StoreError> {
        let path = self.upload(sha256);
        let file = File::open(&path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => StoreError::NotUploaded { path: path.clone() },
            _ => StoreError::io("open", &path)(error),
        })?;
        let taken = self.unpack(file, sha256, signature, keys, limits);
        fs::remove_file(&path).map_err(StoreError::io("remove", path))?;
        taken
    }

    fn unpack(
        &self,
        file: File,
        sha256: Digest,
        signature: &str,
        keys: &[String],
        limits: &Limits,
    ) -> Result<Taken, StoreError> {
        let keys = keys.iter().map(|key| PublicKey::parse(key));
        let keys: Vec<PublicKey> = keys.collect::<Result<_, _>>().map_err(StoreError::Key)?;
        let store = TrustStore::of(keys);
        let right = Right::Signed {
            store: &store,
            signature,
        };
        let mut admitted = admit(file, right, Some(sha256)).map_err(StoreError::Admit)?;
        let refused = |error| StoreError::Unpack(UnpackError::Archive(error));
        let manifest = admitted.inspect(limits).map_err(refused)?;
        let (bytes, on_disk, files) = room::need(&manifest);
        room::check(&self.path, on_disk, files)?;
        if let Some(quota) = self.quota {
            room::check_quota(&self.path, bytes, quota)?;
        }
        let about = manifest.about();
        let place = Place {
            name: about.name.clone(),
            version: about.version.clone(),
            sha256,
        };
        let note = Note {
            about: about.to_json(),
            bytes,
            signer: admitted.signer().map(|key| key.to_string()),
        };
        let note = serde_json::to_vec(&note).expect("two texts and a number");
        let path = Note::path(&self.path, sha256);
        replace(&path, &note).map_err(StoreError::io("write", &path))?;
        let unpacked = admitted.unpack_inspected(manifest, &self.path.join(VERSIONS), limits);
        match unpacked {
            Ok(unpacked) => Ok(Taken {
                place,
                was_there: unpacked.was_there,
            }),
            Err(error) => {
                let _ = fs::remove_file(&path);
                Err(StoreError::Unpack(error))
            }
        }
    }
}
