//! Signatures in minisign's format: keys, signatures, and whom we trust.

mod key;
mod sign;
mod text;
mod trust;

pub use key::{KeyError, KeyId, PublicKey, SecretKey};
pub(crate) use sign::hash;
pub use sign::{Signature, SignatureError};
pub use trust::{TrustError, TrustStore};
