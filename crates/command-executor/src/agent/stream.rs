//! One stream of a connection.
//!
//! Owns: its end here. Dropped before its end it is given up, and the agent ends what goes on behind it.

use std::sync::atomic::{AtomicBool, Ordering};

use async_channel::Receiver;
use service_shim::agent::protocol::{Answer, Failure, FailureKind};

use super::error::LinkError;
use super::link::AgentLink;

/// A stream, from its request to its end.
#[derive(Debug)]
pub struct AgentStream {
    link: AgentLink,
    /// None when the request could not be said.
    number: Option<u32>,
    incoming: Receiver<Incoming>,
    room: Receiver<()>,
    is_over: AtomicBool,
}

/// What the agent says on a stream.
#[derive(Debug)]
pub(super) enum Incoming {
    Answer(Answer),
    Data(Vec<u8>),
    End,
    Failed(Failure),
}

/// Why a stream gives nothing more.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The connection is lost.
    #[error(transparent)]
    Lost(#[from] LinkError),
    /// The agent says why.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl AgentStream {
    pub(super) fn new(
        link: AgentLink,
        number: u32,
        incoming: Receiver<Incoming>,
        room: Receiver<()>,
    ) -> AgentStream {
        AgentStream {
            link,
            number: Some(number),
            incoming,
            room,
            is_over: AtomicBool::new(false),
        }
    }

    /// A stream that never was: there are too many, or the request is too long.
    pub(super) fn refused(link: AgentLink) -> AgentStream {
        let (_, incoming) = async_channel::bounded(1);
        let (_, room) = async_channel::bounded(1);
        AgentStream {
            link,
            number: None,
            incoming,
            room,
            is_over: AtomicBool::new(true),
        }
    }

    /// Waits for the answer to the request.
    ///
    /// # Errors
    /// [`StreamError`].
    ///
    /// # Cancellation
    /// Safe: the answer can be waited for again.
    pub async fn answer(&self) -> Result<Answer, StreamError> {
        if self.number.is_none() {
            let message = "the request is too long, or there are too many at once";
            return Err(Failure::new(FailureKind::Busy, message).into());
        }
        loop {
            match self.next().await? {
                Incoming::Answer(answer) => return Ok(answer),
                Incoming::Failed(failure) => return Err(failure.into()),
                Incoming::End => {
                    let message = "the agent ended the request without an answer";
                    return Err(Failure::new(FailureKind::System, message).into());
                }
                Incoming::Data(_) => {}
            }
        }
    }

    /// The next bytes; none at the end.
    ///
    /// # Errors
    /// [`StreamError`].
    ///
    /// # Cancellation
    /// Safe: nothing is lost.
    pub async fn read(&self) -> Result<Option<Vec<u8>>, StreamError> {
        loop {
            if self.is_over.load(Ordering::Relaxed) {
                return Ok(None);
            }
            match self.next().await? {
                Incoming::Data(bytes) => return Ok(Some(bytes)),
                Incoming::End => self.is_over.store(true, Ordering::Relaxed),
                Incoming::Failed(failure) => return Err(failure.into()),
                Incoming::Answer(_) => {}
            }
        }
    }

    /// So many bytes that were read were made use of: as many more may come.
    pub fn taken(&self, bytes: usize) {
        if let Some(number) = self.number {
            self.link.shared().with(|mux| mux.taken(number, bytes));
        }
    }

    /// Sends bytes, as the other side has room for them.
    ///
    /// # Errors
    /// [`StreamError::Lost`]. When the stream itself is over, bytes are thrown away: reading tells why.
    ///
    /// # Cancellation
    /// A part may have been sent.
    pub async fn write(&self, mut bytes: &[u8]) -> Result<(), StreamError> {
        let Some(number) = self.number else {
            return Ok(());
        };
        while !bytes.is_empty() {
            let shared = self.link.shared();
            if let Some(error) = shared.loss() {
                return Err(error.into());
            }
            let sent = shared.with(|mux| {
                let room = mux.room(number).min(bytes.len());
                mux.send(number, &bytes[..room]);
                mux.is_open(number).then_some(room)
            });
            let Some(sent) = sent else {
                return Ok(());
            };
            bytes = &bytes[sent..];
            if !bytes.is_empty() {
                // Closed when the stream is over, or lost: the next turn tells.
                let _ = self.room.recv().await;
            }
        }
        Ok(())
    }

    /// Whether anything that is sent is heard.
    pub(super) fn is_open(&self) -> bool {
        let is_open = |number| self.link.shared().with(|mux| mux.is_open(number));
        self.number.is_some_and(is_open)
    }

    /// Answers what is asked on it.
    pub(super) fn say(&self, answer: &Answer) {
        if let Some(number) = self.number {
            self.link.shared().with(|mux| mux.answer(number, answer));
        }
    }

    /// Ends it both ways, and says why.
    pub(super) fn refuse(&self, failure: &Failure) {
        if let Some(number) = self.number {
            self.link.shared().with(|mux| mux.fail(number, failure));
        }
    }

    /// Waits until the other side has given it up; what it says meanwhile is thrown away.
    pub(super) async fn gone(&self) {
        while let Ok(said) = self.read().await {
            match said {
                Some(bytes) => self.taken(bytes.len()),
                None => futures_lite::future::pending().await,
            }
        }
    }

    /// Says that no more comes from here.
    pub fn end(&self) {
        if let Some(number) = self.number {
            self.link.shared().with(|mux| mux.end(number));
        }
    }

    async fn next(&self) -> Result<Incoming, StreamError> {
        match self.incoming.recv().await {
            Ok(incoming) => Ok(incoming),
            Err(_) => {
                let lost = self.link.shared().loss();
                Err(StreamError::Lost(lost.unwrap_or(LinkError::Ended)))
            }
        }
    }
}

impl Drop for AgentStream {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            let shared = self.link.shared();
            shared.forget(number);
            let given_up = Failure::new(FailureKind::Cancelled, "nobody waits for it any more");
            // Does nothing to one that is over.
            shared.with(|mux| mux.fail(number, &given_up));
        }
    }
}
