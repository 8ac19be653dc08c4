//! Goes through an archive once, and refuses it at the first thing that may not be.
//!
//! Owns: the order of the questions. Writes nothing itself: a [`Sink`] is told of each entry only after everything
//! that its header says was accepted. The pass before unpacking and unpacking itself are this same function.

use std::collections::BTreeMap;
use std::io::{self, BufRead};

use super::gate::Gate;
use super::header::{BLOCK, EXTENDED, Extended, FILE, Header, LINK};
use super::refusal::{Limits, Refusal};
use crate::digest::Counting;
use crate::manifest::{Content, Entry, MANIFEST_NAME, Manifest};
use crate::path::{Clash, EntryPath, LinkTarget, PathFault, Seen};

/// Where the entries of an accepted archive go.
pub(crate) trait Sink {
    /// An entry begins. A link is complete by this.
    fn begin(&mut self, entry: &Entry) -> io::Result<()>;
    /// More bytes of the file that began last.
    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// The file that began last is complete, and has the hash that it shall have.
    fn end(&mut self) -> io::Result<()>;
}

/// Takes nothing: for looking only.
pub(crate) struct NoSink;

impl Sink for NoSink {
    fn begin(&mut self, _: &Entry) -> io::Result<()> {
        Ok(())
    }

    fn bytes(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Why going through ended early.
#[derive(Debug)]
pub(crate) enum ScanError {
    /// The archive is not taken.
    Refused(Refusal),
    /// The archive could not be read.
    Read(io::Error),
    /// The sink could not take an entry.
    Sink(io::Error),
}

impl From<Refusal> for ScanError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Goes through an archive of `compressed` bytes.
pub(crate) fn scan(
    archive: impl BufRead,
    compressed: u64,
    limits: &Limits,
    sink: &mut impl Sink,
) -> Result<Manifest, ScanError> {
    let mut scan = Scan {
        gate: Gate::new(archive, compressed, *limits),
        limits: *limits,
        headers: 0,
        entries: 0,
        seen: Seen::default(),
    };
    let manifest = scan.manifest()?;
    let mut expected: BTreeMap<&EntryPath, &Entry> = manifest
        .entries()
        .iter()
        .map(|entry| (&entry.path, entry))
        .collect();
    while let Some(header) = scan.header()? {
        let found = scan.judge(&header)?;
        let entry = expected
            .remove(&found.path)
            .ok_or(Refusal::Unlisted { path: found.path })?;
        compare(entry, &header, found.target.as_ref())?;
        sink.begin(entry).map_err(ScanError::Sink)?;
        scan.content(entry, sink)?;
    }
    if let Some(path) = expected.into_keys().next() {
        let path = path.clone();
        return Err(Refusal::Missing { path }.into());
    }
    scan.gate.end()?;
    Ok(manifest)
}

struct Scan<R> {
    gate: Gate<R>,
    limits: Limits,
    headers: usize,
    entries: usize,
    seen: Seen,
}

/// A header whose path, type and target are accepted.
struct Found {
    path: EntryPath,
    target: Option<LinkTarget>,
}

impl<R: BufRead> Scan<R> {
    /// The first entry.
    fn manifest(&mut self) -> Result<Manifest, ScanError> {
        let header = self.header()?.ok_or(Refusal::NoManifest)?;
        let is_manifest = header.path == MANIFEST_NAME.as_bytes()
            && header.kind == FILE
            && header.size <= self.limits.manifest_bytes;
        if !is_manifest {
            return Err(Refusal::NoManifest.into());
        }
        let found = self.judge(&header)?;
        debug_assert_eq!(found.path.as_str(), MANIFEST_NAME);
        let mut text = Vec::new();
        self.pieces(header.size, |piece| {
            text.extend_from_slice(piece);
            Ok(())
        })?;
        Manifest::from_json(&text).map_err(|error| Refusal::Manifest(error).into())
    }

    /// The next header with what extends it; `None` at the end of the tar.
    fn header(&mut self) -> Result<Option<Header>, ScanError> {
        let Some(mut header) = self.block()? else {
            return Ok(None);
        };
        if header.kind == EXTENDED {
            let index = self.headers - 1;
            let bad = |what| Refusal::BadHeader { index, what };
            if header.size > EXTENDED_BYTES {
                return Err(bad("the extended header is too long").into());
            }
            let mut records = Vec::new();
            self.pieces(header.size, |piece| {
                records.extend_from_slice(piece);
                Ok(())
            })?;
            let extended = Extended::read(&records, index)?;
            header = self.block()?.ok_or(Refusal::Truncated)?;
            if header.kind == EXTENDED {
                return Err(bad("one extended header follows another").into());
            }
            if extended.is_sparse {
                let path = shown(extended.path.as_deref().unwrap_or(&header.path));
                return Err(Refusal::Sparse { path }.into());
            }
            header.extend(extended, index)?;
        }
        self.entries += 1;
        if self.entries > self.limits.entries {
            let limit = self.limits.entries;
            return Err(Refusal::TooManyEntries { limit }.into());
        }
        self.gate.announce(header.size)?;
        Ok(Some(header))
    }

    /// The next block as a header; `None` for the two zero blocks at the end.
    fn block(&mut self) -> Result<Option<Header>, ScanError> {
        let mut block = [0; BLOCK];
        self.gate.fill(&mut block)?;
        if block == [0; BLOCK] {
            self.gate.fill(&mut block)?;
            return if block == [0; BLOCK] {
                Ok(None)
            } else {
                Err(Refusal::TrailingGarbage.into())
            };
        }
        self.headers += 1;
        Ok(Some(Header::read(&block, self.headers - 1)?))
    }

    /// What can be said of an entry without the manifest.
    fn judge(&mut self, header: &Header) -> Result<Found, ScanError> {
        let shown = || shown(&header.path);
        let path = EntryPath::parse(&header.path).map_err(|fault| {
            if fault == PathFault::NotPlain && self.seen.knows_spelling(&header.path) {
                let clash = Clash::Duplicate;
                let path = shown();
                return Refusal::Clash { path, clash };
            }
            let path = shown();
            Refusal::Path { path, fault }
        })?;
        let target =
            match header.kind {
                FILE => None,
                LINK => Some(LinkTarget::parse(&path, &header.target).map_err(|fault| {
                    Refusal::Link {
                        path: shown(),
                        fault,
                    }
                })?),
                kind => return Err(unwelcome(kind, shown()).into()),
            };
        self.seen
            .add(&path, target.is_some())
            .map_err(|clash| Refusal::Clash {
                path: shown(),
                clash,
            })?;
        if header.mode & 0o6000 != 0 {
            return Err(Refusal::SetId { path: shown() }.into());
        }
        let misplaced = match target {
            Some(_) => header.size != 0,
            None => !header.target.is_empty(),
        };
        if misplaced {
            let index = self.headers - 1;
            let what = "a link with bytes, or a file with a target";
            return Err(Refusal::BadHeader { index, what }.into());
        }
        Ok(Found { path, target })
    }

    /// The bytes of an entry into the sink, and their hash beside the manifest's.
    fn content(&mut self, entry: &Entry, sink: &mut impl Sink) -> Result<(), ScanError> {
        let Content::File { size, sha256, .. } = &entry.content else {
            return Ok(());
        };
        let mut count = Counting::default();
        self.pieces(*size, |piece| {
            count.add(piece);
            sink.bytes(piece).map_err(ScanError::Sink)
        })?;
        if count.end() != *sha256 {
            let path = entry.path.clone();
            return Err(Refusal::WrongHash { path }.into());
        }
        sink.end().map_err(ScanError::Sink)
    }

    /// So many bytes piece by piece, and the zeros that fill their last block.
    fn pieces(
        &mut self,
        size: u64,
        mut take: impl FnMut(&[u8]) -> Result<(), ScanError>,
    ) -> Result<(), ScanError> {
        let mut buffer = [0; PIECE];
        let mut left = size;
        while left > 0 {
            let length = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
            self.gate.fill(&mut buffer[..length])?;
            take(&buffer[..length])?;
            left -= length as u64;
        }
        let used = usize::try_from(size % BLOCK as u64).expect("less than a block");
        let filling = &mut buffer[..(BLOCK - used) % BLOCK];
        self.gate.fill(filling)?;
        if filling.iter().any(|byte| *byte != 0) {
            return Err(Refusal::TrailingGarbage.into());
        }
        Ok(())
    }
}

/// The reason for a type that no package has.
fn unwelcome(kind: u8, path: String) -> Refusal {
    match kind {
        b'1' => Refusal::HardLink { path },
        b'3' | b'4' => Refusal::Device { path },
        b'5' => Refusal::Directory { path },
        b'6' => Refusal::Fifo { path },
        b'S' => Refusal::Sparse { path },
        kind => Refusal::UnknownType {
            path,
            kind: char::from(kind),
        },
    }
}

/// What the header says beside what the manifest says.
fn compare(entry: &Entry, header: &Header, target: Option<&LinkTarget>) -> Result<(), Refusal> {
    let path = || entry.path.clone();
    match (&entry.content, target) {
        (Content::Link { target: expected }, Some(found)) if expected == found => Ok(()),
        (Content::Link { .. }, _) | (Content::File { .. }, Some(_)) => {
            Err(Refusal::WrongLink { path: path() })
        }
        (Content::File { mode, .. }, None) if mode.bits() != header.mode => {
            Err(Refusal::WrongMode {
                path: path(),
                expected: *mode,
                found: header.mode,
            })
        }
        (Content::File { size, .. }, None) if *size != header.size => Err(Refusal::WrongSize {
            path: path(),
            expected: *size,
            found: header.size,
        }),
        (Content::File { .. }, None) => Ok(()),
    }
}

/// A path for a message, whatever its bytes are.
fn shown(path: &[u8]) -> String {
    path.escape_ascii().take(200).map(char::from).collect()
}

/// Two paths of the longest kind, and a size.
const EXTENDED_BYTES: u64 = 16 << 10;

/// What is read and hashed at a time.
const PIECE: usize = 64 << 10;
