//! Pieces of real segments: what is missing has a time, and what is not asked for leaves no hole.

use std::os::fd::AsFd;
use std::path::Path;

use service_shim::LogPolicy;
use service_shim::log::{LogAppender, LogWriter, OutputRecord, Stream};

use super::*;
use crate::logs::{AttemptFilter, LineJoiner, LogLine, LogQuery, tail};

fn writer(directory: &Path, max_segments: u32) -> LogWriter {
    let policy = LogPolicy {
        max_segment_bytes: 1000,
        max_segments,
        ..LogPolicy::new(directory)
    };
    let mut log = LogWriter::open(&policy, 1).expect("a log");
    log.begin();
    log
}

fn write(log: &mut LogWriter, stream: Stream, bytes: &[u8]) {
    let flags = rustix::pipe::PipeFlags::CLOEXEC | rustix::pipe::PipeFlags::NONBLOCK;
    let (reader, writer) = rustix::pipe::pipe_with(flags).expect("a pipe");
    rustix::io::write(&writer, bytes).expect("room");
    log.drain(stream, reader.as_fd()).expect("drained");
}

fn all(reader: &mut PieceReader) -> Vec<LogPiece> {
    std::iter::from_fn(|| reader.next().expect("readable")).collect()
}

fn lines(pieces: &[LogPiece]) -> Vec<LogLine> {
    let mut joiner = LineJoiner::default();
    let mut lines = Vec::new();
    for piece in pieces {
        joiner.push(piece, |found| lines.extend(found.lines()));
    }
    lines
}

#[test]
fn what_is_missing_has_the_time_of_what_was_last_before_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut log = writer(directory.path(), 2);
    write(&mut log, Stream::Stdout, b"first\n");
    let open = || {
        PieceReader::open(
            directory.path(),
            Start::Oldest,
            None,
            Wanted::All,
            usize::MAX,
        )
        .expect("a log")
    };
    let mut overtaken = open();
    let mut pieces = all(&mut overtaken);
    for _ in 0..20 {
        write(&mut log, Stream::Stdout, &[b'x'; 500]);
    }
    let is_gap = |piece: &LogPiece| matches!(piece.what, Piece::Gap { .. });
    // What it had open it can still read; then comes the gap.
    pieces.extend(all(&mut overtaken));
    let gap = pieces.iter().position(is_gap).expect("a gap");
    let before = pieces[..gap].iter().rev().find_map(LogPiece::time);
    assert_eq!(pieces[gap].time(), before);
    // Whoever begins there knows of nothing before it.
    let pieces = all(&mut open());
    let gap = pieces.iter().position(is_gap).expect("a gap");
    let after = pieces[gap + 1..].iter().find_map(LogPiece::time);
    assert_eq!(pieces[gap].time(), after);
}

#[test]
fn what_is_not_asked_for_is_no_gap_for_whoever_goes_on_behind_a_line() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut log = writer(directory.path(), 100);
    for number in 0..40 {
        write(
            &mut log,
            Stream::Stdout,
            format!("out {number} and more\n").as_bytes(),
        );
        write(
            &mut log,
            Stream::Stderr,
            format!("err {number}\n").as_bytes(),
        );
    }
    let open = |cursor| {
        let query = LogQuery {
            stream: Some(LogStream::Stderr),
            cursor,
            ..LogQuery::default()
        };
        tail::open(directory.path(), &query, usize::MAX).expect("a log")
    };
    let found = lines(&all(&mut open(None)));
    assert_eq!(found.len(), 40);
    for (number, line) in found.iter().enumerate() {
        let rest = lines(&all(&mut open(Some(line.cursor))));
        assert!(
            rest.iter().all(|line| line.gap.is_none()),
            "behind {number}"
        );
        assert_eq!(rest.len(), 39 - number);
    }
}

#[test]
fn the_last_lines_are_counted_exactly_also_those_of_one_stream_and_the_unfinished_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut log = writer(directory.path(), 100);
    for number in 0..200 {
        write(
            &mut log,
            Stream::Stdout,
            format!("out {number}\n").as_bytes(),
        );
        write(
            &mut log,
            Stream::Stderr,
            format!("err {number}\nerr again\n").as_bytes(),
        );
    }
    write(&mut log, Stream::Stdout, b"half");
    let tail = |count, stream| {
        let query = LogQuery {
            tail: Some(count),
            stream,
            ..LogQuery::default()
        };
        let mut reader = tail::open(directory.path(), &query, 64).expect("a log");
        let mut pieces = all(&mut reader);
        pieces.push(LogPiece {
            place: reader.place(),
            what: Piece::Now,
        });
        lines(&pieces)
    };
    for count in [0, 1, 2, 3, 100, 600, 601, 1000] {
        assert_eq!(tail(count, None).len(), count.min(601));
        assert_eq!(tail(count, Some(LogStream::Stdout)).len(), count.min(201));
    }
    let last = tail(3, Some(LogStream::Stdout));
    let texts: Vec<_> = last.iter().map(|line| line.bytes.as_slice()).collect();
    assert_eq!(texts, [&b"out 198"[..], b"out 199", b"half"]);
}

#[test]
fn the_last_attempt_of_an_empty_log_is_the_first_that_comes() {
    let directory = tempfile::tempdir().expect("a directory");
    let query = LogQuery {
        attempt: Some(AttemptFilter::Last),
        ..LogQuery::default()
    };
    let mut reader = tail::open(directory.path(), &query, usize::MAX).expect("a log");
    assert!(lines(&all(&mut reader)).is_empty());
    let mut log = writer(directory.path(), 2);
    write(&mut log, Stream::Stdout, b"here\n");
    let found = lines(&all(&mut reader));
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].bytes.as_slice(), found[0].attempt),
        (&b"here"[..], 1)
    );
}

#[test]
fn a_gap_of_unknown_size_stands_between_lines_that_are_whole() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut log = LogAppender::open(&LogPolicy::new(directory.path()), 1).expect("a log");
    log.begin(1);
    let torn_and_after = [(2, &b"torn "[..]), (3, b"after\n")].map(|(at_ns, bytes)| OutputRecord {
        stream: Stream::Stderr,
        at_ns,
        bytes,
    });
    log.append(&torn_and_after[..1]).expect("room");
    log.gap();
    log.append(&torn_and_after[1..]).expect("room");
    let open = |start| {
        PieceReader::open(directory.path(), start, None, Wanted::All, usize::MAX).expect("a log")
    };
    let found = lines(&all(&mut open(Start::Oldest)));
    let shown: Vec<_> = found
        .iter()
        .map(|line| (&line.bytes[..], line.gap))
        .collect();
    assert_eq!(
        shown,
        [(&b"torn "[..], None), (b"", Some(0)), (b"after", None)]
    );
    for (number, line) in found.iter().enumerate() {
        let rest = lines(&all(&mut open(Start::Cursor(line.cursor.0))));
        assert_eq!(rest.len(), found.len() - number - 1, "behind {line:?}");
    }
}
