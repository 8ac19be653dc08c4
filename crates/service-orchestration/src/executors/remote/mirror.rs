//! The output of an attempt on another host, from its log there into the unit's log here.
//!
//! Owns: asking for it, again after every cut, until all of it is here. The host keeps what comes meanwhile, as much as the
//! unit's own limits say.

use std::path::PathBuf;
use std::time::Duration;

use async_channel::Receiver;
use async_io::Timer;
use command_executor::agent::{HostLink, LogRecords, RequestError, StreamError};
use futures_lite::future;
use service_shim::agent::protocol::FailureKind;
use service_shim::agent::record::Record;
use service_shim::log::{AppendError, LogAppender, Resume};

use crate::executors::copy::{BATCH_BYTES, LogCopy, Piece};

/// The log of an attempt there, and its copy here.
#[derive(Debug)]
pub(super) struct Mirror {
    pub(super) host: HostLink,
    pub(super) log_dir: PathBuf,
    pub(super) attempt: u64,
    pub(super) copy: LogCopy,
    /// Tells when the attempt has ended, in nanoseconds since 1970.
    pub(super) ended: Receiver<u64>,
}

/// Why output stays on the host for now.
#[derive(Debug, thiserror::Error)]
enum MirrorError {
    #[error("the log cannot be written")]
    Log(#[source] std::io::Error),
    #[error("a piece of output cannot be stored")]
    Piece(#[source] AppendError),
    #[error(transparent)]
    Host(#[from] RequestError),
    #[error("the host sends no more of it")]
    Short,
}

/// How far it came.
enum Taken {
    /// To the end that the log there tells of.
    All,
    /// To what is there now.
    Most(Box<LogAppender>),
    /// The attempt has ended meanwhile: the rest is there now.
    Overtaken(u64),
}

impl Mirror {
    /// Takes all of it, and returns when the last byte and the end are in the log here. Works on for as long as that takes.
    pub(super) async fn run(self) {
        let mut end = None;
        loop {
            match self.take(end).await {
                Ok(Taken::All) => return,
                Ok(Taken::Overtaken(at_ns)) => {
                    self.copy.is_over();
                    end = Some(at_ns);
                }
                Ok(Taken::Most(log)) => match end {
                    Some(at_ns) => return self.copy.end(*log, at_ns).await,
                    None => end = self.pause().await,
                },
                Err(MirrorError::Host(RequestError::Unreachable { .. })) => {
                    drop(self.host.reached().await);
                }
                // It was never started, or all of it was removed there: nothing is left to be taken.
                Err(MirrorError::Host(RequestError::Refused(failure)))
                    if end.is_some() && failure.kind == FailureKind::NotFound =>
                {
                    return;
                }
                Err(error) => {
                    let (host, reason) = (self.host.name(), crate::error_chain(&error));
                    tracing::warn!(host, reason, "its output stays there for now");
                    end = end.or(self.pause().await);
                }
            }
        }
    }

    /// A moment; the end of the attempt, if that comes meanwhile.
    async fn pause(&self) -> Option<u64> {
        let ended = async { self.ended.recv().await.ok() };
        let rested = async {
            Timer::after(AGAIN).await;
            None
        };
        future::or(ended, rested).await
    }

    /// Takes what is missing here; and, unless the attempt has ended, what comes.
    async fn take(&self, end: Option<u64>) -> Result<Taken, MirrorError> {
        let mut log = self.copy.open().await.map_err(MirrorError::Log)?;
        if log.is_ended() {
            return Ok(Taken::All);
        }
        let point = log.resume_point();
        let since_ns = point.map(|point| point.since_ns);
        let follow = end.is_none();
        let agent = self.host.agent()?;
        let asked = agent.log(&self.log_dir, self.attempt, since_ns, follow);
        let mut records = asked.await.map_err(|error| self.host.explain(error))?;
        let mut resume = Resume::new(point);
        let mut is_gap = false;
        loop {
            let next = async { Ok(records.next().await) };
            let ended = async {
                match self.ended.recv().await {
                    Ok(at_ns) if follow => Err(at_ns),
                    Ok(_) | Err(_) => future::pending().await,
                }
            };
            let first = match future::or(next, ended).await {
                Ok(next) => next.map_err(|error: StreamError| self.host.explain(error))?,
                Err(at_ns) => return Ok(Taken::Overtaken(at_ns)),
            };
            let Some(first) = first else {
                if follow {
                    return Err(MirrorError::Short);
                }
                let log = match is_gap {
                    true => self.copy.gap(log).await,
                    false => log,
                };
                return Ok(Taken::Most(Box::new(log)));
            };
            let batch = self.gather(first, &mut records)?;
            let (again, end) = self.store(log, batch, &mut resume, &mut is_gap).await?;
            log = again;
            if let Some(at_ns) = end {
                self.copy.end(log, at_ns).await;
                return Ok(Taken::All);
            }
        }
    }

    /// A record and those behind it that are there already: writing many costs as much as writing one.
    fn gather(&self, first: Record, records: &mut LogRecords) -> Result<Vec<Record>, MirrorError> {
        let size = |record: &Record| match record {
            Record::Output { bytes, .. } => bytes.len(),
            _ => 0,
        };
        let mut bytes = size(&first);
        let mut batch = vec![first];
        while bytes < BATCH_BYTES && batch.len() < MOST_RECORDS {
            let ready = records.ready();
            let Some(next) = ready.map_err(|error| self.host.explain(error))? else {
                break;
            };
            bytes += size(&next);
            batch.push(next);
        }
        Ok(batch)
    }

    /// Into the log here; when the attempt has ended, as the log there tells.
    async fn store(
        &self,
        mut log: LogAppender,
        batch: Vec<Record>,
        resume: &mut Resume,
        is_gap: &mut bool,
    ) -> Result<(LogAppender, Option<u64>), MirrorError> {
        let mut pieces: Vec<Piece<Vec<u8>>> = Vec::with_capacity(batch.len());
        for record in batch {
            match record {
                Record::Output {
                    stream,
                    attempt,
                    at_ns,
                    bytes,
                } if attempt == self.attempt => pieces.push(Piece {
                    stream,
                    at_ns,
                    bytes,
                    after_gap: std::mem::take(is_gap),
                }),
                Record::Begin { attempt, at_ns } if attempt == self.attempt => {
                    log = self.copy.begin(log, at_ns).await;
                }
                Record::End { attempt, at_ns } if attempt == self.attempt => {
                    log = self.keep(log, pieces, resume).await?;
                    if std::mem::take(is_gap) {
                        log = self.copy.gap(log).await;
                    }
                    return Ok((log, Some(at_ns)));
                }
                // It is known already when what follows is.
                Record::Gap { .. } => *is_gap = true,
                Record::Output { .. }
                | Record::Begin { .. }
                | Record::End { .. }
                | Record::Exit(_) => {}
            }
        }
        Ok((self.keep(log, pieces, resume).await?, None))
    }

    async fn keep(
        &self,
        log: LogAppender,
        pieces: Vec<Piece<Vec<u8>>>,
        resume: &mut Resume,
    ) -> Result<LogAppender, MirrorError> {
        let kept = self
            .copy
            .store(log, pieces, |stream, at_ns| resume.judge(stream, at_ns))
            .await;
        kept.map_err(MirrorError::Piece)
    }
}

/// Before output that broke off is asked for again.
const AGAIN: Duration = Duration::from_secs(1);

/// Small ones cost more than their bytes.
const MOST_RECORDS: usize = 4096;
