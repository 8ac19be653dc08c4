//! Ctrl-C and its like, while a verb waits for work that goes on without it.
//!
//! Owns: the signals that are listened to. A verb that only shows something does not listen: the signal ends it.

use std::io;

use async_signal::{Signal, Signals};
use futures_lite::StreamExt;

/// How the program was asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interrupt {
    /// Ctrl-C.
    Int,
    /// Politely, by another program.
    Term,
    /// By the terminal, which has gone.
    Hangup,
}

impl Interrupt {
    /// What shells make of it.
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Int => 130,
            Self::Term => 143,
            Self::Hangup => 129,
        }
    }
}

/// Listens for as long as it lives.
#[derive(Debug)]
pub(crate) struct Interrupts(Signals);

impl Interrupts {
    pub(crate) fn new() -> io::Result<Self> {
        Signals::new([Signal::Int, Signal::Term]).map(Self)
    }

    /// Also for the terminal's end.
    pub(crate) fn with_hangup() -> io::Result<Self> {
        Signals::new([Signal::Int, Signal::Term, Signal::Hup]).map(Self)
    }

    /// The next one. Never returns when there can be none any more.
    pub(crate) async fn next(&mut self) -> Interrupt {
        loop {
            match self.0.next().await {
                Some(Ok(Signal::Int)) => return Interrupt::Int,
                Some(Ok(Signal::Hup)) => return Interrupt::Hangup,
                Some(Ok(_)) => return Interrupt::Term,
                Some(Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    }
}
