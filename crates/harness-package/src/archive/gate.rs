//! The one way to the bytes of an archive: decompressed, counted, and refused beyond the limits.
//!
//! Owns: gzip, its end, and the limits on bytes. Knows nothing of tar.

use std::io::{self, BufRead, ErrorKind, Read};

use flate2::bufread::GzDecoder;

use super::refusal::{Limits, Refusal};
use super::scan::ScanError;

/// From here on the ratio is asked.
const RATIO_FLOOR: u64 = 1 << 20;

pub(super) struct Gate<R> {
    inner: GzDecoder<R>,
    compressed: u64,
    passed: u64,
    limits: Limits,
}

impl<R: BufRead> Gate<R> {
    /// `compressed` is the length of the whole archive.
    pub(super) fn new(archive: R, compressed: u64, limits: Limits) -> Self {
        Self {
            inner: GzDecoder::new(archive),
            compressed,
            passed: 0,
            limits,
        }
    }

    /// Fills the whole buffer.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> Result<(), ScanError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read(&mut buffer[filled..])? {
                0 => return Err(Refusal::Truncated.into()),
                length => filled += length,
            }
        }
        Ok(())
    }

    /// Refuses a size that is announced and cannot pass, before its bytes come.
    pub(super) fn announce(&self, size: u64) -> Result<(), ScanError> {
        let limit = self.limits.total_bytes;
        if self.passed.saturating_add(size) > limit {
            return Err(Refusal::TooLarge { limit }.into());
        }
        Ok(())
    }

    /// Makes sure that nothing follows: not in the gzip, not behind it.
    pub(super) fn end(mut self) -> Result<(), ScanError> {
        if self.read(&mut [0])? != 0 {
            return Err(Refusal::TrailingGarbage.into());
        }
        let mut rest = self.inner.into_inner();
        if rest.fill_buf().map_err(ScanError::Read)?.is_empty() {
            Ok(())
        } else {
            Err(Refusal::TrailingGarbage.into())
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ScanError> {
        let length = loop {
            match self.inner.read(buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => break result.map_err(reason)?,
            }
        };
        self.passed += length as u64;
        self.announce(0)?;
        let limit = self.limits.ratio;
        if self.passed > RATIO_FLOOR && self.passed / limit > self.compressed {
            return Err(Refusal::Ratio { limit }.into());
        }
        Ok(length)
    }
}

/// What the decoder found wrong, apart from what the file below it did.
fn reason(error: io::Error) -> ScanError {
    match error.kind() {
        ErrorKind::UnexpectedEof => Refusal::Truncated.into(),
        ErrorKind::InvalidInput | ErrorKind::InvalidData => Refusal::NotGzip.into(),
        _ => ScanError::Read(error),
    }
}
