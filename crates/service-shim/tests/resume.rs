//! A writer of records that is killed at any instant, and an engine that sends again from the place where the log ends:
//! nothing is lost, nothing doubled, whatever the times.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use service_shim::LogPolicy;
use service_shim::log::{
    Entry, GapCause, Known, LogAppender, LogReader, OutputRecord, Resume, Start, Stream,
};

type Piece = (Stream, u64, Vec<u8>);

/// What an engine keeps of a container: times rise in each stream, not between them.
#[derive(Debug, Clone, Default)]
struct Engine {
    kept: Vec<Piece>,
    /// Whether it compares the time of every record, or only looks for the first that is late enough.
    filters_all: bool,
}

impl Engine {
    fn send(&self, since_ns: u64) -> Vec<Piece> {
        let mut is_late = false;
        let late = self.kept.iter().filter(|(_, at_ns, _)| {
            is_late = *at_ns >= since_ns || (is_late && !self.filters_all);
            is_late
        });
        late.cloned().collect()
    }
}

fn engine() -> impl Strategy<Value = Engine> {
    let piece = (
        any::<bool>(),
        // Mostly the same instant; at times long after.
        prop_oneof![6 => Just(0u64), 3 => 1..4u64, 1 => Just(30 * SECOND)],
        0..3u64,
        prop_oneof![3 => Just(true), 1 => Just(false)],
        0..40usize,
    );
    (proptest::collection::vec(piece, 1..60), any::<bool>()).prop_map(|(pieces, filters_all)| {
        let mut now = 100 * SECOND;
        let mut last: [Option<(u64, bool)>; 2] = [None, None];
        let mut kept = Vec::new();
        for (number, (is_err, passed, late, ends, length)) in pieces.into_iter().enumerate() {
            let at = usize::from(is_err);
            now += passed;
            let at_ns = match last[at] {
                // The rest of a line has the time of its beginning.
                Some((at_ns, false)) => at_ns,
                Some((at_ns, true)) => at_ns.max(now - late * SECOND),
                None => now - late * SECOND,
            };
            last[at] = Some((at_ns, ends));
            let mut bytes = format!("{number}:").into_bytes();
            bytes.resize(bytes.len() + length, b'.');
            if ends {
                bytes.push(b'\n');
            }
            kept.push((Stream::ALL[at], at_ns, bytes));
        }
        Engine { kept, filters_all }
    })
}

/// One life of the writer: how large its batches are, how many it writes, and how much of the index its last one lost.
#[derive(Debug, Clone)]
struct Life {
    batch: usize,
    batches: usize,
    unwritten: u64,
    is_rotating: bool,
}

fn life() -> impl Strategy<Value = Life> {
    (1..8usize, 0..4usize, 0..300u64, any::<bool>()).prop_map(
        |(batch, batches, unwritten, is_rotating)| Life {
            batch,
            batches,
            unwritten,
            is_rotating,
        },
    )
}

fn run(policy: &LogPolicy, engine: &Engine, lives: &[Life]) -> Result<(), TestCaseError> {
    let rest = Life {
        batch: 5,
        batches: usize::MAX,
        unwritten: 0,
        is_rotating: false,
    };
    for life in lives.iter().chain([&rest]) {
        let mut log = LogAppender::open(policy, 7).expect("a log");
        log.begin(100 * SECOND);
        let point = log.resume_point();
        let mut resume = Resume::new(point);
        let mut fresh = Vec::new();
        for piece in engine.send(point.map_or(0, |point| point.since_ns)) {
            match resume.judge(piece.0, piece.1) {
                Known::Stored => {}
                Known::New => fresh.push(piece),
                Known::NewAfterGap => prop_assert!(false, "nothing is gone"),
            }
        }
        let mut before = newest_index(&policy.dir);
        for batch in fresh.chunks(life.batch).take(life.batches) {
            before = newest_index(&policy.dir);
            let records: Vec<_> = batch.iter().map(record).collect();
            log.append(&records).expect("room");
            let again = LogAppender::open(policy, 7).expect("a log").resume_point();
            prop_assert_eq!(log.resume_point(), again, "as the index tells");
        }
        drop(log);
        kill(&policy.dir, before, life);
    }
    Ok(())
}

/// Leaves what a writer leaves that is killed between bytes and records, or in the middle of a record.
fn kill(dir: &Path, before: (PathBuf, u64), life: &Life) {
    let (index, size) = newest_index(dir);
    let least = if index == before.0 {
        before.1
    } else {
        first_write(&index)
    };
    let file = OpenOptions::new().write(true).open(&index);
    let left = size.saturating_sub(life.unwritten).max(least);
    file.expect("own file").set_len(left).expect("own file");
    if life.is_rotating {
        // Between making the next segment and writing its header.
        let number: u64 = index
            .file_stem()
            .and_then(|stem| stem.to_str()?.parse().ok())
            .expect("a number");
        std::fs::write(dir.join(format!("{:06}.idx", number + 1)), b"HRN").expect("room");
    }
}

/// How much of an index is written at once when a segment is begun: its header and what it carries over.
fn first_write(index: &Path) -> u64 {
    let bytes = std::fs::read(index).expect("own file");
    let records = bytes[HEADER..].chunks_exact(RECORD);
    let carried = records
        .take_while(|record| record[2] & CARRIED != 0)
        .count();
    (HEADER + carried * RECORD) as u64
}

fn newest_index(dir: &Path) -> (PathBuf, u64) {
    let files = std::fs::read_dir(dir).expect("a log");
    let indexes = files
        .map(|file| file.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "idx"));
    let newest = indexes.max().expect("an index");
    let size = newest.metadata().expect("a file").len();
    (newest, size)
}

fn stored(dir: &Path) -> (Vec<Piece>, u64) {
    let mut reader = LogReader::open(dir, Start::Oldest).expect("a log");
    let (mut pieces, mut rotated) = (Vec::new(), 0);
    while let Some(entry) = reader.next_entry().expect("readable") {
        match entry {
            Entry::Data {
                stream,
                at_ns,
                bytes,
                ..
            } => pieces.push((stream, at_ns, bytes)),
            Entry::Gap {
                bytes,
                cause: GapCause::Rotated,
                ..
            } => rotated += bytes,
            Entry::Begin { attempt: 7, .. } if pieces.is_empty() => {}
            other => panic!("{other:?}"),
        }
    }
    (pieces, rotated)
}

fn record((stream, at_ns, bytes): &Piece) -> OutputRecord<'_> {
    OutputRecord {
        stream: *stream,
        at_ns: *at_ns,
        bytes,
    }
}

proptest! {
    #[test]
    fn nothing_is_lost_and_nothing_doubled(
        engine in engine(),
        lives in proptest::collection::vec(life(), 0..12),
        max_segment_bytes in prop_oneof![Just(1u64 << 20), 20..400u64],
    ) {
        let dir = tempfile::tempdir().expect("a directory");
        let policy = LogPolicy { max_segment_bytes, max_segments: 1000, ..LogPolicy::new(dir.path()) };
        run(&policy, &engine, &lives)?;
        prop_assert_eq!(stored(dir.path()), (engine.kept, 0));
    }

    #[test]
    fn neither_when_rotation_has_taken_the_beginning(
        engine in engine(),
        lives in proptest::collection::vec(life(), 0..12),
        max_segment_bytes in 20..400u64,
        max_segments in 2..4u32,
    ) {
        let dir = tempfile::tempdir().expect("a directory");
        let policy = LogPolicy { max_segment_bytes, max_segments, ..LogPolicy::new(dir.path()) };
        run(&policy, &engine, &lives)?;
        let (pieces, rotated) = stored(dir.path());
        let gone = engine.kept.len().checked_sub(pieces.len()).expect("nothing doubled");
        prop_assert_eq!(&pieces[..], &engine.kept[gone..]);
        let before: usize = engine.kept[..gone].iter().map(|(_, _, bytes)| bytes.len()).sum();
        prop_assert_eq!(rotated, before as u64);
    }
}

#[test]
fn what_the_engine_no_longer_has_is_a_gap() {
    let dir = tempfile::tempdir().expect("a directory");
    let policy = LogPolicy::new(dir.path());
    let line = |at_ns| {
        (
            Stream::Stdout,
            at_ns * SECOND,
            format!("{at_ns}\n").into_bytes(),
        )
    };
    let mut log = LogAppender::open(&policy, 7).expect("a log");
    let first: Vec<_> = (1..5).map(line).collect();
    log.append(&first.iter().map(record).collect::<Vec<_>>())
        .expect("room");
    let engine = Engine {
        kept: (8..10).map(line).collect(),
        filters_all: true,
    };
    let point = log.resume_point().expect("records");
    let mut resume = Resume::new(Some(point));
    let judged: Vec<_> = engine
        .send(point.since_ns)
        .iter()
        .map(|(stream, at_ns, _)| resume.judge(*stream, *at_ns))
        .collect();
    assert_eq!(judged, [Known::NewAfterGap, Known::New]);
}

const SECOND: u64 = 1_000_000_000;
const HEADER: usize = 64;
const RECORD: usize = 32;
const CARRIED: u8 = 4;
