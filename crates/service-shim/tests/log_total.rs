//! Logs that share a cap.

mod common;

use std::path::Path;

use common::entries;
use service_shim::log::{Entry, GapCause, LogWriter, Stream};
use service_shim::{LogPolicy, LogTotal};

#[test]
fn logs_with_a_cap_together_stay_within_it_and_say_what_is_gone() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = |name: &str| LogPolicy {
        totals: vec![LogTotal {
            dir: dir.path().to_owned(),
            max_bytes: TOTAL,
        }],
        ..LogPolicy::new(dir.path().join("stack").join(name))
    };
    // Ended, silent and alive; and those that write on.
    let policies: Vec<LogPolicy> = ["a", "b", "c", "d"].map(log).into();
    let mut ended = LogWriter::open(&policies[0], 1).expect("a log");
    ended.begin();
    write(&mut ended, Stream::Stdout, &[b'a'; 60_000]);
    ended.end();
    let mut silent = LogWriter::open(&policies[1], 1).expect("a log");
    silent.begin();
    write(&mut silent, Stream::Stdout, &[b'b'; 30_000]);
    let mut writers: Vec<LogWriter> = policies[2..]
        .iter()
        .map(|policy| LogWriter::open(policy, 1).expect("a log"))
        .collect();
    let mut written = 0;
    for _ in 0..400 {
        for log in &mut writers {
            write(log, Stream::Stdout, &[b'c'; 1000]);
        }
        written += 1000;
        let held = held(dir.path());
        assert!(held <= TOTAL, "{held} bytes after {written} each");
    }
    let gone_and_kept = |policy: &LogPolicy| {
        let (mut gone, mut kept) = (0, 0);
        for entry in entries(&policy.dir) {
            match entry {
                Entry::Gap { bytes, cause, .. } => {
                    assert_eq!(cause, GapCause::Rotated);
                    gone += bytes;
                }
                Entry::Data { bytes, .. } => kept += bytes.len() as u64,
                Entry::Begin { .. } | Entry::End { .. } => {}
            }
        }
        (gone, kept)
    };
    for policy in &policies[2..] {
        let (gone, kept) = gone_and_kept(policy);
        assert_eq!(gone + kept, written);
        assert!(kept >= 8192, "{kept} bytes are kept of one that writes");
    }
    let (gone, kept) = gone_and_kept(&policies[1]);
    assert_eq!(gone + kept, 30_000);
    assert!(kept > 0, "a newest segment is its writer's");
    let (gone, kept) = gone_and_kept(&policies[0]);
    assert_eq!(gone + kept, 60_000);
    // It goes on where it was, whatever was removed of it.
    let mut again = LogWriter::open(&policies[0], 2).expect("a log");
    write(&mut again, Stream::Stdout, b"more");
    let (gone, kept) = gone_and_kept(&policies[0]);
    assert_eq!(gone + kept, 60_004);
}

fn held(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).expect("readable");
    let bytes = entries.map(|entry| {
        let entry = entry.expect("readable");
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => held(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        }
    });
    bytes.sum()
}

const TOTAL: u64 = 128 * 1024;

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
