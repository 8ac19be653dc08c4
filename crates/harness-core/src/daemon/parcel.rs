//! What a subscriber to logs gets in one message: a block, or a batch of lines.
//!
//! Owns: when a message is full. A single piece or line that is larger stands alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use harness_wire::{PublishError, Publisher};
use service_orchestration::logs::{LineJoiner, LogPiece, LogQuery};

use crate::protocol::{
    LogBatch, LogBlock, LogMark, LogParams, LogRecord, MAX_BATCH_BYTES, MAX_BLOCK_BYTES,
};

/// A message that is being filled.
pub(super) trait Parcel {
    /// Takes in a piece.
    fn put(&mut self, unit: &Arc<str>, piece: LogPiece);
    /// Whether it should be sent.
    fn is_full(&self) -> bool;
    /// Whether there is nothing to send.
    fn is_empty(&self) -> bool;
    /// Sends and empties it.
    fn send(&mut self, to: &mut Publisher) -> impl Future<Output = Result<(), PublishError>>;
}

/// Bytes as they lie in the logs, and marks.
#[derive(Default)]
pub(super) struct Block {
    marks: Vec<LogMark>,
    bytes: Vec<u8>,
}

impl Parcel for Block {
    fn put(&mut self, unit: &Arc<str>, piece: LogPiece) {
        self.marks.push(LogMark::new(unit, piece, &mut self.bytes));
    }

    fn is_full(&self) -> bool {
        self.bytes.len() + self.marks.len() * MARK_BYTES >= MAX_BLOCK_BYTES
    }

    fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    async fn send(&mut self, to: &mut Publisher) -> Result<(), PublishError> {
        let Self { marks, bytes } = std::mem::take(self);
        to.send_with(&LogBlock { marks }, bytes).await
    }
}

/// Lines in JSON.
pub(super) struct Lines {
    /// What of a line's time is asked.
    query: LogQuery,
    joiners: BTreeMap<Arc<str>, LineJoiner>,
    lines: Vec<LogRecord>,
    bytes: usize,
}

impl Lines {
    pub(super) fn new(params: &LogParams) -> Self {
        Self {
            query: LogQuery {
                since: params.since,
                until: params.until,
                ..LogQuery::default()
            },
            joiners: BTreeMap::new(),
            lines: Vec::new(),
            bytes: 0,
        }
    }
}

impl Parcel for Lines {
    fn put(&mut self, unit: &Arc<str>, piece: LogPiece) {
        let joiner = self.joiners.entry(unit.clone()).or_default();
        joiner.push(&piece, |found| {
            if self.query.wants(found.time, found.gap.is_some()) {
                for line in found.lines() {
                    self.bytes += line.bytes.len() + LINE_BYTES;
                    self.lines.push(LogRecord::new(unit.as_ref(), line));
                }
            }
        });
    }

    fn is_full(&self) -> bool {
        self.bytes >= MAX_BATCH_BYTES
    }

    fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    async fn send(&mut self, to: &mut Publisher) -> Result<(), PublishError> {
        let mut lines = std::mem::take(&mut self.lines).into_iter().peekable();
        self.bytes = 0;
        while lines.peek().is_some() {
            let mut batch = LogBatch::default();
            let mut bytes = 0;
            while let Some(line) = lines.next_if(|_| bytes < MAX_BATCH_BYTES) {
                bytes += line.bytes.len() + LINE_BYTES;
                batch.lines.push(line);
            }
            to.send(&batch).await?;
        }
        Ok(())
    }
}

/// What a mark takes in a message, roughly.
const MARK_BYTES: usize = 192;
/// What a line's time, unit and cursor take in a message, roughly.
const LINE_BYTES: usize = 128;
