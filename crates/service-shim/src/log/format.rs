//! Bytes of an index: header and records, and which files a segment has.
//!
//! Owns: the encoding described in [`crate::log`]. Never decides what is written when.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};

/// One of the two outputs of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// Both, in the order of the format.
    pub const ALL: [Stream; 2] = [Stream::Stdout, Stream::Stderr];

    /// Its place in that order.
    pub fn index(self) -> usize {
        match self {
            Stream::Stdout => 0,
            Stream::Stderr => 1,
        }
    }

    fn suffix(self) -> &'static str {
        match self {
            Stream::Stdout => "out",
            Stream::Stderr => "err",
        }
    }
}

/// The header of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Header {
    pub(crate) base: [u64; 2],
    pub(crate) created_ns: u64,
    pub(crate) attempt: u64,
    /// How many records of each stream before this segment, the last ones, have the time that its `carried` record says.
    pub(crate) run: [u32; 2],
}

/// One entry of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) kind: Kind,
    pub(crate) stream: Stream,
    /// On `begin`: the service writes the files itself.
    pub(crate) direct: bool,
    /// On `data`: it has the time of the record before it in its stream.
    pub(crate) same_time: bool,
    /// On `data` and `carried`: it ends in the middle of a line, and whoever sends the rest gives it the same time.
    pub(crate) is_open: bool,
    pub(crate) length: u32,
    pub(crate) offset: u64,
    pub(crate) attempt: u64,
    pub(crate) at_ns: u64,
}

/// What a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Data,
    /// Stands for the last data before the segment.
    Carried,
    Begin,
    End,
    Dropped,
}

impl Header {
    pub(crate) fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0u8; HEADER_LEN];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.base[0].to_le_bytes());
        bytes[24..32].copy_from_slice(&self.base[1].to_le_bytes());
        bytes[32..40].copy_from_slice(&self.created_ns.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.attempt.to_le_bytes());
        bytes[48..52].copy_from_slice(&self.run[0].to_le_bytes());
        bytes[52..56].copy_from_slice(&self.run[1].to_le_bytes());
        bytes
    }

    /// None when the bytes are no header of a version this crate reads.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Header> {
        let known =
            bytes.len() >= HEADER_LEN && &bytes[..8] == MAGIC && word(bytes, 8) == FORMAT_VERSION;
        known.then(|| Header {
            base: [long(bytes, 16), long(bytes, 24)],
            created_ns: long(bytes, 32),
            attempt: long(bytes, 40),
            run: [word(bytes, 48), word(bytes, 52)],
        })
    }
}

impl Record {
    pub(crate) fn encode(&self) -> [u8; RECORD_LEN] {
        let mut bytes = [0u8; RECORD_LEN];
        bytes[0] = match self.kind {
            Kind::Data | Kind::Carried => 1,
            Kind::Begin => 2,
            Kind::End => 3,
            Kind::Dropped => 4,
        };
        bytes[1] = self.stream.index() as u8;
        bytes[2] = u8::from(self.direct)
            | u8::from(self.same_time) << 1
            | u8::from(self.kind == Kind::Carried) << 2
            | u8::from(self.is_open) << 3;
        bytes[4..8].copy_from_slice(&self.length.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.offset.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.attempt.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.at_ns.to_le_bytes());
        bytes
    }

    /// One past its last byte, in its stream.
    pub(crate) fn end(&self) -> u64 {
        self.offset.saturating_add(u64::from(self.length))
    }

    /// None when the bytes are no record: zeros that a power cut left, or a kind of a later version.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Record> {
        let kind = match bytes[0] {
            1 if bytes[2] & 4 != 0 => Kind::Carried,
            1 => Kind::Data,
            2 => Kind::Begin,
            3 => Kind::End,
            4 => Kind::Dropped,
            _ => return None,
        };
        Some(Record {
            kind,
            stream: if bytes[1] == 0 {
                Stream::Stdout
            } else {
                Stream::Stderr
            },
            direct: bytes[2] & 1 != 0,
            same_time: bytes[2] & 2 != 0,
            is_open: bytes[2] & 8 != 0,
            length: match kind {
                Kind::Carried => 0,
                Kind::Data | Kind::Begin | Kind::End | Kind::Dropped => word(bytes, 4),
            },
            offset: long(bytes, 8),
            attempt: long(bytes, 16),
            at_ns: long(bytes, 24),
        })
    }
}

/// The name of a segment's index.
pub(crate) fn index_name(segment: u64) -> String {
    format!("{segment:06}.idx")
}

/// The name of a segment's data file.
pub(crate) fn data_name(segment: u64, stream: Stream) -> String {
    format!("{segment:06}.{}", stream.suffix())
}

/// The numbers of the segments in a directory, oldest first.
pub(crate) fn segments(dir: &OwnedFd) -> io::Result<Vec<u64>> {
    let mut found = Vec::new();
    for entry in rustix::fs::Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry
            .file_name()
            .to_str()
            .ok()
            .and_then(|name| name.strip_suffix(".idx"));
        found.extend(name.and_then(|digits| digits.parse::<u64>().ok()));
    }
    found.sort_unstable();
    Ok(found)
}

/// Opens a file of a log directory, and nothing a link points to.
pub(crate) fn open_in(dir: &OwnedFd, name: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    rustix::fs::openat(dir, name, flags, Mode::RUSR | Mode::WUSR)
}

/// The header of an open index; none while it is incomplete.
///
/// # Errors
/// It cannot be read, or was written by a later version.
pub(crate) fn read_header(index: &OwnedFd) -> io::Result<Option<Header>> {
    let mut bytes = [0u8; HEADER_LEN];
    let read = rustix::io::pread(index, &mut bytes, 0)?;
    let bytes = &bytes[..read];
    if read == HEADER_LEN && &bytes[..8] == MAGIC && word(bytes, 8) > FORMAT_VERSION {
        let found = word(bytes, 8);
        let message =
            format!("the log has format {found}; this program knows up to {FORMAT_VERSION}");
        return Err(io::Error::new(io::ErrorKind::Unsupported, message));
    }
    Ok(Header::decode(bytes))
}

/// The size of a file.
pub(crate) fn size(file: impl AsFd) -> io::Result<u64> {
    Ok(u64::try_from(rustix::fs::fstat(file)?.st_size).unwrap_or(0))
}

/// Where record number `record` stands in an index.
pub(crate) fn position(record: u64) -> u64 {
    // A cursor may come from anybody: one that is far out stands behind every file.
    record
        .saturating_mul(RECORD_LEN as u64)
        .saturating_add(HEADER_LEN as u64)
}

/// How many whole records an index of this size has.
pub(crate) fn records_in(size: u64) -> u64 {
    size.saturating_sub(HEADER_LEN as u64) / RECORD_LEN as u64
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

pub(crate) const HEADER_LEN: usize = 64;
pub(crate) const RECORD_LEN: usize = 32;
const MAGIC: &[u8; 8] = b"HRNSLOG\0";
const FORMAT_VERSION: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    /// Of every index of the samples of this format.
    fn indexes() -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        for sample in testkit::samples_of("log", FORMAT_VERSION.into()) {
            let logs = sample.files("home/log");
            let indexes = logs
                .iter()
                .filter(|path| path.extension().is_some_and(|end| end == "idx"));
            found.extend(indexes.map(|path| std::fs::read(path).expect("checked in")));
        }
        assert!(found.len() > 5, "{}", found.len());
        found
    }

    #[test]
    fn an_index_is_written_as_it_was_read() {
        for index in indexes() {
            let (head, records) = index.split_at(HEADER_LEN);
            let header = Header::decode(head).expect("a header");
            assert_eq!(header.encode(), head, "raise FORMAT_VERSION");
            assert!(!records.is_empty());
            for bytes in records.chunks(RECORD_LEN) {
                let record = Record::decode(bytes).expect("a record");
                assert_eq!(record.encode(), bytes, "raise FORMAT_VERSION");
            }
        }
    }
}
