//! Where reading begins, and which attempt is meant.
//!
//! Owns: the searches, one of which counts lines. Reads files: to be called where that may block.

use std::path::Path;

use service_shim::log::{Entry, LogReader, Start};

use super::reader::{PieceReader, Wanted};
use super::{AttemptFilter, LineJoiner, LogError, LogPiece, LogQuery, Piece};

/// Opens a reader where the answer begins. With `tail` that is at the first of the last so many lines, of those that
/// are there now and wanted.
pub(super) fn open(
    directory: &Path,
    query: &LogQuery,
    max_bytes: usize,
) -> Result<PieceReader, LogError> {
    let wanted = wanted(directory, query)?;
    let open = |start| PieceReader::open(directory, start, query.stream, wanted, max_bytes);
    let begin = start(query, wanted);
    match query.tail {
        None => open(begin),
        Some(0) => open(Start::End),
        Some(count) => {
            let all = count_lines(&mut open(begin)?, query, None)?.lines;
            let superfluous = all.saturating_sub(count);
            match count_lines(&mut open(begin)?, query, Some(superfluous))?.cursor {
                Some(cursor) => open(Start::Cursor(cursor.0)),
                None => open(begin),
            }
        }
    }
}

/// How many lines a reader gives, and where the last of them ends.
struct Counted {
    lines: usize,
    cursor: Option<super::LogCursor>,
}

/// Counts the wanted lines up to `limit`, unfinished ones included.
fn count_lines(
    reader: &mut PieceReader,
    query: &LogQuery,
    limit: Option<usize>,
) -> Result<Counted, LogError> {
    let mut counted = Counted {
        lines: 0,
        cursor: None,
    };
    let mut joiner = LineJoiner::default();
    while limit.is_none_or(|limit| counted.lines < limit) {
        let piece = reader.next()?;
        let is_last = piece.is_none();
        let piece = piece.unwrap_or(LogPiece {
            place: reader.place(),
            what: Piece::Now,
        });
        joiner.push(&piece, |lines| {
            if !query.wants(lines.time, lines.gap.is_some()) {
                return;
            }
            let room = limit.map_or(usize::MAX, |limit| limit - counted.lines);
            let taken = lines.count().min(room);
            if limit.is_some() {
                counted.cursor = lines.cursor_after(taken).or(counted.cursor);
            }
            counted.lines += taken;
        });
        if is_last {
            break;
        }
    }
    Ok(counted)
}

fn start(query: &LogQuery, wanted: Wanted) -> Start {
    match (query.cursor, wanted, query.since, query.tail) {
        (Some(cursor), _, _, _) => Start::Cursor(cursor.0),
        (None, Wanted::Only(attempt), _, _) => Start::Attempt(attempt),
        (None, Wanted::All | Wanted::FirstToCome, Some(since), _) => {
            let ns = since
                .timestamp_nanos_opt()
                .and_then(|ns| u64::try_from(ns).ok());
            Start::Time(ns.unwrap_or(0))
        }
        // With a stream or an end of its own, the last lines are not simply those at the end.
        (None, Wanted::All | Wanted::FirstToCome, None, Some(count))
            if query.stream.is_none() && query.until.is_none() =>
        {
            Start::LastLines(count as u64)
        }
        (None, Wanted::All | Wanted::FirstToCome, None, _) => Start::Oldest,
    }
}

fn wanted(directory: &Path, query: &LogQuery) -> Result<Wanted, LogError> {
    let Some(filter) = query.attempt else {
        return Ok(Wanted::All);
    };
    Ok(match (filter, last_attempt(directory, filter)?) {
        (AttemptFilter::Number(number), _) => Wanted::Only(number),
        (AttemptFilter::Last, None) => Wanted::FirstToCome,
        (AttemptFilter::Last, Some(last)) => Wanted::Only(last),
        (AttemptFilter::Previous, last) => Wanted::Only(last.unwrap_or(0).saturating_sub(1)),
    })
}

fn last_attempt(directory: &Path, filter: AttemptFilter) -> Result<Option<u64>, LogError> {
    if let AttemptFilter::Number(_) = filter {
        return Ok(None);
    }
    let mut reader = LogReader::open(directory, Start::LastRecords(1))?;
    let mut last = None;
    while let Some(entry) = reader.next_entry()? {
        match entry {
            Entry::Begin { attempt, .. }
            | Entry::Data { attempt, .. }
            | Entry::End { attempt, .. } => last = Some(attempt),
            Entry::Gap { .. } => {}
        }
    }
    Ok(last)
}
