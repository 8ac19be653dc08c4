//! What lies in a run directory, and what comes over its socket: whatever it is, it is refused, or is the same when it is
//! written and read again.
//!
//! The first byte says what the rest is.

use std::fmt::Debug;
use std::fs;

use serde::Serialize;
use serde::de::DeserializeOwned;
use service_shim::protocol::{self, LaunchOrder, LineBuffer, Notice, Request};
use service_shim::{ExitRecord, Identity, LaunchRecord, NotifyState, RunDir};

pub(crate) fn run(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else {
        return;
    };
    match kind {
        b'i' => same::<Identity>(rest),
        b'x' => same::<ExitRecord>(rest),
        b'l' => same::<LaunchRecord>(rest),
        b'n' => same::<NotifyState>(rest),
        b'o' => same::<LaunchOrder>(rest),
        b'd' => directory(rest),
        b'p' => talk(rest),
        _ => {}
    }
}

fn same<T: Serialize + DeserializeOwned>(data: &[u8]) {
    let Ok(value) = serde_json::from_slice::<T>(data) else {
        return;
    };
    let written = serde_json::to_vec(&value).expect("what was read can be written");
    let again: T = serde_json::from_slice(&written).expect("what was written can be read");
    let rewritten = serde_json::to_vec(&again).expect("what was read can be written");
    assert_eq!(rewritten, written);
}

/// The files of a directory, one after the other, parted by a zero byte.
fn directory(data: &[u8]) {
    let root = tempfile::tempdir().expect("room");
    let Ok(run) = RunDir::create(root.path(), "0123456789ab") else {
        panic!("a directory can be made");
    };
    let names = ["identity.json", "exit.json", "launch.json"];
    for (name, bytes) in names.iter().zip(data.split(|byte| *byte == 0)) {
        fs::write(run.path().join(name), bytes).expect("room");
    }
    drop(run.identity());
    drop(run.exit());
    drop(run.launch());
}

/// A conversation, in pieces that the first byte says the size of.
fn talk(data: &[u8]) {
    let Some((size, bytes)) = data.split_first() else {
        return;
    };
    let mut lines = LineBuffer::default();
    let mut seen = 0;
    for piece in bytes.chunks(usize::from(*size).max(1)) {
        lines.push(piece);
        while let Some(line) = lines.next_line() {
            assert!(!line.contains(&b'\n'), "one line at a time");
            seen += line.len() + 1;
            message::<Request>(&line);
            message::<Notice>(&line);
        }
    }
    assert!(seen + lines.pending() <= bytes.len(), "nothing is made up");
}

fn message<T: Serialize + DeserializeOwned + Debug>(line: &[u8]) {
    if let Ok(body) = protocol::decode::<T>(line) {
        let written = protocol::encode(&body);
        assert!(protocol::decode::<T>(&written).is_ok(), "{body:?}");
    }
}
