//! The door: an archive is let in by its hash and its signature before anything of it is parsed.
//!
//! Owns: the types that make the order of the steps the only one there is. An [`Admitted`] archive comes out of [`admit`] alone,
//! and only it can be inspected or unpacked.
//!
//! Invariant: whatever is read from the archive after [`admit`] has the hash that was admitted, or nothing comes of it. So
//! somebody who changes the file meanwhile gains nothing.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};

use crate::archive::{Limits, NoSink, Refusal, ScanError, Sink, scan};
use crate::digest::{Counted, Digest};
use crate::manifest::Manifest;
use crate::signature::{KeyId, Signature, SignatureError, TrustStore, hash};

/// By what right an archive comes in.
#[derive(Debug, Clone, Copy)]
pub enum Right<'a> {
    /// Somebody in the store signed it.
    Signed {
        /// Whom we trust.
        store: &'a TrustStore,
        /// The text of the signature's file.
        signature: &'a str,
    },
    /// Nobody signed it, and whoever called decided that this may be. Never right for what comes from another host.
    Unsigned,
}

/// Why an archive was not let in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdmitError {
    /// It could not be read.
    #[error("cannot read the archive")]
    Read(#[source] io::Error),
    /// It is not the archive that was asked for.
    #[error("the archive has the sha256 {found}, and {expected} was asked for")]
    OtherArchive {
        /// What was asked for.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// Nobody whom we trust signed it.
    #[error("nobody who is trusted signed the archive")]
    Signature(#[source] SignatureError),
}

/// Why an archive that was let in cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InspectError {
    /// It could not be read.
    #[error("cannot read the archive")]
    Read(#[source] io::Error),
    /// What is in it may not be.
    #[error("the archive is refused")]
    Refused(#[source] Refusal),
    /// Its bytes are others than those that were let in.
    #[error("the archive changed after it was checked")]
    Changed,
}

/// An archive whose hash and signature were checked, and nothing else of it yet.
#[derive(Debug)]
pub struct Admitted {
    file: File,
    sha256: Digest,
    size: u64,
    signer: Option<KeyId>,
}

/// Reads an archive as nothing but bytes, and lets it in or not.
///
/// # Errors
/// [`AdmitError`]. The archive was not parsed then.
pub fn admit(
    mut file: File,
    right: Right<'_>,
    expected: Option<Digest>,
) -> Result<Admitted, AdmitError> {
    file.rewind().map_err(AdmitError::Read)?;
    let mut counted = Counted::new(&file);
    let signed = hash(&mut counted).map_err(AdmitError::Read)?;
    let (sha256, size) = counted.end();
    if let Some(expected) = expected.filter(|expected| *expected != sha256) {
        let found = sha256;
        return Err(AdmitError::OtherArchive { expected, found });
    }
    let signer = match right {
        Right::Signed { store, signature } => Some(
            Signature::parse(signature)
                .and_then(|signature| store.check(&signature, &signed))
                .map_err(AdmitError::Signature)?,
        ),
        Right::Unsigned => None,
    };
    Ok(Admitted {
        file,
        sha256,
        size,
        signer,
    })
}

impl Admitted {
    /// The SHA-256 of the archive.
    #[must_use]
    pub fn sha256(&self) -> Digest {
        self.sha256
    }

    /// Who signed it; `None` if it was let in unsigned.
    #[must_use]
    pub fn signer(&self) -> Option<KeyId> {
        self.signer
    }

    /// Goes through the whole archive and writes nothing.
    ///
    /// # Errors
    /// [`InspectError`]; [`InspectError::Refused`] says what may not be.
    pub fn inspect(&mut self, limits: &Limits) -> Result<Manifest, InspectError> {
        self.pass(limits, &mut NoSink).map_err(|error| match error {
            PassError::Archive(error) => error,
            PassError::Sink(error) => InspectError::Read(error),
        })
    }

    /// Goes through the archive once more, and makes sure that it is still the one that was let in.
    pub(crate) fn pass(
        &mut self,
        limits: &Limits,
        sink: &mut impl Sink,
    ) -> Result<Manifest, PassError> {
        let read = |error| PassError::Archive(InspectError::Read(error));
        self.file.rewind().map_err(read)?;
        let mut counted = Counted::new(&self.file);
        // No further than it was long: a file that grows is another one, and must not be read forever.
        let bounded = BufReader::new((&mut counted).take(self.size + 1));
        let result = scan(bounded, self.size, limits, sink);
        // What is left after a refusal need not be hashed: nothing comes of it anyway.
        let manifest = result.map_err(|error| match error {
            ScanError::Refused(refusal) => PassError::Archive(InspectError::Refused(refusal)),
            ScanError::Read(error) => read(error),
            ScanError::Sink(error) => PassError::Sink(error),
        })?;
        if counted.end() == (self.sha256, self.size) {
            Ok(manifest)
        } else {
            Err(PassError::Archive(InspectError::Changed))
        }
    }
}

/// Why a pass ended early.
#[derive(Debug)]
pub(crate) enum PassError {
    Archive(InspectError),
    Sink(io::Error),
}
