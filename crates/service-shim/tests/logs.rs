//! Segments as readers meet them: rotated, torn, full of anything but text.

mod common;

use std::path::Path;

use common::{Place, SmallDisk, entries, eventually, output};
use service_shim::log::{Cursor, Entry, GapCause, LogReader, LogWatch, LogWriter, Start, Stream};
use service_shim::protocol::{Notice, Request};
use service_shim::{LogMode, LogPolicy, OnFull, StopPolicy};

#[test]
fn rotation_keeps_the_newest_and_says_what_is_gone() {
    let place = Place::new();
    let mut spec = place.script("seq 1 100000");
    spec.log = LogPolicy {
        max_segment_bytes: 50_000,
        max_segments: 3,
        ..LogPolicy::new(place.log_dir())
    };
    let (mut shim, _) = place.started(&spec);
    shim.exited();
    let expected: String = (1..=100_000).map(|number| format!("{number}\n")).collect();
    let mut gone = 0;
    let mut kept = Vec::new();
    for entry in entries(&place.log_dir()) {
        match entry {
            Entry::Gap {
                stream: Stream::Stdout,
                bytes,
                cause: GapCause::Rotated,
            } if kept.is_empty() => gone += bytes,
            Entry::Data {
                stream: Stream::Stdout,
                offset,
                bytes,
                ..
            } => {
                assert_eq!(offset, gone + kept.len() as u64);
                kept.extend(bytes);
            }
            Entry::End { attempt: 1, .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(
        kept.len() > 100_000 && kept.len() <= 150_000,
        "{}",
        kept.len()
    );
    assert!(expected.as_bytes()[usize::try_from(gone).expect("small")..] == kept[..]);
    let files = std::fs::read_dir(place.log_dir()).expect("a log").count();
    assert_eq!(files, 6, "three segments, an index and one stream each");
}

#[test]
fn a_reader_that_is_overtaken_learns_how_much_it_missed() {
    let dir = tempfile::tempdir().expect("a directory");
    let policy = LogPolicy {
        max_segment_bytes: 1000,
        max_segments: 2,
        ..LogPolicy::new(dir.path())
    };
    let mut log = LogWriter::open(&policy, 1).expect("a log");
    log.begin();
    write(&mut log, Stream::Stdout, &[b'a'; 500]);
    let mut reader = LogReader::open(dir.path(), Start::Oldest).expect("a log");
    assert!(matches!(
        reader.next_entry(),
        Ok(Some(Entry::Begin { attempt: 1, .. }))
    ));
    let cursor = reader.cursor();
    drop(reader);
    for _ in 0..10 {
        write(&mut log, Stream::Stdout, &[b'b'; 500]);
    }
    let mut reader = LogReader::open(dir.path(), Start::Cursor(cursor)).expect("a log");
    let mut data = 0;
    let mut gap = 0;
    while let Some(entry) = reader.next_entry().expect("readable") {
        match entry {
            Entry::Gap { bytes, .. } => gap += bytes,
            Entry::Data { bytes, .. } => data += bytes.len() as u64,
            _ => {}
        }
    }
    assert!(gap > 0);
    assert_eq!(gap + data, 5500);
}

#[test]
fn attempts_follow_each_other_and_can_be_found() {
    let dir = tempfile::tempdir().expect("a directory");
    let policy = LogPolicy {
        max_segment_bytes: 300,
        max_segments: 100,
        ..LogPolicy::new(dir.path())
    };
    for attempt in 1..=5 {
        let mut log = LogWriter::open(&policy, attempt).expect("a log");
        log.begin();
        for line in 0..20 {
            write(
                &mut log,
                Stream::Stdout,
                format!("attempt {attempt} line {line}\n").as_bytes(),
            );
        }
        log.end();
    }
    let mut reader = LogReader::open(dir.path(), Start::Attempt(3)).expect("a log");
    assert!(matches!(
        reader.next_entry(),
        Ok(Some(Entry::Begin { attempt: 3, .. }))
    ));
    let mut reader = LogReader::open(dir.path(), Start::LastLines(2)).expect("a log");
    let mut text = Vec::new();
    while let Some(entry) = reader.next_entry().expect("readable") {
        if let Entry::Data { bytes, .. } = entry {
            text.extend(bytes);
        }
    }
    assert!(text.ends_with(b"attempt 5 line 18\nattempt 5 line 19\n"));
    assert!(text.len() < 100);
    let mut reader = LogReader::open(dir.path(), Start::LastRecords(1)).expect("a log");
    assert!(matches!(
        reader.next_entry(),
        Ok(Some(Entry::End { attempt: 5, .. }))
    ));
    assert_eq!(reader.next_entry().expect("readable"), None);
    assert_eq!(
        output(dir.path(), Stream::Stdout)
            .iter()
            .filter(|byte| **byte == b'\n')
            .count(),
        100
    );
}

#[test]
fn a_time_finds_what_was_written_after_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut log = LogWriter::open(&LogPolicy::new(dir.path()), 1).expect("a log");
    write(&mut log, Stream::Stdout, b"before");
    let since_1970 = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970");
    let now = u64::try_from(since_1970.as_nanos()).expect("before 2500");
    write(&mut log, Stream::Stdout, b"after");
    let mut reader = LogReader::open(dir.path(), Start::Time(now)).expect("a log");
    assert!(
        matches!(reader.next_entry(), Ok(Some(Entry::Data { bytes, .. })) if bytes == b"after")
    );
    let mut reader = LogReader::open(dir.path(), Start::Time(now + 60_000_000_000)).expect("a log");
    assert_eq!(reader.next_entry().expect("readable"), None);
}

#[test]
fn a_cursor_survives_being_stored_in_the_middle_of_a_record() {
    let dir = tempfile::tempdir().expect("a directory");
    let policy = LogPolicy {
        max_segment_bytes: 10 << 20,
        ..LogPolicy::new(dir.path())
    };
    let mut log = LogWriter::open(&policy, 1).expect("a log");
    let text: Vec<u8> = (0..900_000u32).map(|n| (n % 251) as u8).collect();
    write(&mut log, Stream::Stdout, &text);
    let mut cursor = LogReader::open(dir.path(), Start::Oldest)
        .expect("a log")
        .cursor();
    let mut read = Vec::new();
    loop {
        let stored = serde_json::to_string(&cursor).expect("json");
        let restored: Cursor = serde_json::from_str(&stored).expect("json");
        let mut reader = LogReader::open(dir.path(), Start::Cursor(restored)).expect("a log");
        match reader.next_entry().expect("readable") {
            Some(Entry::Data { bytes, .. }) => read.extend(bytes),
            Some(other) => panic!("{other:?}"),
            None => break,
        }
        cursor = reader.cursor();
    }
    assert!(read == text);
}

#[test]
fn bytes_without_a_record_are_indexed_by_the_next_writer() {
    let dir = tempfile::tempdir().expect("a directory");
    let policy = LogPolicy::new(dir.path());
    let mut log = LogWriter::open(&policy, 1).expect("a log");
    log.begin();
    write(&mut log, Stream::Stdout, b"indexed ");
    drop(log);
    // As a writer leaves it that is killed between moving bytes and recording them, in the middle of a record.
    append(&dir.path().join("000001.out"), b"not indexed ");
    append(&dir.path().join("000001.err"), b"neither");
    append(&dir.path().join("000001.idx"), &[1, 0, 0]);
    let mut log = LogWriter::open(&policy, 1).expect("a log");
    write(&mut log, Stream::Stdout, b"later");
    assert_eq!(
        output(dir.path(), Stream::Stdout),
        b"indexed not indexed later"
    );
    assert_eq!(output(dir.path(), Stream::Stderr), b"neither");
}

#[test]
fn a_segment_without_a_whole_header_is_begun_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let policy = LogPolicy::new(dir.path());
    let mut log = LogWriter::open(&policy, 1).expect("a log");
    write(&mut log, Stream::Stdout, b"one ");
    drop(log);
    append(&dir.path().join("000002.idx"), b"HRN");
    assert_eq!(output(dir.path(), Stream::Stdout), b"one ");
    let mut log = LogWriter::open(&policy, 2).expect("a log");
    write(&mut log, Stream::Stdout, b"two");
    assert_eq!(output(dir.path(), Stream::Stdout), b"one two");
}

#[test]
fn a_follower_is_woken_and_sees_invalid_text_as_it_is() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut log = LogWriter::open(&LogPolicy::new(dir.path()), 1).expect("a log");
    let watch = LogWatch::open(dir.path()).expect("inotify");
    let mut reader = LogReader::open(dir.path(), Start::End).expect("a log");
    assert_eq!(reader.next_entry().expect("readable"), None);
    assert!(!watch.drain());
    let odd = [0xff, 0xfe, 0, b'\n', 0xc3];
    write(&mut log, Stream::Stderr, &odd);
    assert!(watch.wait(common::PATIENCE).expect("inotify"));
    assert!(
        matches!(reader.next_entry(), Ok(Some(Entry::Data { stream: Stream::Stderr, bytes, .. })) if bytes == odd)
    );
}

#[test]
fn a_log_directory_that_cannot_be_read_is_an_error_that_names_it() {
    let error = LogReader::open(Path::new("/no/such/log"), Start::Oldest).expect_err("not there");
    assert!(error.to_string().contains("/no/such/log"));
}

#[test]
fn a_service_may_write_its_file_itself() {
    let place = Place::new();
    for attempt in 1..=2 {
        let mut spec = place.script("echo out; echo err >&2; read x; echo more");
        spec.log.mode = LogMode::File;
        spec.attempt = attempt;
        spec.stdin = true;
        let (mut shim, _) = place.started(&spec);
        let mut reader = LogReader::open(&place.log_dir(), Start::Attempt(attempt)).expect("a log");
        let mut seen = Vec::new();
        eventually("what was written so far is seen", || {
            while let Some(entry) = reader.next_entry().expect("readable") {
                if let Entry::Data { bytes, .. } = entry {
                    seen.extend(bytes);
                }
            }
            seen.len() >= 8
        });
        assert_eq!(shim.ask(Request::CloseStdin), Some(Notice::Done));
        shim.exited();
        while let Some(entry) = reader.next_entry().expect("readable") {
            if let Entry::Data { bytes, .. } = entry {
                seen.extend(bytes);
            }
        }
        assert_eq!(
            String::from_utf8_lossy(&seen),
            "out\nerr\nmore\n",
            "attempt {attempt}"
        );
    }
    assert_eq!(place.stdout_text(), "out\nmore\nout\nmore\n");
}

#[test]
fn a_flood_without_a_newline_leaves_the_shim_as_small_as_it_was() {
    let place = Place::new();
    let mut spec = place.script("head -c 268435456 /dev/zero; read x");
    spec.stdin = true;
    let (shim, _) = place.started(&spec);
    let before = resident_kib(shim.child.id());
    eventually("everything went through", || {
        let mut reader = LogReader::open(&place.log_dir(), Start::LastRecords(1)).expect("a log");
        let mut end = 0;
        while let Some(entry) = reader.next_entry().expect("readable") {
            if let Entry::Data { offset, bytes, .. } = entry {
                end = offset + bytes.len() as u64;
            }
        }
        end == 268_435_456
    });
    let grown = resident_kib(shim.child.id()).saturating_sub(before);
    assert!(grown < 256, "grew by {grown} KiB");
}

#[test]
fn on_a_full_disk_output_is_dropped_and_counted_or_waits() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    for on_full in [OnFull::Drop, OnFull::Block] {
        let place = Place::new();
        let log_dir = disk.path.join(format!("{on_full:?}"));
        let mut spec = place.script("seq 1 200000; echo written >&2; read x; echo last; exit 0");
        spec.stdin = true;
        spec.log = LogPolicy {
            on_full,
            max_segment_bytes: 100 << 20,
            ..LogPolicy::new(&log_dir)
        };
        let ballast = disk.path.join("ballast");
        std::fs::write(&ballast, vec![0u8; 600 << 10]).expect("there is room");
        let (mut shim, _) = place.started(&spec);
        let expected: String = (1..=200_000).map(|number| format!("{number}\n")).collect();
        if on_full == OnFull::Drop {
            // It never waits, however full the disk is.
            assert_eq!(
                shim.ask(Request::Stdin { data: "\n".into() }),
                Some(Notice::Done)
            );
            assert_eq!(shim.exited().code, Some(0));
            let (mut kept, mut dropped) = (0, 0);
            for entry in entries(&log_dir) {
                match entry {
                    Entry::Data {
                        stream: Stream::Stdout,
                        bytes,
                        ..
                    } => kept += bytes.len(),
                    Entry::Gap {
                        stream: Stream::Stdout,
                        bytes,
                        cause: GapCause::DiskFull,
                    } => {
                        dropped += usize::try_from(bytes).expect("small");
                    }
                    _ => {}
                }
            }
            assert!(kept > 100_000 && kept < expected.len(), "{kept}");
            assert!(kept + dropped <= expected.len() + 5, "{kept} + {dropped}");
        } else {
            eventually("the disk is full", || {
                std::fs::write(disk.path.join("probe"), [1u8; 8192]).is_err()
            });
            std::fs::remove_file(disk.path.join("probe")).expect("just made");
            assert!(
                matches!(shim.ask(Request::Status), Some(Notice::Status(_))),
                "the shim answers on a full disk"
            );
            std::fs::remove_file(&ballast).expect("just made");
            disk.grow();
            assert_eq!(
                shim.ask(Request::Stdin { data: "\n".into() }),
                Some(Notice::Done)
            );
            assert_eq!(shim.exited().code, Some(0));
            assert!(output(&log_dir, Stream::Stdout) == format!("{expected}last\n").into_bytes());
        }
        std::fs::remove_dir_all(&log_dir).expect("ours");
        let _ = std::fs::remove_file(&ballast);
    }
}

#[test]
fn a_full_disk_does_not_hide_the_exit() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let place = Place::new();
    let mut spec = place.script("read x; exit 33");
    spec.stdin = true;
    spec.stop = StopPolicy::default();
    let run =
        service_shim::RunDir::create(&disk.path.join("run"), &spec.instance_id).expect("fresh");
    let mut shim = common::Shim::spawn("run", run.path());
    shim.write(&service_shim::protocol::LaunchOrder::encode(spec));
    assert!(matches!(shim.next(), Some(Notice::Started { .. })));
    let ballast = std::fs::write(disk.path.join("ballast"), vec![0u8; 4 << 20]);
    assert!(ballast.is_err(), "the disk is full now");
    assert_eq!(shim.ask(Request::CloseStdin), Some(Notice::Done));
    assert_eq!(shim.exited().code, Some(33));
    assert_eq!(
        run.exit().expect("readable").expect("written").code,
        Some(33)
    );
}

fn write(log: &mut LogWriter, stream: Stream, mut bytes: &[u8]) {
    let flags = rustix::pipe::PipeFlags::CLOEXEC | rustix::pipe::PipeFlags::NONBLOCK;
    let (reader, writer) = rustix::pipe::pipe_with(flags).expect("a pipe");
    rustix::pipe::fcntl_setpipe_size(&writer, 1 << 20).expect("a large pipe");
    while !bytes.is_empty() {
        let written = rustix::io::write(&writer, bytes).expect("room");
        bytes = &bytes[written..];
        log.drain(stream, std::os::fd::AsFd::as_fd(&reader))
            .expect("drained");
    }
}

fn append(path: &Path, bytes: &[u8]) {
    use std::io::Write;
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .expect("own file");
    file.write_all(bytes).expect("room");
}

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("alive");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS"))
        .expect("in every status");
    line.split_whitespace()
        .nth(1)
        .and_then(|number| number.parse().ok())
        .expect("a number")
}
