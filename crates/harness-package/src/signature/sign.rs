//! Signatures of minisign over the hash of a file.
//!
//! Owns: the four lines of a signature's file, and what is signed in them. Both signatures count: the one over the file, and
//! the one over the first together with the trusted comment.

use std::io::{self, Read};

use blake2::{Blake2b512, Digest as _};
use ring::signature::{ED25519, UnparsedPublicKey};

use super::key::{ALGORITHM, KeyId, PublicKey, SecretKey};
use super::text::{TRUSTED, UNTRUSTED, decoded, encoded, lines, part};

/// A signature, read but not yet checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    key: KeyId,
    of_hash: [u8; 64],
    of_comment: [u8; 64],
    comment: String,
}

/// Why a signature is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// Not the form of minisign's signatures.
    #[error("this is not a signature as minisign writes them")]
    Form,
    /// Made over the file itself, by an old minisign or with `-l`.
    #[error("the signature is of the legacy kind, over the whole file; sign again without `-l`")]
    Legacy,
    /// Made by another key.
    #[error("the signature was made by key {made_by}")]
    OtherKey {
        /// The key that the signature names.
        made_by: KeyId,
    },
    /// Not of this file, or not by this key.
    #[error("the signature is not of this file")]
    Wrong,
    /// The trusted comment was changed.
    #[error("the trusted comment of the signature was changed")]
    WrongComment,
}

impl Signature {
    /// Signs a file.
    ///
    /// The comment is one line, and covered by the signature.
    ///
    /// # Errors
    /// What reading the file gave; [`io::ErrorKind::InvalidInput`] for a comment of several lines.
    pub fn of(file: impl Read, key: &SecretKey, comment: &str) -> io::Result<Self> {
        if comment.contains(['\n', '\r']) {
            let reason = "the comment of a signature is one line";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
        }
        let sign = |bytes: &[u8]| {
            let signature = key.pair.sign(bytes);
            let bytes = signature.as_ref().try_into();
            bytes.expect("a signature of ed25519 has 64 bytes")
        };
        let of_hash: [u8; 64] = sign(&hash(file)?);
        Ok(Self {
            key: key.id,
            of_hash,
            of_comment: sign(&[&of_hash[..], comment.as_bytes()].concat()),
            comment: comment.to_owned(),
        })
    }

    /// Reads a signature's file.
    ///
    /// # Errors
    /// [`SignatureError::Form`] or [`SignatureError::Legacy`].
    pub fn parse(text: &str) -> Result<Self, SignatureError> {
        let lines: Vec<&str> = lines(text).collect();
        let [untrusted, of_hash, comment, of_comment] = lines[..] else {
            return Err(SignatureError::Form);
        };
        let comment = comment.strip_prefix(TRUSTED).ok_or(SignatureError::Form)?;
        if !untrusted.starts_with(UNTRUSTED) {
            return Err(SignatureError::Form);
        }
        let bytes: [u8; 74] = decoded(of_hash).ok_or(SignatureError::Form)?;
        if bytes.starts_with(ALGORITHM) {
            return Err(SignatureError::Legacy);
        }
        if !bytes.starts_with(HASHED) {
            return Err(SignatureError::Form);
        }
        Ok(Self {
            key: KeyId(part(&bytes, 2)),
            of_hash: part(&bytes, 10),
            of_comment: decoded(of_comment).ok_or(SignatureError::Form)?,
            comment: comment.to_owned(),
        })
    }

    /// The text of its file, as minisign writes it.
    #[must_use]
    pub fn to_text(&self) -> String {
        let of_hash = encoded(&[HASHED, &self.key.0, &self.of_hash].concat());
        let of_comment = encoded(&self.of_comment);
        let comment = &self.comment;
        format!(
            "{UNTRUSTED}signature of a harness package\n{of_hash}\n{TRUSTED}{comment}\n{of_comment}\n"
        )
    }

    /// Which key it says it was made by.
    #[must_use]
    pub fn key(&self) -> KeyId {
        self.key
    }

    /// Its comment; to be believed only once the signature was checked.
    #[must_use]
    pub fn comment(&self) -> &str {
        &self.comment
    }

    /// Whether the key signed the file with this hash.
    pub(crate) fn check(&self, hash: &FileHash, key: &PublicKey) -> Result<(), SignatureError> {
        if key.id != self.key {
            return Err(SignatureError::OtherKey { made_by: self.key });
        }
        let point = UnparsedPublicKey::new(&ED25519, &key.point);
        point
            .verify(hash, &self.of_hash)
            .map_err(|_| SignatureError::Wrong)?;
        let covered = [&self.of_hash[..], self.comment.as_bytes()].concat();
        point
            .verify(&covered, &self.of_comment)
            .map_err(|_| SignatureError::WrongComment)
    }
}

/// What is signed of a file: its BLAKE2b hash of 64 bytes.
pub(crate) type FileHash = [u8; 64];

/// The hash of all that is left in the reader.
pub(crate) fn hash(mut file: impl Read) -> io::Result<FileHash> {
    let mut hash = Blake2b512::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hash.finalize().into()),
            Ok(length) => hash.update(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Ed25519 over the hash of a file.
const HASHED: &[u8] = b"ED";
