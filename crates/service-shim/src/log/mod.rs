//! The output of a unit on disk: written by one shim at a time, read by anybody at any time.
//!
//! Owns: the segment format, [`LogWriter`] for output that comes through pipes, [`LogAppender`] for output that
//! somebody else keeps and sends as records, [`LogReader`], [`LineSplitter`] and [`LogWatch`]. A reader can neither slow
//! nor change what is written. Where logs have a cap together, the writer of one may remove closed segments of another; a
//! newest segment is touched by nobody but its own writer.
//!
//! A log directory holds numbered segments. Each has an index, `000001.idx`, and up to two data files,
//! `000001.out` and `000001.err`, with the raw bytes of a stream. Format version 1, little endian:
//!
//! | at | header of an index, 64 bytes |
//! |---|---|
//! | 0 | `HRNSLOG` and a zero byte |
//! | 8 | u32 version, u32 reserved |
//! | 16 | u64 ×2: bytes of stdout and of stderr stored before this segment, since the log began |
//! | 32 | u64: when the segment was begun, in nanoseconds since 1970 |
//! | 40 | u64: the attempt that was running then |
//! | 48 | u32 ×2: for how many records of stdout and of stderr the `carried` ones of this segment stand |
//! | 56 | reserved |
//!
//! | at | record, 32 bytes |
//! |---|---|
//! | 0 | u8 kind: 1 data, 2 begin, 3 end, 4 dropped; u8 stream: 0 stdout, 1 stderr; u16 flags |
//! | 4 | u32 length in bytes |
//! | 8 | u64 offset in the stream, counted since the log began |
//! | 16 | u64 attempt |
//! | 24 | u64 nanoseconds since 1970 |
//!
//! Flag 1 on a `begin` record says that the service writes the data files itself until the `end`. A `dropped` record
//! of no length says that nobody knows how much is missing. Data is appended before its record: bytes past the last
//! record belong to whoever indexes them next, or are cut off where they are sent again. Records and header never cross
//! a page, so a killed writer leaves whole records only.
//!
//! Where output comes as records, flag 2 of a `data` record says that it has the time of the one before it in its
//! stream, and flag 8 that its last line is not finished. There, a segment begins with up to two records `carried`
//! (data, flag 4, no length): the time of the last record of each stream before it, written together with the header,
//! so that the newest segment alone tells where to go on.
//!
//! Times rise within an attempt, but not strictly: a clock may be set back, and an engine gives all pieces of a long
//! line the time of its first. Searching by time is as exact as the order of the times is.

mod appender;
mod backwards;
mod entry;
mod format;
mod lines;
mod reader;
mod recall;
mod resume;
mod seek;
mod segments;
mod total;
mod watch;
mod writer;

pub use appender::{AppendError, LogAppender, OutputRecord};
pub use entry::{Entry, GapCause};
pub use format::Stream;
pub use lines::{Line, LineSplitter};
pub use reader::{Cursor, LogReader, ReadError};
pub use resume::{Known, Resume, ResumePoint, StreamPoint};
pub use seek::Start;
pub(crate) use segments::now_ns;
pub use watch::LogWatch;
pub use writer::{Drained, LogWriter};
