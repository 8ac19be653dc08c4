//! Public keys of a mesh.
//!
//! Owns: what one looks like. Private keys never leave the node that made them, and are no part of any plan.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A text is no public key of WireGuard.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no public key: 32 bytes in base64 are, such as `wg pubkey` writes")]
pub struct KeyError(String);

/// The public key of a node, as `wg` writes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(Arc<str>);

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let digit = |byte| DIGITS.iter().position(|digit| *digit == byte);
        // 32 bytes are 43 digits, of the last of which two bits are left over, and the padding.
        let is_key = text
            .strip_suffix('=')
            .filter(|digits| digits.len() == 43)
            .is_some_and(|digits| {
                let values: Option<Vec<usize>> = digits.bytes().map(digit).collect();
                values.is_some_and(|values| values[42] % 4 == 0)
            });
        if is_key {
            Ok(Self(text.into()))
        } else {
            Err(KeyError(text.into()))
        }
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
