//! How somebody without a certificate gets one: a single bounded question and its answer, over a protocol of its own.
//!
//! Owns: the form of both, and the applicant's side. Never decides who gets a certificate, and never sees a private key:
//! it stays with the applicant.
//!
//! The server is authenticated by the fingerprint of its authority, which the applicant was told beforehand; the applicant
//! by a secret. Both messages are JSON behind a length of four bytes, most significant first, at most [`MAX_BYTES`].
//! The server speaks this protocol only while it expects somebody ([`crate::Acceptor::admitting_applicants`]).

use std::fmt;
use std::io;
use std::time::Duration;

use async_io::Timer;
use async_net::TcpStream;
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use futures_lite::FutureExt;
use futures_rustls::TlsConnector;
use rustls_pki_types::ServerName;
use rustls_pki_types::pem::PemObject;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::client::host;
use crate::error::RpcError;
use crate::identity::Role;
use crate::tls;

/// What an applicant says.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Application {
    /// Which invitation is taken up.
    pub invitation: String,
    /// What shows that it is ours to take, in hexadecimal.
    pub secret: String,
    /// The request for a certificate, as PEM.
    pub request: String,
}

/// What an applicant gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    /// The name it has from now on.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Its certificate, as PEM.
    pub certificate: String,
    /// The authority to trust, as PEM.
    pub authority: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Granted(Granted),
    Refused(RpcError),
}

/// Why an applicant got no certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnrolError {
    /// The address is not `host:port`.
    #[error("`{address}` is not of the form host:port")]
    Address {
        /// The address as given.
        address: String,
    },
    /// There is no way there, or it ended before the answer.
    #[error("cannot reach the daemon at {address}")]
    Unreachable {
        /// Where.
        address: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// TLS failed: another server than the invitation's, or one that expects nobody.
    #[error(
        "{address} is not the daemon that sent the invitation, or it expects nobody (any more)"
    )]
    NotExpected {
        /// Where.
        address: String,
        /// What failed.
        #[source]
        source: io::Error,
    },
    /// It took too long.
    #[error("no answer from {address} within {within:?}")]
    TimedOut {
        /// Where.
        address: String,
        /// The deadline.
        within: Duration,
    },
    /// The server refused.
    #[error("the daemon at {address} refused")]
    Refused {
        /// Where.
        address: String,
        /// Its answer.
        #[source]
        error: RpcError,
    },
    /// The answer is none, or names another authority than the invitation.
    #[error("the answer of {address} cannot be used: {reason}")]
    Unusable {
        /// Where.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// Asks the server at `address`, whose authority has this fingerprint, for a certificate.
///
/// # Errors
/// [`EnrolError`].
///
/// # Cancellation
/// Dropping the future may leave an invitation that is used up.
pub async fn apply(
    address: &str,
    authority: [u8; 32],
    application: &Application,
    within: Duration,
) -> Result<Granted, EnrolError> {
    let too_late = async {
        Timer::after(within).await;
        Err(EnrolError::TimedOut {
            address: address.to_owned(),
            within,
        })
    };
    apply_now(address, authority, application)
        .or(too_late)
        .await
}

async fn apply_now(
    address: &str,
    authority: [u8; 32],
    application: &Application,
) -> Result<Granted, EnrolError> {
    let owned = || address.to_owned();
    let name = host(address)
        .and_then(|host| ServerName::try_from(host.to_owned()).ok())
        .ok_or_else(|| EnrolError::Address { address: owned() })?;
    let unreachable = |source| EnrolError::Unreachable {
        address: owned(),
        source,
    };
    let not_expected = |source| EnrolError::NotExpected {
        address: owned(),
        source,
    };
    let unusable = |reason: String| EnrolError::Unusable {
        address: owned(),
        reason,
    };
    let config = tls::applicant_config(authority).map_err(|error| unusable(error.to_string()))?;
    let stream = TcpStream::connect(address).await.map_err(unreachable)?;
    stream.set_nodelay(true).map_err(unreachable)?;
    let mut stream = TlsConnector::from(config)
        .connect(name, stream)
        .await
        .map_err(not_expected)?;
    if stream.get_ref().1.alpn_protocol() != Some(tls::ENROL_ALPN) {
        return Err(unusable("it speaks another protocol".to_owned()));
    }
    // With TLS 1.3 the server's refusal may come only now.
    send(&mut stream, application).await.map_err(not_expected)?;
    match receive::<Answer>(&mut stream).await.map_err(not_expected)? {
        Answer::Refused(error) => Err(EnrolError::Refused {
            address: owned(),
            error,
        }),
        Answer::Granted(granted) => {
            let shown =
                rustls_pki_types::CertificateDer::from_pem_slice(granted.authority.as_bytes())
                    .map_err(|error| unusable(error.to_string()))?;
            if crate::pki::fingerprint(&shown) != authority {
                return Err(unusable("it names another authority".to_owned()));
            }
            Ok(granted)
        }
    }
}

pub(crate) async fn answer(
    stream: &mut (impl AsyncWrite + Unpin),
    outcome: Result<Granted, RpcError>,
) -> io::Result<()> {
    let answer = match outcome {
        Ok(granted) => Answer::Granted(granted),
        Err(error) => Answer::Refused(error),
    };
    send(stream, &answer).await?;
    stream.close().await
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), what: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_vec(what).expect("text always serialises");
    let length = u32::try_from(text.len())
        .ok()
        .filter(|length| *length <= MAX_BYTES)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "too long to be sent"))?;
    let mut message = length.to_be_bytes().to_vec();
    message.extend(text);
    stream.write_all(&message).await?;
    stream.flush().await
}

pub(crate) async fn receive<T: DeserializeOwned>(
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<T> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).await?;
    let length = u32::from_be_bytes(length);
    if length > MAX_BYTES {
        let reason = format!("{length} bytes are announced, at most {MAX_BYTES} are read");
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    let mut text = vec![0; usize::try_from(length).unwrap_or_default()];
    stream.read_exact(&mut text).await?;
    serde_json::from_slice(&text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

// The secret is not for logs.
impl fmt::Debug for Application {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Application")
            .field("invitation", &self.invitation)
            .finish_non_exhaustive()
    }
}

/// Bytes from the system's source of randomness, for secrets.
///
/// # Errors
/// When the system has none to give.
pub fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    tls::provider()
        .secure_random
        .fill(&mut bytes)
        .map_err(|_| io::Error::other("the system gives no random bytes"))?;
    Ok(bytes)
}

/// The longest message: a request is about 500 bytes, two certificates about 1,500.
pub const MAX_BYTES: u32 = 16 * 1024;
