//! Reads from an index where the output of an attempt ends.
//!
//! Owns: the walk back over the records of the newest segment, no further than needed. Never looks into an older one: a
//! segment begins with what is to be known of those before it. Never writes.

use std::io;

use super::backwards::Backwards;
use super::format::{Header, Kind, Record, Stream};
use super::resume::{StreamPoint, Tail};
use super::segments::Segments;

/// Finds the last records of each stream of an attempt.
pub(super) fn recall(segments: &Segments, attempt: u64) -> io::Result<Tail> {
    let mut tail = Tail::default();
    let mut search = [Search::Wanted, Search::Wanted];
    let (index, records) = segments.index();
    let mut back = Backwards::new(index, records);
    while search != [Search::Found, Search::Found] {
        let Some((_, record)) = back.next()? else {
            break;
        };
        let Some(record) = record else { continue };
        if record.attempt > attempt {
            continue;
        }
        if record.attempt < attempt || record.kind == Kind::Begin {
            break;
        }
        if matches!(record.kind, Kind::Data | Kind::Carried) {
            let state = &mut search[record.stream.index()];
            *state = step(&mut tail, *state, &record, &segments.header);
        }
    }
    Ok(tail)
}

/// The last attempt before this one that said anything.
pub(super) fn speaker_before(segments: &Segments, attempt: u64) -> io::Result<Option<u64>> {
    let (index, records) = segments.index();
    let mut back = Backwards::new(index, records);
    while let Some((_, record)) = back.next()? {
        let said = record.filter(|record| matches!(record.kind, Kind::Data | Kind::Carried));
        if let Some(record) = said.filter(|record| record.attempt < attempt) {
            return Ok(Some(record.attempt));
        }
    }
    Ok(None)
}

/// The records that tell a segment what stands last before it, oldest first.
pub(super) fn carried(tail: &Tail, attempt: u64, stored: [u64; 2]) -> Vec<Record> {
    let mut records = Vec::new();
    for stream in Stream::ALL {
        let at = stream.index();
        records.extend(tail.points[at].map(|point| Record {
            kind: Kind::Carried,
            stream,
            direct: false,
            same_time: false,
            is_open: tail.is_open[at],
            length: 0,
            offset: stored[at],
            attempt,
            at_ns: point.at_ns,
        }));
    }
    // The very last stands last.
    records.sort_by_key(|record| tail.last == Some(record.stream));
    records
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Search {
    /// The last record has not been met.
    Wanted,
    /// It has, and the one before it has its time.
    Counting,
    Found,
}

fn step(tail: &mut Tail, state: Search, record: &Record, header: &Header) -> Search {
    let at = record.stream.index();
    let known = match state {
        Search::Found => return Search::Found,
        Search::Counting => tail.points[at].map_or(0, |point| point.count),
        Search::Wanted => {
            tail.last.get_or_insert(record.stream);
            tail.is_open[at] = record.is_open;
            0
        }
    };
    let (more, next) = match (record.kind, record.same_time) {
        (Kind::Carried, _) => (u64::from(header.run[at]), Search::Found),
        (_, true) => (1, Search::Counting),
        (_, false) => (1, Search::Found),
    };
    // Of equal times, so it does not matter of which of them.
    let at_ns = tail.points[at].map_or(record.at_ns, |point| point.at_ns);
    tail.points[at] = Some(StreamPoint {
        at_ns,
        count: known + more,
    });
    next
}
