//! The way out.
//!
//! Owns: writing to standard output and standard error. A reader who has gone is no error of ours; messages that nobody
//! can see are dropped.

use std::io::{self, Write};

use rustix::event::{PollFd, PollFlags, poll};

use crate::failure::Failure;

/// Writes data to standard output.
///
/// # Errors
/// [`Failure::Output`].
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    print_bytes(text.as_bytes())
}

/// Writes data to standard output, byte for byte.
///
/// # Errors
/// [`Failure::Output`].
pub(crate) fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(bytes)
        .and_then(|()| stdout.flush())
        .map_err(Failure::Output)
}

/// Writes a message to standard error.
pub(crate) fn note(text: &str) {
    let _nobody_listens = io::stderr().lock().write_all(text.as_bytes());
}

/// Writes bytes that are not ours to standard error.
pub(crate) fn note_bytes(bytes: &[u8]) {
    let _nobody_listens = io::stderr().lock().write_all(bytes);
}

/// Returns once nobody reads standard output any more: its pipe was closed at the other end. For verbs that may have
/// nothing to write for hours.
pub(crate) async fn reader_gone() -> Failure {
    smol::unblock(|| {
        let stdout = io::stdout();
        let mut watched = [PollFd::new(&stdout, PollFlags::empty())];
        // Without a time limit it returns with an error of the stream only, or when it cannot be watched at all.
        while !matches!(poll(&mut watched, None), Ok(1..)) {}
    })
    .await;
    Failure::Output(io::ErrorKind::BrokenPipe.into())
}
