//! Joins the chunks of two streams to lines.
//!
//! Owns: at most one unfinished line per stream, of bounded length. Never interprets bytes beyond the newline.

use super::format::Stream;

/// One line, or a piece of one that is longer than the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// Where it was written.
    pub stream: Stream,
    /// When its end was written, in nanoseconds since 1970.
    pub at_ns: u64,
    /// The bytes, without the newline.
    pub bytes: &'a [u8],
    /// This piece goes on where the piece before it (same stream) was cut.
    pub continues: bool,
    /// A newline ended it; false for a piece that was cut, or flushed while unfinished.
    pub complete: bool,
}

/// Joins chunks to lines, each stream by itself.
#[derive(Debug)]
pub struct LineSplitter {
    max_bytes: usize,
    unfinished: [Unfinished; 2],
}

#[derive(Debug, Default)]
struct Unfinished {
    bytes: Vec<u8>,
    continues: bool,
    at_ns: u64,
}

impl LineSplitter {
    /// Lines longer than `max_bytes` come in pieces of that length.
    pub fn new(max_bytes: usize) -> LineSplitter {
        LineSplitter {
            max_bytes: max_bytes.max(1),
            unfinished: Default::default(),
        }
    }

    /// Adds a chunk and hands out every line that it finishes.
    pub fn push(
        &mut self,
        stream: Stream,
        at_ns: u64,
        mut chunk: &[u8],
        mut each: impl FnMut(Line<'_>),
    ) {
        let max_bytes = self.max_bytes;
        let held = &mut self.unfinished[stream.index()];
        held.at_ns = at_ns;
        while !chunk.is_empty() {
            let room = max_bytes - held.bytes.len();
            // One byte more than fits: a newline right behind a line of exactly the limit still belongs to it.
            let window = &chunk[..chunk.len().min(room + 1)];
            let newline = window.iter().position(|byte| *byte == b'\n');
            let (taken, skipped) = match newline {
                Some(at) => (at, 1),
                None if window.len() > room => (room, 0),
                None => {
                    held.bytes.extend_from_slice(window);
                    return;
                }
            };
            let complete = newline.is_some();
            let continues = held.continues;
            if held.bytes.is_empty() {
                each(Line {
                    stream,
                    at_ns,
                    bytes: &chunk[..taken],
                    continues,
                    complete,
                });
            } else {
                held.bytes.extend_from_slice(&chunk[..taken]);
                each(Line {
                    stream,
                    at_ns,
                    bytes: &held.bytes,
                    continues,
                    complete,
                });
                held.bytes.clear();
            }
            held.continues = !complete;
            chunk = &chunk[taken + skipped..];
        }
    }

    /// Hands out what is unfinished: at the end of an attempt, or before a gap.
    pub fn flush(&mut self, mut each: impl FnMut(Line<'_>)) {
        for stream in Stream::ALL {
            self.flush_stream(stream, &mut each);
        }
    }

    /// The same for one stream.
    pub fn flush_stream(&mut self, stream: Stream, mut each: impl FnMut(Line<'_>)) {
        let held = std::mem::take(&mut self.unfinished[stream.index()]);
        if !held.bytes.is_empty() {
            each(Line {
                stream,
                at_ns: held.at_ns,
                bytes: &held.bytes,
                continues: held.continues,
                complete: false,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(max_bytes: usize, chunks: &[&[u8]]) -> Vec<(Vec<u8>, bool, bool)> {
        let mut lines = Vec::new();
        let mut take =
            |line: Line<'_>| lines.push((line.bytes.to_vec(), line.continues, line.complete));
        let mut splitter = LineSplitter::new(max_bytes);
        for chunk in chunks {
            splitter.push(Stream::Stdout, 0, chunk, &mut take);
        }
        splitter.flush(&mut take);
        lines
    }

    #[test]
    fn a_line_of_exactly_the_limit_is_one_piece() {
        assert_eq!(
            split(4, &[b"abcd\n", b"ab", b"cd", b"\n"]),
            vec![
                (b"abcd".to_vec(), false, true),
                (b"abcd".to_vec(), false, true)
            ]
        );
    }

    #[test]
    fn a_longer_line_comes_in_pieces_that_say_so() {
        assert_eq!(
            split(4, &[b"abcdefghij\nx"]),
            vec![
                (b"abcd".to_vec(), false, false),
                (b"efgh".to_vec(), true, false),
                (b"ij".to_vec(), true, true),
                (b"x".to_vec(), false, false),
            ]
        );
    }

    #[test]
    fn the_streams_do_not_mix() {
        let mut lines = Vec::new();
        let mut splitter = LineSplitter::new(100);
        let mut take = |line: Line<'_>| lines.push((line.stream, line.bytes.to_vec()));
        splitter.push(Stream::Stdout, 0, b"out", &mut take);
        splitter.push(Stream::Stderr, 0, b"err\n", &mut take);
        splitter.push(Stream::Stdout, 0, b"put\n", &mut take);
        assert_eq!(
            lines,
            vec![
                (Stream::Stderr, b"err".to_vec()),
                (Stream::Stdout, b"output".to_vec())
            ]
        );
    }

    proptest! {
        #[test]
        fn pieces_put_together_are_the_input(
            text in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'a'), Just(0xff)], 0..200),
            cuts in proptest::collection::vec(1usize..20, 1..50),
            max_bytes in 1usize..10,
        ) {
            let mut chunks = Vec::new();
            let mut rest = &text[..];
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break }
                let (chunk, after) = rest.split_at((*cut).min(rest.len()));
                chunks.push(chunk);
                rest = after;
            }
            let mut joined = Vec::new();
            for (bytes, _, complete) in split(max_bytes, &chunks) {
                prop_assert!(bytes.len() <= max_bytes);
                joined.extend(bytes);
                if complete { joined.push(b'\n') }
            }
            prop_assert_eq!(joined, text);
        }
    }
}
