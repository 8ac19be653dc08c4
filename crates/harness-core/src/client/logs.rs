//! Logs as a stream that survives its connection, and its daemon.
//!
//! Owns: the cursor behind the last lines of each unit, and the lines that are unfinished. Lines are found here, in the
//! bytes that a daemon sends as they lie in its logs.

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, Utc};
use futures_lite::StreamExt;
use harness_wire::{Subscription as Items, SubscriptionError};
use service_orchestration::logs::{LineJoiner, LogLines, LogQuery, Reach};

use super::connection::Connection;
use super::recover::Departure;
use super::{ClientError, HarnessClient};
use crate::protocol::method::{FollowBlocks, FollowLogs, ReadBlocks, ReadLogs};
use crate::protocol::{BLOCKS, LogBatch, LogBlock, LogParams, LogRecord, Marked, Method};

/// A subscription to logs.
#[derive(Debug)]
pub struct LogStreamReader {
    client: HarnessClient,
    reach: Reach,
    params: LogParams,
    /// What of a line's time is asked.
    query: LogQuery,
    open: Option<(Connection, Source)>,
    joiners: BTreeMap<String, LineJoiner>,
    lines: VecDeque<LogRecord>,
    opened: DateTime<Utc>,
    /// Whether lines that have no end yet are waited for when the past is over.
    is_resumed: bool,
    /// How the last daemon went away, while there is no other.
    departure: Departure,
}

/// What the daemon sends.
#[derive(Debug)]
enum Source {
    Blocks(Items<LogBlock>),
    /// From a daemon that cannot send blocks.
    Batches(Items<LogBatch>),
}

/// What arrived.
enum Arrived {
    Block(LogBlock, harness_wire::Bytes),
    Batch(LogBatch),
}

impl HarnessClient {
    /// The lines that are there, interleaved by time; the stream ends after the last.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn read_logs(&self, params: LogParams) -> Result<LogStreamReader, ClientError> {
        self.logs(Reach::Past, params).await
    }

    /// The lines that are there and those that come; where all units are meant, of those too that are added to the stack
    /// later. The stream ends only with an error, or at `until`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn follow_logs(&self, params: LogParams) -> Result<LogStreamReader, ClientError> {
        self.logs(Reach::PastAndFuture, params).await
    }

    async fn logs(&self, reach: Reach, params: LogParams) -> Result<LogStreamReader, ClientError> {
        let mut connection = self.connection().await?;
        let mut reader = LogStreamReader {
            client: self.clone(),
            reach,
            query: LogQuery {
                since: params.since,
                until: params.until,
                ..LogQuery::default()
            },
            params,
            open: None,
            joiners: BTreeMap::new(),
            lines: VecDeque::new(),
            opened: Utc::now(),
            is_resumed: false,
            departure: Departure::Killed,
        };
        while let Err(error) = reader.subscribe(connection.clone()).await {
            let Some(departure) = self.departure(&error, &connection).await else {
                return Err(error);
            };
            connection = self.reconnect(departure).await?;
        }
        Ok(reader)
    }
}

impl LogStreamReader {
    /// The next line; `None` at the end.
    ///
    /// A lost connection is made anew and the stream goes on behind the last line of each unit: none is lost or doubled.
    ///
    /// # Errors
    /// [`ClientError`]; the stream is over then.
    ///
    /// # Cancellation
    /// Dropping the future loses no line.
    pub async fn next(&mut self) -> Option<Result<LogRecord, ClientError>> {
        while self.lines.is_empty() {
            let mut lines = VecDeque::new();
            let arrived = self.each(|unit, found| {
                lines.extend(found.lines().map(|line| LogRecord::new(unit, line)));
            });
            if let Err(error) = arrived.await? {
                return Some(Err(error));
            }
            self.lines = lines;
        }
        self.lines.pop_front().map(Ok)
    }

    /// All lines that have arrived; waits for at least one. `None` at the end.
    ///
    /// # Errors
    /// As [`LogStreamReader::next`].
    ///
    /// # Cancellation
    /// Dropping the future loses no line.
    pub async fn next_batch(&mut self) -> Option<Result<Vec<LogRecord>, ClientError>> {
        match self.next().await? {
            Ok(first) => {
                let mut lines = vec![first];
                lines.extend(self.lines.drain(..));
                Some(Ok(lines))
            }
            Err(error) => Some(Err(error)),
        }
    }

    /// Waits until something arrives, and shows all lines in it that are asked for, with the unit that wrote them; they
    /// may be none. The cheapest way to read: nothing is copied for a line. `None` at the end.
    ///
    /// Not to be mixed with [`LogStreamReader::next`]: it may have more lines at hand.
    ///
    /// # Errors
    /// As [`LogStreamReader::next`].
    ///
    /// # Cancellation
    /// Dropping the future loses no line.
    pub async fn each(
        &mut self,
        mut show: impl FnMut(&str, &LogLines<'_>),
    ) -> Option<Result<(), ClientError>> {
        let arrived = match self.arrive().await? {
            Ok(Some(arrived)) => arrived,
            Ok(None) => return Some(Ok(())),
            Err(error) => return Some(Err(error)),
        };
        // From here on nothing waits, so nothing is lost by being dropped.
        match arrived {
            Arrived::Block(block, bytes) => self.take_block(&block, &bytes, &mut show),
            Arrived::Batch(batch) => self.take_batch(batch, &mut show),
        }
        Some(Ok(()))
    }

    fn take_block(
        &mut self,
        block: &LogBlock,
        mut bytes: &[u8],
        show: &mut impl FnMut(&str, &LogLines<'_>),
    ) {
        for mark in &block.marks {
            if !self.joiners.contains_key(&mark.unit) {
                self.joiners
                    .insert(mark.unit.clone(), LineJoiner::default());
            }
            let Some(joiner) = self.joiners.get_mut(&mark.unit) else {
                continue;
            };
            let mut last = None;
            let tell = |found: LogLines<'_>| {
                last = Some(found.cursor);
                if self.query.wants(found.time, found.gap.is_some()) {
                    show(&mark.unit, &found);
                }
            };
            match mark.read(&mut bytes) {
                Some(Marked::Data(place, span, data)) => joiner.push_data(place, span, data, tell),
                // What was unfinished when the connection was lost is waited for: the first time it was shown already.
                Some(Marked::Piece(piece)) if self.is_resumed && piece.is_now() => {}
                Some(Marked::Piece(piece)) => joiner.push(&piece, tell),
                // A block of a daemon that is at odds with itself: what it has said of the rest means nothing.
                None => return,
            }
            if let Some(cursor) = last.or(mark.opened()) {
                self.saw(&mark.unit, cursor);
            }
        }
    }

    fn take_batch(&mut self, batch: LogBatch, show: &mut impl FnMut(&str, &LogLines<'_>)) {
        for line in batch.lines {
            let mut bytes = line.bytes;
            if !line.partial && line.gap.is_none() {
                bytes.push(b'\n');
            }
            let found = LogLines {
                time: line.time,
                stream: line.stream,
                attempt: line.attempt,
                bytes: &bytes,
                partial: line.partial,
                gap: line.gap,
                cursor: line.cursor,
            };
            show(&line.unit, &found);
            self.saw(&line.unit, line.cursor);
        }
    }

    /// What arrives next, over a new connection if need be; nothing when that is all that happened.
    async fn arrive(&mut self) -> Option<Result<Option<Arrived>, ClientError>> {
        let Some((connection, source)) = &mut self.open else {
            let connection = match self.client.reconnect(self.departure).await {
                Ok(connection) => connection,
                Err(error) => return Some(Err(error)),
            };
            // What the last lines were has been answered; a unit that had none is asked for what it has written since.
            if self.params.tail.take().is_some() {
                self.params.since = self.params.since.max(Some(self.opened));
            }
            self.is_resumed = self.reach == Reach::PastAndFuture;
            let Err(error) = self.subscribe(connection.clone()).await else {
                return Some(Ok(None));
            };
            return Some(match self.client.departure(&error, &connection).await {
                Some(departure) => {
                    self.departure = departure;
                    Ok(None)
                }
                None => Err(error),
            });
        };
        let next = async {
            Some(match source {
                Source::Blocks(items) => items
                    .next_with()
                    .await?
                    .map(|(block, bytes)| Arrived::Block(block, bytes)),
                Source::Batches(items) => items.next().await?.map(Arrived::Batch),
            })
        };
        Some(match connection.drive(next).await? {
            Ok(arrived) => Ok(Some(arrived)),
            Err(error) => match self.failure(error) {
                error @ ClientError::Lost { .. } => {
                    self.departure = Departure::of(&error);
                    self.open = None;
                    Ok(None)
                }
                error => Err(error),
            },
        })
    }

    fn failure(&self, error: SubscriptionError) -> ClientError {
        ClientError::of_subscription(error, self.method(true))
    }

    fn saw(&mut self, unit: &str, cursor: service_orchestration::logs::LogCursor) {
        match self.params.after.get_mut(unit) {
            Some(last) => *last = cursor,
            None => {
                self.params.after.insert(unit.to_owned(), cursor);
            }
        }
    }

    async fn subscribe(&mut self, connection: Connection) -> Result<(), ClientError> {
        // What was unfinished comes again, from where it began.
        self.joiners.clear();
        let has_blocks = connection.client().agreed().peer_has(BLOCKS);
        let method = self.method(has_blocks);
        let client = connection.client();
        let opened = match has_blocks {
            true => {
                let opening = client.subscribe(method, &self.params);
                connection.drive(opening).await.map(Source::Blocks)
            }
            false => {
                let opening = client.subscribe(method, &self.params);
                connection.drive(opening).await.map(Source::Batches)
            }
        };
        let source = opened.map_err(|error| ClientError::of_call(error, method))?;
        self.open = Some((connection, source));
        Ok(())
    }

    fn method(&self, has_blocks: bool) -> &'static str {
        match (self.reach, has_blocks) {
            (Reach::Past, true) => ReadBlocks::NAME,
            (Reach::PastAndFuture, true) => FollowBlocks::NAME,
            (Reach::Past, false) => ReadLogs::NAME,
            (Reach::PastAndFuture, false) => FollowLogs::NAME,
        }
    }
}
