//! Output of engines that lose records of whoever follows: what comes only says that there is something to read.
//!
//! Owns: when it is read, how far back, and what of the follower stands in for a log that is gone with its container.

use std::time::Duration;

use async_channel::{Receiver, Sender};
use async_io::Timer;
use container_engine::{ContainerId, Engine, EngineError, LogRecord, LogStream, LogsQuery};
use futures_lite::{StreamExt, future};
use service_shim::log::Known;

use super::pump::{Output, PumpError};
use super::tail::{Length, Mark};

/// One container, read again and again.
struct Bell<'a> {
    output: &'a Output,
    engine: &'a Engine,
    id: &'a ContainerId,
    tty: bool,
    /// Whether its records bear the nanosecond, so that one is known from the next.
    is_exact: bool,
    /// The last record that was read.
    mark: Option<Mark>,
    length: Length,
    /// What the follower was sent of late, should there be nothing to read any more.
    held: Vec<LogRecord>,
}

impl Output {
    /// Takes what a container says until it has ended, for engines whose followers do not get everything.
    pub(super) async fn pump_by_bell(
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
        let follower = loop {
            let answer = async { Some(engine.logs(id, &coming).await) };
            match self.coming(true, answer).await {
                None => return Ok(()),
                // It has not said anything for so long.
                Some(Err(EngineError::TimedOut { .. })) => {}
                Some(answer) => break answer?,
            }
        };
        let mut bell = Bell {
            output: self,
            engine,
            id,
            tty,
            is_exact: engine.capabilities().await?.stamps_exactly,
            mark: None,
            length: Length::new(),
            held: Vec::new(),
        };
        let (ring, rung) = async_channel::bounded(MOST_HELD);
        let broken = async {
            match listen(follower, ring).await {
                // Whoever answers is told by the end of the channel.
                Ok(()) => future::pending().await,
                Err(error) => Err(PumpError::Engine(error)),
            }
        };
        future::or(bell.answer(&rung), broken).await
    }
}

/// Hears everything at once: whoever does not makes the engine wait, which then falls behind its own files.
async fn listen(mut follower: LogStream, ring: Sender<LogRecord>) -> Result<(), EngineError> {
    while let Some(record) = follower.next().await {
        // The oldest goes: it can be read.
        drop(ring.force_send(record?));
    }
    Ok(())
}

impl Bell<'_> {
    /// Reads what there is whenever it rings, and once more when it never will again.
    async fn answer(&mut self, rung: &Receiver<LogRecord>) -> Result<(), PumpError> {
        let mut is_news = false;
        loop {
            let ring = self.output.coming(true, async { rung.recv().await.ok() });
            let ring = async { ring.await.map(Some) };
            // A follower may have lost what came last, as it loses others: after news, one look is taken in any case.
            let look = async {
                match is_news {
                    true => drop(Timer::after(ONE_MORE_LOOK).await),
                    false => future::pending().await,
                }
                Some(None)
            };
            let Some(first) = future::or(ring, look).await else {
                return self.read_or_keep(rung).await;
            };
            self.hold(first.into_iter());
            let before = self.mark;
            self.read_or_keep(rung).await?;
            is_news = self.mark != before;
            Timer::after(UNTIL_MORE_HAS_COME).await;
        }
    }

    /// What is there is read. Where nothing is any more, since it was removed with its container, the follower has the end of it.
    async fn read_or_keep(&mut self, rung: &Receiver<LogRecord>) -> Result<(), PumpError> {
        while let Ok(record) = rung.try_recv() {
            self.hold(std::iter::once(record));
        }
        match self.read().await {
            Err(PumpError::Engine(
                EngineError::NotFound { .. } | EngineError::BeingRemoved { .. },
            )) if self.is_exact => {}
            read => return read,
        }
        let rest = async {
            while let Ok(record) = rung.recv().await {
                self.hold(std::iter::once(record));
            }
        };
        let late = async {
            Timer::after(LAST_WORDS).await;
        };
        future::or(rest, late).await;
        let log = self.output.open().await?;
        if !log.is_ended() {
            let mut sieve = self.output.sieve(&log);
            let judge = |stream, at_ns| sieve.judge(stream, at_ns);
            let held = std::mem::take(&mut self.held);
            self.output.store(log, held, judge).await?;
        }
        Ok(())
    }

    fn hold(&mut self, records: impl Iterator<Item = LogRecord>) {
        self.held.extend(records);
        let excess = self.held.len().saturating_sub(MOST_HELD);
        self.held.drain(..excess);
    }

    async fn read(&mut self) -> Result<(), PumpError> {
        let is_read = match self.mark {
            Some(last) if self.is_exact => self.read_last(last).await?,
            _ => false,
        };
        if !is_read {
            let taken = self.output.take(self.engine, self.id, self.tty, false);
            self.mark = taken.await?.or(self.mark);
        }
        let behind = self.mark.and_then(|mark| mark.behind(&self.held, true));
        self.held.drain(..behind.unwrap_or(0));
        Ok(())
    }

    /// Takes what came after the last record that was read; false, and nothing is done, when that is too long ago.
    async fn read_last(&mut self, last: Mark) -> Result<bool, PumpError> {
        loop {
            let query = LogsQuery {
                tail: Some(self.length.records()),
                tty: Some(self.tty),
                ..LogsQuery::default()
            };
            let records = self.engine.logs(self.id, &query).await?;
            let mut records: Vec<LogRecord> = records.try_collect().await?;
            let count = u64::try_from(records.len()).unwrap_or(u64::MAX);
            let is_all = count < self.length.records();
            let Some(behind) = last.behind(&records, is_all) else {
                match self.length.longer() {
                    Some(longer) => self.length = longer,
                    None => return Ok(false),
                }
                continue;
            };
            let new = records.split_off(behind);
            let bytes = new.iter().map(|record| record.bytes.len()).sum();
            self.mark = Mark::of(Some(last), &new);
            self.length = self.length.after(new.len(), bytes);
            if !new.is_empty() {
                let log = self.output.open().await?;
                if !log.is_ended() {
                    self.output.store(log, new, |_, _| Known::New).await?;
                }
            }
            return Ok(true);
        }
    }
}

/// After the first record that says that there are some, so that many are taken at once.
const UNTIL_MORE_HAS_COME: Duration = Duration::from_millis(50);

/// Long after an engine has written what it was writing.
const ONE_MORE_LOOK: Duration = Duration::from_secs(1);

/// For what is on its way from an engine that has removed a container.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A record has at most 16 KiB.
const MOST_HELD: usize = 1024;
