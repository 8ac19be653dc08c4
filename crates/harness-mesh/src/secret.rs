//! What two hosts of a mesh share beside their keys.
//!
//! Owns: one secret for a mesh, and what is made from it for each pair, so that nothing but the one has to be kept, and the
//! others stay the same.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac::{HMAC_SHA256, Key, sign};
use ring::rand::{SecureRandom, SystemRandom};
use service_registry::mesh::Pair;
use zeroize::Zeroizing;

/// 32 bytes that nobody outside of the mesh knows. To be kept where only its owner reads it.
#[derive(Clone)]
pub struct MeshSecret(Zeroizing<[u8; 32]>);

/// Why there is no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The system has no random numbers.
    #[error("the system gives no random numbers")]
    NoRandomness,
    /// What was kept is none.
    #[error("the secret of a mesh has 32 bytes")]
    Malformed,
}

impl MeshSecret {
    /// A new one.
    ///
    /// # Errors
    /// [`SecretError::NoRandomness`].
    pub fn generate() -> Result<Self, SecretError> {
        let mut bytes = Zeroizing::new([0; 32]);
        let filled = SystemRandom::new().fill(bytes.as_mut_slice());
        filled.map_err(|_| SecretError::NoRandomness)?;
        Ok(Self(bytes))
    }

    /// One that was kept.
    ///
    /// # Errors
    /// [`SecretError::Malformed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SecretError> {
        let bytes = <[u8; 32]>::try_from(bytes).map_err(|_| SecretError::Malformed)?;
        Ok(Self(Zeroizing::new(bytes)))
    }

    /// To be kept.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The preshared key of a pair, as `wg` reads it.
    pub(crate) fn preshared(&self, pair: &Pair) -> Zeroizing<String> {
        let [one, other] = pair.hosts();
        let key = Key::new(HMAC_SHA256, self.0.as_slice());
        // Names of hosts have no line feed.
        let tag = sign(&key, format!("preshared\n{one}\n{other}").as_bytes());
        Zeroizing::new(STANDARD.encode(tag.as_ref()))
    }
}

impl fmt::Debug for MeshSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MeshSecret(***)")
    }
}

#[cfg(test)]
mod tests {
    use service_registry::HostId;

    use super::*;

    fn pair(one: &str, other: &str) -> Pair {
        Pair::new(HostId::new(one), HostId::new(other)).expect("two")
    }

    #[test]
    fn both_ends_of_a_pair_have_one_key_and_no_other_pair_has_it() {
        let secret = MeshSecret::generate().expect("random numbers");
        let key = secret.preshared(&pair("a", "b"));
        assert_eq!(key, secret.preshared(&pair("b", "a")));
        assert_ne!(key, secret.preshared(&pair("a", "c")));
        let kept = MeshSecret::from_bytes(secret.as_bytes()).expect("32 bytes");
        assert_eq!(key, kept.preshared(&pair("a", "b")));
        let other = MeshSecret::generate().expect("random numbers");
        assert_ne!(key, other.preshared(&pair("a", "b")));
        assert!(!format!("{secret:?}").contains(char::is_numeric));
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        let refused = MeshSecret::from_bytes(b"short").expect_err("too few");
        assert_eq!(refused, SecretError::Malformed);
    }
}
