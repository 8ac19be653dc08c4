//! One certificate with its key: what it must say, how long it lives, when it is renewed.
//!
//! Owns: the contents of leaf certificates. Never decides which leaf is made when.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::files::Directory;
use super::{PkiError, ServerNames};
use crate::identity::{PeerIdentity, Role, instant};

/// A certificate and its key, as loaded.
pub(super) struct Leaf {
    pub(super) certificate: CertificateDer<'static>,
    pub(super) key: PrivateKeyDer<'static>,
    begins: SystemTime,
    ends: SystemTime,
}

impl Leaf {
    /// Loads a leaf; `None` when its file does not exist.
    pub(super) fn load(directory: &Directory, file: &str) -> Result<Option<Self>, PkiError> {
        let Some(pem) = directory.read(file)? else {
            return Ok(None);
        };
        Self::parse(&pem)
            .map(Some)
            .ok_or_else(|| PkiError::Damaged {
                path: directory.path(file),
            })
    }

    /// Whether it should be replaced: past two thirds of its life, or not valid yet because the clock was set back.
    pub(super) fn is_due(&self, now: SystemTime) -> bool {
        now < self.begins || now >= self.due()
    }

    /// When it should be replaced: at two thirds of its life.
    pub(super) fn due(&self) -> SystemTime {
        let life = self.ends.duration_since(self.begins).unwrap_or_default();
        self.ends - life / 3
    }

    /// Whether the certificate answers to all of `names`.
    pub(super) fn covers(&self, names: &ServerNames) -> bool {
        let Ok((_, certificate)) = X509Certificate::from_der(&self.certificate) else {
            return false;
        };
        let Ok(Some(alternative)) = certificate.subject_alternative_name() else {
            return false;
        };
        let listed = &alternative.value.general_names;
        let has_name = |name: &String| {
            listed
                .iter()
                .any(|entry| matches!(entry, GeneralName::DNSName(dns) if dns == name))
        };
        let has_address = |address: &IpAddr| {
            let octets = match address {
                IpAddr::V4(v4) => v4.octets().to_vec(),
                IpAddr::V6(v6) => v6.octets().to_vec(),
            };
            listed
                .iter()
                .any(|entry| matches!(entry, GeneralName::IPAddress(bytes) if *bytes == octets))
        };
        names.names.iter().all(has_name) && names.addresses.iter().all(has_address)
    }

    /// Whether the certificate gives exactly this role.
    pub(super) fn has_role(&self, role: Role) -> bool {
        PeerIdentity::from_certificate(&self.certificate)
            .is_ok_and(|identity| identity.role == role)
    }

    fn parse(pem: &str) -> Option<Self> {
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
        let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).ok()?;
        let (_, parsed) = X509Certificate::from_der(&certificate).ok()?;
        let begins = instant(parsed.validity().not_before.timestamp())?;
        let ends = instant(parsed.validity().not_after.timestamp())?;
        Some(Self {
            certificate,
            key,
            begins,
            ends,
        })
    }
}

/// What the server's certificate says.
pub(super) fn server_params(names: &ServerNames) -> Result<CertificateParams, rcgen::Error> {
    let mut params = params("harness server");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    for name in &names.names {
        params
            .subject_alt_names
            .push(SanType::DnsName(name.as_str().try_into()?));
    }
    params
        .subject_alt_names
        .extend(names.addresses.iter().copied().map(SanType::IpAddress));
    Ok(params)
}

/// What a client's certificate says.
pub(super) fn client_params(name: &str, role: Role) -> CertificateParams {
    let mut params = params(name);
    params
        .distinguished_name
        .push(DnType::OrganizationalUnitName, role.as_str());
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

/// Makes a key, has the certificate signed, and returns both as PEM.
pub(super) fn sign(
    mut params: CertificateParams,
    issuer: &Issuer<'_, KeyPair>,
    life: Life,
    now: SystemTime,
) -> Result<String, rcgen::Error> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    life.put_into(&mut params, now);
    let certificate = params.signed_by(&key, issuer)?;
    Ok(format!("{}{}", certificate.pem(), key.serialize_pem()))
}

/// How long certificates live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// From now to its end. Two thirds of the way it is renewed.
    pub leaf: Duration,
    /// How far the clocks of two hosts may differ: it is valid from so long ago.
    pub skew: Duration,
}

impl Default for Life {
    /// 90 days, and a day for clocks that differ.
    fn default() -> Self {
        Self {
            leaf: 90 * DAY,
            skew: DAY,
        }
    }
}

impl Life {
    pub(super) fn put_into(self, params: &mut CertificateParams, now: SystemTime) {
        params.not_before = (now - self.skew).into();
        params.not_after = (now + self.leaf).into();
    }
}

fn params(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    params
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
