//! What was taken of an attempt's output on a host, and when: the file `.index` beside it.
//!
//! Owns: the order of the pieces. Pure. What a piece was taken at is told again when it is asked for again, so whoever keeps
//! the output knows it by its time. Where two took the same bytes at once, the first who has written that down is right.
//!
//! Invariant: times rise from piece to piece, and the pieces of a stream follow each other without a gap.

use std::collections::VecDeque;

use service_shim::log::Stream;

/// A piece that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) at_ns: u64,
    pub(super) stream: Stream,
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// The pieces, from some on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Index {
    /// How much of each stream lies before them.
    base: [u64; 2],
    pieces: VecDeque<Piece>,
    last_ns: u64,
    /// How many lines the file has.
    lines: usize,
}

impl Index {
    /// From the file. What does not follow what stands before it was taken twice, and does not count.
    pub(super) fn read(text: &str) -> Index {
        let mut index = Index::default();
        for line in text.lines() {
            index.lines += 1;
            let Some(piece) = Piece::read(line) else {
                continue;
            };
            let at = piece.stream.index();
            if piece.length == 0 {
                index.base[at] = piece.offset;
            } else if piece.offset == index.taken(piece.stream) && piece.at_ns > index.last_ns {
                index.push(piece);
            }
        }
        index
    }

    /// How much of a stream was taken.
    pub(super) fn taken(&self, stream: Stream) -> u64 {
        let last = self.pieces.iter().rfind(|piece| piece.stream == stream);
        last.map_or(self.base[stream.index()], |last| last.offset + last.length)
    }

    /// The pieces that were taken then or later.
    pub(super) fn since(&self, since_ns: u64) -> Vec<Piece> {
        let later = self.pieces.iter().filter(|piece| piece.at_ns >= since_ns);
        later.copied().collect()
    }

    /// What is to be taken next of a stream that is so long: the time is later than all before.
    pub(super) fn next(&self, stream: Stream, size: u64, now_ns: u64) -> Option<Piece> {
        let offset = self.taken(stream);
        let length = size.saturating_sub(offset).min(MOST_BYTES);
        (length > 0).then(|| Piece {
            at_ns: self.after(now_ns),
            stream,
            offset,
            length,
        })
    }

    /// A time that is later than all before.
    pub(super) fn after(&self, now_ns: u64) -> u64 {
        now_ns.max(self.last_ns + 1)
    }

    /// That piece was taken, and stands in the file.
    pub(super) fn took(&mut self, piece: Piece) {
        self.lines += 1;
        self.push(piece);
    }

    /// The text of a shorter file that means the same for whoever asks later; none while this one is short.
    pub(super) fn shorter(&mut self) -> Option<String> {
        if self.lines < MOST_LINES {
            return None;
        }
        while self.pieces.len() > KEPT {
            if let Some(old) = self.pieces.pop_front() {
                self.base[old.stream.index()] = old.offset + old.length;
            }
        }
        let bases = Stream::ALL.map(|stream| Piece {
            at_ns: 0,
            stream,
            offset: self.base[stream.index()],
            length: 0,
        });
        let lines: Vec<String> = bases
            .iter()
            .chain(&self.pieces)
            .map(Piece::to_string)
            .collect();
        self.lines = lines.len();
        Some(lines.join("\n"))
    }

    fn push(&mut self, piece: Piece) {
        self.last_ns = piece.at_ns;
        self.pieces.push_back(piece);
    }
}

impl Piece {
    /// The name of its stream's file.
    pub(super) fn file(&self) -> &'static str {
        match self.stream {
            Stream::Stdout => "out",
            Stream::Stderr => "err",
        }
    }

    fn read(line: &str) -> Option<Piece> {
        let mut fields = line.split(' ');
        let at_ns = fields.next()?.parse().ok()?;
        let stream = match fields.next()? {
            "out" => Stream::Stdout,
            "err" => Stream::Stderr,
            _ => return None,
        };
        Some(Piece {
            at_ns,
            stream,
            offset: fields.next()?.parse().ok()?,
            length: fields.next()?.parse().ok()?,
        })
    }
}

impl std::fmt::Display for Piece {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (file, at_ns) = (self.file(), self.at_ns);
        write!(f, "{at_ns} {file} {} {}", self.offset, self.length)
    }
}

/// As much as a stream takes at a time without waiting for others.
const MOST_BYTES: u64 = 64 * 1024;

/// A file of so many lines is made shorter,
const MOST_LINES: usize = 4096;

/// down to so many pieces: whoever resumes has all but the last few.
const KEPT: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_follow_each_other_also_when_two_have_taken_them() {
        let text = "5 out 0 4\n6 err 0 2\n7 out 4 3\n7 out 4 9\n9 out 4 3\n10 out 7 1\nrubbish";
        let index = Index::read(text);
        assert_eq!(index.taken(Stream::Stdout), 8);
        assert_eq!(index.taken(Stream::Stderr), 2);
        let times: Vec<u64> = index.since(6).iter().map(|piece| piece.at_ns).collect();
        assert_eq!(times, [6, 7, 10]);
        let next = index
            .next(Stream::Stdout, 100_000, 3)
            .expect("there is more");
        assert_eq!((next.at_ns, next.offset, next.length), (11, 8, 65_536));
        assert_eq!(index.next(Stream::Stderr, 2, 99), None);
    }

    #[test]
    fn a_long_index_is_made_shorter_and_means_the_same() {
        let mut index = Index::default();
        index.took(index.next(Stream::Stderr, 3, 1).expect("more"));
        let mut size = 0;
        let shorter = loop {
            size += 10;
            index.took(index.next(Stream::Stdout, size, 2).expect("more"));
            if let Some(text) = index.shorter() {
                break text;
            }
        };
        let again = Index::read(&shorter);
        assert_eq!(again, index);
        assert_eq!(again.taken(Stream::Stdout), size);
        assert_eq!(again.taken(Stream::Stderr), 3);
        assert_eq!(again.since(0).len(), KEPT);
        assert_eq!(again.next(Stream::Stderr, 3, 1), None);
    }
}
