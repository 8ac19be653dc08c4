//! Who is at the other end, as its certificate says.
//!
//! Owns: the roles and how a certificate carries one (the subject's organizational unit). Never decides which method
//! needs which role, and never checks a signature: TLS has done so before a certificate arrives here.
//!
//! The role in a certificate is the one it was issued for. A server that keeps a register of its clients asks the
//! register instead, by fingerprint, so that a role can change and a client can be shut out at once.

use std::fmt;
use std::time::{Duration, SystemTime};

use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};

/// What a client may do. Each role includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Reads status, events and logs.
    Observer,
    /// Also starts, stops and acts on what is defined.
    Operator,
    /// Also defines what runs, which means running any code.
    Deployer,
    /// Also manages other clients and the daemon itself.
    Admin,
}

impl Role {
    /// Whether this role includes `needed`.
    pub fn allows(self, needed: Self) -> bool {
        self >= needed
    }

    /// The name in certificates and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Observer => "observer",
            Self::Operator => "operator",
            Self::Deployer => "deployer",
            Self::Admin => "admin",
        }
    }

    /// The role of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }

    /// Every role, the least first.
    pub const ALL: [Self; 4] = [Self::Observer, Self::Operator, Self::Deployer, Self::Admin];
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The authenticated client of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerIdentity {
    /// SHA-256 of the certificate, in hexadecimal. Changes when the certificate is renewed.
    pub fingerprint: String,
    /// Serial number of the certificate, in hexadecimal: what a deny-list names.
    pub serial: String,
    /// What it may do.
    pub role: Role,
    /// The name it was given, for people and the audit record.
    pub name: String,
    /// When the certificate ends.
    pub expires: SystemTime,
}

/// Why a certificate names no client of ours.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The peer showed no certificate.
    #[error("no client certificate was shown")]
    Missing,
    /// The certificate cannot be read.
    #[error("the client certificate cannot be read")]
    Malformed,
    /// The subject has no name or no role.
    #[error("the client certificate has no {field}")]
    Incomplete {
        /// Which part is missing.
        field: &'static str,
    },
    /// The role is none we know.
    #[error("the client certificate has the unknown role `{role}`")]
    UnknownRole {
        /// The role as written.
        role: String,
    },
}

impl PeerIdentity {
    /// Reads the identity out of a certificate that TLS has already verified.
    ///
    /// # Errors
    /// [`IdentityError`] when the certificate carries no name or no role we know.
    pub fn from_certificate(der: &CertificateDer<'_>) -> Result<Self, IdentityError> {
        let (_, certificate) =
            X509Certificate::from_der(der).map_err(|_| IdentityError::Malformed)?;
        let subject = certificate.subject();
        let name = single(subject.iter_common_name())
            .ok_or(IdentityError::Incomplete { field: "name" })?;
        let role = single(subject.iter_organizational_unit())
            .ok_or(IdentityError::Incomplete { field: "role" })?;
        let role = Role::parse(role).ok_or_else(|| IdentityError::UnknownRole {
            role: role.to_owned(),
        })?;
        let fingerprint = hex(&Sha256::digest(der));
        Ok(Self {
            fingerprint,
            serial: hex(certificate.raw_serial()),
            role,
            name: name.to_owned(),
            expires: instant(certificate.validity().not_after.timestamp())
                .ok_or(IdentityError::Malformed)?,
        })
    }
}

/// The value of an attribute that occurs exactly once: with two roles in a subject, neither is believed.
fn single<'a>(
    mut values: impl Iterator<Item = &'a x509_parser::x509::AttributeTypeAndValue<'a>>,
) -> Option<&'a str> {
    let first = values.next()?;
    if values.next().is_some() {
        return None;
    }
    first.as_str().ok()
}

/// The instant so many seconds after (or before) 1970.
pub(crate) fn instant(seconds: i64) -> Option<SystemTime> {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::Role;

    #[test]
    fn a_role_includes_the_lesser_ones() {
        assert!(Role::Admin.allows(Role::Observer));
        assert!(Role::Operator.allows(Role::Operator));
        assert!(!Role::Operator.allows(Role::Deployer));
        assert_eq!(Role::parse("deployer"), Some(Role::Deployer));
        assert_eq!(Role::parse("root"), None);
    }
}
