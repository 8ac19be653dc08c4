//! Puts entries into an archive.
//!
//! Owns: the bytes of an archive in their order. No times, no owners: the same entries give the same bytes.

use std::io::{self, Read, Write};

use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};

use super::header::{self, BLOCK, FILE, LINK};

pub(super) struct Writer<W: Write> {
    out: GzEncoder<W>,
}

impl<W: Write> Writer<W> {
    pub(super) fn new(out: W) -> Self {
        // 255 is "unknown": the system that builds is nobody's business, and would show in the bytes.
        let out = GzBuilder::new()
            .mtime(0)
            .operating_system(255)
            .write(out, Compression::new(6));
        Self { out }
    }

    /// One file; gives how many bytes there really were, `size` and at most one more.
    pub(super) fn file(
        &mut self,
        path: &str,
        mode: u32,
        size: u64,
        bytes: impl Read,
    ) -> io::Result<u64> {
        self.out
            .write_all(&header::write(path, "", mode, size, FILE))?;
        let copied = io::copy(&mut bytes.take(size.saturating_add(1)), &mut self.out)?;
        let filling = size.next_multiple_of(BLOCK as u64) - size;
        let filling = usize::try_from(filling).expect("less than a block");
        self.out.write_all(&[0; BLOCK][..filling])?;
        Ok(copied)
    }

    pub(super) fn link(&mut self, path: &str, target: &str) -> io::Result<()> {
        self.out
            .write_all(&header::write(path, target, 0o777, 0, LINK))
    }

    /// The end of the archive; gives the writer back.
    pub(super) fn end(mut self) -> io::Result<W> {
        self.out.write_all(&[0; 2 * BLOCK])?;
        self.out.finish()
    }
}
