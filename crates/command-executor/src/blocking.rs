//! Threads for work that would hold an executor up: starting a process, reading a directory, syncing a file.
//!
//! Owns: these threads, the only ones of the workspace that may block, and the order of what waits for one. A thread
//! without work waits without a timeout, or ends when enough others wait: an idle program is never woken. Never takes
//! work that may wait without a limit for somebody else (a process, a peer): that is for futures. `ADRs/019` says why this
//! is no library.
//!
//! Invariant: a piece of work waits only while all threads that may exist are at work, or one is on its way to it.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::thread;

use futures::channel::oneshot::{self, Receiver};

/// Does `work` on a thread that may block, and resolves to what it returns.
///
/// # Panics
/// The future panics as `work` did.
///
/// # Cancellation
/// Work that has not begun when the future is dropped is never done; what has begun is done to its end.
pub fn unblock<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Unblocked<T> {
    THREADS.unblock(work)
}

/// Does `work` on a thread that may block; nobody waits for it, and nobody can take it back.
pub fn unblock_detached(work: impl FnOnce() + Send + 'static) {
    THREADS.take(Box::new(move || {
        // The panic was printed where it happened, and the thread is needed by others.
        drop(catch_unwind(AssertUnwindSafe(work)));
    }));
}

/// What [`unblock`] was given, until it is done.
#[must_use = "dropped before it begins, the work is never done"]
pub struct Unblocked<T>(Receiver<Result<T, Box<dyn Any + Send>>>);

impl<T> Future for Unblocked<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let answer = ready!(Pin::new(&mut self.0).poll(context));
        match answer.expect("work that is waited for is always done") {
            Ok(value) => Poll::Ready(value),
            Err(panic) => resume_unwind(panic),
        }
    }
}

impl<T> fmt::Debug for Unblocked<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unblocked").finish_non_exhaustive()
    }
}

type Work = Box<dyn FnOnce() + Send>;

/// The threads, and what waits for one.
struct Threads {
    // Locks because anybody may bring work from any thread; held to put in and to take out.
    state: Mutex<State>,
    brought: Condvar,
    most: usize,
    keep_waiting: usize,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Work>,
    all: usize,
    waiting: usize,
}

/// What to do about a piece of work that was just put in.
#[derive(Debug, PartialEq, Eq)]
enum Need {
    /// Somebody waits for it.
    Wake,
    /// Nobody waits, and there may be one more.
    Thread,
    /// Everyone is at work and will see it.
    Nothing,
}

impl State {
    fn need(&self, most: usize) -> Need {
        // Each waiting thread takes one piece, also when it was woken already and has not come to it.
        if self.queue.len() <= self.waiting {
            Need::Wake
        } else if self.all < most {
            Need::Thread
        } else {
            Need::Nothing
        }
    }
}

impl Threads {
    const fn new(most: usize, keep_waiting: usize) -> Self {
        let state = State {
            queue: VecDeque::new(),
            all: 0,
            waiting: 0,
        };
        Self {
            state: Mutex::new(state),
            brought: Condvar::new(),
            most,
            keep_waiting,
        }
    }

    fn unblock<T: Send + 'static>(
        &'static self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Unblocked<T> {
        let (sender, receiver) = oneshot::channel();
        self.take(Box::new(move || {
            if !sender.is_canceled() {
                // Who has stopped waiting meanwhile wants no answer; dropping it undoes what can be undone.
                drop(sender.send(catch_unwind(AssertUnwindSafe(work))));
            }
        }));
        Unblocked(receiver)
    }

    fn take(&'static self, work: Work) {
        let mut state = self.lock();
        state.queue.push_back(work);
        match state.need(self.most) {
            Need::Wake => {
                drop(state);
                self.brought.notify_one();
            }
            Need::Thread => {
                state.all += 1;
                drop(state);
                self.add();
            }
            Need::Nothing => {}
        }
    }

    /// One more thread. Where the system has no room for one and there is none, the caller has to do it all.
    fn add(&'static self) {
        let thread = thread::Builder::new()
            .name("harness-blocking".to_owned())
            .stack_size(STACK_BYTES);
        if thread.spawn(|| self.work()).is_err() {
            let mut state = self.lock();
            state.all -= 1;
            while state.all == 0
                && let Some(work) = state.queue.pop_front()
            {
                drop(state);
                work();
                state = self.lock();
            }
        }
    }

    /// The life of a thread.
    fn work(&self) {
        let mut state = self.lock();
        loop {
            if let Some(work) = state.queue.pop_front() {
                drop(state);
                work();
                state = self.lock();
            } else if state.waiting < self.keep_waiting {
                state.waiting += 1;
                state = self
                    .brought
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                state.waiting -= 1;
            } else {
                state.all -= 1;
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

static THREADS: Threads = Threads::new(MOST_THREADS, KEEP_WAITING);

/// Work here is short or waits for a disk: more threads would not be faster, and each has a stack and a heap of its own.
const MOST_THREADS: usize = 16;

/// A daemon at its usual work (one commit, one launch) makes no thread.
const KEEP_WAITING: usize = 2;

/// What the standard library gives a thread. Only what is touched is memory.
const STACK_BYTES: usize = 2 << 20;

#[cfg(test)]
mod tests;
