//! Cuts a stream of bytes into lines of bounded length. Pure.
//!
//! Invariant: the pieces, with a newline after each that ends in one, are exactly the bytes that were pushed. At most
//! one line limit and one read are in memory.

use crate::event::{EventData, LineEnd};

/// What was read of one output and not yet handed on.
#[derive(Debug)]
pub(crate) struct LineCutter {
    buffer: Vec<u8>,
    /// Before this everything is handed on.
    start: usize,
    /// Between `start` and this there is no newline.
    searched: usize,
    max_line_bytes: usize,
}

impl LineCutter {
    pub(crate) fn new(max_line_bytes: usize) -> Self {
        Self {
            buffer: Vec::new(),
            start: 0,
            searched: 0,
            max_line_bytes,
        }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next line, or the next part of one that is too long.
    pub(crate) fn next(&mut self) -> Option<(EventData, LineEnd)> {
        let newline = self.buffer[self.searched..]
            .iter()
            .position(|byte| *byte == b'\n');
        let line_length = newline.map(|offset| self.searched + offset - self.start);
        match line_length {
            Some(length) if length <= self.max_line_bytes => {
                let data = self.take(length);
                self.start += 1;
                self.searched = self.start;
                Some((data, LineEnd::Newline))
            }
            // One byte more than the limit must be there: a newline might follow the full line.
            _ if self.buffer.len() - self.start > self.max_line_bytes => {
                let data = self.take(self.cut());
                Some((data, LineEnd::Continues))
            }
            _ => {
                self.searched = self.buffer.len();
                None
            }
        }
    }

    /// What is left when there will be no more: a line without its newline.
    pub(crate) fn finish(&mut self) -> Option<(EventData, LineEnd)> {
        let length = self.buffer.len() - self.start;
        (length > 0).then(|| (self.take(length), LineEnd::EndOfOutput))
    }

    fn take(&mut self, length: usize) -> EventData {
        let end = self.start + length;
        let data = EventData::from(&self.buffer[self.start..end]);
        self.start = end;
        self.searched = end;
        data
    }

    /// Where to cut a line that is too long: at the limit, or up to three bytes before it, so that a character of
    /// UTF-8 stays whole.
    fn cut(&self) -> usize {
        let is_boundary =
            |length: &usize| self.buffer[self.start + length] & 0b1100_0000 != 0b1000_0000;
        let limit = self.max_line_bytes;
        (limit - 3..=limit).rev().find(is_boundary).unwrap_or(limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(chunks: &[&[u8]], max_line_bytes: usize) -> Vec<(Vec<u8>, LineEnd)> {
        let mut cutter = LineCutter::new(max_line_bytes);
        let mut pieces = vec![];
        for chunk in chunks {
            cutter.push(chunk);
            while let Some((data, end)) = cutter.next() {
                pieces.push((data.bytes().to_vec(), end));
            }
        }
        pieces.extend(
            cutter
                .finish()
                .map(|(data, end)| (data.bytes().to_vec(), end)),
        );
        pieces
    }

    #[test]
    fn lines_come_apart_wherever_the_reads_ended() {
        let pieces = cut(&[b"one\ntw", b"o\n", b"\nthree"], 16);
        let expected: [(&[u8], LineEnd); 4] = [
            (b"one", LineEnd::Newline),
            (b"two", LineEnd::Newline),
            (b"", LineEnd::Newline),
            (b"three", LineEnd::EndOfOutput),
        ];
        assert!(
            pieces
                .iter()
                .map(|(bytes, end)| (bytes.as_slice(), *end))
                .eq(expected)
        );
    }

    #[test]
    fn a_line_of_exactly_the_limit_is_one_piece() {
        assert_eq!(
            cut(&[b"0123456789abcdef", b"\n"], 16),
            [(b"0123456789abcdef".to_vec(), LineEnd::Newline)]
        );
    }

    #[test]
    fn a_cut_leaves_characters_whole() {
        let line = "0123456789abcde\u{20ac}xyz\n";
        let pieces = cut(&[line.as_bytes()], 16);
        assert_eq!(pieces[0], (b"0123456789abcde".to_vec(), LineEnd::Continues));
        assert_eq!(
            pieces[1],
            ("\u{20ac}xyz".as_bytes().to_vec(), LineEnd::Newline)
        );
    }

    proptest! {
        #[test]
        fn the_pieces_are_the_bytes_and_none_is_too_long(
            chunks in prop::collection::vec(prop::collection::vec(
                prop_oneof![Just(b'\n'), Just(0xe2), Just(0x82), any::<u8>()], 0..60), 0..12),
            max_line_bytes in 16_usize..40,
        ) {
            let slices: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
            let mut joined = vec![];
            for (bytes, end) in cut(&slices, max_line_bytes) {
                prop_assert!(bytes.len() <= max_line_bytes);
                prop_assert!(!bytes.contains(&b'\n'));
                joined.extend(bytes);
                if end == LineEnd::Newline { joined.push(b'\n'); }
            }
            prop_assert_eq!(joined, chunks.concat());
        }
    }
}
