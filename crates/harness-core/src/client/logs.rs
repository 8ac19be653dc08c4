//! Log lines as a stream that survives its connection, and its daemon.
//!
//! Owns: the cursor of each unit's last line seen.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use futures_lite::StreamExt;
use harness_wire::Subscription as Items;

use super::connection::Connection;
use super::{ClientError, HarnessClient};
use crate::protocol::method::{FollowLogs, ReadLogs};
use crate::protocol::{LogBatch, LogParams, LogRecord, Method};

/// A subscription to log lines.
#[derive(Debug)]
pub struct LogStreamReader {
    client: HarnessClient,
    method: &'static str,
    params: LogParams,
    open: Option<(Connection, Items<LogBatch>)>,
    lines: VecDeque<LogRecord>,
    opened: DateTime<Utc>,
}

impl HarnessClient {
    /// The lines that are there, interleaved by time; the stream ends after the last.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn read_logs(&self, params: LogParams) -> Result<LogStreamReader, ClientError> {
        self.logs(ReadLogs::NAME, params).await
    }

    /// The lines that are there and those that come. The stream ends only with an error, or at `until`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn follow_logs(&self, params: LogParams) -> Result<LogStreamReader, ClientError> {
        self.logs(FollowLogs::NAME, params).await
    }

    async fn logs(
        &self,
        method: &'static str,
        params: LogParams,
    ) -> Result<LogStreamReader, ClientError> {
        let connection = self.connection().await?;
        let client = self.clone();
        let opened = Utc::now();
        let mut reader = LogStreamReader {
            client,
            method,
            params,
            open: None,
            lines: VecDeque::new(),
            opened,
        };
        reader.subscribe(connection).await?;
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
        loop {
            if let Some(line) = self.lines.pop_front() {
                self.saw(&line);
                return Some(Ok(line));
            }
            if let Err(error) = self.fill().await? {
                return Some(Err(error));
            }
        }
    }

    /// All lines that have arrived; waits for at least one. `None` at the end.
    ///
    /// # Errors
    /// As [`LogStreamReader::next`].
    pub async fn next_batch(&mut self) -> Option<Result<Vec<LogRecord>, ClientError>> {
        while self.lines.is_empty() {
            if let Err(error) = self.fill().await? {
                return Some(Err(error));
            }
        }
        let lines = Vec::from(std::mem::take(&mut self.lines));
        lines.iter().for_each(|line| self.saw(line));
        Some(Ok(lines))
    }

    /// Takes what arrives next, over a new connection if need be.
    async fn fill(&mut self) -> Option<Result<(), ClientError>> {
        let Some((connection, items)) = &mut self.open else {
            let connection = match self.client.reconnect().await {
                Ok(connection) => connection,
                Err(error) => return Some(Err(error)),
            };
            // What the last lines were has been answered; a unit that had none is asked for what it has written since.
            if self.params.tail.take().is_some() {
                self.params.since = self.params.since.max(Some(self.opened));
            }
            return Some(match self.subscribe(connection).await {
                Ok(()) | Err(ClientError::Lost { .. }) => Ok(()),
                Err(error) => Err(error),
            });
        };
        let item = connection.drive(items.next()).await;
        Some(match item? {
            Ok(batch) => {
                self.lines.extend(batch.lines);
                Ok(())
            }
            Err(error) => match ClientError::of_subscription(error, self.method) {
                ClientError::Lost { .. } => {
                    self.open = None;
                    Ok(())
                }
                error => Err(error),
            },
        })
    }

    fn saw(&mut self, line: &LogRecord) {
        match self.params.after.get_mut(&line.unit) {
            Some(cursor) => *cursor = line.cursor,
            None => {
                self.params.after.insert(line.unit.clone(), line.cursor);
            }
        }
    }

    async fn subscribe(&mut self, connection: Connection) -> Result<(), ClientError> {
        let opening = connection.client().subscribe(self.method, &self.params);
        let opened = connection.drive(opening).await;
        let items = opened.map_err(|error| ClientError::of_call(error, self.method))?;
        self.open = Some((connection, items));
        Ok(())
    }
}
