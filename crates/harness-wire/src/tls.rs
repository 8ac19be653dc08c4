//! TLS as both sides use it: version 1.3 only, both sides authenticated, one application protocol.
//!
//! Owns: every TLS setting. Never reads a file (see [`crate::pki`]) and never falls back to anything weaker: web
//! authorities, older versions, session tickets and early data are all absent.

use std::fmt;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::pki::ServerNames;

/// What a server needs to accept connections. Cheap to clone.
#[derive(Clone)]
pub struct ServerTls {
    pub(crate) config: Arc<ServerConfig>,
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
        let clients =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots(authority)?), provider())
                .build()?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(clients)
            .with_single_cert(vec![leaf], key)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        // A resumed session would skip the check of the client's certificate, revocation included.
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        Ok(Self {
            config: Arc::new(config),
            names,
        })
    }
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

/// The one provider, named explicitly: rustls panics when it has to guess among none or several.
fn provider() -> Arc<CryptoProvider> {
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
