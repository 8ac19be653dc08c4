//! What containers have written, and go on to write.
//!
//! Owns: the request, and handing records on in order. Never keeps a record, never starts again by itself.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::Stream;
use harness_http::BodyStream;

use crate::call::Call;
use crate::container::Container;
use crate::container::path;
use crate::engine::Engine;
use crate::error::{EngineError, Object};
use crate::frames::{FrameError, LogRecord, Records};
use crate::id::ContainerId;
use crate::time;

/// Which records of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogsQuery {
    /// Those of this time and later ones.
    pub since_ns: Option<u64>,
    /// Go on with what comes, until the container ends.
    pub follow: bool,
    /// Of what is there, no more than these last ones.
    pub tail: Option<u64>,
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
    /// Whether the container has a terminal, where the caller knows; else the engine is asked.
    pub tty: Option<bool>,
}

impl Default for LogsQuery {
    /// Everything that is there.
    fn default() -> Self {
        Self {
            since_ns: None,
            follow: false,
            tail: None,
            stdout: true,
            stderr: true,
            tty: None,
        }
    }
}

impl Engine {
    /// The log of a container, in the engine's order. The stream has a connection of its own, closed when it is dropped.
    ///
    /// The stream ends when all is told; with `follow` when the container has ended, or an engine stops in order: look at
    /// the container to know which. After an error it is over.
    ///
    /// # Errors
    /// [`EngineError::NotFound`]; [`EngineError::BeingRemoved`]; [`EngineError::Refused`] for a log driver that cannot be read; in the stream also
    /// [`EngineError::Lost`] and [`EngineError::Malformed`].
    pub async fn logs(
        &self,
        container: &ContainerId,
        query: &LogsQuery,
    ) -> Result<LogStream, EngineError> {
        let tty = match query.tty {
            Some(tty) => tty,
            None => {
                let Container { tty, .. } = self.inspect(container).await?;
                tty
            }
        };
        let mut target = path(container, &["logs"])
            .with("timestamps", "1")
            .with_flag("follow", query.follow)
            .with_flag("stdout", query.stdout)
            .with_flag("stderr", query.stderr);
        if let Some(since) = query.since_ns {
            target = target.with("since", &time::as_query(since));
        }
        if let Some(tail) = query.tail {
            target = target.with("tail", &tail.to_string());
        }
        let about = Object::Container(container.clone());
        let body = self.follow(&Call::get(target, about.clone())).await?;
        Ok(LogStream {
            engine: self.clone(),
            about,
            body: Some(body),
            records: Records::new(!tty),
        })
    }
}

/// Records of a log, as they come.
pub struct LogStream {
    engine: Engine,
    about: Object,
    /// `None` once there is no more to come.
    body: Option<BodyStream>,
    records: Records,
}

impl LogStream {
    fn give_up(&mut self, error: &FrameError) -> EngineError {
        self.body = None;
        // Nothing that is left can be told from the middle of a frame.
        self.records = Records::new(true);
        self.engine.malformed(&self.about, error.to_string())
    }
}

impl Stream for LogStream {
    type Item = Result<LogRecord, EngineError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            let error = match this.records.next_record() {
                Ok(Some(record)) => return Poll::Ready(Some(Ok(record))),
                Ok(None) => None,
                Err(error) => Some(error),
            };
            let Some(body) = &mut this.body else {
                return Poll::Ready(None);
            };
            if let Some(error) = error {
                return Poll::Ready(Some(Err(this.give_up(&error))));
            }
            match ready!(Pin::new(body).poll_next(cx)) {
                Some(Ok(bytes)) => this.records.push(&bytes),
                Some(Err(error)) => {
                    this.body = None;
                    let error = this.engine.lost(error, &this.about);
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    let rest = this.records.finish();
                    this.body = None;
                    let rest = rest.map_err(|error| this.give_up(&error));
                    return Poll::Ready(rest.transpose());
                }
            }
        }
    }
}

impl fmt::Debug for LogStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogStream({})", self.about)
    }
}
