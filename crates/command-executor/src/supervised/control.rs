//! Speaks to the shim of an attempt: over the connection of whoever watches it in this process, else each request on one
//! of its own, so that any number of owners may.
//!
//! Owns: requests and their answers. Brings up a new shim when the old one has died, so that a service can always be
//! ended.

use std::sync::Arc;
use std::time::Duration;

use async_io::Timer;
use futures_lite::FutureExt;
use service_shim::protocol::{self, Notice, Request};
use service_shim::{RawString, Signal, StopPolicy};

use super::adopt::{Address, Contact, Found, find};
use super::error::ControlError;
use super::line::Line;
use super::process::NoticeReader;

/// Ends a service, or speaks to it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Control {
    address: Address,
    line: Arc<Line>,
}

impl Control {
    pub(super) fn new(address: Address, line: Arc<Line>) -> Control {
        Control { address, line }
    }

    /// Asks the service to end, politely first. Returns once the shim has taken the request: from then on the tree
    /// ends even if we die. That it is gone is told by
    /// [`SupervisedEvent::Exited`](super::SupervisedEvent::Exited).
    ///
    /// # Errors
    /// [`ControlError::Ended`] when it is over already; the others leave it as it is.
    pub async fn stop(&self, policy: StopPolicy) -> Result<(), ControlError> {
        self.request(Request::Stop(policy)).await
    }

    /// Kills the whole tree at once.
    ///
    /// # Errors
    /// As [`Control::stop`].
    pub async fn kill(&self) -> Result<(), ControlError> {
        self.request(Request::Kill).await
    }

    /// Sends one signal to the main process.
    ///
    /// # Errors
    /// [`ControlError::Refused`] when there is no such signal or it may not be sent; else as [`Control::stop`].
    pub async fn signal(&self, number: i32) -> Result<(), ControlError> {
        let Some(signal) = Signal::from_number(number) else {
            return Err(ControlError::Refused {
                message: format!("there is no signal {number}"),
            });
        };
        self.request(Request::Signal { signal }).await
    }

    /// Begins a new log segment.
    ///
    /// # Errors
    /// As [`Control::stop`].
    pub async fn rotate_log(&self) -> Result<(), ControlError> {
        self.request(Request::Rotate).await
    }

    /// Writes to the service's standard input; returns once the pipe has taken every byte.
    ///
    /// # Errors
    /// [`ControlError::Refused`] when it has none or has closed it; else as [`Control::stop`].
    ///
    /// # Cancellation
    /// Dropping the future may leave a part written.
    pub async fn write_stdin(&self, bytes: &[u8]) -> Result<(), ControlError> {
        let mut link = self.connect().await?;
        for piece in bytes.chunks(MAX_PIECE) {
            let request = Request::Stdin {
                data: RawString::from_bytes(piece.to_vec()),
            };
            // No limit: the service reads when it likes.
            exchange(&mut link, request).await?;
        }
        Ok(())
    }

    /// Closes the service's standard input, so that it reads the end.
    ///
    /// # Errors
    /// As [`Control::write_stdin`].
    pub async fn close_stdin(&self) -> Result<(), ControlError> {
        self.request(Request::CloseStdin).await
    }

    async fn request(&self, request: Request) -> Result<(), ControlError> {
        // Asked twice they mean the same, so they may be asked again when a shim dies with one in its hands.
        let may_repeat = matches!(
            request,
            Request::Stop(_) | Request::Kill | Request::CloseStdin
        );
        if may_repeat && let Some(given) = self.request_over_line(&request).await {
            return given;
        }
        let mut tries = if may_repeat { MAX_TRIES } else { 1 };
        loop {
            tries -= 1;
            match self.request_once(request.clone()).await {
                Err(ControlError::Broken(_)) if tries > 0 => {}
                other => return other,
            }
        }
    }

    /// What came of it over the connection of whoever watches; none when there is none, or it broke.
    async fn request_over_line(&self, request: &Request) -> Option<Result<(), ControlError>> {
        let answer = self.line.ask(&protocol::encode(request))?;
        let silent = async {
            Timer::after(LINE_PATIENCE).await;
            None
        };
        let answered = async { answer.recv().await.ok() };
        match answered.or(silent).await? {
            Notice::Refused { message } => Some(Err(ControlError::Refused { message })),
            _ => Some(Ok(())),
        }
    }

    async fn request_once(&self, request: Request) -> Result<(), ControlError> {
        let mut link = self.connect().await?;
        let silent = async {
            Timer::after(PATIENCE).await;
            Err(ControlError::Silent)
        };
        match exchange(&mut link, request).or(silent).await {
            Err(ControlError::Broken(error)) => match self.recorded_end().await {
                Some(ended) => Err(ended),
                None => Err(ControlError::Broken(error)),
            },
            other => other,
        }
    }

    async fn connect(&self) -> Result<NoticeReader, ControlError> {
        let Address { run_dir, shore } = &self.address;
        if let Some(stream) = shore.connect(run_dir).await {
            return NoticeReader::new(stream).map_err(ControlError::Broken);
        }
        match find(run_dir, shore).await {
            Ok(Found::Ended(exit)) => Err(ControlError::Ended(Box::new(exit))),
            Ok(Found::Alive(Contact { notices, .. })) => Ok(notices),
            Err(error) => Err(ControlError::Unreachable(error)),
        }
    }

    async fn recorded_end(&self) -> Option<ControlError> {
        let Address { run_dir, shore } = &self.address;
        let exit = shore.recorded_end(run_dir).await?;
        Some(ControlError::Ended(Box::new(exit)))
    }
}

async fn exchange(link: &mut NoticeReader, request: Request) -> Result<(), ControlError> {
    link.write(&protocol::encode(request))
        .await
        .map_err(ControlError::Broken)?;
    loop {
        match link.next().await.map_err(ControlError::Broken)? {
            Some(Notice::Done) => return Ok(()),
            Some(Notice::Refused { message }) => return Err(ControlError::Refused { message }),
            Some(Notice::Exited { exit }) => return Err(ControlError::Ended(Box::new(exit))),
            Some(_) => {}
            None => {
                return Err(ControlError::Broken(
                    std::io::ErrorKind::UnexpectedEof.into(),
                ));
            }
        }
    }
}

const MAX_TRIES: u32 = 5;
const PATIENCE: Duration = Duration::from_secs(10);
// Whoever watches may have stopped listening.
const LINE_PATIENCE: Duration = Duration::from_secs(2);
// In JSON at most four times as much, which a shim takes in one request.
const MAX_PIECE: usize = 64 * 1024;
