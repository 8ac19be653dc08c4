//! The output of a container, from the engine into the unit's log.
//!
//! Owns: the way of the bytes. The engine keeps them, so whoever dies in between loses nothing: what was taken is known
//! by the log itself, and the rest is asked for again.

use std::collections::BTreeMap;
use std::time::Duration;

use async_channel::Receiver;
use async_io::Timer;
use container_engine::{ContainerId, Engine, EngineError, LogRecord, LogStream, LogsQuery};
use futures_lite::{StreamExt, future};
use service_shim::LogPolicy;
use service_shim::log::{AppendError, Known, LogAppender, Stream};

use super::past::{Past, Sieve, stream_of};
use super::record::Record;
use super::tail::{Length, Mark};
use crate::executors::LaunchOrder;
use crate::executors::copy::{BATCH_BYTES, LogCopy, Piece};

/// Where the output of a container goes. Kept in one of its labels, or in the record of the attempt where the container
/// outlives it, so that any later daemon finds it.
#[derive(Clone, Debug)]
pub(super) struct Output {
    copy: LogCopy,
    /// What it has said before this attempt.
    past: Option<Past>,
}

/// Its label.
const OUTPUT: &str = "org.harness.output";

impl Output {
    pub(super) fn new(order: &LaunchOrder) -> Self {
        Self {
            copy: LogCopy::new(order.log_policy(), order.attempt),
            past: None,
        }
    }

    /// Of an attempt in a container that is kept.
    pub(super) fn recorded(record: Record, attempt: u64) -> Self {
        Self {
            copy: LogCopy::new(record.output, attempt),
            past: record.past,
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
        })
    }

    /// The container has ended.
    pub(super) fn is_over(&self) {
        self.copy.is_over();
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

    /// For engines that lose records of whoever follows: what comes only says that there is something to take.
    async fn pump_by_bell(
        &self,
        engine: &Engine,
        id: &ContainerId,
        tty: bool,
    ) -> Result<(), PumpError> {
        // Such an engine answers once there is a record: with the last one, it does so as soon as anything was said.
        let coming = LogsQuery {
            follow: true,
            tail: Some(1),
            tty: Some(tty),
            ..LogsQuery::default()
        };
        let mut bell = loop {
            match engine.logs(id, &coming).await {
                // It has not said anything for so long.
                Err(EngineError::TimedOut { .. }) => {}
                answer => break answer?,
            }
        };
        // Whoever does not hear it in time makes the engine wait, which then falls behind its own files.
        let (ring, rung) = async_channel::bounded(1);
        let listen = async move {
            while let Some(record) = bell.next().await {
                record?;
                // One ring is enough for all that has come.
                let _ = ring.try_send(());
            }
            Ok(())
        };
        let answer = self.answer(engine, id, tty, &rung);
        future::try_zip(listen, answer).await.map(drop)
    }

    /// Takes what there is whenever it rings, until it never will again.
    async fn answer(
        &self,
        engine: &Engine,
        id: &ContainerId,
        tty: bool,
        rung: &Receiver<()>,
    ) -> Result<(), PumpError> {
        let is_exact = engine.capabilities().await?.stamps_exactly;
        let (mut mark, mut length) = (None, Length::new());
        let mut is_news = false;
        loop {
            // A follower may have lost what came last, as it loses others: after news, one look is taken in any case.
            let ring = async { rung.recv().await.is_ok() };
            let look = async {
                match is_news {
                    true => drop(Timer::after(ONE_MORE_LOOK).await),
                    false => future::pending().await,
                }
                true
            };
            if !future::or(ring, look).await {
                // Whoever knows that it has ended has the rest taken.
                return Ok(());
            }
            let before = mark;
            let taken = match (mark, is_exact) {
                (Some(last), true) => self.take_last(engine, id, tty, last, length).await?,
                _ => None,
            };
            (mark, length) = match taken {
                Some(taken) => taken,
                None => (self.take(engine, id, tty, false).await?, length),
            };
            is_news = mark != before;
            Timer::after(UNTIL_MORE_HAS_COME).await;
        }
    }

    /// What came after the last record that was taken; nothing is done when that is too long ago.
    async fn take_last(
        &self,
        engine: &Engine,
        id: &ContainerId,
        tty: bool,
        last: Mark,
        length: Length,
    ) -> Result<Option<(Option<Mark>, Length)>, PumpError> {
        let mut length = length;
        loop {
            let query = LogsQuery {
                tail: Some(length.records()),
                tty: Some(tty),
                ..LogsQuery::default()
            };
            let records = engine.logs(id, &query).await?;
            let mut records: Vec<LogRecord> = records.try_collect().await?;
            let is_all = u64::try_from(records.len()).is_ok_and(|count| count < length.records());
            let Some(behind) = last.behind(&records, is_all) else {
                match length.longer() {
                    Some(longer) => length = longer,
                    None => return Ok(None),
                }
                continue;
            };
            let new = records.split_off(behind);
            let mark = new
                .iter()
                .fold(last, |mark, record| Mark::after(Some(mark), record));
            let bytes = new.iter().map(|record| record.bytes.len()).sum();
            let length = length.after(new.len(), bytes);
            if !new.is_empty() {
                let log = self.open().await?;
                if log.is_ended() {
                    return Ok(Some((Some(mark), length)));
                }
                self.store(log, new, |_, _| Known::New).await?;
            }
            return Ok(Some((Some(mark), length)));
        }
    }

    /// What is there and not here yet, and what comes if it is followed. Answers with the last record that was sent.
    async fn take(
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
        let mut sieve = Sieve::new(self.past, log.resume_point());
        let query = LogsQuery {
            since_ns: sieve.since_ns(),
            follow,
            tty: Some(tty),
            ..LogsQuery::default()
        };
        let mut records = engine.logs(id, &query).await?;
        let mut mark = None;
        while let Some(first) = records.next().await {
            let batch = gather(first?, &mut records).await?;
            mark = batch
                .iter()
                .fold(mark, |mark, record| Some(Mark::after(mark, record)));
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

    async fn open(&self) -> Result<LogAppender, PumpError> {
        self.copy.open().await.map_err(PumpError::Log)
    }

    async fn store(
        &self,
        log: LogAppender,
        batch: Vec<LogRecord>,
        judge: impl FnMut(Stream, u64) -> Known,
    ) -> Result<LogAppender, PumpError> {
        let pieces = batch.into_iter().map(|record| Piece {
            stream: stream_of(record.source),
            at_ns: record.time_ns,
            bytes: record.bytes,
            after_gap: false,
        });
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

/// After the first record that says that there are some, so that many are taken at once.
const UNTIL_MORE_HAS_COME: Duration = Duration::from_millis(50);

/// Long after an engine has written what it was writing.
const ONE_MORE_LOOK: Duration = Duration::from_secs(1);
