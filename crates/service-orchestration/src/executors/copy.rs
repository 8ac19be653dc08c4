//! A unit's log, written from what an engine or another host keeps.
//!
//! Owns: the way into the log. Whoever dies in between loses nothing: what was taken is known by the log itself, and the rest
//! is asked for again.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_io::Timer;
use command_executor::blocking;
use service_shim::LogPolicy;
use service_shim::log::{AppendError, Known, LogAppender, OutputRecord, Stream};

/// Where the output of an attempt goes that somebody else keeps.
#[derive(Clone, Debug)]
pub(super) struct LogCopy {
    policy: LogPolicy,
    attempt: u64,
    /// Whether the attempt has ended: a full disk is then waited for no more, or whoever waits for the end would wait, too.
    /// Shared with what is being taken.
    is_over: Arc<AtomicBool>,
}

/// One piece of output, as its keeper has it.
#[derive(Debug)]
pub(super) struct Piece<B> {
    pub(super) stream: Stream,
    /// By its keeper's clock, in nanoseconds since 1970.
    pub(super) at_ns: u64,
    pub(super) bytes: B,
    /// Whether something right before it is not to be had any more.
    pub(super) after_gap: bool,
}

impl LogCopy {
    pub(super) fn new(policy: LogPolicy, attempt: u64) -> Self {
        Self {
            policy,
            attempt,
            is_over: Arc::default(),
        }
    }

    /// In the words of whoever writes it.
    pub(super) fn policy(&self) -> &LogPolicy {
        &self.policy
    }

    /// The attempt has ended.
    pub(super) fn is_over(&self) {
        self.is_over.store(true, Ordering::Release);
    }

    /// Goes on where the log ends.
    pub(super) async fn open(&self) -> io::Result<LogAppender> {
        let (policy, attempt) = (self.policy.clone(), self.attempt);
        let mut log = blocking::unblock(move || LogAppender::open(&policy, attempt)).await?;
        if self.is_over.load(Ordering::Acquire) {
            log.wait_no_more();
        }
        Ok(log)
    }

    /// Records that the attempt begins, unless that is recorded.
    pub(super) async fn begin(&self, mut log: LogAppender, at_ns: u64) -> LogAppender {
        blocking::unblock(move || {
            log.begin(at_ns);
            log
        })
        .await
    }

    /// Records that something is missing here.
    pub(super) async fn gap(&self, mut log: LogAppender) -> LogAppender {
        blocking::unblock(move || {
            log.gap();
            log
        })
        .await
    }

    /// What of it is not there yet, as the judge says, into the log; and what does not fit there as its policy says.
    pub(super) async fn store<B: AsRef<[u8]> + Send + 'static>(
        &self,
        mut log: LogAppender,
        batch: Vec<Piece<B>>,
        mut judge: impl FnMut(Stream, u64) -> Known,
    ) -> Result<LogAppender, AppendError> {
        let mut new = Vec::with_capacity(batch.len());
        for piece in batch {
            let is_after_gap = match judge(piece.stream, piece.at_ns) {
                Known::Stored => continue,
                Known::New => piece.after_gap,
                Known::NewAfterGap => true,
            };
            if is_after_gap {
                log = self.write(log, std::mem::take(&mut new)).await?;
                log = self.gap(log).await;
            }
            new.push(piece);
        }
        self.write(log, new).await
    }

    async fn write<B: AsRef<[u8]> + Send + 'static>(
        &self,
        mut log: LogAppender,
        mut new: Vec<Piece<B>>,
    ) -> Result<LogAppender, AppendError> {
        while !new.is_empty() {
            let (outcome, written, rest) = blocking::unblock(move || {
                let records: Vec<OutputRecord<'_>> = new.iter().map(Piece::record).collect();
                let outcome = log.append(&records);
                drop(records);
                (outcome, log, new)
            })
            .await;
            log = written;
            match outcome {
                Ok(()) => break,
                Err(AppendError::Full { taken }) => {
                    new = rest.into_iter().skip(taken).collect();
                    match self.is_over.load(Ordering::Acquire) {
                        true => log.wait_no_more(),
                        false => drop(Timer::after(UNTIL_THERE_IS_ROOM).await),
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(log)
    }

    /// Records that the attempt is over, after its last byte.
    pub(super) async fn end(&self, mut log: LogAppender, at_ns: u64) {
        loop {
            let (ended, again) = blocking::unblock(move || (log.end(at_ns), log)).await;
            match ended {
                Ok(()) => return,
                Err(_) => Timer::after(UNTIL_THERE_IS_ROOM).await,
            };
            log = again;
        }
    }
}

impl<B: AsRef<[u8]>> Piece<B> {
    fn record(&self) -> OutputRecord<'_> {
        OutputRecord {
            stream: self.stream,
            at_ns: self.at_ns,
            bytes: self.bytes.as_ref(),
        }
    }
}

/// As much as one write of the log takes.
pub(super) const BATCH_BYTES: usize = 256 * 1024;

/// A full disk is looked at this often; whoever keeps the output holds what comes meanwhile.
const UNTIL_THERE_IS_ROOM: Duration = Duration::from_secs(1);
