//! The channel into a program's stdin.
//!
//! Invariant: messages arrive whole and in the order they were sent; at most [`WAITING_MESSAGES`] wait in memory.

use std::process::ChildStdin;

use async_channel::{Receiver, Sender};
use async_io::Async;
use futures_lite::AsyncWriteExt;

use crate::driver;

/// Writes to the stdin of a running program.
///
/// Clones write to the same stdin. It is closed once the last clone is dropped or [`close`](Self::close) is called,
/// after what was sent before has been written.
#[derive(Debug, Clone)]
pub struct StdinHandle {
    messages: Sender<Vec<u8>>,
}

impl StdinHandle {
    /// Sends bytes, waiting while the program reads too slowly.
    ///
    /// # Errors
    /// [`StdinClosed`] when the program has closed its stdin or ended, or the handle was closed. Bytes accepted
    /// before may not have been read by then.
    ///
    /// # Cancellation
    /// A dropped future has sent either all of the bytes or none.
    pub async fn send(&self, bytes: impl Into<Vec<u8>>) -> Result<(), StdinClosed> {
        self.messages
            .send(bytes.into())
            .await
            .map_err(|_| StdinClosed)
    }

    /// Closes the program's stdin, for all clones, once everything sent so far is written.
    pub fn close(&self) {
        self.messages.close();
    }

    /// Opens the channel in front of a pipe, which begins with `preamble`.
    pub(crate) fn open(pipe: Async<ChildStdin>, preamble: &[u8]) -> Self {
        let (messages, waiting) = async_channel::bounded(WAITING_MESSAGES);
        if !preamble.is_empty() {
            messages
                .try_send(preamble.to_vec())
                .expect("a new channel has room");
        }
        driver::run(pump(pipe, waiting));
        Self { messages }
    }
}

/// The program's stdin is closed, by it or by us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stdin is closed")]
pub struct StdinClosed;

/// Ends when every sender is gone or the program no longer reads; either end then sees the other closed.
async fn pump(mut pipe: Async<ChildStdin>, waiting: Receiver<Vec<u8>>) {
    while let Ok(message) = waiting.recv().await {
        if let Err(error) = pipe.write_all(&message).await {
            tracing::debug!(%error, "the program no longer reads its stdin");
            return;
        }
    }
}

/// Enough that a sender of lines rarely waits for the pump.
const WAITING_MESSAGES: usize = 16;
