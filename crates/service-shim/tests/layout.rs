//! What a released version has written must still load. The samples are never edited: a new layout gets its own.

mod common;

use std::path::Path;

use common::{entries, output};
use service_shim::log::{Entry, Stream};
use service_shim::{LogMode, OnFull, RunDir, Signal, StopScope};

#[test]
fn a_run_directory_of_layout_1_loads() {
    let run = RunDir::open(&sample("run")).expect("checked in");
    let launch = run.launch().expect("loads").expect("is there");
    assert_eq!(
        (launch.layout, launch.attempt, launch.program.as_bytes()),
        (1, 1, &b"/bin/sh"[..])
    );
    assert_eq!(
        (launch.log.mode, launch.log.on_full),
        (LogMode::Capture, OnFull::Drop)
    );
    assert_eq!(
        (launch.stop.signal, launch.stop.scope),
        (Signal::TERM, StopScope::Main)
    );
    let identity = run.identity().expect("loads").expect("is there");
    assert_eq!((identity.pid, identity.start_ticks), (18238, 564_948));
    let exit = run.exit().expect("loads").expect("is there");
    assert_eq!(
        (exit.code, exit.signal, exit.exit_unknown, exit.pid),
        (Some(3), None, false, Some(18238))
    );
}

#[test]
fn a_log_of_layout_1_loads() {
    let log = sample("log");
    let entries = entries(&log);
    assert!(matches!(
        entries.first(),
        Some(Entry::Begin { attempt: 1, .. })
    ));
    assert!(matches!(
        entries.last(),
        Some(Entry::End { attempt: 1, .. })
    ));
    assert_eq!(output(&log, Stream::Stdout), b"out\n");
    assert_eq!(output(&log, Stream::Stderr), b"err\n");
}

fn sample(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/samples/layout-1")
        .join(name)
}
