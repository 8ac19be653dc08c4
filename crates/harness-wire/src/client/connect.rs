//! The way to a server: TCP, TLS, WebSocket, `hello`. All of it under one deadline.
//!
//! Owns: which failure is called what, because programs act on the difference: nobody there, not admitted, or not ours.
//! Never retries.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_io::Timer;
use async_net::TcpStream;
use async_tungstenite::tungstenite::client::IntoClientRequest;
use async_tungstenite::tungstenite::http::HeaderValue;
use async_tungstenite::tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL;
use async_tungstenite::tungstenite::{self};
use futures::{AsyncRead, AsyncWrite};
use futures_lite::FutureExt;
use futures_rustls::{TlsConnector, TlsStream};
use rustls::AlertDescription;
use rustls_pki_types::ServerName;

use super::driver::Driver;
use super::handle::Client;
use crate::error::{RpcError, code};
use crate::frame::{self, Frame, Id};
use crate::hello::{self, Agreed, Hello, VersionRange};
use crate::limits::Limits;
use crate::link::{self, ByteStream, Link, LinkError, Transport};
use crate::server::{PATH, SUBPROTOCOL};
use crate::tls::{ALPN, ClientTls};

/// Why there is no connection to a server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The address is not `host:port`.
    #[error("`{address}` is not of the form host:port")]
    Address {
        /// The address as given.
        address: String,
    },
    /// Nobody listens there, or there is no way there.
    #[error("cannot reach {address}")]
    Unreachable {
        /// Where.
        address: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It took too long. `step` tells whether anybody was there at all.
    #[error("no connection to {address} within {within:?}: {step} did not finish")]
    TimedOut {
        /// Where.
        address: String,
        /// What was under way.
        step: ConnectStep,
        /// The deadline.
        within: Duration,
    },
    /// One side does not accept the other's certificate.
    #[error("{address} and this client do not accept each other's certificates")]
    Refused {
        /// Where.
        address: String,
        /// Which side objects, and to what.
        #[source]
        source: rustls::Error,
    },
    /// Whoever listens there does not speak this protocol.
    #[error("what listens at {address} does not speak the protocol of this program")]
    Foreign {
        /// Where.
        address: String,
        /// What it did instead.
        #[source]
        source: Box<tungstenite::Error>,
    },
    /// The server speaks other versions of the protocol.
    #[error("the server at {address} speaks protocol version {theirs}, this client {ours}")]
    Incompatible {
        /// Where.
        address: String,
        /// What this client speaks.
        ours: VersionRange,
        /// What the server speaks.
        theirs: VersionRange,
    },
    /// The server did not like the greeting.
    #[error("the server at {address} refused the greeting")]
    Greeting {
        /// Where.
        address: String,
        /// Its answer.
        #[source]
        error: RpcError,
    },
    /// The connection ended before it was ready.
    #[error("the connection to {address} ended before it was ready")]
    Lost {
        /// Where.
        address: String,
        /// How.
        #[source]
        end: LinkError,
    },
}

/// What was under way when the time was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectStep {
    /// Finding the address or opening the connection: nobody may be there.
    Reach,
    /// TLS, WebSocket and `hello`: somebody is there.
    Handshake,
}

impl std::fmt::Display for ConnectStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Reach => "opening it",
            Self::Handshake => "the handshake",
        })
    }
}

/// How to connect.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// What this program says about itself.
    pub hello: Hello,
    /// Bounds of the connection; `handshake` counts from the start of the attempt.
    pub limits: Limits,
}

impl ConnectOptions {
    /// Default bounds for this program.
    pub fn new(hello: Hello) -> Self {
        Self {
            hello,
            // A server is trusted to send what was asked for, as fast as it is read.
            limits: Limits {
                messages_per_second: u32::MAX,
                message_burst: u32::MAX,
                ..Limits::default()
            },
        }
    }
}

impl Client {
    /// Connects to `host:port` and greets the server.
    ///
    /// Returns the handle and the driver that moves the bytes; nothing moves unless the driver is polled.
    ///
    /// # Errors
    /// [`ConnectError`].
    ///
    /// # Cancellation
    /// Dropping the future drops the connection.
    pub async fn connect(
        address: &str,
        tls: &ClientTls,
        options: &ConnectOptions,
    ) -> Result<(Self, Driver), ConnectError> {
        let within = options.limits.handshake;
        let stream = async { reach(address).await };
        let stream = stream
            .or(too_late(address, ConnectStep::Reach, within))
            .await?;
        Self::over(stream, address, tls, options).await
    }

    /// As [`Client::connect`], over a stream that is already there (a tunnel, say). `address` names the server.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn over<S>(
        stream: S,
        address: &str,
        tls: &ClientTls,
        options: &ConnectOptions,
    ) -> Result<(Self, Driver), ConnectError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let within = options.limits.handshake;
        shake_hands(Box::new(stream), address, tls, options)
            .or(too_late(address, ConnectStep::Handshake, within))
            .await
    }
}

async fn reach(address: &str) -> Result<TcpStream, ConnectError> {
    if host(address).is_none() {
        return Err(ConnectError::Address {
            address: address.to_owned(),
        });
    }
    let open = async {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    };
    open.await.map_err(|source| ConnectError::Unreachable {
        address: address.to_owned(),
        source,
    })
}

async fn too_late<T>(
    address: &str,
    step: ConnectStep,
    within: Duration,
) -> Result<T, ConnectError> {
    Timer::after(within).await;
    Err(ConnectError::TimedOut {
        address: address.to_owned(),
        step,
        within,
    })
}

async fn shake_hands(
    stream: Box<dyn ByteStream>,
    address: &str,
    tls: &ClientTls,
    options: &ConnectOptions,
) -> Result<(Client, Driver), ConnectError> {
    let failed = |error: tungstenite::Error| classify(address, error);
    let bad_address = || ConnectError::Address {
        address: address.to_owned(),
    };
    let name = host(address)
        .and_then(|host| ServerName::try_from(host.to_owned()).ok())
        .ok_or_else(bad_address)?;
    let connector = TlsConnector::from(Arc::clone(&tls.config));
    let stream = connector
        .connect(name, stream)
        .await
        .map_err(|error| failed(error.into()))?;
    if stream.get_ref().1.alpn_protocol() != Some(ALPN) {
        return Err(failed(rustls_error(rustls::Error::NoApplicationProtocol)));
    }
    let stream: Transport = TlsStream::Client(stream);
    let mut request = format!("wss://{address}{PATH}")
        .into_client_request()
        .map_err(|_| bad_address())?;
    request.headers_mut().insert(
        SEC_WEBSOCKET_PROTOCOL,
        HeaderValue::from_static(SUBPROTOCOL),
    );
    let config = link::socket_config(&options.limits);
    let (socket, _) = async_tungstenite::client_async_with_config(request, stream, Some(config))
        .await
        .map_err(failed)?;
    let mut link = Link::new(socket, options.limits.clone());
    let agreed = greet(&mut link, address, options).await?;
    let (commands, inbox) = async_channel::unbounded();
    let driver = Driver::new(link, inbox, options.limits.max_depth);
    Ok((
        Client::new(commands, agreed, options.limits.max_message_bytes),
        driver,
    ))
}

async fn greet(
    link: &mut Link,
    address: &str,
    options: &ConnectOptions,
) -> Result<Agreed, ConnectError> {
    let ours = options.hello.protocol;
    let address = address.to_owned();
    let hello = frame::request(&Id::Number(0), hello::METHOD, &options.hello)
        .expect("text and numbers always serialise");
    let text = match link.exchange(hello).await {
        Ok(text) => text,
        Err(end) => return Err(ConnectError::Lost { address, end }),
    };
    let malformed = |address, message: &str| {
        let error = RpcError::new(code::INVALID_REQUEST, message);
        ConnectError::Greeting { address, error }
    };
    match Frame::parse(&text, options.limits.max_depth) {
        Ok(Frame::Response {
            outcome: Ok(result),
            ..
        }) => {
            let Ok(peer) = serde_json::from_str::<Hello>(result.get()) else {
                return Err(malformed(address, "its answer cannot be read"));
            };
            match ours.agree(peer.protocol) {
                Some(protocol) => Ok(Agreed { protocol, peer }),
                None => Err(ConnectError::Incompatible {
                    address,
                    ours,
                    theirs: peer.protocol,
                }),
            }
        }
        Ok(Frame::Response {
            outcome: Err(error),
            ..
        }) if error.code == code::INCOMPATIBLE => {
            match error
                .data
                .clone()
                .and_then(|data| serde_json::from_value::<VersionRange>(data).ok())
            {
                Some(theirs) => Err(ConnectError::Incompatible {
                    address,
                    ours,
                    theirs,
                }),
                None => Err(ConnectError::Greeting { address, error }),
            }
        }
        Ok(Frame::Response {
            outcome: Err(error),
            ..
        }) => Err(ConnectError::Greeting { address, error }),
        Ok(Frame::Request { .. } | Frame::Notification { .. }) | Err(_) => {
            Err(malformed(address, "it answered with something else"))
        }
    }
}

/// Tells "not admitted" from "not ours" from "gone".
///
/// With TLS 1.3 a client is done before the server has seen its certificate, so a refusal may arrive as late as in the
/// middle of the upgrade.
fn classify(address: &str, error: tungstenite::Error) -> ConnectError {
    let address = address.to_owned();
    let tungstenite::Error::Io(source) = error else {
        return ConnectError::Foreign {
            address,
            source: Box::new(error),
        };
    };
    match source
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
    {
        Some(refusal) if is_refusal(refusal) => ConnectError::Refused {
            address,
            source: refusal.clone(),
        },
        Some(_) => ConnectError::Foreign {
            address,
            source: Box::new(tungstenite::Error::Io(source)),
        },
        None => ConnectError::Lost {
            address,
            end: LinkError::Broken(source),
        },
    }
}

fn is_refusal(error: &rustls::Error) -> bool {
    match error {
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => true,
        rustls::Error::AlertReceived(alert) => matches!(
            alert,
            AlertDescription::AccessDenied
                | AlertDescription::BadCertificate
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateRequired
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateUnknown
                | AlertDescription::DecryptError
                | AlertDescription::UnknownCA
                | AlertDescription::UnsupportedCertificate
        ),
        // The library's enum, open to more: whatever else there may be is not about certificates.
        _ => false,
    }
}

fn rustls_error(error: rustls::Error) -> tungstenite::Error {
    tungstenite::Error::Io(io::Error::new(io::ErrorKind::InvalidData, error))
}

/// The host of `host:port`, without the brackets of an IPv6 address.
pub(crate) fn host(address: &str) -> Option<&str> {
    let (host, port) = address.rsplit_once(':')?;
    port.parse::<u16>().ok()?;
    match host.strip_prefix('[') {
        Some(inside) => inside.strip_suffix(']'),
        None => (!host.is_empty() && !host.contains(':')).then_some(host),
    }
}

#[cfg(test)]
mod tests {
    use super::host;

    #[test]
    fn the_host_is_taken_from_an_address() {
        assert_eq!(host("127.0.0.1:9443"), Some("127.0.0.1"));
        assert_eq!(host("[::1]:9443"), Some("::1"));
        assert_eq!(host("localhost:9443"), Some("localhost"));
        assert_eq!(host("localhost"), None);
        assert_eq!(host("::1:9443"), None);
        assert_eq!(host("localhost:port"), None);
    }
}
