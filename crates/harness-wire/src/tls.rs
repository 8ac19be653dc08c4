//! TLS as both sides use it: version 1.3 only, both sides authenticated, one application protocol.
//!
//! Owns: every TLS setting. Never reads a file (see [`crate::pki`]) and never falls back to anything weaker: web
//! authorities, older versions, session tickets and early data are all absent.
//!
//! A second set of settings serves those who have no certificate yet ([`crate::enrol`]). It shares nothing with the first
//! but the server's key: it speaks another application protocol, and that one only, so neither can become the other.

use std::fmt;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{
    CertificateError, ClientConfig, ConfigBuilder, DigitallySignedStruct, RootCertStore,
    ServerConfig, SignatureScheme, WantsVerifier,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use crate::pki::{ServerNames, fingerprint};

/// What a server needs to accept connections. Cheap to clone.
#[derive(Clone)]
pub struct ServerTls {
    pub(crate) config: Arc<ServerConfig>,
    /// For those who have no certificate yet: speaks nothing but [`ENROL_ALPN`].
    pub(crate) applicants: Arc<ServerConfig>,
    pub(crate) names: ServerNames,
}

/// What a client needs to connect. Cheap to clone.
#[derive(Clone)]
pub struct ClientTls {
    pub(crate) config: Arc<ClientConfig>,
}

/// Why certificates could not be turned into TLS settings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A certificate or key is unusable.
    #[error("the certificate or its key is unusable")]
    Unusable(#[from] rustls::Error),
    /// The authority's certificate cannot be trusted as one.
    #[error("the authority's certificate is unusable")]
    Authority(#[from] VerifierBuilderError),
}

impl ServerTls {
    /// Settings for a server that shows `leaf` and admits clients whose certificates `authority` has signed.
    ///
    /// # Errors
    /// [`TlsError`] when a certificate or the key cannot be used.
    pub fn new(
        authority: CertificateDer<'static>,
        leaf: CertificateDer<'static>,
        key: PrivateKeyDer<'static>,
        names: ServerNames,
    ) -> Result<Self, TlsError> {
        let clients = WebPkiClientVerifier::builder_with_provider(
            Arc::new(roots(authority.clone())?),
            provider(),
        )
        .build()?;
        let config = server_builder()?
            .with_client_cert_verifier(clients)
            .with_single_cert(vec![leaf.clone()], key.clone_key())?;
        // The authority comes along: applicants know nothing of it but the fingerprint.
        let applicants = server_builder()?
            .with_no_client_auth()
            .with_single_cert(vec![leaf, authority], key)?;
        Ok(Self {
            config: only(config, ALPN),
            applicants: only(applicants, ENROL_ALPN),
            names,
        })
    }
}

fn server_builder() -> Result<ConfigBuilder<ServerConfig, WantsVerifier>, rustls::Error> {
    ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
}

/// Settings that speak this application protocol and no other.
fn only(mut config: ServerConfig, protocol: &[u8]) -> Arc<ServerConfig> {
    config.alpn_protocols = vec![protocol.to_vec()];
    // A resumed session would skip the check of the client's certificate, revocation included.
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Arc::new(config)
}

impl ClientTls {
    /// Settings for a client that shows `leaf` and trusts `authority` alone.
    ///
    /// # Errors
    /// [`TlsError`] when a certificate or the key cannot be used.
    pub fn new(
        authority: CertificateDer<'static>,
        leaf: CertificateDer<'static>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, TlsError> {
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots(authority)?)
            .with_client_auth_cert(vec![leaf], key)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.resumption = Resumption::disabled();
        config.enable_early_data = false;
        Ok(Self {
            config: Arc::new(config),
        })
    }
}

/// Settings for somebody without a certificate, who knows the fingerprint of the authority and nothing else.
pub(crate) fn applicant_config(authority: [u8; 32]) -> Result<Arc<ClientConfig>, rustls::Error> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(KnownByFingerprint { authority }))
        .with_no_client_auth();
    config.alpn_protocols = vec![ENROL_ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    Ok(Arc::new(config))
}

/// Accepts exactly what the ordinary check accepts, with the one authority that has this fingerprint.
///
/// The authority is found among the certificates that the server shows; everything else (signatures, dates, names,
/// purpose) is left to the library's own verifier.
#[derive(Debug)]
struct KnownByFingerprint {
    authority: [u8; 32],
}

impl ServerCertVerifier for KnownByFingerprint {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let unknown = || rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let authority = others
            .iter()
            .find(|certificate| fingerprint(certificate) == self.authority)
            .ok_or_else(unknown)?;
        let roots = Arc::new(roots(authority.clone().into_owned())?);
        WebPkiServerVerifier::builder_with_provider(roots, provider())
            .build()
            .map_err(|_| unknown())?
            .verify_server_cert(leaf, &[], name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        // Version 1.2 is not among the versions offered.
        Err(rustls::Error::General(
            "version 1.2 is not spoken".to_owned(),
        ))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// The one provider, named explicitly: rustls panics when it has to guess among none or several.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn roots(authority: CertificateDer<'static>) -> Result<RootCertStore, rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(authority)?;
    Ok(roots)
}

// Keys are reachable through the settings, so neither type prints them.
impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls")
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").finish_non_exhaustive()
    }
}

/// The application protocol both sides must name.
pub(crate) const ALPN: &[u8] = b"harness/1";
/// The application protocol of those who have no certificate yet.
pub(crate) const ENROL_ALPN: &[u8] = b"harness-enrol/1";
