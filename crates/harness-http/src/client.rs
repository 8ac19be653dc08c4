//! Asking once: connect, send, read, close.
//!
//! Owns: the deadline over all steps. Never keeps a connection.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{AsyncRead, AsyncWrite};
use futures_lite::FutureExt;
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Response, Uri};

use crate::address::{Address, HttpUrl, connect};
use crate::connection::{Connection, Limits};
use crate::error::{HttpError, Step};

/// Asks for a URL once. Any status is an answer; redirects are not followed.
///
/// # Errors
/// [`HttpError`] names the step that failed; `limits.timeout` bounds all of them together.
///
/// # Cancellation
/// Dropping the future closes the connection.
pub async fn get(url: &str, limits: &Limits) -> Result<Response<Bytes>, HttpError> {
    let HttpUrl {
        address,
        host,
        path,
    } = HttpUrl::parse(url)?;
    let unusable = |reason| HttpError::Url {
        url: url.to_owned(),
        reason,
    };
    let host =
        HeaderValue::from_str(&host).map_err(|_| unusable("its host cannot stand in a header"))?;
    let mut request = Request::new(Bytes::new());
    *request.uri_mut() = path
        .parse::<Uri>()
        .map_err(|_| unusable("its path cannot be read"))?;
    request.headers_mut().insert(HOST, host);
    send(&address, request, limits).await
}

/// Sends one request to a server and reads the whole answer.
///
/// A missing `Host` header is filled in from the request's URI, else from the address.
///
/// # Errors
/// As [`get`].
pub async fn send(
    address: &Address,
    mut request: Request<Bytes>,
    limits: &Limits,
) -> Result<Response<Bytes>, HttpError> {
    if let (Address::Tcp { .. }, None, None) = (
        address,
        request.headers().get(HOST),
        request.uri().authority(),
    ) && let Ok(host) = HeaderValue::from_str(&address.to_string())
    {
        request.headers_mut().insert(HOST, host);
    }
    let deadline = Deadline::new(limits.timeout);
    let stream = connect(address, &deadline).await?;
    exchange(stream, request, limits, &deadline).await
}

/// Sends one request over a stream and reads the whole answer.
///
/// # Errors
/// As [`get`].
pub async fn request<S>(
    stream: S,
    request: Request<Bytes>,
    limits: &Limits,
) -> Result<Response<Bytes>, HttpError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    exchange(stream, request, limits, &Deadline::new(limits.timeout)).await
}

async fn exchange<S>(
    stream: S,
    mut request: Request<Bytes>,
    limits: &Limits,
    deadline: &Deadline,
) -> Result<Response<Bytes>, HttpError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    // Nothing follows: the server need not keep the connection for us.
    request
        .headers_mut()
        .entry(hyper::header::CONNECTION)
        .or_insert(HeaderValue::from_static("close"));
    let mut connection = deadline
        .bound(Step::Connect, Connection::new(stream))
        .await?;
    connection.request_until(request, limits, deadline).await
}

/// The bound on a whole request.
#[derive(Debug)]
pub(crate) struct Deadline {
    at: Instant,
    within: Duration,
}

impl Deadline {
    pub(crate) fn new(within: Duration) -> Self {
        let now = Instant::now();
        // A duration beyond what a clock can show means "no deadline worth the name": a year.
        Self {
            at: now.checked_add(within).unwrap_or(now + YEAR),
            within,
        }
    }

    /// Does one step, unless the time is over first.
    pub(crate) async fn bound<T>(
        &self,
        step: Step,
        work: impl Future<Output = Result<T, HttpError>>,
    ) -> Result<T, HttpError> {
        let too_late = async {
            async_io::Timer::at(self.at).await;
            Err(HttpError::TimedOut {
                step,
                within: self.within,
            })
        };
        work.or(too_late).await
    }
}

const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
