//! The log of one unit, read once or followed.
//!
//! Owns: nothing but a place in it. Reading happens on a thread for blocking work; a follower sleeps until the kernel
//! says that something was written.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use async_io::Async;
use chrono::{DateTime, Utc};
use futures::Stream;
use futures_lite::stream;
use service_shim::log::{Entry, GapCause, LogReader, LogWatch, ReadError, Start};

use super::assemble::Assembler;
use super::{AttemptFilter, LogLine, LogQuery};

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

    /// The lines that are there now, in the order in which they were written. A unit that has never run has none.
    ///
    /// # Errors
    /// [`LogError`] when the log is there and cannot be read.
    pub async fn read(&self, query: LogQuery) -> Result<Vec<LogLine>, LogError> {
        let directory = self.directory.clone();
        blocking::unblock(move || read_now(&directory, &query)).await
    }

    /// The lines that are there now, and then those that come. It ends only by being dropped.
    pub fn follow(&self, query: LogQuery) -> LogFollower {
        let directory = self.directory.clone();
        let following = stream::unfold(
            Following::Before(directory, query),
            |following| async move { following.next().await },
        );
        LogFollower {
            lines: Box::pin(following),
        }
    }
}

/// The lines of a log that is being followed. Runs on whatever polls it.
pub struct LogFollower {
    lines: Pin<Box<dyn Stream<Item = Result<LogLine, LogError>> + Send>>,
}

impl Stream for LogFollower {
    type Item = Result<LogLine, LogError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.lines.as_mut().poll_next(context)
    }
}

impl std::fmt::Debug for LogFollower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LogFollower")
    }
}

enum Following {
    Before(PathBuf, LogQuery),
    On(Box<Tail>),
    Over,
}

impl Following {
    async fn next(self) -> Option<(Result<LogLine, LogError>, Self)> {
        let mut tail = match self {
            Self::Over => return None,
            Self::On(tail) => tail,
            Self::Before(directory, query) => {
                match blocking::unblock(move || Tail::open(directory, query)).await {
                    Ok(tail) => Box::new(tail),
                    Err(error) => return Some((Err(error), Self::Over)),
                }
            }
        };
        loop {
            if let Some(line) = tail.lines.pop_front() {
                return Some((Ok(line), Self::On(tail)));
            }
            if tail.is_over() {
                return None;
            }
            if tail.is_dry
                && let Err(source) = tail.watch.readable().await
            {
                let path = tail.directory.clone();
                return Some((Err(LogError::Watch { path, source }), Self::Over));
            }
            match blocking::unblock(move || tail.read_on()).await {
                Ok(again) => tail = again,
                Err(error) => return Some((Err(error), Self::Over)),
            }
        }
    }
}

/// A log that is being followed.
struct Tail {
    directory: PathBuf,
    query: LogQuery,
    attempt: Option<u64>,
    source: Source,
    watch: Async<LogWatch>,
    lines: VecDeque<LogLine>,
    is_dry: bool,
    newest: Option<DateTime<Utc>>,
}

/// Lines read at once before they are handed on.
const AT_ONCE: usize = 512;

impl Tail {
    fn open(directory: PathBuf, mut query: LogQuery) -> Result<Self, LogError> {
        let watch_error = |source| LogError::Watch {
            path: directory.clone(),
            source,
        };
        // A unit that has not run yet has no log: it is made, so that its first line is not missed.
        make_private(&directory).map_err(watch_error)?;
        let watch = LogWatch::open(&directory)
            .and_then(Async::new_nonblocking)
            .map_err(watch_error)?;
        let attempt = wanted_attempt(&directory, &query)?;
        // The last lines are picked once; from there on, everything is wanted.
        let (lines, source) = match query.tail.take() {
            Some(count) => {
                let mut source = Source::open(&directory, &query, attempt, Some(count))?;
                (last(&mut source, &query, attempt, count)?, source)
            }
            None => (
                VecDeque::new(),
                Source::open(&directory, &query, attempt, None)?,
            ),
        };
        Ok(Self {
            directory,
            query,
            attempt,
            source,
            watch,
            lines,
            is_dry: false,
            newest: None,
        })
    }

    fn read_on(mut self: Box<Self>) -> Result<Box<Self>, LogError> {
        self.watch.get_ref().drain();
        while self.lines.len() < AT_ONCE {
            match self.source.next()? {
                Some(line) => {
                    // Nobody knows when what is missing was written.
                    if line.gap.is_none() {
                        self.newest = Some(line.time);
                    }
                    if self.query.wants(&line, self.attempt) {
                        self.lines.push_back(line);
                    }
                }
                None => {
                    self.is_dry = true;
                    return Ok(self);
                }
            }
        }
        self.is_dry = false;
        Ok(self)
    }

    /// Whether no line that comes can be wanted any more.
    fn is_over(&self) -> bool {
        match (self.query.until, self.newest) {
            (Some(until), Some(newest)) => newest > until,
            (Some(_), None) | (None, _) => false,
        }
    }
}

/// Lines, one after the other.
struct Source {
    reader: LogReader,
    assembler: Assembler,
    /// Where the entry that comes next was found.
    at: service_shim::log::Cursor,
}

impl Source {
    fn open(
        directory: &Path,
        query: &LogQuery,
        attempt: Option<u64>,
        tail: Option<usize>,
    ) -> Result<Self, LogError> {
        let reader = LogReader::open(directory, start(query, attempt, tail))?;
        let at = reader.cursor();
        Ok(Self {
            reader,
            assembler: Assembler::new(at),
            at,
        })
    }

    fn next(&mut self) -> Result<Option<LogLine>, LogError> {
        loop {
            if let Some(line) = self.assembler.pop() {
                return Ok(Some(line));
            }
            let Some(entry) = self.reader.next_entry()? else {
                return Ok(None);
            };
            // What follows a gap was found at the same place as the gap, unless that is a record itself.
            let is_between = matches!(
                entry,
                Entry::Gap {
                    cause: GapCause::Rotated | GapCause::Lost,
                    ..
                }
            );
            let behind = self.reader.cursor();
            self.assembler.push(entry, self.at, behind);
            if !is_between {
                self.at = behind;
            }
        }
    }

    /// The unfinished lines at the end.
    fn rest(&mut self) -> Vec<LogLine> {
        self.assembler.finish_all(self.at);
        std::iter::from_fn(|| self.assembler.pop()).collect()
    }
}

fn read_now(directory: &Path, query: &LogQuery) -> Result<Vec<LogLine>, LogError> {
    if !directory.exists() {
        return Ok(Vec::new());
    }
    let attempt = wanted_attempt(directory, query)?;
    let mut source = Source::open(directory, query, attempt, query.tail)?;
    let keep = query.tail.unwrap_or(usize::MAX);
    let mut lines = last(&mut source, query, attempt, keep)?;
    for line in source.rest() {
        if query.wants(&line, attempt) {
            keep_last(&mut lines, line, keep);
        }
    }
    Ok(lines.into())
}

/// The last so many wanted lines that are there now.
fn last(
    source: &mut Source,
    query: &LogQuery,
    attempt: Option<u64>,
    keep: usize,
) -> Result<VecDeque<LogLine>, LogError> {
    let mut lines = VecDeque::new();
    while let Some(line) = source.next()? {
        if query.wants(&line, attempt) {
            keep_last(&mut lines, line, keep);
        }
    }
    Ok(lines)
}

fn keep_last(lines: &mut VecDeque<LogLine>, line: LogLine, keep: usize) {
    lines.push_back(line);
    if lines.len() > keep {
        lines.pop_front();
    }
}

fn start(query: &LogQuery, attempt: Option<u64>, tail: Option<usize>) -> Start {
    match (query.cursor, attempt, query.since, tail) {
        (Some(cursor), _, _, _) => Start::Cursor(cursor.0),
        (None, Some(attempt), _, _) => Start::Attempt(attempt),
        (None, None, Some(since), _) => {
            let ns = since
                .timestamp_nanos_opt()
                .and_then(|ns| u64::try_from(ns).ok());
            Start::Time(ns.unwrap_or(0))
        }
        // With a stream or an end of its own, the last lines are not simply those at the end.
        (None, None, None, Some(count)) if query.stream.is_none() && query.until.is_none() => {
            Start::LastLines(count as u64)
        }
        (None, None, None, _) => Start::Oldest,
    }
}

/// The number of the attempt that is wanted; `None`: all of them.
fn wanted_attempt(directory: &Path, query: &LogQuery) -> Result<Option<u64>, LogError> {
    let Some(filter) = query.attempt else {
        return Ok(None);
    };
    if let AttemptFilter::Number(number) = filter {
        return Ok(Some(number));
    }
    let mut reader = LogReader::open(directory, Start::LastRecords(1))?;
    let mut last = 0;
    while let Some(entry) = reader.next_entry()? {
        match entry {
            Entry::Begin { attempt, .. }
            | Entry::Data { attempt, .. }
            | Entry::End { attempt, .. } => last = attempt,
            Entry::Gap { .. } => {}
        }
    }
    Ok(Some(match filter {
        AttemptFilter::Previous => last.saturating_sub(1),
        AttemptFilter::Last | AttemptFilter::Number(_) => last,
    }))
}

fn make_private(directory: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
}
