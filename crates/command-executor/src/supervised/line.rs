//! The connection over which a service is watched, for orders too: no order needs one of its own while somebody listens.
//!
//! Owns: who waits for which answer on it. The shim answers in the order in which it was asked.

use std::collections::VecDeque;
use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_channel::{Receiver, Sender};
use async_io::Async;
use service_shim::protocol::Notice;

/// Shared by whoever watches a service and whoever gives it orders.
#[derive(Debug, Default)]
pub(super) struct Line(
    // A lock because these are different tasks; held for one system call that does not wait.
    Mutex<State>,
);

#[derive(Debug, Default)]
struct State {
    stream: Option<Arc<Async<UnixStream>>>,
    /// Somebody reads what comes at this moment.
    is_heard: bool,
    waiting: VecDeque<Sender<Notice>>,
}

impl Line {
    /// The line leads to this shim from now on. Whoever waits for an answer of its predecessor waits in vain.
    pub(super) fn lead_to(&self, stream: Option<Arc<Async<UnixStream>>>) {
        let mut state = self.state();
        state.stream = stream;
        state.waiting.clear();
    }

    /// For as long as the answer lives, what comes is read, and handed to [`Line::answered`].
    pub(super) fn listen(&self) -> Listening<'_> {
        self.state().is_heard = true;
        Listening(self)
    }

    /// An answer came.
    pub(super) fn answered(&self, answer: Notice) {
        if let Some(asker) = self.state().waiting.pop_front() {
            // Whoever asked may have given up.
            drop(asker.try_send(answer));
        }
    }

    /// Asks, and tells where the answer will come; it does not when the line breaks before. `None`: nobody listens, or
    /// there is no room, and nothing was asked.
    pub(super) fn ask(&self, request: &[u8]) -> Option<Receiver<Notice>> {
        let mut state = self.state();
        if !state.is_heard {
            return None;
        }
        let stream = Arc::clone(state.stream.as_ref()?);
        match stream.get_ref().write(request) {
            Ok(written) if written == request.len() => {
                let (asker, answer) = async_channel::bounded(1);
                state.waiting.push_back(asker);
                Some(answer)
            }
            // A piece of a request spoils the line: another one is found for it.
            Ok(1..) => {
                drop(stream.get_ref().shutdown(Shutdown::Both));
                None
            }
            Ok(0) | Err(_) => None,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody listens.
#[derive(Debug)]
pub(super) struct Listening<'a>(&'a Line);

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        self.0.state().is_heard = false;
    }
}
