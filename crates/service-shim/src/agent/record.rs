//! The records in the data of a log's stream and of a command's.
//!
//! Owns: their form: a tag (one byte), a number and a time (eight bytes each, little-endian), the length of what follows
//! (four), and that. They are cut into frames anywhere.

use crate::log::{Entry, GapCause, Stream};

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// Output.
    Output {
        /// Where it was written.
        stream: Stream,
        /// By which attempt; 0 of a command.
        attempt: u64,
        /// When, in nanoseconds since 1970; 0 of a command.
        at_ns: u64,
        /// What.
        bytes: Vec<u8>,
    },
    /// An attempt begins.
    Begin {
        /// Which.
        attempt: u64,
        /// When.
        at_ns: u64,
    },
    /// An attempt has ended.
    End {
        /// Which.
        attempt: u64,
        /// When.
        at_ns: u64,
    },
    /// Output that is not to be had any more.
    Gap {
        /// How many bytes; 0 where nobody knows.
        bytes: u64,
    },
    /// A command has ended.
    Exit(CommandExit),
}

/// How a command has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandExit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// By the timeout, which killed it.
    TimedOut,
}

/// Gathers bytes until they are records.
#[derive(Debug, Default)]
pub struct RecordDecoder {
    bytes: Vec<u8>,
    at: usize,
}

/// Bytes that are no records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a record of kind {tag} with {length} bytes is not known")]
pub struct RecordError {
    tag: u8,
    length: u32,
}

impl Record {
    /// What an entry of a log is as a record.
    pub fn of(entry: Entry) -> Record {
        match entry {
            Entry::Data {
                stream,
                attempt,
                at_ns,
                bytes,
                ..
            } => Record::Output {
                stream,
                attempt,
                at_ns,
                bytes,
            },
            Entry::Begin { attempt, at_ns } => Record::Begin { attempt, at_ns },
            Entry::End { attempt, at_ns } => Record::End { attempt, at_ns },
            Entry::Gap {
                cause: GapCause::NotKept,
                ..
            } => Record::Gap { bytes: 0 },
            Entry::Gap { bytes, .. } => Record::Gap { bytes },
        }
    }

    /// Appends the record to what is to be sent.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let (tag, number, at_ns, bytes): (u8, u64, u64, &[u8]) = match self {
            Record::Output {
                stream: Stream::Stdout,
                attempt,
                at_ns,
                bytes,
            } => (STDOUT, *attempt, *at_ns, bytes),
            Record::Output {
                stream: Stream::Stderr,
                attempt,
                at_ns,
                bytes,
            } => (STDERR, *attempt, *at_ns, bytes),
            Record::Begin { attempt, at_ns } => (BEGIN, *attempt, *at_ns, &[]),
            Record::End { attempt, at_ns } => (END, *attempt, *at_ns, &[]),
            Record::Gap { bytes } => (GAP, *bytes, 0, &[]),
            Record::Exit(CommandExit::Code(code)) => (CODE, number_of(*code), 0, &[]),
            Record::Exit(CommandExit::Signal(signal)) => (SIGNAL, number_of(*signal), 0, &[]),
            Record::Exit(CommandExit::TimedOut) => (TIMED_OUT, 0, 0, &[]),
        };
        let length = u32::try_from(bytes.len()).expect("an entry of a log is short");
        out.push(tag);
        out.extend_from_slice(&number.to_le_bytes());
        out.extend_from_slice(&at_ns.to_le_bytes());
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(bytes);
    }
}

impl RecordDecoder {
    /// Adds what came.
    pub fn push(&mut self, bytes: &[u8]) {
        drop(self.bytes.drain(..std::mem::take(&mut self.at)));
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole record.
    ///
    /// # Errors
    /// [`RecordError`]: nothing after it can be understood.
    pub fn next_record(&mut self) -> Result<Option<Record>, RecordError> {
        let rest = &self.bytes[self.at..];
        let Some((head, rest)) = rest.split_first_chunk::<HEAD>() else {
            return Ok(None);
        };
        let eight = |from: usize| {
            let bytes = head[from..from + 8].try_into();
            u64::from_le_bytes(bytes.expect("eight of them"))
        };
        let (tag, number, at_ns) = (head[0], eight(1), eight(9));
        let length = head[17..].try_into();
        let length = u32::from_le_bytes(length.expect("four of them"));
        let unknown = RecordError { tag, length };
        let is_output = matches!(tag, STDOUT | STDERR);
        let whole = usize::try_from(length).map_err(|_| unknown)?;
        if whole > MAX_OUTPUT || (whole > 0 && !is_output) {
            return Err(unknown);
        }
        let Some(bytes) = rest.get(..whole) else {
            return Ok(None);
        };
        let output = |stream| Record::Output {
            stream,
            attempt: number,
            at_ns,
            bytes: bytes.to_vec(),
        };
        let small = || i32::try_from(number).map_err(|_| unknown);
        let attempt = number;
        let record = match tag {
            STDOUT => output(Stream::Stdout),
            STDERR => output(Stream::Stderr),
            BEGIN => Record::Begin { attempt, at_ns },
            END => Record::End { attempt, at_ns },
            GAP => Record::Gap { bytes: number },
            CODE => Record::Exit(CommandExit::Code(small()?)),
            SIGNAL => Record::Exit(CommandExit::Signal(small()?)),
            TIMED_OUT => Record::Exit(CommandExit::TimedOut),
            _ => return Err(unknown),
        };
        self.at += HEAD + whole;
        Ok(Some(record))
    }
}

fn number_of(small: i32) -> u64 {
    u64::try_from(small).unwrap_or_default()
}

const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const BEGIN: u8 = 3;
const END: u8 = 4;
const GAP: u8 = 5;
const CODE: u8 = 6;
const SIGNAL: u8 = 7;
const TIMED_OUT: u8 = 8;
/// What stands before the bytes of a record.
pub(super) const HEAD: usize = 21;

/// What [`crate::log::LogReader`] gives at once.
const MAX_OUTPUT: usize = 256 * 1024;
