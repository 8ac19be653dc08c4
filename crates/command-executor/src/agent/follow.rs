//! Streams of records: of a log, and of a command.
//!
//! Owns: finding the records in what comes.

use service_shim::agent::protocol::{Failure, FailureKind};
use service_shim::agent::record::{CommandExit, Record, RecordDecoder};

use super::stream::{AgentStream, StreamError};

/// The records of a log on a host. Dropped, nothing more is sent.
#[derive(Debug)]
pub struct LogRecords {
    stream: AgentStream,
    decoder: RecordDecoder,
}

/// A command on a host. Dropped before its end, it is killed.
#[derive(Debug)]
pub struct RunningCommand(LogRecords);

impl LogRecords {
    pub(super) fn new(stream: AgentStream) -> LogRecords {
        LogRecords {
            stream,
            decoder: RecordDecoder::default(),
        }
    }

    /// The next record; none when there are no more.
    ///
    /// # Errors
    /// [`StreamError`].
    ///
    /// # Cancellation
    /// Safe: nothing is lost.
    pub async fn next(&mut self) -> Result<Option<Record>, StreamError> {
        loop {
            if let Some(record) = self.ready()? {
                return Ok(Some(record));
            }
            let Some(bytes) = self.stream.read().await? else {
                return Ok(None);
            };
            self.stream.taken(bytes.len());
            self.decoder.push(&bytes);
        }
    }

    /// The next record, if it has come already.
    ///
    /// # Errors
    /// [`StreamError`].
    pub fn ready(&mut self) -> Result<Option<Record>, StreamError> {
        let record = self.decoder.next_record();
        record.map_err(|error| {
            StreamError::Failed(Failure::new(FailureKind::System, error.to_string()))
        })
    }
}

impl RunningCommand {
    pub(super) fn new(stream: AgentStream) -> RunningCommand {
        RunningCommand(LogRecords::new(stream))
    }

    /// What it says next; [`Record::Exit`] is the last.
    ///
    /// # Errors
    /// [`StreamError`]: how it ended is not known.
    ///
    /// # Cancellation
    /// Safe: nothing is lost.
    pub async fn next(&mut self) -> Result<Record, StreamError> {
        match self.0.next().await? {
            Some(record) => Ok(record),
            None => {
                let message = "the agent did not tell how the command has ended";
                Err(Failure::new(FailureKind::System, message).into())
            }
        }
    }

    /// Writes to its stdin.
    ///
    /// # Errors
    /// [`StreamError`].
    pub async fn write(&self, bytes: &[u8]) -> Result<(), StreamError> {
        self.0.stream.write(bytes).await
    }

    /// Closes its stdin.
    pub fn close_stdin(&self) {
        self.0.stream.end();
    }

    /// All that it says, and how it ends.
    ///
    /// # Errors
    /// [`StreamError`]. No more than `most_bytes` of its output are kept, the first ones.
    pub async fn complete(
        mut self,
        most_bytes: usize,
    ) -> Result<([Vec<u8>; 2], CommandExit), StreamError> {
        let mut output = [Vec::new(), Vec::new()];
        self.close_stdin();
        loop {
            match self.next().await? {
                Record::Output { stream, bytes, .. } => {
                    let kept = match stream {
                        service_shim::log::Stream::Stdout => &mut output[0],
                        service_shim::log::Stream::Stderr => &mut output[1],
                    };
                    let room = most_bytes.saturating_sub(kept.len()).min(bytes.len());
                    kept.extend_from_slice(&bytes[..room]);
                }
                Record::Exit(exit) => return Ok((output, exit)),
                Record::Begin { .. } | Record::End { .. } | Record::Gap { .. } => {}
            }
        }
    }
}
