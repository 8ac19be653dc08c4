//! Keys of minisign.
//!
//! Owns: their files. Secret keys with a password are refused by name: opening one takes a gigabyte of memory by
//! design, and whoever builds without a terminal has nobody to ask for the password.

use std::fmt;

use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair};

use super::text::{UNTRUSTED, decoded, encoded, lines, part};

/// The number that tells keys apart; not a secret, and no proof of anything.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub(super) [u8; 8]);

impl fmt::Display for KeyId {
    /// As minisign shows it: the bytes as a number, the last one first.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016X}", u64::from_le_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "KeyId({self})")
    }
}

/// Why a text is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not the form of minisign's keys.
    #[error("this is not a key as minisign writes them")]
    Form,
    /// A secret key that a password seals.
    #[error(
        "the secret key has a password; make one without (`minisign -G -W`) or sign with `minisign`"
    )]
    Sealed,
    /// The parts of a secret key do not belong together.
    #[error("the secret key is damaged")]
    Damaged,
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    NoRandom,
}

/// A key that signatures are checked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey {
    pub(super) id: KeyId,
    pub(super) point: [u8; 32],
}

impl PublicKey {
    /// Reads a key file of minisign, or its last line alone.
    ///
    /// # Errors
    /// [`KeyError::Form`].
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let line = key_line(text)?;
        let bytes: [u8; 42] = decoded(line).ok_or(KeyError::Form)?;
        if !bytes.starts_with(ALGORITHM) {
            return Err(KeyError::Form);
        }
        Ok(Self {
            id: KeyId(part(&bytes, 2)),
            point: part(&bytes, 10),
        })
    }

    /// Which key this is.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The text of its file, as minisign writes it.
    #[must_use]
    pub fn to_text(&self) -> String {
        let bytes = [ALGORITHM, &self.id.0, &self.point].concat();
        let key = encoded(&bytes);
        format!("{UNTRUSTED}minisign public key {}\n{key}\n", self.id)
    }
}

/// A key that signs. Never shown.
pub struct SecretKey {
    pub(super) id: KeyId,
    pub(super) pair: Ed25519KeyPair,
    seed: [u8; 32],
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SecretKey({}, ..)", self.id)
    }
}

impl SecretKey {
    /// Makes a new key.
    ///
    /// # Errors
    /// [`KeyError::NoRandom`].
    pub fn generate() -> Result<Self, KeyError> {
        let random = SystemRandom::new();
        let (mut id, mut seed) = ([0; 8], [0; 32]);
        random.fill(&mut id).map_err(|_| KeyError::NoRandom)?;
        random.fill(&mut seed).map_err(|_| KeyError::NoRandom)?;
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| KeyError::Damaged)?;
        Ok(Self {
            id: KeyId(id),
            pair,
            seed,
        })
    }

    /// Reads a key file of minisign without a password.
    ///
    /// # Errors
    /// [`KeyError`]; [`KeyError::Sealed`] names what to do.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let bytes: [u8; 158] = decoded(key_line(text)?).ok_or(KeyError::Form)?;
        let is_known = bytes.starts_with(ALGORITHM) && bytes[4..6] == *CHECKSUM;
        if !is_known {
            return Err(KeyError::Form);
        }
        match part(&bytes, 2) {
            NO_PASSWORD => {}
            PASSWORD => return Err(KeyError::Sealed),
            _ => return Err(KeyError::Form),
        }
        let seed: [u8; 32] = part(&bytes, 62);
        let pair = Ed25519KeyPair::from_seed_and_public_key(&seed, &bytes[94..126])
            .map_err(|_| KeyError::Damaged)?;
        // minisign leaves the checksum of a key without a password zero; that the halves fit was just checked.
        Ok(Self {
            id: KeyId(part(&bytes, 54)),
            pair,
            seed,
        })
    }

    /// The text of its file, as minisign writes it without a password. Keep it where only its owner can read it.
    #[must_use]
    pub fn to_text(&self) -> String {
        let bytes = [
            ALGORITHM,
            &NO_PASSWORD,
            CHECKSUM,
            &[0; 48],
            &self.id.0,
            &self.seed,
            self.pair.public_key().as_ref(),
            &[0; 32],
        ]
        .concat();
        format!(
            "{UNTRUSTED}minisign secret key {}\n{}\n",
            self.id,
            encoded(&bytes)
        )
    }

    /// The key to check its signatures with.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        let point = self.pair.public_key().as_ref().try_into();
        PublicKey {
            id: self.id,
            point: point.expect("a public key of ed25519 has 32 bytes"),
        }
    }
}

/// The one line that is no comment.
fn key_line(text: &str) -> Result<&str, KeyError> {
    let mut lines = lines(text).filter(|line| !line.is_empty() && !line.starts_with(UNTRUSTED));
    match (lines.next(), lines.next()) {
        (Some(line), None) => Ok(line),
        _ => Err(KeyError::Form),
    }
}

/// Ed25519; in a signature, of the bytes themselves rather than their hash.
pub(super) const ALGORITHM: &[u8] = b"Ed";
const CHECKSUM: &[u8; 2] = b"B2";
const PASSWORD: [u8; 2] = *b"Sc";
const NO_PASSWORD: [u8; 2] = [0; 2];
