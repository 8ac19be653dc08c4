//! One WebSocket over one TLS stream, as a machine that is polled: text in, text out, signs of life.
//!
//! Owns: flushing, keepalive, and why a connection ended. Never looks into a message.
//!
//! Invariant: what was read is handed out before the clock is asked, so a caller that was busy elsewhere never
//! mistakes its own silence for the peer's.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use async_io::Timer;
use async_tungstenite::WebSocketStream;
use async_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use async_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use async_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use async_tungstenite::tungstenite::{self, Message, Utf8Bytes};
use bytes::Bytes;
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Sink, Stream};
use futures_lite::FutureExt;
use futures_rustls::TlsStream;

use crate::limits::Limits;

/// Any bidirectional byte stream.
pub(crate) trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for S {}

/// The transport under every connection.
pub(crate) type Transport = TlsStream<Box<dyn ByteStream>>;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The peer closed it in order.
    #[error("the peer closed the connection{}", reason.as_ref().map(|text| format!(": {text}")).unwrap_or_default())]
    Closed {
        /// What it gave as the reason.
        reason: Option<String>,
    },
    /// The peer went away without a word: its program ended, or dropped the connection.
    #[error("the peer went away")]
    Gone,
    /// It broke.
    #[error("the connection broke")]
    Broken(#[source] io::Error),
    /// Nothing came, not even an answer to a ping.
    #[error("no sign of life for {waited:?}")]
    Silent {
        /// For how long.
        waited: Duration,
    },
    /// The peer stopped reading.
    #[error("the peer has read nothing for {waited:?}")]
    Stalled {
        /// For how long.
        waited: Duration,
    },
    /// More answers wait for the peer than may be kept for it.
    #[error("the peer reads too slowly: more than {limit} bytes or messages are waiting for it")]
    Overflow {
        /// The bound that was reached.
        limit: usize,
    },
    /// A message was larger than allowed.
    #[error("a message is larger than {limit} bytes")]
    TooLarge {
        /// The bound.
        limit: usize,
    },
    /// What came is not what the protocol allows.
    #[error("the peer does not keep to the protocol")]
    Protocol(#[source] Box<tungstenite::Error>),
    /// A message was not text, where only text is allowed.
    #[error("the peer sent a binary message")]
    Binary,
    /// This side has stopped driving the connection.
    #[error("the connection is no longer driven")]
    Abandoned,
}

/// A message on its way to the peer.
#[derive(Debug)]
pub(crate) enum Outgoing {
    Text(String),
    Binary(Vec<u8>),
}

impl Outgoing {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    fn into_message(self) -> Message {
        match self {
            Self::Text(text) => Message::text(text),
            Self::Binary(bytes) => Message::binary(bytes),
        }
    }
}

impl From<String> for Outgoing {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// A message from the peer.
#[derive(Debug)]
pub(crate) enum Heard {
    Text(Utf8Bytes),
    Binary(Bytes),
}

impl Heard {
    /// The text, where nothing else is allowed.
    pub(crate) fn text(self) -> Result<Utf8Bytes, LinkError> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Binary(_) => Err(LinkError::Binary),
        }
    }
}

pub(crate) struct Link {
    socket: WebSocketStream<Transport>,
    limits: Limits,
    timer: Timer,
    last_heard: Instant,
    /// When the flush under way began; `None` while nothing waits in the buffer.
    flushing_since: Option<Instant>,
    unflushed_bytes: usize,
    close_reason: Option<String>,
    rate: Rate,
}

/// How many messages may be read now: so many at once, then so many a second.
struct Rate {
    tokens: f64,
    counted: Instant,
    pause: Option<Timer>,
}

impl Rate {
    fn new(limits: &Limits) -> Self {
        Self {
            tokens: f64::from(limits.message_burst),
            counted: Instant::now(),
            pause: None,
        }
    }

    /// Whether one more may be read; else the task is woken when it may.
    fn poll(&mut self, cx: &mut Context<'_>, limits: &Limits) -> Poll<()> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.poll(cx));
            self.pause = None;
        }
        if self.tokens < 1.0 {
            let now = Instant::now();
            let seconds = now.saturating_duration_since(self.counted).as_secs_f64();
            let earned = seconds * f64::from(limits.messages_per_second);
            self.tokens = (self.tokens + earned).min(f64::from(limits.message_burst));
            self.counted = now;
        }
        if self.tokens < 1.0 {
            let mut pause = Timer::after(PAUSE);
            // Registers the waker; it has just been set, so it is not over.
            let _pending = pause.poll(cx);
            self.pause = Some(pause);
            return Poll::Pending;
        }
        Poll::Ready(())
    }
}

impl Link {
    pub(crate) fn new(socket: WebSocketStream<Transport>, limits: Limits) -> Self {
        let timer = Timer::after(limits.ping_after);
        Self {
            rate: Rate::new(&limits),
            socket,
            timer,
            limits,
            last_heard: Instant::now(),
            flushing_since: None,
            unflushed_bytes: 0,
            close_reason: None,
        }
    }

    /// The next message from the peer. Sends what `next` yields meanwhile; `next` returns `None` when there will be no more.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        mut next: impl FnMut(&mut Context<'_>) -> Poll<Option<Outgoing>>,
    ) -> Poll<Result<Heard, LinkError>> {
        self.write(cx, &mut next)?;
        if let Poll::Ready(message) = self.poll_read(cx) {
            return Poll::Ready(message);
        }
        if self.check_life(cx)? {
            self.write(cx, &mut next)?;
        }
        Poll::Pending
    }

    /// Sends one text and waits for one: the shape of a handshake.
    pub(crate) async fn exchange(&mut self, text: String) -> Result<Utf8Bytes, LinkError> {
        let mut text = Some(text);
        std::future::poll_fn(|cx| {
            self.poll(cx, |_| {
                text.take()
                    .map_or(Poll::Pending, |text| Poll::Ready(Some(text.into())))
            })
        })
        .await?
        .text()
    }

    /// Waits for one text.
    pub(crate) async fn receive(&mut self) -> Result<Utf8Bytes, LinkError> {
        std::future::poll_fn(|cx| self.poll(cx, |_| Poll::Pending))
            .await?
            .text()
    }

    /// Sends what `next` yields until it has no more, then closes in order. Gives up after a second.
    pub(crate) async fn close(
        &mut self,
        end: &LinkError,
        mut next: impl FnMut() -> Option<Outgoing>,
    ) {
        let (code, reason) = close_frame(end);
        let farewell = async {
            while let Some(message) = next() {
                futures::SinkExt::send(&mut self.socket, message.into_message()).await?;
            }
            self.socket
                .close(Some(CloseFrame {
                    code,
                    reason: reason.into(),
                }))
                .await?;
            while let Some(Ok(message)) = futures::StreamExt::next(&mut self.socket).await {
                if message.is_close() {
                    return Ok(());
                }
            }
            // The peer has not answered in kind. What it still sends is read and dropped: closing over unread bytes
            // would reset the connection, and the peer might never see why it ended.
            let transport = self.socket.get_mut();
            transport.close().await?;
            let mut unread = [0; 4096];
            while transport.read(&mut unread).await? > 0 {}
            Ok::<(), tungstenite::Error>(())
        };
        let gave_up = async {
            Timer::after(FAREWELL).await;
            Ok(())
        };
        if let Err(error) = farewell.or(gave_up).await {
            tracing::trace!(%error, "the peer was gone before it could be told");
        }
    }

    fn write(
        &mut self,
        cx: &mut Context<'_>,
        next: &mut impl FnMut(&mut Context<'_>) -> Poll<Option<Outgoing>>,
    ) -> Result<(), LinkError> {
        let mut sent = 0;
        loop {
            if self.flushing_since.is_some() {
                match Pin::new(&mut self.socket).poll_flush(cx) {
                    Poll::Pending => return Ok(()),
                    Poll::Ready(Err(error)) => return Err(self.ended(error)),
                    Poll::Ready(Ok(())) => (self.flushing_since, self.unflushed_bytes) = (None, 0),
                }
            }
            if sent >= TURN_BYTES {
                // Reading must have its turn.
                cx.waker().wake_by_ref();
                return Ok(());
            }
            match next(cx) {
                Poll::Ready(Some(message)) => {
                    sent += message.len();
                    self.unflushed_bytes += message.len();
                    Pin::new(&mut self.socket)
                        .start_send(message.into_message())
                        .map_err(|error| self.ended(error))?;
                    if self.unflushed_bytes >= FLUSH_BYTES {
                        self.flushing_since = Some(Instant::now());
                    }
                }
                Poll::Ready(None) | Poll::Pending if self.unflushed_bytes > 0 => {
                    self.flushing_since = Some(Instant::now());
                }
                Poll::Ready(None) | Poll::Pending => return Ok(()),
            }
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Heard, LinkError>> {
        for _ in 0..TURN_CONTROL_FRAMES {
            ready!(self.rate.poll(cx, &self.limits));
            let message = match ready!(Pin::new(&mut self.socket).poll_next(cx)) {
                Some(Ok(message)) => message,
                Some(Err(error)) => return Poll::Ready(Err(self.ended(error))),
                None => {
                    return Poll::Ready(Err(LinkError::Closed {
                        reason: self.close_reason.take(),
                    }));
                }
            };
            self.last_heard = Instant::now();
            self.rate.tokens -= 1.0;
            match message {
                Message::Text(text) => return Poll::Ready(Ok(Heard::Text(text))),
                Message::Binary(bytes) => return Poll::Ready(Ok(Heard::Binary(bytes))),
                Message::Close(frame) => {
                    self.close_reason = frame
                        .map(|frame| frame.reason.to_string())
                        .filter(|reason| !reason.is_empty());
                }
                // The socket answers pings by itself.
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
        // A flood of control frames must not keep the other tasks of this thread waiting.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Asks the clock. Returns whether a ping has to be written.
    fn check_life(&mut self, cx: &mut Context<'_>) -> Result<bool, LinkError> {
        let mut has_ping = false;
        while let Poll::Ready(now) = self.timer.poll(cx) {
            let silent = now.saturating_duration_since(self.last_heard);
            if silent >= self.limits.lost_after {
                return Err(LinkError::Silent { waited: silent });
            }
            if let Some(since) = self.flushing_since {
                let waited = now.saturating_duration_since(since);
                if waited >= self.limits.stalled_after {
                    return Err(LinkError::Stalled { waited });
                }
            }
            if silent < self.limits.ping_after {
                self.timer.set_at(self.last_heard + self.limits.ping_after);
                continue;
            }
            self.timer.set_at(now + self.limits.ping_after);
            // A ping behind data that does not go out would tell nothing new.
            if self.flushing_since.is_none() {
                let ping = Message::Ping(Vec::new().into());
                Pin::new(&mut self.socket)
                    .start_send(ping)
                    .map_err(|error| self.ended(error))?;
                self.flushing_since = Some(now);
                has_ping = true;
            }
        }
        Ok(has_ping)
    }

    fn ended(&mut self, error: tungstenite::Error) -> LinkError {
        match error {
            tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed => {
                LinkError::Closed {
                    reason: self.close_reason.take(),
                }
            }
            tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
                LinkError::Gone
            }
            // What TLS calls an end without its own farewell.
            tungstenite::Error::Io(source) if source.kind() == io::ErrorKind::UnexpectedEof => {
                LinkError::Gone
            }
            tungstenite::Error::Io(source) => LinkError::Broken(source),
            tungstenite::Error::Capacity(CapacityError::MessageTooLong { max_size, .. }) => {
                LinkError::TooLarge { limit: max_size }
            }
            error => LinkError::Protocol(Box::new(error)),
        }
    }
}

/// The WebSocket settings that follow from the limits.
pub(crate) fn socket_config(limits: &Limits) -> WebSocketConfig {
    let mut config = WebSocketConfig::default();
    config.read_buffer_size = 16 * 1024;
    config.write_buffer_size = FLUSH_BYTES;
    config.max_write_buffer_size = limits.max_message_bytes.saturating_add(4 * FLUSH_BYTES);
    config.max_message_size = Some(limits.max_message_bytes);
    config.max_frame_size = Some(limits.max_frame_bytes);
    config.accept_unmasked_frames = false;
    config
}

fn close_frame(end: &LinkError) -> (CloseCode, String) {
    let code = match end {
        LinkError::Closed { .. } | LinkError::Abandoned => CloseCode::Normal,
        LinkError::TooLarge { .. } => CloseCode::Size,
        LinkError::Binary => CloseCode::Unsupported,
        LinkError::Overflow { .. } => CloseCode::Policy,
        LinkError::Protocol(error) => match **error {
            tungstenite::Error::Utf8(_) => CloseCode::Invalid,
            _ => CloseCode::Protocol,
        },
        LinkError::Gone
        | LinkError::Broken(_)
        | LinkError::Silent { .. }
        | LinkError::Stalled { .. } => CloseCode::Away,
    };
    (
        code,
        if code == CloseCode::Normal {
            String::new()
        } else {
            end.to_string()
        },
    )
}

/// Buffered bytes that are sent without waiting for more: the size of a large TLS record times four.
const FLUSH_BYTES: usize = 64 * 1024;
/// Bytes written before reading has its turn.
const TURN_BYTES: usize = 1024 * 1024;
/// How long a peer that sends too much is not read.
const PAUSE: Duration = Duration::from_millis(20);
/// Control frames taken in one go.
const TURN_CONTROL_FRAMES: usize = 64;
/// How long a farewell may take.
const FAREWELL: Duration = Duration::from_secs(1);
