//! The log of one unit as a reader of several sees it: a past with an end, then what comes.
//!
//! Owns: its place in both. Holds at most [`TAIL_AT_HAND`] lines, however long the log is.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::{Stream, StreamExt};
use serde::Deserialize;
use service_orchestration::logs::{AttemptFilter, LogError, LogQuery, LogStream, UnitLog};

use super::logs::{Line, unreadable};
use crate::protocol::{ApiError, LogRecord};

type Lines = Pin<Box<dyn Stream<Item = Line> + Send>>;

/// The log of one unit.
pub(super) struct Source {
    /// The past before [`Source::last`], when that is not all of it.
    before: Option<Lines>,
    /// The last lines that were there when it was opened, the one that `before` ends with among them.
    last: VecDeque<LogRecord>,
    /// What comes behind them.
    future: Lines,
}

impl Source {
    /// Opens the log of `unit`. Its past ends here and now, even while more is written.
    pub(super) async fn open(
        unit: String,
        log: &UnitLog,
        query: LogQuery,
    ) -> Result<Self, ApiError> {
        let at_hand = query.tail.map_or(AT_HAND, |lines| lines.min(TAIL_AT_HAND));
        let last = log
            .read(LogQuery {
                tail: Some(at_hand),
                ..query.clone()
            })
            .await;
        let last = last.map_err(|error| unreadable(&unit, &error))?;
        let is_all = last.len() < at_hand || query.tail == Some(at_hand);
        // The same attempt for both parts, even if another begins between them.
        let attempt = match last.iter().rfind(|line| line.gap.is_none()) {
            Some(line) if query.attempt.is_some() => Some(AttemptFilter::Number(line.attempt)),
            Some(_) | None => query.attempt,
        };
        let query = LogQuery { attempt, ..query };
        let lines = |query| -> Lines {
            let unit = unit.clone();
            let follow = log.follow(query);
            Box::pin(follow.map(move |line: Result<_, LogError>| match line {
                Ok(line) => Ok(LogRecord::new(unit.as_str(), line)),
                Err(error) => Err(unreadable(&unit, &error)),
            }))
        };
        let future = match last.last() {
            Some(line) => lines(LogQuery {
                tail: None,
                cursor: Some(line.cursor),
                ..query.clone()
            }),
            // Nothing, because nothing of the past was wanted, or because there is none.
            None => lines(LogQuery {
                tail: query.tail.filter(|lines| *lines == 0),
                ..query.clone()
            }),
        };
        let before = (!is_all).then(|| lines(query));
        let last = last
            .into_iter()
            .map(|line| LogRecord::new(unit.as_str(), line))
            .collect();
        Ok(Self {
            before,
            last,
            future,
        })
    }

    /// The next line of the past; `None` when it is over.
    pub(super) fn poll_past(&mut self, cx: &mut Context<'_>) -> Poll<Option<Line>> {
        let (Some(before), Some(end), Some(newest)) =
            (&mut self.before, self.last.front(), self.last.back())
        else {
            return Poll::Ready(self.last.pop_front().map(Ok));
        };
        match ready!(before.as_mut().poll_next(cx)) {
            // Nobody knows when what is missing was written: a gap has the time at which it was found.
            Some(Ok(line))
                if is_before(&line, end) && (line.gap.is_some() || line.time <= newest.time) =>
            {
                Poll::Ready(Some(Ok(line)))
            }
            // It is the first of the last lines; or later, because that one was removed to make room.
            Some(Ok(_)) | None => {
                self.before = None;
                Poll::Ready(self.last.pop_front().map(Ok))
            }
            Some(Err(error)) => Poll::Ready(Some(Err(error))),
        }
    }

    /// The next line that comes. To be asked when the past is over.
    pub(super) fn poll_future(&mut self, cx: &mut Context<'_>) -> Poll<Option<Line>> {
        self.future.as_mut().poll_next(cx)
    }
}

/// Whether a line was written before `end`. Two readers of a log may give the same line different cursors, but how far
/// each stream has been handed out is counted from the beginning of the log by both.
fn is_before(line: &LogRecord, end: &LogRecord) -> bool {
    line.stream != end.stream || handed_out(line) < handed_out(end)
}

/// How far the line's stream has been handed out with it, in bytes since the log began.
fn handed_out(line: &LogRecord) -> Option<u64> {
    #[derive(Deserialize)]
    struct Place {
        delivered: [Option<u64>; 2],
    }
    let place: Place = serde_json::to_value(line.cursor)
        .and_then(serde_json::from_value)
        .ok()?;
    match line.stream {
        LogStream::Stdout => place.delivered[0],
        LogStream::Stderr => place.delivered[1],
    }
}

/// Lines of the past that are read at once. A log that has no more costs one read.
const AT_HAND: usize = 128;
/// The same when only the last lines are wanted. A reader who wants more of them than this may get two more than that:
/// the unfinished lines at the end, which are not counted then.
const TAIL_AT_HAND: usize = 4096;
