//! One connection to a server: one request at a time, whole answers, bodies as they come, or the bare stream.
//!
//! Owns: moving the bytes while its own methods are awaited. Never spawns; an idle connection does nothing.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{AsyncRead, AsyncWrite, Stream};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{HOST, HeaderValue};
use hyper::upgrade::Upgraded;
use hyper::{Request, Response, StatusCode, Uri};

use crate::address::{Address, connect};
use crate::client::Deadline;
use crate::error::{HttpError, Step};
use crate::io::{FuturesIo, HyperIo};

/// Bounds of one request.
#[derive(Debug, Clone)]
pub struct Limits {
    /// From the start to the last byte of the body.
    pub timeout: Duration,
    /// The largest body that is read.
    pub max_body_bytes: usize,
    /// What happens to a larger one.
    pub excess: Excess,
}

impl Default for Limits {
    /// Fit for probes: 10 s, 64 KiB, larger bodies refused.
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            max_body_bytes: 64 * 1024,
            excess: Excess::Refuse,
        }
    }
}

/// What happens to a body that is larger than allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// The request fails.
    Refuse,
    /// The rest is not read, and the connection is spent. For callers that look at the status, or at a beginning.
    Cut,
}

/// A connection to a server.
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    motion: Motion,
    is_spent: bool,
}

/// The future that moves the bytes; it is polled beside whatever waits for them.
struct Motion {
    /// `None` once the connection has ended.
    moving: Option<Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>>,
    /// Why it ended, for a request that finds it so.
    error: Option<hyper::Error>,
}

impl Connection {
    /// Speaks HTTP over a stream. Nothing is sent yet.
    ///
    /// # Errors
    /// [`HttpError::Send`] when the stream is unusable.
    pub async fn new<S>(stream: S) -> Result<Self, HttpError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (sender, connection) = http1::Builder::new()
            .max_header_size(MAX_HEAD_BYTES)
            .handshake(HyperIo(stream))
            .await
            .map_err(HttpError::Send)?;
        Ok(Self {
            sender,
            motion: Motion {
                moving: Some(Box::pin(connection.with_upgrades())),
                error: None,
            },
            is_spent: false,
        })
    }

    /// Connects to a server, by TCP or at a unix socket, and speaks HTTP there. Nothing is sent yet.
    ///
    /// # Errors
    /// [`HttpError`] names the step that failed; `timeout` bounds all of them together.
    ///
    /// # Cancellation
    /// Safe: nothing is left behind.
    pub async fn open(address: &Address, timeout: Duration) -> Result<Self, HttpError> {
        let deadline = Deadline::new(timeout);
        let stream = connect(address, &deadline).await?;
        deadline.bound(Step::Connect, Self::new(stream)).await
    }

    /// Whether another request may be sent, as far as is known: false once the server has closed the connection, or a
    /// request was given up. Looks without waiting; a server may still close it an instant later.
    pub fn is_open(&mut self) -> bool {
        self.motion.poll(&mut Context::from_waker(Waker::noop()));
        !self.is_spent && self.motion.moving.is_some()
    }

    /// Sends a request and reads the whole answer. Further requests may follow while the server keeps the connection.
    ///
    /// # Errors
    /// [`HttpError::Spent`] when the connection can take no more requests; others name the step that failed, and the
    /// connection is spent afterwards.
    ///
    /// # Cancellation
    /// Dropping the future leaves a spent connection.
    pub async fn request(
        &mut self,
        request: Request<Bytes>,
        limits: &Limits,
    ) -> Result<Response<Bytes>, HttpError> {
        self.request_until(request, limits, &Deadline::new(limits.timeout))
            .await
    }

    pub(crate) async fn request_until(
        &mut self,
        request: Request<Bytes>,
        limits: &Limits,
        deadline: &Deadline,
    ) -> Result<Response<Bytes>, HttpError> {
        if std::mem::replace(&mut self.is_spent, true) {
            return Err(HttpError::Spent);
        }
        let (head, body) = self.ask(request, deadline).await?.into_parts();
        let reading = self.motion.beside(whole(body, limits));
        let (body, is_whole) = deadline.bound(Step::Body, reading).await?;
        self.is_spent = !is_whole;
        Ok(Response::from_parts(head, body))
    }

    /// Sends a request and returns the answer as soon as its head is there; the body is read as it comes.
    ///
    /// `timeout` bounds the time until the head; the body may take for ever.
    ///
    /// # Errors
    /// As [`Connection::request`].
    pub async fn stream(
        mut self,
        request: Request<Bytes>,
        timeout: Duration,
    ) -> Result<Response<BodyStream>, HttpError> {
        if self.is_spent {
            return Err(HttpError::Spent);
        }
        let response = self.ask(request, &Deadline::new(timeout)).await?;
        let Self { sender, motion, .. } = self;
        Ok(response.map(|body| BodyStream {
            body,
            motion,
            _sender: sender,
        }))
    }

    /// Sends a request that asks for another protocol (`Connection: Upgrade`), and takes the bare stream over.
    ///
    /// # Errors
    /// [`HttpError::NotUpgraded`] when the server answers as usual, else as [`Connection::request`].
    pub async fn upgrade(
        mut self,
        request: Request<Bytes>,
        timeout: Duration,
    ) -> Result<(Response<()>, UpgradedStream), HttpError> {
        if self.is_spent {
            return Err(HttpError::Spent);
        }
        let deadline = Deadline::new(timeout);
        let mut response = self.ask(request, &deadline).await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(HttpError::NotUpgraded {
                status: response.status(),
            });
        }
        let taking = async {
            hyper::upgrade::on(&mut response)
                .await
                .map_err(HttpError::before_answer)
        };
        let stream = deadline
            .bound(Step::Answer, self.motion.beside(taking))
            .await?;
        Ok((response.map(drop), UpgradedStream(FuturesIo(stream))))
    }

    async fn ask(
        &mut self,
        mut request: Request<Bytes>,
        deadline: &Deadline,
    ) -> Result<Response<Incoming>, HttpError> {
        normalise(&mut request);
        let Self { sender, motion, .. } = self;
        let is_open = motion.beside(sender.ready());
        let is_open = deadline
            .bound(Step::Answer, async { Ok(is_open.await.is_ok()) })
            .await?;
        if !is_open {
            // A server that speaks first speaks something else.
            return Err(motion
                .error
                .take()
                .map_or(HttpError::Spent, HttpError::Garbage));
        }
        let asking = async {
            sender
                .send_request(request.map(Full::new))
                .await
                .map_err(HttpError::before_answer)
        };
        deadline.bound(Step::Answer, motion.beside(asking)).await
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("is_spent", &self.is_spent)
            .finish_non_exhaustive()
    }
}

impl Motion {
    fn poll(&mut self, cx: &mut Context<'_>) {
        if let Some(moving) = &mut self.moving
            && let Poll::Ready(ended) = moving.as_mut().poll(cx)
        {
            self.moving = None;
            self.error = ended.err();
        }
    }

    /// Does `work` while moving the bytes for it.
    async fn beside<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|cx| {
            // Twice: what the work asks is sent at once, and what came meanwhile reaches it.
            for _ in 0..2 {
                if let Poll::Ready(output) = work.as_mut().poll(cx) {
                    return Poll::Ready(output);
                }
                self.poll(cx);
            }
            work.as_mut().poll(cx)
        })
        .await
    }
}

/// The body of an answer, piece by piece as it comes. Dropping it closes the connection.
pub struct BodyStream {
    body: Incoming,
    motion: Motion,
    /// hyper closes the connection when its last sender is gone.
    _sender: SendRequest<Full<Bytes>>,
}

impl Stream for BodyStream {
    type Item = Result<Bytes, HttpError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            self.motion.poll(cx);
            let frame = match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(frame) => frame,
                Poll::Pending => {
                    // Asking for more is what lets hyper read on, so it has to move once more.
                    self.motion.poll(cx);
                    ready!(Pin::new(&mut self.body).poll_frame(cx))
                }
            };
            match frame {
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Poll::Ready(Some(Ok(bytes)));
                    }
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(HttpError::Body(error)))),
                None => return Poll::Ready(None),
            }
        }
    }
}

impl fmt::Debug for BodyStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyStream").finish_non_exhaustive()
    }
}

/// The stream under a connection after the server has switched protocols.
#[derive(Debug)]
pub struct UpgradedStream(FuturesIo<Upgraded>);

impl AsyncRead for UpgradedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for UpgradedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }
}

/// Reads a body up to the bound; also tells whether that was all of it.
async fn whole(mut body: Incoming, limits: &Limits) -> Result<(Bytes, bool), HttpError> {
    let limit = limits.max_body_bytes;
    let too_large = || HttpError::BodyTooLarge { limit };
    if limits.excess == Excess::Refuse && body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(HttpError::Body)?.into_data() else {
            continue;
        };
        let room = limit - bytes.len();
        if data.len() > room {
            if limits.excess == Excess::Refuse {
                return Err(too_large());
            }
            bytes.extend_from_slice(&data[..room]);
            return Ok((bytes.freeze(), false));
        }
        bytes.extend_from_slice(&data);
    }
    Ok((bytes.freeze(), true))
}

/// What every server expects: a path in the request line, and a `Host`.
fn normalise(request: &mut Request<Bytes>) {
    let uri = request.uri();
    let host = uri
        .authority()
        .and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
    let host = host.unwrap_or(HeaderValue::from_static("localhost"));
    if uri.authority().is_some()
        && let Some(path) = uri.path_and_query()
    {
        *request.uri_mut() = Uri::from(path.clone());
    }
    request.headers_mut().entry(HOST).or_insert(host);
}

/// What a head may measure: far above any honest one.
const MAX_HEAD_BYTES: usize = 64 * 1024;
