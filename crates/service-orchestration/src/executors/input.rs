//! What somebody gives an attempt on its standard input, on its way there.
//!
//! Owns: the two ends, and what the end of either means. A few pieces wait at the most: whoever gives waits for whoever takes.

use async_channel::{Receiver, Sender};

/// A way for input: where it is put in, and where it comes out.
pub fn input() -> (InputGiver, Input) {
    let (sender, receiver) = async_channel::bounded(MOST_WAITING);
    (InputGiver(sender), Input(receiver))
}

/// Where input is put in. Dropping it ends the input of what runs; what was not launched yet gets none at all then.
#[derive(Clone, Debug)]
pub struct InputGiver(Sender<Option<Vec<u8>>>);

impl InputGiver {
    /// Gives these bytes; false when nobody takes them any more.
    ///
    /// # Cancellation
    /// Dropping the future gives all of them or none.
    pub async fn give(&self, bytes: Vec<u8>) -> bool {
        self.0.send(Some(bytes)).await.is_ok()
    }

    /// Says that this was all; false when nobody cares any more.
    ///
    /// # Cancellation
    /// As [`InputGiver::give`].
    pub async fn end(&self) -> bool {
        self.0.send(None).await.is_ok()
    }
}

/// Where input comes out.
#[derive(Clone, Debug)]
pub struct Input(Receiver<Option<Vec<u8>>>);

impl Input {
    /// The next bytes; nothing after the last.
    ///
    /// # Cancellation
    /// Dropping the future loses nothing.
    pub async fn next(&self) -> Option<Vec<u8>> {
        self.0.recv().await.ok().flatten()
    }

    /// Whether whoever gives it is gone.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.0.is_closed()
    }

    /// Takes no more: whoever gives is told.
    pub(crate) fn close(&self) {
        self.0.close();
    }
}

/// Each has tens of kilobytes.
const MOST_WAITING: usize = 4;
