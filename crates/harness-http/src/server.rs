//! Answering the requests of one connection.
//!
//! Owns: the bounds on what a client may send, and the answers to those who exceed them. Never listens, never spawns,
//! never knows what is asked for.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::{AsyncRead, AsyncWrite, Stream, StreamExt};
use futures_lite::FutureExt;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};

use crate::io::{HyperIo, IoTimer};

/// Bounds on what a client may send.
#[derive(Debug, Clone)]
pub struct ServerLimits {
    /// For the head of a request; also how long an idle connection is kept.
    pub head_timeout: Duration,
    /// For the body of a request.
    pub body_timeout: Duration,
    /// The largest head.
    pub max_head_bytes: usize,
    /// The largest body.
    pub max_body_bytes: usize,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            head_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            max_head_bytes: 16 * 1024,
            max_body_bytes: 1024 * 1024,
        }
    }
}

/// Why a connection ended other than in order.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The client was too slow with the head of a request, or idle for too long.
    #[error("no request within {within:?}")]
    TimedOut {
        /// The bound.
        within: Duration,
    },
    /// What came is not HTTP; the client has been told.
    #[error("the request is not HTTP")]
    Garbage(#[source] hyper::Error),
    /// The connection broke.
    #[error("the connection broke")]
    Broken(#[source] hyper::Error),
}

/// The body of an answer: whole, or as it comes.
pub struct Body(UnsyncBoxBody<Bytes, io::Error>);

impl Body {
    /// A body that is sent piece by piece. An error ends the connection, so that the client knows.
    pub fn stream(pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Self {
        Self(StreamBody::new(pieces.map(|piece| piece.map(Frame::data))).boxed_unsync())
    }
}

impl<B: Into<Bytes>> From<B> for Body {
    fn from(bytes: B) -> Self {
        Self(
            Full::new(bytes.into())
                .map_err(|never| match never {})
                .boxed_unsync(),
        )
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").finish_non_exhaustive()
    }
}

/// Answers requests until the client closes the connection, or a bound is exceeded.
///
/// A body over the bound is answered with 413, one that is too slow with 408; the handler does not see either.
///
/// # Errors
/// [`ServeError`]; a client that simply leaves is no error.
///
/// # Cancellation
/// Dropping the future closes the connection.
pub async fn serve_connection<S, H, F>(
    stream: S,
    limits: &ServerLimits,
    handler: H,
) -> Result<(), ServeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
    H: Fn(Request<Bytes>) -> F,
    F: Future<Output = Response<Body>>,
{
    let handler = &handler;
    let service = service_fn(|request: Request<Incoming>| async move {
        let answer = match receive(request, limits).await {
            Ok(request) => handler(request).await,
            Err(status) => refusal(status),
        };
        Ok::<_, Infallible>(answer)
    });
    let served = http1::Builder::new()
        .timer(IoTimer)
        .header_read_timeout(limits.head_timeout)
        .max_header_size(limits.max_head_bytes)
        .half_close(true)
        .serve_connection(HyperIo(stream), service)
        .await;
    match served {
        Ok(()) => Ok(()),
        Err(error) if error.is_timeout() => Err(ServeError::TimedOut {
            within: limits.head_timeout,
        }),
        Err(error) if error.is_parse() => Err(ServeError::Garbage(error)),
        Err(error) if error.is_incomplete_message() => Ok(()),
        Err(error) => Err(ServeError::Broken(error)),
    }
}

async fn receive(
    request: Request<Incoming>,
    limits: &ServerLimits,
) -> Result<Request<Bytes>, StatusCode> {
    let (head, body) = request.into_parts();
    let read = async {
        match Limited::new(body, limits.max_body_bytes).collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => {
                Err(StatusCode::PAYLOAD_TOO_LARGE)
            }
            Err(_) => Err(StatusCode::BAD_REQUEST),
        }
    };
    let too_late = async {
        async_io::Timer::after(limits.body_timeout).await;
        Err(StatusCode::REQUEST_TIMEOUT)
    };
    Ok(Request::from_parts(head, read.or(too_late).await?))
}

fn refusal(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{status}\n")));
    *response.status_mut() = status;
    response
}
