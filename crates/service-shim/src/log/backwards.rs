//! The records of an index, the last one first.
//!
//! Owns: one block of the index at a time, so that a long one costs few reads. Never writes.

use std::io;
use std::os::fd::OwnedFd;

use super::format::{self, RECORD_LEN, Record};

/// Reads an index from its end to its beginning.
pub(super) struct Backwards<'a> {
    index: &'a OwnedFd,
    /// Records `first..next` are still to be handed out and in `block`.
    first: u64,
    next: u64,
    block: Vec<u8>,
}

impl<'a> Backwards<'a> {
    /// Begins at the last of so many records.
    pub(super) fn new(index: &'a OwnedFd, records: u64) -> Backwards<'a> {
        Backwards {
            index,
            first: records,
            next: records,
            block: Vec::new(),
        }
    }

    /// The number of the record before, and what it says: nothing, where no record stands.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, Option<Record>)>> {
        if self.next == 0 {
            return Ok(None);
        }
        if self.next == self.first {
            self.first = self.next.saturating_sub(BLOCK_RECORDS as u64);
            let count = usize::try_from(self.next - self.first).expect("at most a block");
            self.block.resize(count * RECORD_LEN, 0);
            let read = rustix::io::pread(
                self.index,
                &mut self.block[..],
                format::position(self.first),
            )?;
            // What is not there reads as no record.
            self.block[read..].fill(0);
        }
        self.next -= 1;
        let at = usize::try_from(self.next - self.first).expect("in the block") * RECORD_LEN;
        let record = Record::decode(&self.block[at..at + RECORD_LEN]);
        Ok(Some((self.next, record)))
    }
}

// 4 KiB, a page: what is looked for mostly stands in the last few records; a whole index of 10 MiB of short lines
// takes 1600 reads, some milliseconds.
const BLOCK_RECORDS: usize = 128;
