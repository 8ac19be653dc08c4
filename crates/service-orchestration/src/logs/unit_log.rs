//! The log of one unit, read once or followed.
//!
//! Owns: nothing but where it lies.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use command_executor::blocking;
use futures::Stream;
use service_shim::log::ReadError;

use super::pieces::{Tail, Then};
use super::{LineJoiner, LogLine, LogPieces, LogQuery, Reach};

/// Why a log cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// It is there, and cannot be read.
    #[error("the log cannot be read")]
    Read(#[from] ReadError),
    /// It cannot be watched.
    #[error("the log in {} cannot be watched", .path.display())]
    Watch {
        /// Where.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
}

/// The log of one unit.
#[derive(Clone, Debug)]
pub struct UnitLog {
    directory: PathBuf,
}

impl UnitLog {
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// What is there now as it lies there, and then, if asked for, what comes. At most twice `ahead` bytes are read
    /// before they are taken.
    ///
    /// Stream, attempt and `tail` of the question are answered exactly; what is not wanted for its time may come too,
    /// because time belongs to lines: see [`LogQuery::wants`].
    pub fn pieces(&self, query: LogQuery, reach: Reach, ahead: usize) -> LogPieces {
        LogPieces::new(self.directory.clone(), query, reach, ahead)
    }

    /// The lines that are there now, in the order in which they were written. A unit that has never run has none.
    ///
    /// # Errors
    /// [`LogError`] when the log is there and cannot be read.
    pub async fn read(&self, query: LogQuery) -> Result<Vec<LogLine>, LogError> {
        let directory = self.directory.clone();
        blocking::unblock(move || read_now(directory, &query)).await
    }

    /// The lines that are there now, and then those that come, each when it has its end. Ends only by being dropped, or
    /// past the time that was asked for.
    pub fn follow(&self, query: LogQuery) -> LogFollower {
        LogFollower {
            pieces: self.pieces(query.clone(), Reach::PastAndFuture, AHEAD),
            query,
            joiner: LineJoiner::default(),
            lines: VecDeque::new(),
        }
    }
}

fn read_now(directory: PathBuf, query: &LogQuery) -> Result<Vec<LogLine>, LogError> {
    let mut lines = Vec::new();
    if !directory.exists() {
        return Ok(lines);
    }
    let mut joiner = LineJoiner::default();
    let mut tail = Tail::open(directory, query.clone(), Reach::Past, AHEAD)?;
    loop {
        let batch = tail.read_on()?;
        for piece in &batch.pieces {
            joiner.push(piece, |found| {
                if query.wants(found.time, found.gap.is_some()) {
                    lines.extend(found.lines());
                }
            });
        }
        match batch.then {
            Then::More(again) | Then::Dry(again) => tail = again,
            Then::Over => return Ok(lines),
        }
    }
}

/// The lines of a log that is being followed. Runs on whatever polls it.
#[derive(Debug)]
pub struct LogFollower {
    pieces: LogPieces,
    query: LogQuery,
    joiner: LineJoiner,
    lines: VecDeque<LogLine>,
}

impl Stream for LogFollower {
    type Item = Result<LogLine, LogError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(line) = this.lines.pop_front() {
                return Poll::Ready(Some(Ok(line)));
            }
            match ready!(Pin::new(&mut this.pieces).poll_next(context)) {
                // Who waits for lines wants whole ones: what is unfinished now is waited for.
                Some(Ok(piece)) if piece.what == super::Piece::Now => {}
                Some(Ok(piece)) => this.joiner.push(&piece, |found| {
                    if this.query.wants(found.time, found.gap.is_some()) {
                        this.lines.extend(found.lines());
                    }
                }),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}

/// Bytes that are read at once for somebody who wants lines.
const AHEAD: usize = 64 << 10;
