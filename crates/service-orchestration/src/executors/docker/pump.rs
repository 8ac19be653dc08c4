//! The output of a container, from the engine into the unit's log.
//!
//! Owns: the way of the bytes. The engine keeps them, so whoever dies in between loses nothing: what was taken is known
//! by the log itself, and the rest is asked for again.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_channel::{Receiver, Sender};
use command_executor::blocking;
use container_engine::{ContainerId, Engine, EngineError, LogRecord, LogStream, LogsQuery};
use futures_lite::{StreamExt, future};
use service_shim::LogPolicy;
use service_shim::log::{AppendError, Known, LogAppender, ResumePoint, Stream};

use super::past::{Past, Sieve, stream_of};
use super::record::Record;
use super::tail::Mark;
use crate::executors::LaunchOrder;
use crate::executors::copy::{BATCH_BYTES, LogCopy, Piece};

/// Where the output of a container goes. Kept in one of its labels, or in the record of the attempt where the container
/// outlives it, so that any later daemon finds it.
#[derive(Clone, Debug)]
pub(super) struct Output {
    copy: LogCopy,
    /// What it has said before this attempt.
    past: Option<Past>,
    over: Arc<Over>,
}

/// The end of an attempt, as whoever takes its output has to know it.
#[derive(Debug)]
struct Over {
    /// Nothing is ever sent: they close with the end.
    ended: (Sender<Infallible>, Receiver<Infallible>),
    /// What was said later than this is of another run; none as long as there is no other.
    until_ns: AtomicU64,
}

impl Default for Over {
    fn default() -> Self {
        Self {
            ended: async_channel::bounded(1),
            until_ns: AtomicU64::new(u64::MAX),
        }
    }
}

/// Its label.
const OUTPUT: &str = "org.harness.output";

impl Output {
    pub(super) fn new(order: &LaunchOrder) -> Self {
        Self {
            copy: LogCopy::new(order.log_policy(), order.attempt),
            past: None,
            over: Arc::default(),
        }
    }

    /// Of an attempt in a container that is kept.
    pub(super) fn recorded(record: Record, attempt: u64) -> Self {
        Self {
            copy: LogCopy::new(record.output, attempt),
            past: record.past,
            over: Arc::default(),
        }
    }

    /// In the words of whoever writes it.
    pub(super) fn policy(&self) -> &LogPolicy {
        self.copy.policy()
    }

    /// The label that tells of it.
    pub(super) fn label(&self) -> (String, String) {
        let text = serde_json::to_string(self.policy()).expect("paths and numbers can be JSON");
        (OUTPUT.to_owned(), text)
    }

    pub(super) fn of(labels: &BTreeMap<String, String>, attempt: u64) -> Option<Self> {
        let policy = serde_json::from_str(labels.get(OUTPUT)?).ok()?;
        Some(Self {
            copy: LogCopy::new(policy, attempt),
            past: None,
            over: Arc::default(),
        })
    }

    /// What the attempts before this one have taken.
    pub(super) async fn taken(&self) -> Result<Option<ResumePoint>, PumpError> {
        let log = self.open().await?;
        let point = blocking::unblock(move || log.earlier_point()).await;
        point.map_err(PumpError::Log)
    }

    /// The attempt has ended: nobody follows it any more, and what is left is taken once. Where its container runs again,
    /// what was said after this time, in nanoseconds since 1970 by the engine's clock, is not of this attempt.
    pub(super) fn is_over(&self, until_ns: Option<u64>) {
        self.copy.is_over();
        let until_ns = until_ns.unwrap_or(u64::MAX);
        self.over.until_ns.store(until_ns, Ordering::Release);
        self.over.ended.0.close();
    }

    /// What comes, unless somebody follows it and the attempt ends before.
    pub(super) async fn coming<T>(
        &self,
        follow: bool,
        coming: impl Future<Output = Option<T>>,
    ) -> Option<T> {
        let over = async {
            // It closes, and nothing ever comes.
            if !follow || self.over.ended.1.recv().await.is_ok() {
                future::pending::<()>().await;
            }
            None
        };
        future::or(over, coming).await
    }

    /// Takes what the container has said, and what it says until it says no more: it has ended, or the engine has.
    pub(super) async fn pump(
        self,
        engine: Engine,
        id: ContainerId,
        tty: bool,
        follow: bool,
    ) -> Result<(), PumpError> {
        let is_bell = follow && !engine.capabilities().await?.follows_completely;
        if is_bell {
            self.pump_by_bell(&engine, &id, tty).await
        } else {
            self.take(&engine, &id, tty, follow).await.map(drop)
        }
    }

    /// What is there and not here yet, and what comes if it is followed. Answers with the last record that was sent.
    pub(super) async fn take(
        &self,
        engine: &Engine,
        id: &ContainerId,
        tty: bool,
        follow: bool,
    ) -> Result<Option<Mark>, PumpError> {
        let mut log = self.open().await?;
        if log.is_ended() {
            return Ok(None);
        }
        let mut sieve = self.sieve(&log);
        let query = LogsQuery {
            since_ns: sieve.since_ns(),
            follow,
            tty: Some(tty),
            ..LogsQuery::default()
        };
        let records = async { Some(engine.logs(id, &query).await) };
        let Some(records) = self.coming(follow, records).await else {
            return Ok(None);
        };
        let (mut records, mut mark) = (records?, None);
        while let Some(first) = self.coming(follow, records.next()).await {
            let batch = gather(first?, &mut records).await?;
            mark = Mark::of(mark, &batch);
            let judge = |stream, at_ns| sieve.judge(stream, at_ns);
            log = self.store(log, batch, judge).await?;
        }
        Ok(mark)
    }

    /// Records that the attempt is over, after its last byte.
    pub(super) async fn end(self, at_ns: u64) -> Result<(), PumpError> {
        let log = self.open().await?;
        self.copy.end(log, at_ns).await;
        Ok(())
    }

    /// Records that the attempt begins.
    pub(super) async fn begin(self, at_ns: u64) -> Result<(), PumpError> {
        let log = self.open().await?;
        self.copy.begin(log, at_ns).await;
        Ok(())
    }

    /// Tells what is new among records that are sent from its beginning, or from where the log ends.
    pub(super) fn sieve(&self, log: &LogAppender) -> Sieve {
        Sieve::new(self.past, log.resume_point())
    }

    pub(super) async fn open(&self) -> Result<LogAppender, PumpError> {
        self.copy.open().await.map_err(PumpError::Log)
    }

    pub(super) async fn store(
        &self,
        log: LogAppender,
        batch: Vec<LogRecord>,
        mut judge: impl FnMut(Stream, u64) -> Known,
    ) -> Result<LogAppender, PumpError> {
        let pieces = batch.into_iter().map(|record| Piece {
            stream: stream_of(record.source),
            at_ns: record.time_ns,
            bytes: record.bytes,
            after_gap: false,
        });
        let until_ns = self.over.until_ns.load(Ordering::Acquire);
        let judge = |stream, at_ns| match at_ns > until_ns {
            true => Known::Stored,
            false => judge(stream, at_ns),
        };
        let stored = self.copy.store(log, pieces.collect(), judge).await;
        stored.map_err(PumpError::Piece)
    }
}

/// Why output stays with the engine for now.
#[derive(Debug, thiserror::Error)]
pub(super) enum PumpError {
    #[error("the log cannot be written")]
    Log(#[source] std::io::Error),
    #[error("a piece of output cannot be stored")]
    Piece(#[source] AppendError),
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// A record and those behind it that are there already: writing many costs as much as writing one.
async fn gather(first: LogRecord, records: &mut LogStream) -> Result<Vec<LogRecord>, EngineError> {
    let mut bytes = first.bytes.len();
    let mut batch = vec![first];
    while bytes < BATCH_BYTES
        && let Some(Some(next)) = future::poll_once(records.next()).await
    {
        let next = next?;
        bytes += next.bytes.len();
        batch.push(next);
    }
    Ok(batch)
}
