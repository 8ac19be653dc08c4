//! The way in: TLS, who is it, is it a browser, WebSocket, `hello`. All of it under one deadline.
//!
//! Owns: what a connection must show before it becomes a [`Session`]. Never listens and never counts connections: the
//! accept loop of the daemon does, polling what it accepts while it goes on accepting.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_io::Timer;
use async_tungstenite::WebSocketStream;
use async_tungstenite::tungstenite::handshake::server::{
    ErrorResponse, Request as Upgrade, Response,
};
use async_tungstenite::tungstenite::http::header::{
    HOST, HeaderName, ORIGIN, SEC_WEBSOCKET_PROTOCOL,
};
use async_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use async_tungstenite::tungstenite::{self};
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use futures_lite::FutureExt;
use futures_rustls::{TlsAcceptor, TlsStream};

use super::session::Session;
use crate::error::{RpcError, code};
use crate::frame::{self, Frame};
use crate::hello::{self, Agreed, Hello, VersionRange};
use crate::identity::{IdentityError, PeerIdentity};
use crate::limits::Limits;
use crate::link::{self, ByteStream, Link, LinkError, Transport};
use crate::tls::{ALPN, ServerTls};

/// Why a connection was not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// The client took too long.
    #[error("not finished within {within:?}")]
    TimedOut {
        /// The deadline.
        within: Duration,
    },
    /// TLS failed: no certificate, a foreign or expired one, an older version, or not TLS at all.
    #[error("the TLS handshake failed")]
    Tls(#[source] io::Error),
    /// The client did not name the application protocol.
    #[error("the client did not ask for the protocol `harness/1`")]
    Protocol,
    /// The certificate is ours but names no client.
    #[error("the certificate names no client")]
    Identity(#[from] IdentityError),
    /// The HTTP request was refused.
    #[error("the upgrade was refused")]
    Refused(#[from] Refusal),
    /// What came is not a WebSocket handshake.
    #[error("the WebSocket handshake failed")]
    Upgrade(#[source] Box<tungstenite::Error>),
    /// The first message was no acceptable `hello`.
    #[error("the greeting failed")]
    Hello(#[from] HelloError),
}

/// What was wrong with an upgrade request. Browsers meet the first two.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A web page sent it.
    #[error("the origin `{origin}` is not allowed")]
    Origin {
        /// The page's origin.
        origin: String,
    },
    /// It was sent to a name this server does not have, as after DNS rebinding.
    #[error("`{host}` is not a name of this server")]
    Host {
        /// The name.
        host: String,
    },
    /// There is nothing at this path.
    #[error("there is nothing at `{path}`")]
    Path {
        /// The path.
        path: String,
    },
    /// It did not ask for the subprotocol.
    #[error("the subprotocol `harness.1` was not asked for")]
    Subprotocol,
}

/// What was wrong with the first message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HelloError {
    /// The connection ended before it.
    #[error("the connection ended before `hello`")]
    Lost(#[from] LinkError),
    /// It was something else.
    #[error("`hello` was expected")]
    Unexpected(#[source] RpcError),
    /// There is no common version.
    #[error("the client speaks version {theirs}, this server {ours}")]
    Incompatible {
        /// What this server speaks.
        ours: VersionRange,
        /// What the client speaks.
        theirs: VersionRange,
    },
}

/// Turns streams into sessions. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Acceptor {
    tls: ServerTls,
    gate: Arc<Gate>,
}

#[derive(Debug, Clone)]
struct Gate {
    hello: Hello,
    limits: Limits,
    origins: BTreeSet<String>,
}

impl Acceptor {
    /// An acceptor that admits clients of this installation, and no web page.
    pub fn new(tls: ServerTls, hello: Hello) -> Self {
        Self {
            tls,
            gate: Arc::new(Gate {
                hello,
                limits: Limits::default(),
                origins: BTreeSet::new(),
            }),
        }
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        Arc::make_mut(&mut self.gate).limits = limits;
        self
    }

    /// The same with renewed certificates. Open sessions go on.
    #[must_use]
    pub fn with_tls(mut self, tls: ServerTls) -> Self {
        self.tls = tls;
        self
    }

    /// The same, admitting web pages of this origin (`scheme://host:port`).
    #[must_use]
    pub fn with_origin(mut self, origin: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.gate).origins.insert(origin.into());
        self
    }

    /// As [`Acceptor::accept`], for a TCP connection: answers are sent without waiting for more to send.
    ///
    /// # Errors
    /// As [`Acceptor::accept`].
    pub async fn accept_tcp(
        &self,
        stream: async_net::TcpStream,
    ) -> Result<(Session, PeerIdentity), AcceptError> {
        stream.set_nodelay(true).map_err(AcceptError::Tls)?;
        self.accept(stream).await
    }

    /// Takes a new connection through TLS, the WebSocket upgrade and `hello`.
    ///
    /// # Errors
    /// [`AcceptError`]; the client has been told as far as the protocol allows.
    ///
    /// # Cancellation
    /// Dropping the future drops the connection.
    pub async fn accept<S>(&self, stream: S) -> Result<(Session, PeerIdentity), AcceptError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let within = self.gate.limits.handshake;
        let too_late = async {
            Timer::after(within).await;
            Err(AcceptError::TimedOut { within })
        };
        self.admit(Box::new(stream)).or(too_late).await
    }

    async fn admit(
        &self,
        stream: Box<dyn ByteStream>,
    ) -> Result<(Session, PeerIdentity), AcceptError> {
        let stream = match TlsAcceptor::from(Arc::clone(&self.tls.config))
            .accept(stream)
            .into_fallible()
            .await
        {
            Ok(stream) => stream,
            Err((error, stream)) => {
                linger(stream).await;
                return Err(AcceptError::Tls(error));
            }
        };
        let (_, connection) = stream.get_ref();
        if connection.alpn_protocol() != Some(ALPN) {
            return Err(AcceptError::Protocol);
        }
        let certificate = connection
            .peer_certificates()
            .and_then(<[_]>::first)
            .ok_or(IdentityError::Missing)?;
        let identity = PeerIdentity::from_certificate(certificate)?;
        let socket = self.upgrade(TlsStream::Server(stream)).await?;
        let mut link = Link::new(socket, self.gate.limits.clone());
        match self.gate.greet(&mut link).await {
            Ok((agreed, answer)) => {
                let session =
                    Session::new(link, self.gate.limits.clone(), identity.clone(), agreed);
                session.greet(answer);
                Ok((session, identity))
            }
            Err((error, answer)) => {
                if let Some(answer) = answer {
                    let mut answer = Some(frame::failure(answer.0.as_ref(), &answer.1));
                    link.close(&LinkError::Abandoned, || answer.take()).await;
                }
                Err(error.into())
            }
        }
    }

    async fn upgrade(&self, stream: Transport) -> Result<WebSocketStream<Transport>, AcceptError> {
        let mut refusal = None;
        let config = link::socket_config(&self.gate.limits);
        // The type of the refusal is the library's, and large.
        #[allow(clippy::result_large_err)]
        let check = |request: &Upgrade, response: Response| match self.check(request) {
            Ok(()) => Ok(admitted(response)),
            Err((status, reason)) => {
                let response = refused(status, &reason);
                refusal = Some(reason);
                Err(response)
            }
        };
        let upgraded =
            async_tungstenite::accept_hdr_async_with_config(stream, check, Some(config)).await;
        match (upgraded, refusal) {
            (_, Some(refusal)) => Err(refusal.into()),
            (upgraded, None) => upgraded.map_err(|error| AcceptError::Upgrade(Box::new(error))),
        }
    }

    fn check(&self, request: &Upgrade) -> Result<(), (StatusCode, Refusal)> {
        let header = |name: HeaderName| {
            request
                .headers()
                .get(name)
                .map(|value| String::from_utf8_lossy(value.as_bytes()))
        };
        if let Some(origin) = header(ORIGIN)
            && !self.gate.origins.contains(origin.as_ref())
        {
            return Err((
                StatusCode::FORBIDDEN,
                Refusal::Origin {
                    origin: origin.into_owned(),
                },
            ));
        }
        // The name alone decides: a page that rebinds its own name to this address keeps its own name here, while the
        // port differs honestly behind a tunnel. Two headers are as bad as a wrong one.
        let host = header(HOST).unwrap_or_default();
        if request.headers().get_all(HOST).iter().count() != 1
            || !self.tls.names.contains(without_port(&host))
        {
            return Err((
                StatusCode::FORBIDDEN,
                Refusal::Host {
                    host: host.into_owned(),
                },
            ));
        }
        if request.uri().path() != PATH {
            return Err((
                StatusCode::NOT_FOUND,
                Refusal::Path {
                    path: request.uri().path().to_owned(),
                },
            ));
        }
        let asked = header(SEC_WEBSOCKET_PROTOCOL).unwrap_or_default();
        if !asked.split(',').any(|name| name.trim() == SUBPROTOCOL) {
            return Err((StatusCode::BAD_REQUEST, Refusal::Subprotocol));
        }
        Ok(())
    }
}

/// The answer that explains a failed greeting to the client.
type Explanation = Option<(Option<frame::Id>, RpcError)>;

impl Gate {
    /// Waits for `hello` and works out the answer to it.
    async fn greet(&self, link: &mut Link) -> Result<(Agreed, String), (HelloError, Explanation)> {
        let text = link.receive().await.map_err(|lost| (lost.into(), None))?;
        let unexpected =
            |id, error: RpcError| (HelloError::Unexpected(error.clone()), Some((id, error)));
        let frame = Frame::parse(&text, self.limits.max_depth)
            .map_err(|bad| unexpected(bad.id, bad.error))?;
        let (id, params) = match frame {
            Frame::Request { id, method, params } if method == hello::METHOD => (id, params),
            Frame::Request { id, .. } => return Err(unexpected(Some(id), hello_expected())),
            Frame::Notification { .. } | Frame::Response { .. } => {
                return Err(unexpected(None, hello_expected()));
            }
        };
        let theirs: Hello = params
            .parse()
            .map_err(|error| unexpected(Some(id.clone()), error))?;
        let Some(protocol) = self.hello.protocol.agree(theirs.protocol) else {
            let (ours, theirs) = (self.hello.protocol, theirs.protocol);
            let error = hello::incompatible(ours, theirs);
            return Err((
                HelloError::Incompatible { ours, theirs },
                Some((Some(id), error)),
            ));
        };
        let answer = frame::response(&id, &self.hello).expect("text and numbers always serialise");
        Ok((
            Agreed {
                protocol,
                peer: theirs,
            },
            answer,
        ))
    }
}

fn hello_expected() -> RpcError {
    RpcError::new(code::HELLO_EXPECTED, "the first request must be `hello`")
}

fn admitted(mut response: Response) -> Response {
    response.headers_mut().insert(
        SEC_WEBSOCKET_PROTOCOL,
        HeaderValue::from_static(SUBPROTOCOL),
    );
    response
}

fn refused(status: StatusCode, reason: &Refusal) -> ErrorResponse {
    let mut response = ErrorResponse::new(Some(format!("{reason}\n")));
    *response.status_mut() = status;
    response
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        // The colons of a bare IPv6 address are none; one with a port is in brackets.
        Some((name, port))
            if port.bytes().all(|byte| byte.is_ascii_digit())
                && (!name.contains(':') || name.ends_with(']')) =>
        {
            name
        }
        Some(_) | None => host,
    }
}

/// Lets the alert that explains the refusal reach the client: closing over unread bytes would reset the connection and
/// take the alert with it. Bounded in bytes here and in time by the caller's deadline and [`LINGER`].
async fn linger(mut stream: Box<dyn ByteStream>) {
    let drain = async {
        if stream.close().await.is_ok() {
            let mut buffer = [0; 1024];
            for _ in 0..16 {
                if !matches!(stream.read(&mut buffer).await, Ok(1..)) {
                    break;
                }
            }
        }
    };
    let gave_up = async {
        Timer::after(LINGER).await;
    };
    drain.or(gave_up).await;
}

/// Where the protocol is served.
pub(crate) const PATH: &str = "/rpc";
/// The WebSocket subprotocol both sides must name.
pub(crate) const SUBPROTOCOL: &str = "harness.1";
const LINGER: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::without_port;

    #[test]
    fn the_port_is_told_from_the_address() {
        assert_eq!(without_port("localhost:9443"), "localhost");
        assert_eq!(without_port("[::1]:9443"), "[::1]");
        assert_eq!(without_port("[::1]"), "[::1]");
        assert_eq!(without_port("::1"), "::1");
        assert_eq!(without_port("127.0.0.1"), "127.0.0.1");
    }
}
