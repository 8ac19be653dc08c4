//! The logs of several units as one: what is there by time, then what comes as it comes.
//!
//! Owns: the order. Holds one line of each unit.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::Stream;

use super::logs::Line;
use super::source::Source;
use crate::protocol::LogRecord;

/// The logs of several units.
pub(super) struct Merge {
    units: Vec<Unit>,
    /// Whose turn it is among those that may all have something.
    turn: usize,
    goes_on: bool,
}

struct Unit {
    source: Source,
    past: Past,
}

/// What is at hand of a unit's past.
enum Past {
    /// Nobody has looked yet.
    Unknown,
    /// This line comes next.
    Next(LogRecord),
    Over,
}

impl Merge {
    /// Ends where the logs end now.
    pub(super) fn past(sources: Vec<Source>) -> Self {
        let units = sources
            .into_iter()
            .map(|source| Unit {
                source,
                past: Past::Unknown,
            })
            .collect();
        Self {
            units,
            turn: 0,
            goes_on: false,
        }
    }

    /// Goes on.
    pub(super) fn past_and_future(sources: Vec<Source>) -> Self {
        Self {
            goes_on: true,
            ..Self::past(sources)
        }
    }

    /// The earliest line of the past; `None` when it is over.
    fn poll_past(&mut self, cx: &mut Context<'_>) -> Poll<Option<Line>> {
        let mut is_waiting = false;
        for unit in self
            .units
            .iter_mut()
            .filter(|unit| matches!(unit.past, Past::Unknown))
        {
            match unit.source.poll_past(cx) {
                Poll::Ready(Some(Ok(line))) => unit.past = Past::Next(line),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(None) => unit.past = Past::Over,
                Poll::Pending => is_waiting = true,
            }
        }
        if is_waiting {
            return Poll::Pending;
        }
        let time = |unit: &&mut Unit| match &unit.past {
            Past::Next(line) => Some(line.time),
            Past::Unknown | Past::Over => None,
        };
        let with_line = self.units.iter_mut().filter(|unit| time(unit).is_some());
        let Some(earliest) = with_line.min_by_key(time) else {
            return Poll::Ready(None);
        };
        match std::mem::replace(&mut earliest.past, Past::Unknown) {
            Past::Next(line) => Poll::Ready(Some(Ok(line))),
            Past::Unknown | Past::Over => unreachable!("only units with a line were looked at"),
        }
    }

    fn poll_future(&mut self, cx: &mut Context<'_>) -> Poll<Option<Line>> {
        // Each in turn, so that one that writes without pause does not silence the others.
        let mut is_waiting = false;
        for _ in 0..self.units.len() {
            self.turn = (self.turn + 1) % self.units.len();
            match self.units[self.turn].source.poll_future(cx) {
                Poll::Ready(Some(line)) => return Poll::Ready(Some(line)),
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
    type Item = Line;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Line>> {
        match self.poll_past(cx) {
            Poll::Ready(None) if self.goes_on => self.poll_future(cx),
            other => other,
        }
    }
}
