//! The logs of several units as one: what is there by time, then what comes as it comes.
//!
//! Owns: the order. Holds one piece of each unit, beside what is read ahead.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use chrono::{DateTime, Utc};
use futures::Stream;
use service_orchestration::logs::{LogError, LogPiece, LogPieces, Piece};

/// The logs of several units.
#[derive(Default)]
pub(super) struct Merge {
    units: Vec<Unit>,
    /// Whose turn it is among those that may all have something.
    turn: usize,
}

/// A piece of one of them.
pub(super) type Merged = Result<(Arc<str>, LogPiece), (Arc<str>, LogError)>;

struct Unit {
    name: Arc<str>,
    pieces: LogPieces,
    past: Past,
    /// When the last piece was written, as far as that is known.
    last: DateTime<Utc>,
}

/// What is at hand of a unit's past.
enum Past {
    /// Nobody has looked yet.
    Unknown,
    /// This piece comes next.
    Next(LogPiece),
    Over,
}

impl Merge {
    /// Takes in another unit. Its past is told before what comes of the others.
    pub(super) fn add(&mut self, name: &str, pieces: LogPieces) {
        self.units.push(Unit {
            name: name.into(),
            pieces,
            past: Past::Unknown,
            last: DateTime::UNIX_EPOCH,
        });
    }

    /// Whether it has this unit.
    pub(super) fn has(&self, name: &str) -> bool {
        self.units.iter().any(|unit| *unit.name == *name)
    }

    /// The earliest piece of the past; `None` when it is over.
    fn poll_past(&mut self, cx: &mut Context<'_>) -> Poll<Option<Merged>> {
        let mut is_waiting = false;
        for unit in &mut self.units {
            if !matches!(unit.past, Past::Unknown) {
                continue;
            }
            match Pin::new(&mut unit.pieces).poll_next(cx) {
                Poll::Ready(Some(Ok(piece))) => {
                    // What has no time of its own stands behind what came before it.
                    unit.last = piece.time().unwrap_or(unit.last);
                    unit.past = Past::Next(piece);
                }
                Poll::Ready(Some(Err(error))) => {
                    return Poll::Ready(Some(Err((unit.name.clone(), error))));
                }
                Poll::Ready(None) => unit.past = Past::Over,
                Poll::Pending => is_waiting = true,
            }
        }
        if is_waiting {
            return Poll::Pending;
        }
        let with_piece = self
            .units
            .iter_mut()
            .filter(|unit| matches!(unit.past, Past::Next(_)));
        let Some(earliest) = with_piece.min_by_key(|unit| unit.last) else {
            return Poll::Ready(None);
        };
        let Past::Next(piece) = std::mem::replace(&mut earliest.past, Past::Unknown) else {
            return Poll::Ready(None);
        };
        if piece.what == Piece::Now {
            earliest.past = Past::Over;
        }
        Poll::Ready(Some(Ok((earliest.name.clone(), piece))))
    }

    fn poll_future(&mut self, cx: &mut Context<'_>) -> Poll<Option<Merged>> {
        // Each in turn, so that one that writes without pause does not silence the others.
        let mut is_waiting = false;
        for _ in 0..self.units.len() {
            self.turn = (self.turn + 1) % self.units.len();
            let unit = &mut self.units[self.turn];
            match Pin::new(&mut unit.pieces).poll_next(cx) {
                Poll::Ready(Some(piece)) => {
                    let name = unit.name.clone();
                    return Poll::Ready(Some(match piece {
                        Ok(piece) => Ok((name, piece)),
                        Err(error) => Err((name, error)),
                    }));
                }
                Poll::Ready(None) => {}
                Poll::Pending => is_waiting = true,
            }
        }
        if is_waiting {
            Poll::Pending
        } else {
            Poll::Ready(None)
        }
    }
}

impl Stream for Merge {
    type Item = Merged;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Merged>> {
        match self.poll_past(cx) {
            Poll::Ready(None) => self.poll_future(cx),
            other => other,
        }
    }
}
