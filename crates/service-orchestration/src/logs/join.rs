//! From pieces to lines, each with the place behind it.
//!
//! Owns: the lines that are not finished yet, at most [`MAX_LINE`] bytes of each stream. A place behind a line is such
//! that nothing unfinished is lost by going on from there: it is where the oldest unfinished line begins.
//!
//! Invariant: the lines depend on the bytes alone, never on where these were cut into pieces.

use chrono::{DateTime, Utc};

use super::{LogCursor, LogLine, LogPiece, LogPlace, LogStream, Piece};

/// Makes lines of the pieces of one log.
#[derive(Debug, Default)]
pub struct LineJoiner {
    held: [Held; 2],
    /// Where the next line of each stream begins.
    next: [Option<u64>; 2],
    attempt: u64,
}

/// The line of a stream that has no end yet.
#[derive(Debug, Default)]
struct Held {
    bytes: Vec<u8>,
    time: DateTime<Utc>,
    begins: LogPlace,
}

/// Lines of one stream that belong together: their ends were written at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLines<'a> {
    /// When their ends were moved to the log; of a gap, what was last before it.
    pub time: DateTime<Utc>,
    /// Where they were written.
    pub stream: LogStream,
    /// By which attempt.
    pub attempt: u64,
    /// Their bytes. Each line has its newline, unless this is a single one that is partial. Not necessarily text.
    pub bytes: &'a [u8],
    /// Whether this is one line without an end: the next of this stream goes on where it ends.
    pub partial: bool,
    /// Bytes that are missing here, instead of lines.
    pub gap: Option<u64>,
    /// Where reading goes on behind them.
    pub cursor: LogCursor,
}

impl<'a> LogLines<'a> {
    /// The text of each line, without its newline; none for a gap.
    pub fn texts(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let is_gap = self.gap.is_some();
        let whole = self.bytes.strip_suffix(b"\n").unwrap_or(self.bytes);
        whole
            .split(|byte| *byte == b'\n')
            .take(if is_gap { 0 } else { usize::MAX })
    }

    /// How many lines they are; a gap counts as one.
    pub fn count(&self) -> usize {
        self.ends().count()
    }

    /// Each line by itself, where it lies; a gap as one.
    pub fn split(&self) -> impl Iterator<Item = Self> + use<'a> {
        let lines = *self;
        let mut from = 0;
        lines.ends().map(move |end| {
            let bytes = &lines.bytes[from..end];
            from = end;
            Self {
                bytes,
                cursor: lines.cursor_behind(end),
                ..lines
            }
        })
    }

    /// Each line by itself, as its own; a gap as one.
    pub fn lines(&self) -> impl Iterator<Item = LogLine> + use<'a> {
        self.split().map(|line| LogLine {
            time: line.time,
            stream: line.stream,
            attempt: line.attempt,
            bytes: line
                .bytes
                .strip_suffix(b"\n")
                .unwrap_or(line.bytes)
                .to_vec(),
            partial: line.partial,
            gap: line.gap,
            cursor: line.cursor,
        })
    }

    /// Where reading goes on behind so many of them.
    pub(super) fn cursor_after(&self, count: usize) -> Option<LogCursor> {
        let end = self.ends().nth(count.checked_sub(1)?)?;
        Some(self.cursor_behind(end))
    }

    /// Where each line ends, its newline included.
    fn ends(&self) -> impl Iterator<Item = usize> + use<'a> {
        let bytes = self.bytes;
        let is_single = self.partial || self.gap.is_some();
        let newlines = bytes
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'\n')
            .map(|(at, _)| at + 1)
            .take(if is_single { 0 } else { usize::MAX });
        is_single.then_some(bytes.len()).into_iter().chain(newlines)
    }

    fn cursor_behind(&self, end: usize) -> LogCursor {
        let rest = (self.bytes.len() - end) as u64;
        match self.cursor.offset(self.stream) {
            Some(offset) if rest > 0 => self.cursor.with_offset(self.stream, offset - rest),
            Some(_) | None => self.cursor,
        }
    }
}

impl LineJoiner {
    /// Takes in a piece and hands out the lines that it finishes.
    pub fn push(&mut self, piece: &LogPiece, mut each: impl FnMut(LogLines<'_>)) {
        match &piece.what {
            Piece::Data {
                stream,
                attempt,
                time,
                offset,
                bytes,
            } => {
                let span = LogSpan {
                    stream: *stream,
                    attempt: *attempt,
                    time: *time,
                    offset: *offset,
                };
                self.data(piece.place, span, bytes, &mut each);
            }
            Piece::Opened { cursor } => {
                *self = Self {
                    next: cursor.0.delivered,
                    ..Self::default()
                };
            }
            Piece::Border { attempt, .. } => {
                self.flush(piece.place, &mut each);
                self.attempt = *attempt;
            }
            Piece::Skipped {
                stream,
                offset,
                length,
            } => self.next[stream.index()] = Some(offset + length),
            Piece::Now => self.flush(piece.place, &mut each),
            Piece::Gap {
                stream,
                bytes,
                time,
                uncounted,
            } => {
                self.flush(piece.place, &mut each);
                // What was never counted does not move what follows: it stands where the missing would have stood.
                if let (None, Some(next)) = (uncounted, &mut self.next[stream.index()]) {
                    *next += bytes;
                }
                each(LogLines {
                    time: *time,
                    stream: *stream,
                    attempt: self.attempt,
                    bytes: &[],
                    partial: false,
                    gap: Some(*bytes),
                    cursor: self.cursor(uncounted.unwrap_or(piece.place)),
                });
            }
        }
    }

    /// As [`LineJoiner::push`] of data that lies in somebody else's memory.
    pub fn push_data(
        &mut self,
        place: LogPlace,
        span: LogSpan,
        bytes: &[u8],
        mut each: impl FnMut(LogLines<'_>),
    ) {
        self.data(place, span, bytes, &mut each);
    }

    fn data(
        &mut self,
        here: LogPlace,
        span: LogSpan,
        bytes: &[u8],
        each: &mut impl FnMut(LogLines<'_>),
    ) {
        self.attempt = span.attempt;
        let index = span.stream.index();
        self.next[index].get_or_insert(span.offset);
        let mut rest = self.finish_held(here, span, bytes, each);
        while let Some((line, is_whole)) = take_lines(rest) {
            rest = &rest[line.len()..];
            let lines = self.lines(here, span.stream, span.time, line, !is_whole);
            each(lines);
        }
        let held = &mut self.held[index];
        if !rest.is_empty() {
            if held.bytes.is_empty() {
                held.begins = here;
            }
            held.bytes.extend_from_slice(rest);
            held.time = span.time;
        }
    }

    /// Ends the held line of a stream, if these bytes do, and returns those behind it.
    fn finish_held<'b>(
        &mut self,
        here: LogPlace,
        span: LogSpan,
        mut bytes: &'b [u8],
        each: &mut impl FnMut(LogLines<'_>),
    ) -> &'b [u8] {
        let index = span.stream.index();
        while !self.held[index].bytes.is_empty() {
            let held = &mut self.held[index];
            // One byte more than fits: a newline right behind a line of exactly the limit still belongs to it.
            let window = &bytes[..bytes.len().min(MAX_LINE + 1 - held.bytes.len())];
            let newline = window.iter().position(|byte| *byte == b'\n');
            let taken = newline.map_or(window.len(), |at| at + 1);
            held.bytes.extend_from_slice(&window[..taken]);
            bytes = &bytes[taken..];
            let end = match newline {
                Some(_) => held.bytes.len(),
                None if held.bytes.len() > MAX_LINE => cut(&held.bytes),
                None => {
                    held.time = span.time;
                    return &[];
                }
            };
            let line = std::mem::take(&mut held.bytes);
            // What is left over of a line that was cut is at most a character; it may have begun in an earlier record.
            held.bytes = line[end..].to_vec();
            if held.bytes.len() <= taken {
                held.begins = here;
            }
            let lines = self.lines(
                here,
                span.stream,
                span.time,
                &line[..end],
                newline.is_none(),
            );
            each(lines);
        }
        bytes
    }

    /// What is unfinished, as it is: it will never be finished, or nobody waits for that.
    fn flush(&mut self, here: LogPlace, each: &mut impl FnMut(LogLines<'_>)) {
        for stream in [LogStream::Stdout, LogStream::Stderr] {
            let held = std::mem::take(&mut self.held[stream.index()]);
            if !held.bytes.is_empty() {
                let lines = self.lines(here, stream, held.time, &held.bytes, true);
                each(lines);
            }
        }
    }

    fn lines<'a>(
        &mut self,
        here: LogPlace,
        stream: LogStream,
        time: DateTime<Utc>,
        bytes: &'a [u8],
        partial: bool,
    ) -> LogLines<'a> {
        if let Some(next) = &mut self.next[stream.index()] {
            *next += bytes.len() as u64;
        }
        LogLines {
            time,
            stream,
            attempt: self.attempt,
            bytes,
            partial,
            gap: None,
            cursor: self.cursor(here),
        }
    }

    /// The place behind the last finished line.
    fn cursor(&self, here: LogPlace) -> LogCursor {
        let unfinished = self.held.iter().filter(|held| !held.bytes.is_empty());
        let oldest = unfinished.map(|held| held.begins).fold(here, LogPlace::min);
        LogCursor::new(oldest, self.next)
    }
}

/// What is known of the bytes of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSpan {
    /// Where they were written.
    pub stream: LogStream,
    /// By which attempt.
    pub attempt: u64,
    /// When they were moved to the log.
    pub time: DateTime<Utc>,
    /// Where they stand in their stream, since the log began.
    pub offset: u64,
}

/// As many whole lines as these bytes begin with, or the first piece of one that is too long: then it is not whole.
fn take_lines(bytes: &[u8]) -> Option<(&[u8], bool)> {
    let mut end = 0;
    loop {
        let window = &bytes[end..bytes.len().min(end + MAX_LINE + 1)];
        match window.iter().rposition(|byte| *byte == b'\n') {
            Some(newline) => end += newline + 1,
            None if end > 0 => return Some((&bytes[..end], true)),
            None if window.len() > MAX_LINE => return Some((&bytes[..cut(window)], false)),
            None => return None,
        }
    }
}

/// Where a line is cut of which this is the beginning and one byte more than may stay together: before the character
/// that crosses the limit, if one does.
fn cut(line: &[u8]) -> usize {
    let is_inside = |byte: u8| byte & 0b1100_0000 == 0b1000_0000;
    let first = (1..=3).map(|back| MAX_LINE - back);
    if !is_inside(line[MAX_LINE]) {
        return MAX_LINE;
    }
    match first.into_iter().find(|at| !is_inside(line[*at])) {
        Some(at) if at + character_length(line[at]) > MAX_LINE => at,
        Some(_) | None => MAX_LINE,
    }
}

/// How many bytes a character has in UTF-8 that begins with this one.
fn character_length(first: u8) -> usize {
    match first {
        0b1100_0000..=0b1101_1111 => 2,
        0b1110_0000..=0b1110_1111 => 3,
        0b1111_0000..=0b1111_0111 => 4,
        _ => 1,
    }
}

/// A longer line comes in pieces: 64 KiB, so that no line can fill the memory of a reader.
pub(super) const MAX_LINE: usize = 64 << 10;

#[cfg(test)]
mod tests;
