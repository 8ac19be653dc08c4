//! The way in: TLS, who is it, is it a browser, WebSocket, `hello`. All of it under one deadline.
//!
//! Owns: what a connection must show before it becomes a [`Session`]. Never listens and never counts connections: the
//! accept loop of the daemon does, polling what it accepts while it goes on accepting.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_io::Timer;
use async_tungstenite::tungstenite;
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use futures_lite::FutureExt;
use futures_rustls::{LazyConfigAcceptor, TlsStream, server};

use super::greeting::HelloError;
use super::session::Session;
use super::upgrade::{Refusal, Rules};
use super::visitor::{Applicant, Arrival, Deadline, Visitor};
use crate::hello::Hello;
use crate::identity::{IdentityError, PeerIdentity};
use crate::limits::Limits;
use crate::link::ByteStream;
use crate::tls::{ALPN, ENROL_ALPN, ServerTls};

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
    /// Somebody without a certificate asked for none, or was gone before the answer.
    #[error("the application failed")]
    Application(#[source] io::Error),
    /// The first message was no acceptable `hello`.
    #[error("the greeting failed")]
    Hello(#[from] HelloError),
}

/// Turns streams into sessions. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Acceptor {
    tls: ServerTls,
    gate: Arc<Gate>,
    admits_applicants: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Gate {
    pub(super) hello: Hello,
    pub(super) limits: Limits,
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
            admits_applicants: false,
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

    /// The same, also hearing those who have no certificate yet, if asked to. They come as [`Arrival::Applicant`], by a
    /// protocol that offers them one question and nothing else.
    #[must_use]
    pub fn admitting_applicants(mut self, admits: bool) -> Self {
        self.admits_applicants = admits;
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
        match self.receive(stream, || {}).await? {
            Arrival::Client(visitor) => {
                let identity = visitor.identity().clone();
                let limits = self.gate.limits.clone();
                Ok((visitor.admit(identity.clone(), limits).await?, identity))
            }
            Arrival::Applicant(_) => Err(AcceptError::Protocol),
        }
    }

    /// Takes a new connection through TLS and finds out who it is. The deadline of the whole way in begins here. `greeted` is
    /// called once its first message is whole, before anything is computed for it.
    ///
    /// # Errors
    /// [`AcceptError`].
    ///
    /// # Cancellation
    /// Dropping the future drops the connection.
    pub async fn receive<S>(
        &self,
        stream: S,
        greeted: impl FnOnce() + Send,
    ) -> Result<Arrival, AcceptError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let deadline = Deadline::new(self.gate.limits.handshake);
        let stream: Box<dyn ByteStream> = Box::new(stream);
        deadline
            .bound(Box::pin(self.identify(stream, deadline, greeted)))
            .await
    }

    async fn identify(
        &self,
        stream: Box<dyn ByteStream>,
        deadline: Deadline,
        greeted: impl FnOnce() + Send,
    ) -> Result<Arrival, AcceptError> {
        let stream = self.shake_hands(stream, greeted).await?;
        let (_, connection) = stream.get_ref();
        if connection.alpn_protocol() == Some(ENROL_ALPN) && self.admits_applicants {
            let stream = TlsStream::Server(stream);
            return Ok(Arrival::Applicant(Applicant { stream, deadline }));
        }
        if connection.alpn_protocol() != Some(ALPN) {
            return Err(AcceptError::Protocol);
        }
        let certificate = connection
            .peer_certificates()
            .and_then(<[_]>::first)
            .ok_or(IdentityError::Missing)?;
        let identity = PeerIdentity::from_certificate(certificate)?;
        Ok(Arrival::Client(Visitor {
            stream: TlsStream::Server(stream),
            gate: Arc::clone(&self.gate),
            rules: Rules {
                origins: self.gate.origins.clone(),
                names: self.tls.names.clone(),
            },
            identity,
            deadline,
        }))
    }

    async fn shake_hands(
        &self,
        stream: Box<dyn ByteStream>,
        greeted: impl FnOnce() + Send,
    ) -> Result<server::TlsStream<Box<dyn ByteStream>>, AcceptError> {
        let hello = LazyConfigAcceptor::new(Default::default(), stream)
            .await
            .map_err(AcceptError::Tls)?;
        greeted();
        let wishes: Option<Vec<&[u8]>> = hello.client_hello().alpn().map(Iterator::collect);
        let applies = self.admits_applicants && wishes.as_deref() == Some(&[ENROL_ALPN]);
        let config = match applies {
            true => &self.tls.applicants,
            false => &self.tls.config,
        };
        let accepting = hello.into_stream(Arc::clone(config));
        match accepting.into_fallible().await {
            Ok(stream) => Ok(stream),
            Err((error, stream)) => {
                linger(stream).await;
                Err(AcceptError::Tls(error))
            }
        }
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

const LINGER: Duration = Duration::from_millis(250);
