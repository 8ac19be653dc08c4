//! What a released version has written must still load. The samples are never edited: a new layout gets its own.

mod common;

use std::path::Path;

use common::{entries, output};
use service_shim::log::{Entry, LogWriter, Stream};
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

#[test]
fn what_a_run_directory_says_is_written_as_it_was_read() {
    fn same<T: serde::de::DeserializeOwned + serde::Serialize>(path: &Path) {
        let text = std::fs::read_to_string(path).expect("checked in");
        let value: T = serde_json::from_str(&text).expect("loads");
        let written = serde_json::to_string(&value).expect("plain values");
        assert_eq!(written, text.trim_end(), "raise LAYOUT_VERSION");
    }
    let mut seen = 0;
    for sample in testkit::samples_of("layout", service_shim::LAYOUT_VERSION.into()) {
        for path in sample.files("home/run") {
            match path.file_name().and_then(|name| name.to_str()) {
                Some("launch.json") => same::<service_shim::LaunchRecord>(&path),
                Some("identity.json") => same::<service_shim::Identity>(&path),
                Some("exit.json") => same::<service_shim::ExitRecord>(&path),
                Some("notify.json") => same::<service_shim::protocol::NotifyState>(&path),
                other => panic!("{other:?} is no file of a run directory"),
            }
            seen += 1;
        }
    }
    assert!(seen > 5, "{seen}");
}

#[test]
fn a_later_layout_is_refused_by_its_number() {
    let place = common::Place::new();
    for (name, at) in [("launch.json", "launch"), ("exit.json", "exit")] {
        let text = std::fs::read_to_string(sample("run").join(name)).expect("checked in");
        let later = text.replacen("\"layout\":1", "\"layout\":9", 1);
        assert_ne!(text, later);
        std::fs::write(place.path().join(name), later).expect("ours");
        let run = RunDir::open(place.path()).expect("ours");
        let error = match at {
            "launch" => run.launch().expect_err("too new"),
            _ => run.exit().expect_err("too new"),
        };
        assert!(error.to_string().contains("has layout 9"), "{error}");
    }
}

#[test]
fn a_log_of_a_later_format_is_refused_and_left_as_it_is() {
    let place = common::Place::new();
    let index = place.path().join("000001.idx");
    let mut bytes = std::fs::read(sample("log").join("000001.idx")).expect("checked in");
    bytes[8] = 9;
    std::fs::write(&index, &bytes).expect("ours");
    let policy = service_shim::LogPolicy::new(place.path());
    let error = LogWriter::open(&policy, 2).expect_err("too new");
    assert!(error.to_string().contains("has format 9"), "{error}");
    assert_eq!(std::fs::read(&index).expect("there"), bytes);
}

fn sample(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/samples/layout-1")
        .join(name)
}
