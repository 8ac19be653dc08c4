//! The output of an attempt on a host, as records.
//!
//! Owns: taking it from the files that the service writes, piece by piece. The time of a piece is when it was taken, and stands
//! on the host before anybody hears of it, so what was told once is told again with the same time.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use futures_lite::FutureExt;
use service_shim::agent::protocol::{Answer, Failure};
use service_shim::agent::record::Record;
use service_shim::log::Stream;

use super::bridge::Bridge;
use super::index::{Index, Piece};
use super::shell::ShellError;
use super::watch::{Seen, Sizes};
use crate::agent::stream::{AgentStream, StreamError};

/// Which output is wanted.
pub(super) struct Wanted {
    pub(super) dir: PathBuf,
    pub(super) attempt: u64,
    pub(super) since_ns: Option<u64>,
    pub(super) follow: bool,
}

/// Why no more of it is told.
pub(super) enum Stop {
    /// Nobody listens any more.
    Gone,
    Failed(Failure),
}

impl From<StreamError> for Stop {
    fn from(_: StreamError) -> Stop {
        Stop::Gone
    }
}

impl From<ShellError> for Stop {
    fn from(error: ShellError) -> Stop {
        Stop::Failed(error.failure())
    }
}

/// Tells it until its end, or for as long as somebody listens.
pub(super) async fn tell(
    bridge: &Bridge,
    wanted: &Wanted,
    stream: &AgentStream,
) -> Result<(), Stop> {
    let mut log = Log::open(bridge, wanted).await?;
    stream.say(&Answer::Open);
    if wanted.since_ns.is_none() {
        let (attempt, at_ns) = (wanted.attempt, log.begin_ns);
        send(stream, &Record::Begin { attempt, at_ns }).await?;
    }
    for piece in log.index.since(wanted.since_ns.unwrap_or_default()) {
        let bytes = log.give(piece).await?;
        log.send(stream, piece, bytes).await?;
    }
    let watching = bridge.watch.log(&log.prefix);
    loop {
        let gone = async {
            stream.gone().await;
            None
        };
        let Some(Seen::Log(sizes)) = watching.next().or(gone).await else {
            return Err(Stop::Gone);
        };
        log.take_all(stream, &sizes).await?;
        if sizes.has_ended {
            let at_ns = log.index.after(log.end_ns().await?);
            let attempt = wanted.attempt;
            send(stream, &Record::End { attempt, at_ns }).await?;
        }
        if sizes.has_ended || !wanted.follow {
            stream.end();
            return Ok(());
        }
    }
}

/// The files of an attempt there.
struct Log<'a> {
    bridge: &'a Bridge,
    attempt: u64,
    prefix: PathBuf,
    /// The name of who takes it: the last one does.
    reader: String,
    begin_ns: u64,
    index: Index,
}

impl<'a> Log<'a> {
    async fn open(bridge: &'a Bridge, wanted: &Wanted) -> Result<Log<'a>, ShellError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let reader = format!("{}-{number}-{}", std::process::id(), now_ns());
        let prefix = wanted.dir.join(wanted.attempt.to_string());
        let words = [prefix.as_os_str(), OsStr::new(&reader)];
        let reply = bridge.shell.ask("log", words).await?;
        Ok(Log {
            bridge,
            attempt: wanted.attempt,
            prefix,
            reader,
            begin_ns: reply.number("begin").unwrap_or_default(),
            index: Index::read(&reply.text()),
        })
    }

    /// All that is there and was not taken.
    async fn take_all(&mut self, stream: &AgentStream, sizes: &Sizes) -> Result<(), Stop> {
        for side in Stream::ALL {
            let size = sizes.bytes[side.index()];
            while let Some(piece) = self.index.next(side, size, now_ns()) {
                let bytes = self.take(piece).await?;
                self.index.took(piece);
                self.send(stream, piece, bytes).await?;
            }
        }
        if let Some(text) = self.index.shorter() {
            let words = [
                self.prefix.as_os_str(),
                OsStr::new(&self.reader),
                OsStr::new(&text),
            ];
            self.bridge.shell.ask("index", words).await?;
        }
        Ok(())
    }

    async fn take(&self, piece: Piece) -> Result<Vec<u8>, ShellError> {
        let words: [OsString; 6] = [
            self.prefix.clone().into(),
            self.reader.clone().into(),
            piece.at_ns.to_string().into(),
            piece.file().into(),
            piece.offset.to_string().into(),
            piece.length.to_string().into(),
        ];
        let reply = self.bridge.shell.ask("take", words).await?;
        Ok(reply.into_bytes())
    }

    async fn give(&self, piece: Piece) -> Result<Vec<u8>, ShellError> {
        let words: [OsString; 4] = [
            self.prefix.clone().into(),
            piece.file().into(),
            piece.offset.to_string().into(),
            piece.length.to_string().into(),
        ];
        let reply = self.bridge.shell.ask("give", words).await?;
        Ok(reply.into_bytes())
    }

    async fn end_ns(&self) -> Result<u64, ShellError> {
        let prefix = [Path::as_os_str(&self.prefix)];
        let reply = self.bridge.shell.ask("log_end", prefix).await?;
        Ok(reply.number("end").unwrap_or_default())
    }

    async fn send(
        &self,
        stream: &AgentStream,
        piece: Piece,
        bytes: Vec<u8>,
    ) -> Result<(), StreamError> {
        let record = Record::Output {
            stream: piece.stream,
            attempt: self.attempt,
            at_ns: piece.at_ns,
            bytes,
        };
        send(stream, &record).await
    }
}

/// Sends a record, as there is room for it.
pub(super) async fn send(stream: &AgentStream, record: &Record) -> Result<(), StreamError> {
    let mut bytes = Vec::new();
    record.encode(&mut bytes);
    stream.write(&bytes).await
}

/// By the clock of this machine.
pub(super) fn now_ns() -> u64 {
    let since_1970 = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX)
}
