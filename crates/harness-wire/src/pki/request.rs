//! Certificates for keys that are made elsewhere: the request, and its granting.
//!
//! Owns: what of a request is believed, which is its public key and nothing else. Never sees the private key of a client
//! elsewhere: that is made there and stays there.

use std::path::Path;
use std::time::SystemTime;

use rcgen::{
    CertificateParams, CertificateSigningRequestParams, DistinguishedName, KeyPair,
    PKCS_ECDSA_P256_SHA256,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::files::Directory;
use super::{AUTHORITY, Pki, PkiError, client_file, leaf};
use crate::identity::{PeerIdentity, Role};
use crate::tls::ClientTls;

/// A key that was made here, and the request to certify it.
#[derive(Debug)]
pub struct CertificateRequest {
    key: KeyPair,
    pem: String,
}

/// A certificate that was granted.
#[derive(Debug, Clone)]
pub struct Certified {
    /// The certificate, as PEM.
    pub pem: String,
    /// Whom it names.
    pub identity: PeerIdentity,
}

impl CertificateRequest {
    /// Makes a key and asks for a certificate. The request says nothing but the key: who it is for, the server knows.
    ///
    /// # Errors
    /// [`PkiError::Issue`].
    pub fn new() -> Result<Self, PkiError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let pem = params.serialize_request(&key)?.pem()?;
        Ok(Self { key, pem })
    }

    /// The request, as PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Keeps the key with the certificate that was granted for it, and the authority that granted it.
    ///
    /// The certificate comes first on disk: a crash in between leaves a client that has to enrol anew, never one that
    /// trusts the wrong authority.
    ///
    /// # Errors
    /// [`PkiError::Tls`] when the certificate is not for this key; nothing was written then.
    pub fn keep(
        &self,
        directory: impl AsRef<Path>,
        name: &str,
        authority: &str,
        certificate: &str,
    ) -> Result<(), PkiError> {
        let file = client_file(name)?;
        let path = directory.as_ref();
        let key = self.key.serialize_pem();
        let damaged = |_| PkiError::Request {
            reason: "the certificate that came back cannot be read".to_owned(),
        };
        let trusted = CertificateDer::from_pem_slice(authority.as_bytes()).map_err(damaged)?;
        let leaf = CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(damaged)?;
        let private = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(damaged)?;
        ClientTls::new(trusted, leaf, private).map_err(|source| PkiError::Tls {
            path: path.to_owned(),
            source,
        })?;
        let directory = Directory::open_or_create(path)?;
        let _lock = directory.lock()?;
        directory.write(&file, &format!("{certificate}{key}"))?;
        directory.write(AUTHORITY, authority)
    }
}

impl Pki {
    /// Grants a certificate to whoever holds the key of this request, under a name and a role that we choose.
    ///
    /// # Errors
    /// [`PkiError::Request`] when it is no request, is not signed with its own key, or has another kind of key;
    /// [`PkiError::BadName`], else as [`Pki::open_or_create`].
    pub fn certify(
        &self,
        request: &str,
        name: &str,
        role: Role,
        now: SystemTime,
    ) -> Result<Certified, PkiError> {
        client_file(name)?;
        let refused = |reason: String| PkiError::Request { reason };
        let asked = CertificateSigningRequestParams::from_pem(request)
            .map_err(|error| refused(error.to_string()))?;
        if asked.public_key.algorithm() != &PKCS_ECDSA_P256_SHA256 {
            return Err(refused(
                "only keys for ECDSA with P-256 are used".to_owned(),
            ));
        }
        let mut params = leaf::client_params(name, role);
        self.life.put_into(&mut params, now);
        let certificate = params.signed_by(&asked.public_key, &self.issuer()?)?;
        let identity = PeerIdentity::from_certificate(certificate.der()).map_err(|source| {
            PkiError::Identity {
                path: self.directory.path(""),
                source,
            }
        })?;
        Ok(Certified {
            pem: certificate.pem(),
            identity,
        })
    }
}
