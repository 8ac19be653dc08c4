//! A package on this machine that may be brought to hosts.
//!
//! Owns: that it was checked here, whole, before anything of it is sent.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use harness_package::{About, AdmitError, Digest, InspectError, Limits, Right, TrustStore, admit};

/// An archive that somebody who is trusted has signed, and in which everything may be.
#[derive(Debug, Clone)]
pub struct SignedPackage {
    pub(super) path: PathBuf,
    pub(super) sha256: Digest,
    pub(super) size: u64,
    pub(super) signature: String,
    /// Who signed it: a host is told to trust nobody else.
    pub(super) key: String,
    about: About,
}

/// Why a package is not brought anywhere.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignedPackageError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is not let in.
    #[error("{} is not taken", path.display())]
    Admit {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: AdmitError,
    },
    /// What is in it may not be.
    #[error("{} is not taken", path.display())]
    Inspect {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: InspectError,
    },
}

impl SignedPackage {
    /// Checks an archive and its signature. Blocks.
    ///
    /// # Errors
    /// [`SignedPackageError`] with the reason, and the entry.
    pub fn open(
        archive: &Path,
        signature: &Path,
        trusted: &TrustStore,
    ) -> Result<Self, SignedPackageError> {
        let read = |path: &Path| {
            let path = path.to_owned();
            move |source| SignedPackageError::Read { path, source }
        };
        let path = archive.to_owned();
        let text = fs::read_to_string(signature).map_err(read(signature))?;
        let file = File::open(archive).map_err(read(archive))?;
        let size = file.metadata().map_err(read(archive))?.len();
        let right = Right::Signed {
            store: trusted,
            signature: &text,
        };
        let admitted = admit(file, right, None);
        let mut admitted = admitted.map_err(|source| {
            let path = path.clone();
            SignedPackageError::Admit { path, source }
        })?;
        let manifest = admitted.inspect(&Limits::default());
        let manifest = manifest.map_err(|source| {
            let path = path.clone();
            SignedPackageError::Inspect { path, source }
        })?;
        let signer = admitted.signer();
        let key = trusted.keys().find(|key| Some(key.id()) == signer);
        Ok(Self {
            sha256: admitted.sha256(),
            size,
            key: key.expect("it was let in by a key of the store").to_text(),
            about: manifest.about().clone(),
            signature: text,
            path,
        })
    }

    /// What it says of itself.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// The SHA-256 of the archive.
    pub fn sha256(&self) -> Digest {
        self.sha256
    }

    /// The bytes of the archive.
    pub fn size(&self) -> u64 {
        self.size
    }
}
