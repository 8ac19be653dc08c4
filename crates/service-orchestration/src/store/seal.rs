//! Sealing what is kept: nobody without the key can read it, change it, or put it where something else was.
//!
//! Owns: the form of a sealed record: a mark, a nonce of chance, what was sealed, and a tag (ChaCha20-Poly1305). What it
//! is the record of is part of the tag.

use std::fmt;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

/// What a sealed record begins with. Records of version 1 are JSON and begin with `{`.
const MARK: u8 = 0x02;

/// What a record is of. A record of the one cannot be put where one of the other was.
#[derive(Clone, Copy, Debug)]
pub(super) enum Of {
    Stack,
    Unit,
}

/// Seals and opens.
pub(super) struct Sealer {
    key: LessSafeKey,
    chance: SystemRandom,
}

impl Sealer {
    /// A sealer with this key of 32 bytes.
    pub(super) fn new(key: &[u8]) -> Self {
        let key = UnboundKey::new(&CHACHA20_POLY1305, key).expect("the key has 32 bytes");
        Self {
            key: LessSafeKey::new(key),
            chance: SystemRandom::new(),
        }
    }

    /// The record of `name`, sealed.
    pub(super) fn seal(&self, of: Of, name: &str, record: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        let filled = self.chance.fill(&mut nonce);
        filled.expect("the kernel has chance to give");
        let mut sealed = Vec::with_capacity(1 + NONCE_LEN + record.len() + 16);
        sealed.push(MARK);
        sealed.extend_from_slice(&nonce);
        let mut body = record.to_vec();
        // 2^32 records under one key have a chance of 2^-33 to meet in a nonce; a unit is written when something happens to it.
        let nonce = Nonce::assume_unique_for_key(nonce);
        let done = self
            .key
            .seal_in_place_append_tag(nonce, Aad::from(about(of, name)), &mut body);
        done.expect("a record is far below the 256 GiB that can be sealed at once");
        sealed.append(&mut body);
        sealed
    }

    /// What was sealed as the record of `name`; `None` when it was not sealed with this key, or was changed since.
    pub(super) fn open(&self, of: Of, name: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (mark, rest) = sealed.split_first()?;
        if *mark != MARK {
            return None;
        }
        let (nonce, body) = rest.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut body = Zeroizing::new(body.to_vec());
        let about = Aad::from(about(of, name));
        let length = self.key.open_in_place(nonce, about, &mut body).ok()?.len();
        body.truncate(length);
        Some(body)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(***)")
    }
}

fn about(of: Of, name: &str) -> Vec<u8> {
    let of = match of {
        Of::Stack => "stack\0",
        Of::Unit => "unit\0",
    };
    [of, name].concat().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_unchanged_under_its_own_name_only() {
        let sealer = Sealer::new(&[7; 32]);
        let sealed = sealer.seal(Of::Stack, "shop", b"{\"a\":\"hunter2\"}");
        let text = String::from_utf8_lossy(&sealed);
        assert!(!text.contains("hunter2"));
        let opened = sealer.open(Of::Stack, "shop", &sealed).expect("ours");
        assert_eq!(opened.as_slice(), b"{\"a\":\"hunter2\"}");
        assert!(sealer.open(Of::Stack, "other", &sealed).is_none());
        assert!(
            Sealer::new(&[8; 32])
                .open(Of::Stack, "shop", &sealed)
                .is_none()
        );
        assert!(sealer.open(Of::Unit, "shop", &sealed).is_none());
        assert_ne!(
            sealed,
            sealer.seal(Of::Stack, "shop", b"{\"a\":\"hunter2\"}"),
            "a nonce of its own"
        );
    }

    #[test]
    fn a_single_changed_bit_and_a_cut_are_noticed() {
        let sealer = Sealer::new(&[7; 32]);
        let sealed = sealer.seal(Of::Stack, "shop", b"record");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(
                sealer.open(Of::Stack, "shop", &changed).is_none(),
                "byte {at}"
            );
            assert!(
                sealer.open(Of::Stack, "shop", &sealed[..at]).is_none(),
                "cut at {at}"
            );
        }
    }
}
