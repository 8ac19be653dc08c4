//! Logs of output that comes as records: killed anywhere, sent again, read while they grow.

mod common;

use std::path::Path;

use common::{SmallDisk, entries, output};
use service_shim::log::{
    AppendError, Entry, GapCause, LogAppender, LogReader, LogWatch, LogWriter, OutputRecord, Start,
    Stream,
};
use service_shim::{LogMode, LogPolicy, LogTotal, OnFull};

#[test]
fn every_record_is_an_entry_with_the_time_it_came_with() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut log = LogAppender::open(&LogPolicy::new(dir.path()), 3).expect("a log");
    assert_eq!(log.resume_point(), None);
    log.begin(10);
    log.append(&[out(20, b"one\n"), err(21, b"two\n"), out(21, b"three\n")])
        .expect("room");
    log.end(30).expect("room");
    let data = |stream, at_ns, offset, bytes: &[u8]| Entry::Data {
        stream,
        attempt: 3,
        at_ns,
        offset,
        bytes: bytes.to_vec(),
    };
    assert_eq!(
        entries(dir.path()),
        [
            Entry::Begin {
                attempt: 3,
                at_ns: 10
            },
            data(Stream::Stdout, 20, 0, b"one\n"),
            data(Stream::Stderr, 21, 0, b"two\n"),
            data(Stream::Stdout, 21, 4, b"three\n"),
            Entry::End {
                attempt: 3,
                at_ns: 30
            },
        ]
    );
}

#[test]
fn beginning_and_ending_again_after_a_kill_is_recorded_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let policy = LogPolicy::new(dir.path());
    for _ in 0..3 {
        let mut log = LogAppender::open(&policy, 1).expect("a log");
        log.begin(10);
        log.end(20).expect("room");
        assert!(LogAppender::open(&policy, 1).expect("a log").is_ended());
    }
    assert_eq!(entries(dir.path()).len(), 2);
    let mut next = LogAppender::open(&policy, 2).expect("a log");
    assert!(!next.is_ended());
    assert_eq!(next.resume_point(), None);
    next.begin(30);
    assert_eq!(entries(dir.path()).len(), 3);
}

#[test]
fn a_gap_is_said_once_until_something_follows() {
    let dir = tempfile::tempdir().expect("a directory");
    let policy = LogPolicy::new(dir.path());
    let gap = Entry::Gap {
        stream: Stream::Stdout,
        bytes: 0,
        cause: GapCause::NotKept,
    };
    let mut log = LogAppender::open(&policy, 1).expect("a log");
    log.append(&[out(1, b"a")]).expect("room");
    log.gap();
    log.gap();
    let mut log = LogAppender::open(&policy, 1).expect("a log");
    log.gap();
    assert_eq!(entries(dir.path()).last(), Some(&gap));
    assert_eq!(entries(dir.path()).len(), 2);
    log.append(&[out(2, b"b")]).expect("room");
    log.gap();
    assert_eq!(entries(dir.path())[3..], [gap]);
    assert_eq!(output(dir.path(), Stream::Stdout), b"ab");
}

#[test]
fn bytes_without_a_record_are_cut_off_but_for_those_of_an_earlier_attempt() {
    let dir = tempfile::tempdir().expect("a directory");
    let policy = LogPolicy::new(dir.path());
    let mut log = LogAppender::open(&policy, 1).expect("a log");
    log.append(&[out(1, b"here ")]).expect("room");
    drop(log);
    let data = dir.path().join("000001.out");
    std::fs::write(&data, b"here and torn off").expect("own file");
    let mut log = LogAppender::open(&policy, 1).expect("a log");
    assert_eq!(std::fs::read(&data).expect("own file"), b"here ");
    log.append(&[out(2, b"again ")]).expect("room");
    drop(log);
    // As a shim leaves it that was killed for good.
    std::fs::write(&data, b"here again unrecorded ").expect("own file");
    let mut log = LogAppender::open(&policy, 2).expect("a log");
    log.begin(3);
    log.append(&[out(4, b"next")]).expect("room");
    assert_eq!(
        output(dir.path(), Stream::Stdout),
        b"here again unrecorded next"
    );
    let attempts = entries(dir.path())
        .into_iter()
        .filter_map(|entry| match entry {
            Entry::Data { attempt, .. } => Some(attempt),
            _ => None,
        });
    assert_eq!(attempts.collect::<Vec<_>>(), [1, 1, 1, 2]);
}

#[test]
fn where_the_attempts_before_end_is_known_to_the_next_also_when_some_said_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let policy = LogPolicy::new(dir.path());
    let mut first = LogAppender::open(&policy, 1).expect("open");
    assert_eq!(first.earlier_point().expect("readable"), None);
    first.begin(1);
    first
        .append(&[
            out(5, b"a\n"),
            err(6, b"b\n"),
            out(7, b"c\n"),
            out(7, b"d\n"),
        ])
        .expect("room");
    first.end(8).expect("room");
    let end = first.resume_point();
    assert!(end.is_some());
    drop(first);
    let mut silent = LogAppender::open(&policy, 2).expect("open");
    assert_eq!(silent.earlier_point().expect("readable"), end);
    silent.begin(9);
    assert_eq!(silent.earlier_point().expect("readable"), end);
    silent.end(10).expect("room");
    drop(silent);
    let mut third = LogAppender::open(&policy, 3).expect("open");
    third.begin(11);
    third.append(&[out(12, b"e\n")]).expect("room");
    assert_eq!(third.earlier_point().expect("readable"), end);
}

#[test]
fn a_pipe_and_records_may_take_turns_in_one_log() {
    let dir = tempfile::tempdir().expect("a directory");
    let policy = LogPolicy::new(dir.path());
    LogAppender::open(&policy, 1)
        .expect("a log")
        .append(&[out(1, b"record "), err(2, b"error")])
        .expect("room");
    let (reader, writer) = rustix::pipe::pipe_with(
        rustix::pipe::PipeFlags::CLOEXEC | rustix::pipe::PipeFlags::NONBLOCK,
    )
    .expect("a pipe");
    rustix::io::write(&writer, b"pipe ").expect("room");
    let mut log = LogWriter::open(&policy, 2).expect("a log");
    log.begin();
    log.drain(Stream::Stdout, std::os::fd::AsFd::as_fd(&reader))
        .expect("drained");
    log.end();
    LogAppender::open(&policy, 3)
        .expect("a log")
        .append(&[out(1, b"record")])
        .expect("room");
    assert_eq!(output(dir.path(), Stream::Stdout), b"record pipe record");
    assert_eq!(output(dir.path(), Stream::Stderr), b"error");
}

#[test]
fn segments_keep_to_their_cap_and_the_oldest_go() {
    let dir = tempfile::tempdir().expect("a directory");
    let policy = LogPolicy {
        max_segment_bytes: 1000,
        max_segments: 3,
        ..LogPolicy::new(dir.path())
    };
    let mut log = LogAppender::open(&policy, 1).expect("a log");
    let line = [b'x'; 300];
    let batch: Vec<_> = (0..40).map(|at_ns| out(at_ns, &line)).collect();
    log.append(&batch).expect("room");
    log.append(&[out(40, &[b'y'; 5000]), err(41, b"after")])
        .expect("room");
    let mut sizes: Vec<_> = std::fs::read_dir(dir.path())
        .expect("a log")
        .map(|file| file.expect("a file"))
        .filter(|file| !file.file_name().to_string_lossy().ends_with(".idx"))
        .map(|file| file.metadata().expect("a file").len())
        .collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [5, 300, 5000], "one record alone may be larger");
    assert!(matches!(
        entries(dir.path())[0],
        Entry::Gap {
            bytes: 11_700,
            cause: GapCause::Rotated,
            ..
        }
    ));
}

#[test]
fn logs_of_records_keep_to_a_cap_together_and_know_where_to_go_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let max_bytes = 400_000;
    let policies = ["a", "b"].map(|name| LogPolicy {
        totals: vec![LogTotal {
            dir: dir.path().to_owned(),
            max_bytes,
        }],
        ..LogPolicy::new(dir.path().join(name))
    });
    let line = [b'x'; 100];
    for at_ns in 0..500 {
        let batch = [out(at_ns, &line); 20];
        for policy in &policies {
            let mut log = LogAppender::open(policy, 1).expect("a log");
            log.append(&batch).expect("room");
            let point = log.resume_point().expect("records");
            assert_eq!(
                point.streams[0].map(|end| (end.at_ns, end.count)),
                Some((at_ns, 20))
            );
            assert_eq!(
                LogAppender::open(policy, 1).expect("a log").resume_point(),
                Some(point)
            );
        }
        let files = policies.iter().flat_map(|policy| {
            let files = std::fs::read_dir(&policy.dir).into_iter().flatten();
            files.map(|file| file.expect("a file").metadata().expect("a file").len())
        });
        assert!(files.sum::<u64>() <= max_bytes, "at {at_ns}");
    }
}

#[test]
fn a_time_finds_records_in_whichever_segment_they_are() {
    let dir = tempfile::tempdir().expect("a directory");
    let policy = LogPolicy {
        max_segment_bytes: 100,
        max_segments: 100,
        ..LogPolicy::new(dir.path())
    };
    let mut log = LogAppender::open(&policy, 1).expect("a log");
    // An engine whose clock is years ahead of ours, and of which we hear late.
    let first = u64::MAX / 4;
    for number in 0..200 {
        log.append(&[out(first + number, b"0123456789")])
            .expect("room");
    }
    for wanted in [0, 1, 99, 100, 101, 199] {
        let start = Start::Time(first + wanted);
        let mut reader = LogReader::open(dir.path(), start).expect("a log");
        let found = reader.next_entry().expect("readable");
        assert!(
            matches!(found, Some(Entry::Data { at_ns, .. }) if at_ns == first + wanted),
            "{wanted}: {found:?}"
        );
    }
}

#[test]
fn a_follower_is_woken_by_records() {
    let dir = tempfile::tempdir().expect("a directory");
    let policy = LogPolicy {
        max_segment_bytes: 100,
        ..LogPolicy::new(dir.path())
    };
    let mut log = LogAppender::open(&policy, 1).expect("a log");
    let watch = LogWatch::open(dir.path()).expect("inotify");
    let mut reader = LogReader::open(dir.path(), Start::End).expect("a log");
    for number in 0..20 {
        assert_eq!(reader.next_entry().expect("readable"), None);
        watch.drain();
        log.append(&[err(number, b"fifteen bytes.\n")])
            .expect("room");
        assert!(watch.wait(common::PATIENCE).expect("inotify"));
        assert!(matches!(
            reader.next_entry(),
            Ok(Some(Entry::Data { at_ns, .. })) if at_ns == number
        ));
    }
}

#[test]
fn a_service_cannot_write_what_comes_as_records_itself() {
    let dir = tempfile::tempdir().expect("a directory");
    let policy = LogPolicy {
        mode: LogMode::File,
        ..LogPolicy::new(dir.path())
    };
    let error = LogAppender::open(&policy, 1).expect_err("refused");
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
}

#[test]
fn on_a_full_disk_the_caller_waits_with_the_rest() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let policy = LogPolicy {
        on_full: OnFull::Block,
        max_segment_bytes: 300_000,
        max_segments: 100,
        ..LogPolicy::new(disk.path.join("log"))
    };
    let lines: Vec<_> = (0..40_000).map(|n| format!("line {n} of many\n")).collect();
    let records: Vec<_> = (0..).zip(&lines).map(numbered).collect();
    let mut log = LogAppender::open(&policy, 1).expect("a log");
    log.begin(0);
    let mut rest = &records[..];
    let mut waits = 0;
    while let Err(AppendError::Full { taken }) = log.append(rest) {
        rest = &rest[taken..];
        waits += 1;
        // The disk stays full for a while.
        if waits == 3 {
            disk.grow();
        }
        assert!(waits < 10);
    }
    assert!(waits >= 3);
    log.end(u64::MAX).expect("room");
    assert_eq!(stored(&policy.dir), sent(&records));
}

#[test]
fn on_a_full_disk_the_last_of_it_is_not_waited_for() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let policy = LogPolicy {
        on_full: OnFull::Block,
        max_segments: 100,
        ..LogPolicy::new(disk.path.join("log"))
    };
    let lines: Vec<_> = (0..40_000).map(|n| format!("line {n} of many\n")).collect();
    let records: Vec<_> = (0..).zip(&lines).map(numbered).collect();
    let mut log = LogAppender::open(&policy, 1).expect("a log");
    log.begin(0);
    let full = log.append(&records);
    assert!(matches!(full, Err(AppendError::Full { .. })), "{full:?}");
    log.wait_no_more();
    log.append(&records[39_000..]).expect("it is dropped");
    log.end(u64::MAX).expect("nothing is waited for");
}

#[test]
fn on_a_full_disk_records_are_dropped_and_counted() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let policy = LogPolicy {
        max_segments: 100,
        ..LogPolicy::new(disk.path.join("log"))
    };
    let lines: Vec<_> = (0..40_000).map(|n| format!("line {n} of many\n")).collect();
    let records: Vec<_> = (0..).zip(&lines).map(numbered).collect();
    let mut log = LogAppender::open(&policy, 1).expect("a log");
    for batch in records.chunks(500) {
        log.append(batch).expect("never waits");
    }
    disk.grow();
    log.append(&[out(50_000, b"last\n")]).expect("room");
    let (mut kept, mut dropped) = (0, 0);
    for entry in entries(&policy.dir) {
        match entry {
            Entry::Data { bytes, .. } => kept += bytes.len() as u64,
            Entry::Gap {
                bytes,
                cause: GapCause::DiskFull,
                ..
            } => dropped += bytes,
            other => panic!("{other:?}"),
        }
    }
    let all: usize = lines.iter().map(String::len).sum();
    assert!(dropped > 0);
    assert_eq!(kept + dropped, all as u64 + 5);
}

fn numbered((number, line): (u64, &String)) -> OutputRecord<'_> {
    match number % 3 {
        0 => err(number, line.as_bytes()),
        _ => out(number, line.as_bytes()),
    }
}

fn stored(dir: &Path) -> Vec<(Stream, u64, Vec<u8>)> {
    let data = entries(dir).into_iter().filter_map(|entry| match entry {
        Entry::Data {
            stream,
            at_ns,
            bytes,
            ..
        } => Some((stream, at_ns, bytes)),
        _ => None,
    });
    data.collect()
}

fn sent(records: &[OutputRecord<'_>]) -> Vec<(Stream, u64, Vec<u8>)> {
    let records = records.iter();
    records
        .map(|record| (record.stream, record.at_ns, record.bytes.to_vec()))
        .collect()
}

fn out(at_ns: u64, bytes: &[u8]) -> OutputRecord<'_> {
    OutputRecord {
        stream: Stream::Stdout,
        at_ns,
        bytes,
    }
}

fn err(at_ns: u64, bytes: &[u8]) -> OutputRecord<'_> {
    OutputRecord {
        stream: Stream::Stderr,
        at_ns,
        bytes,
    }
}
