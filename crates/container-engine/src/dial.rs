//! Ways to an engine that the caller has: through a tunnel, or by the connection to another host.
//!
//! Owns: the form of such a way. Never understands a byte of what passes.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_io::Timer;
use futures::future::BoxFuture;
use futures::{AsyncRead, AsyncWrite};
use futures_lite::FutureExt;
use harness_http::{Connection, HttpError, Step};

/// Bytes both ways.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for S {}

/// A way to an engine.
pub trait Dial: Send + Sync {
    /// One more connection to it.
    ///
    /// # Errors
    /// What the system, or whoever carries it, says. [`io::ErrorKind::NotFound`], `PermissionDenied` and `ConnectionRefused` are of the
    /// engine's socket, and anything else is of the way there.
    ///
    /// # Cancellation
    /// Dropping the future gives the connection up.
    fn dial(&self) -> BoxFuture<'_, io::Result<Box<dyn ByteStream>>>;
}

/// A connection by such a way.
pub(crate) async fn dialled(
    dial: &Arc<dyn Dial>,
    name: &str,
    within: Duration,
) -> Result<Connection, HttpError> {
    let late = async {
        Timer::after(within).await;
        let step = Step::Connect;
        Err(HttpError::TimedOut { step, within })
    };
    let opened = async {
        let stream = dial.dial().await.map_err(|source| HttpError::Connect {
            address: name.to_owned(),
            source,
        })?;
        Connection::new(stream).await
    };
    opened.or(late).await
}
