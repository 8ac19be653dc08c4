//! The pieces of a log, read once or followed.
//!
//! Owns: how much is read ahead, and the sleep of a follower, until the kernel says that something was written. Reading
//! happens on a thread for blocking work: the next pieces are read while the last ones are on their way.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_io::Async;
use command_executor::blocking::{self, Unblocked};
use futures::Stream;
use futures_lite::{StreamExt, stream};
use service_shim::log::{LogReader, LogWatch, Start};

use super::reader::PieceReader;
use super::{LogCursor, LogError, LogPiece, LogQuery, Piece, tail};

/// How far reading goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Up to what is there when it begins.
    Past,
    /// And on with what comes, until it is dropped, or past the time that was asked for.
    PastAndFuture,
}

/// The pieces of a log: [`Piece::Opened`], what is there, [`Piece::Now`], what comes. Runs on whatever polls it.
pub struct LogPieces {
    pieces: Pin<Box<dyn Stream<Item = Result<LogPiece, LogError>> + Send>>,
}

impl LogPieces {
    /// Reads at most twice `ahead` bytes ahead of what was taken.
    pub(super) fn new(directory: PathBuf, query: LogQuery, reach: Reach, ahead: usize) -> Self {
        let begin = move || {
            if reach == Reach::Past && !directory.exists() {
                return Ok(over(VecDeque::new()));
            }
            Tail::open(directory, query, reach, ahead)?.read_on()
        };
        let reading = Reading {
            ready: VecDeque::new(),
            state: State::Busy(blocking::unblock(begin)),
        };
        let pieces = stream::unfold(reading, |mut reading| async move {
            reading.next().await.map(|piece| (piece, reading))
        });
        // Who merges several asks those that are over again.
        Self {
            pieces: Box::pin(pieces.fuse()),
        }
    }
}

impl Stream for LogPieces {
    type Item = Result<LogPiece, LogError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.pieces.as_mut().poll_next(context)
    }
}

impl std::fmt::Debug for LogPieces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LogPieces")
    }
}

struct Reading {
    ready: VecDeque<LogPiece>,
    state: State,
}

enum State {
    /// More is being read.
    Busy(Unblocked<Result<Batch, LogError>>),
    /// All that was there has been read.
    Dry(Box<Tail>),
    Over,
}

impl Reading {
    async fn next(&mut self) -> Option<Result<LogPiece, LogError>> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Some(Ok(piece));
            }
            let outcome = match &mut self.state {
                State::Over => return None,
                State::Busy(task) => task.await,
                State::Dry(tail) => {
                    let waited = tail.wait().await;
                    let State::Dry(tail) = std::mem::replace(&mut self.state, State::Over) else {
                        return None;
                    };
                    if let Err(error) = waited {
                        return Some(Err(error));
                    }
                    self.state = State::Busy(blocking::unblock(move || tail.read_on()));
                    continue;
                }
            };
            self.state = State::Over;
            match outcome {
                Ok(batch) => {
                    self.ready = batch.pieces;
                    self.state = match batch.then {
                        Then::More(tail) => State::Busy(blocking::unblock(move || tail.read_on())),
                        Then::Dry(tail) => State::Dry(tail),
                        Then::Over => State::Over,
                    };
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// Pieces that were read in one go, and what comes then.
pub(super) struct Batch {
    pub(super) pieces: VecDeque<LogPiece>,
    pub(super) then: Then,
}

pub(super) enum Then {
    /// There is more to read.
    More(Box<Tail>),
    /// There is nothing more for now.
    Dry(Box<Tail>),
    /// Nothing that comes can be wanted.
    Over,
}

/// The rest of a log that is being read.
pub(super) struct Tail {
    directory: PathBuf,
    query: LogQuery,
    reader: PieceReader,
    ahead: usize,
    /// Where the past ends, as long as it is not over.
    end: Option<LogCursor>,
    /// What wakes a follower.
    watch: Option<Arc<Async<LogWatch>>>,
}

impl Tail {
    pub(super) fn open(
        directory: PathBuf,
        query: LogQuery,
        reach: Reach,
        ahead: usize,
    ) -> Result<Box<Self>, LogError> {
        let watch_error = |source| LogError::Watch {
            path: directory.clone(),
            source,
        };
        let watch = match reach {
            Reach::Past => None,
            Reach::PastAndFuture => {
                // A unit that has not run yet has no log: it is made, so that its first line is not missed.
                make_private(&directory).map_err(watch_error)?;
                let watch = LogWatch::open(&directory).and_then(Async::new_nonblocking);
                Some(Arc::new(watch.map_err(watch_error)?))
            }
        };
        let end = LogReader::open(&directory, Start::End)?.cursor();
        let reader = tail::open(&directory, &query, ahead)?;
        Ok(Box::new(Self {
            directory,
            query,
            reader,
            ahead,
            end: Some(LogCursor(end)),
            watch,
        }))
    }

    /// Reads about as many bytes as are read ahead; fewer when there are no more now.
    pub(super) fn read_on(mut self: Box<Self>) -> Result<Batch, LogError> {
        if let Some(watch) = &self.watch {
            watch.get_ref().drain();
        }
        let mut pieces = VecDeque::new();
        let mut bytes = 0;
        while bytes < self.ahead {
            let piece = self.reader.next()?;
            if self.end.is_some_and(|end| is_behind(piece.as_ref(), end)) {
                self.end = None;
                pieces.push_back(LogPiece {
                    place: piece
                        .as_ref()
                        .map_or_else(|| self.reader.place(), |piece| piece.place),
                    what: Piece::Now,
                });
                if self.watch.is_none() {
                    return Ok(over(pieces));
                }
            }
            let Some(piece) = piece else {
                let then = Then::Dry(self);
                return Ok(Batch { pieces, then });
            };
            if self.watch.is_some() && self.is_too_late(&piece) {
                return Ok(over(pieces));
            }
            bytes += piece.len() + PIECE_OVERHEAD;
            pieces.push_back(piece);
        }
        let then = Then::More(self);
        Ok(Batch { pieces, then })
    }

    /// Waits until something may have been written.
    async fn wait(&self) -> Result<(), LogError> {
        let Some(watch) = &self.watch else {
            return Ok(());
        };
        watch.readable().await.map_err(|source| LogError::Watch {
            path: self.directory.clone(),
            source,
        })
    }

    /// Whether neither this piece nor one that comes can be wanted. A gap only has the time of what is around it.
    fn is_too_late(&self, piece: &LogPiece) -> bool {
        let is_gap = matches!(piece.what, Piece::Gap { .. });
        match (self.query.until, piece.time()) {
            (Some(until), Some(time)) => !is_gap && time > until,
            (Some(_), None) | (None, _) => false,
        }
    }
}

/// Whether the past that ends at `end` is over when this piece comes.
fn is_behind(piece: Option<&LogPiece>, end: LogCursor) -> bool {
    let Some(piece) = piece else {
        return true;
    };
    match &piece.what {
        Piece::Opened { .. } => false,
        // A service that writes its files itself has no records for what it writes.
        Piece::Data { stream, offset, .. } | Piece::Skipped { stream, offset, .. } => {
            piece.place >= end.place() && end.offset(*stream).is_none_or(|end| *offset >= end)
        }
        Piece::Border { .. } | Piece::Gap { .. } | Piece::Now => piece.place >= end.place(),
    }
}

fn over(pieces: VecDeque<LogPiece>) -> Batch {
    let then = Then::Over;
    Batch { pieces, then }
}

fn make_private(directory: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
}

/// What a piece takes beside its bytes, roughly; so that empty ones are bounded too.
const PIECE_OVERHEAD: usize = 128;
