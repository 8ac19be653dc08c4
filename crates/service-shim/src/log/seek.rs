//! Finds the place in a log where reading shall begin.
//!
//! Owns: the searches. Never hands out data.

use std::io;
use std::os::fd::OwnedFd;

use super::format::{self, Kind, Record, Stream};
use super::reader::{Cursor, Segment};

/// Where to begin reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the first byte ever written; what is gone already is reported as a gap.
    Oldest,
    /// Behind everything written so far.
    End,
    /// Where another reader stopped.
    Cursor(Cursor),
    /// At the beginning of this attempt, or of what is left of it.
    Attempt(u64),
    /// At the first record at or after this time, in nanoseconds since 1970. A clock that was set back blurs it.
    Time(u64),
    /// At the last so many records.
    LastRecords(u64),
    /// At a record from which on at least so many lines follow, if the log has as many. More may follow.
    LastLines(u64),
}

pub(super) fn find(dir: &OwnedFd, start: Start) -> io::Result<Cursor> {
    match start {
        Start::Oldest => Ok(Cursor {
            delivered: [Some(0), Some(0)],
            ..Cursor::default()
        }),
        Start::Cursor(cursor) => Ok(cursor),
        Start::End => end(dir),
        Start::LastRecords(count) => from_the_end(dir, count, |_, record| {
            Ok(u64::from(record.kind != Kind::Carried))
        }),
        // One more newline than lines: the one before the first of them.
        Start::LastLines(0) => find(dir, Start::End),
        Start::LastLines(count) => from_the_end(dir, count.saturating_add(1), |segment, record| {
            count_newlines(dir, segment, record)
        }),
        Start::Attempt(attempt) => first(
            dir,
            |header_attempt, _| header_attempt >= attempt,
            |record| record.attempt >= attempt,
        ),
        Start::Time(at_ns) => first(
            dir,
            |_, created_ns| created_ns >= at_ns,
            |record| record.at_ns >= at_ns,
        ),
    }
}

/// Behind the last record and, where the service writes the files itself, behind the last byte.
fn end(dir: &OwnedFd) -> io::Result<Cursor> {
    let mut place = from_the_end(dir, 0, |_, _| Ok(1))?;
    if let Some(segment) = Segment::open(dir, place.segment)? {
        for stream in Stream::ALL {
            place.delivered[stream.index()] = Some(
                segment.header.base[stream.index()].saturating_add(segment.data_size(stream)?),
            );
        }
    }
    Ok(place)
}

/// Walks back until what `weigh` says of the records adds up to `wanted`.
fn from_the_end(
    dir: &OwnedFd,
    wanted: u64,
    mut weigh: impl FnMut(&mut Segment, &Record) -> io::Result<u64>,
) -> io::Result<Cursor> {
    let mut place = Cursor::default();
    let mut weight = 0;
    for (age, number) in format::segments(dir)?.into_iter().rev().enumerate() {
        let Some(mut segment) = Segment::open(dir, number)? else {
            continue;
        };
        let records = segment.records()?;
        if age == 0 || place.segment == 0 {
            place = Cursor {
                segment: number,
                record: records,
                ..place
            };
        }
        for at in (0..records).rev() {
            if weight >= wanted {
                return Ok(place);
            }
            if let Some(record) = segment.record(at)? {
                weight += weigh(&mut segment, &record)?;
            }
            place = Cursor {
                segment: number,
                record: at,
                ..place
            };
        }
    }
    Ok(place)
}

fn count_newlines(dir: &OwnedFd, segment: &mut Segment, record: &Record) -> io::Result<u64> {
    if record.kind != Kind::Data {
        return Ok(0);
    }
    let end = record.end();
    let mut from = record.offset;
    let mut newlines = 0;
    while from < end {
        let bytes = segment.read(dir, record.stream, from, end - from)?;
        if bytes.is_empty() {
            break;
        }
        newlines += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        from += bytes.len() as u64;
    }
    Ok(newlines)
}

/// The first record that is `late` enough, in the last segment whose header is not.
fn first(
    dir: &OwnedFd,
    late_header: impl Fn(u64, u64) -> bool,
    late: impl Fn(&Record) -> bool,
) -> io::Result<Cursor> {
    let mut place = Cursor::default();
    for number in format::segments(dir)?.into_iter().rev() {
        let Some(mut segment) = Segment::open(dir, number)? else {
            continue;
        };
        let (mut low, mut high) = (0, segment.records()?);
        let records = high;
        while low < high {
            let middle = low + (high - low) / 2;
            match segment.record(middle)? {
                Some(record) if !late(&record) => low = middle + 1,
                Some(_) | None => high = middle,
            }
        }
        // Nothing late enough here: it begins in the segment after, or, in the newest, has not been written yet.
        if low < records || place.segment == 0 {
            place = Cursor {
                segment: number,
                record: low,
                ..place
            };
        }
        if !late_header(segment.header.attempt, segment.header.created_ns) {
            break;
        }
    }
    Ok(place)
}
