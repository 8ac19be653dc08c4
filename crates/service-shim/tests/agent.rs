//! An agent as a child of the test, spoken to through its pipes.

#[path = "agent/client.rs"]
mod client;
mod common;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use client::Agent;
use common::{Place, eventually};
use service_shim::agent::frame::{Kind, encode};
use service_shim::agent::protocol::{Answer, FailureKind, Request};
use service_shim::agent::record::{CommandExit, Record};
use service_shim::log::Stream;
use service_shim::protocol::{self, LaunchOrder, LineBuffer, Notice};
use service_shim::{ExitRecord, LaunchSpec, LogMode, ProcessRef, Signal};
use sha2::{Digest, Sha256};

/// Starts a service through the agent, and answers with its stream and what was said on it first.
fn start(agent: &mut Agent, place: &Place, spec: &LaunchSpec) -> (u32, Notice) {
    let (stream, answer) = agent.ask(&order(agent, place, spec));
    assert_eq!(answer, Ok(Answer::Open));
    agent.send(stream, &LaunchOrder::encode(spec.clone()));
    let said = notice(agent, stream);
    (stream, said)
}

fn order(agent: &Agent, place: &Place, spec: &LaunchSpec) -> Request {
    Request::Start {
        run_root: place.path().join("run"),
        instance_id: spec.instance_id.clone(),
        log_mode: LogMode::Capture,
        before_ns: agent.hello.boot_ns + 60_000_000_000,
    }
}

fn run_dir(place: &Place, spec: &LaunchSpec) -> PathBuf {
    place.path().join("run").join(&spec.instance_id)
}

fn notice(agent: &mut Agent, stream: u32) -> Notice {
    let mut lines = LineBuffer::default();
    loop {
        if let Some(line) = lines.next_line() {
            return protocol::decode(&line).expect("a notice");
        }
        lines.push(&agent.data(stream).expect("no failure").expect("more"));
    }
}

/// How the service of a stream has ended.
fn exited(agent: &mut Agent, stream: u32) -> ExitRecord {
    let mut lines = LineBuffer::default();
    while let Some(bytes) = agent.data(stream).expect("no failure") {
        lines.push(&bytes);
        while let Some(line) = lines.next_line() {
            if let Ok(Notice::Exited { exit }) = protocol::decode(&line) {
                return exit;
            }
        }
    }
    panic!("its end was not told")
}

/// `sh -c script` as a command.
fn sh(script: &str, timeout_ms: Option<u64>) -> Request {
    Request::Exec {
        argv: ["sh", "-c", script].map(Into::into).to_vec(),
        env: vec![("PATH".into(), "/usr/bin:/bin".into())],
        cwd: Some("/".into()),
        timeout_ms,
    }
}

fn text(records: &[Record], of: Stream) -> String {
    let bytes = records.iter().filter_map(|record| match record {
        Record::Output { stream, bytes, .. } if *stream == of => Some(bytes.clone()),
        _ => None,
    });
    String::from_utf8(bytes.collect::<Vec<_>>().concat()).expect("text")
}

#[test]
fn an_agent_says_who_it_is_and_ends_with_its_stdin() {
    let mut agent = Agent::start();
    assert_eq!(agent.hello.pid, agent.child.id());
    assert_eq!(agent.hello.v, 1);
    agent.ping();
    agent.close();
    assert_eq!(agent.ended().code(), Some(0));
}

#[test]
fn a_service_outlives_the_agent_and_is_found_by_the_next() {
    let place = Place::new();
    let mut agent = Agent::start();
    let spec = place.script("echo up; sleep 1000");
    let (_, said) = start(&mut agent, &place, &spec);
    let Notice::Started { identity } = said else {
        panic!("{said:?}")
    };
    let service = ProcessRef::open(&identity).expect("procfs").expect("up");
    agent.child.kill().expect("ours");
    agent.child.wait().expect("ours");
    assert!(service.is_alive());

    let mut agent = Agent::start();
    let run_root = place.path().join("run");
    let (_, listed) = agent.ask(&Request::List { run_root });
    let instance_ids = vec![spec.instance_id.clone()];
    assert_eq!(listed, Ok(Answer::Listed { instance_ids }));
    let run_dir = run_dir(&place, &spec);
    let alive = |agent: &mut Agent, run_dir: PathBuf| agent.ask(&Request::Alive { run_dir }).1;
    assert_eq!(
        alive(&mut agent, run_dir.clone()),
        Ok(Answer::Alive { alive: true })
    );
    let look = Request::Look {
        run_dir: run_dir.clone(),
    };
    let (stream, seen) = agent.ask(&look);
    assert_eq!(seen, Ok(Answer::Open));
    agent.send(stream, &protocol::encode(protocol::Request::Subscribe));
    agent.send(stream, &protocol::encode(protocol::Request::Kill));
    let exit = exited(&mut agent, stream);
    assert_eq!(exit.signal, Some(Signal::KILL));
    let (_, seen) = agent.ask(&look);
    let missing = false;
    let exit = Some(Box::new(exit));
    assert_eq!(seen, Ok(Answer::Ended { exit, missing }));
    let (_, removed) = agent.ask(&Request::Remove {
        run_dir: run_dir.clone(),
    });
    assert_eq!(removed, Ok(Answer::Removed));
    match agent.ask(&look).1 {
        Ok(Answer::Ended {
            exit: Some(exit),
            missing: true,
        }) => assert!(exit.exit_unknown),
        other => panic!("{other:?}"),
    }
    assert_eq!(
        alive(&mut agent, run_dir),
        Ok(Answer::Alive { alive: false })
    );
}

#[test]
fn a_shim_that_died_is_succeeded_when_somebody_looks() {
    let place = Place::new();
    let mut agent = Agent::start();
    let spec = place.script("sleep 1000");
    let (stream, _) = start(&mut agent, &place, &spec);
    agent.send(stream, &protocol::encode(protocol::Request::Status));
    let Notice::Status(status) = notice(&mut agent, stream) else {
        panic!("no status")
    };
    let shim = ProcessRef::capture(status.shim_pid)
        .expect("procfs")
        .expect("up");
    shim.signal(Signal::KILL).expect("ours");
    assert_eq!(agent.data(stream), Ok(None));
    // The agent has waited for it.
    let pid = format!("/proc/{}", status.shim_pid);
    eventually("the dead shim is no zombie", || {
        !std::path::Path::new(&pid).exists()
    });
    let run_dir = run_dir(&place, &spec);
    let (stream, seen) = agent.ask(&Request::Look { run_dir });
    assert_eq!(seen, Ok(Answer::Adopting));
    assert!(matches!(notice(&mut agent, stream), Notice::Started { .. }));
    agent.send(stream, &protocol::encode(protocol::Request::Kill));
    while agent.data(stream).expect("no failure").is_some() {}
}

#[test]
fn an_order_that_comes_too_late_starts_nothing() {
    let place = Place::new();
    let mut agent = Agent::start();
    let spec = place.script("sleep 1000");
    let mut late = order(&agent, &place, &spec);
    if let Request::Start { before_ns, .. } = &mut late {
        *before_ns = agent.hello.boot_ns - 1;
    }
    let failure = agent.ask(&late).1.expect_err("refused");
    assert_eq!(failure.kind, FailureKind::Late);
    assert!(!run_dir(&place, &spec).exists());
    // A shim that waits for its order does not start what was declared over meanwhile.
    let (stream, answer) = agent.ask(&order(&agent, &place, &spec));
    assert_eq!(answer, Ok(Answer::Open));
    let mut other = Agent::start();
    let run_dir = run_dir(&place, &spec);
    let (found, seen) = other.ask(&Request::Look { run_dir });
    assert_eq!(seen, Ok(Answer::Adopting));
    assert!(matches!(notice(&mut other, found), Notice::Exited { .. }));
    agent.send(stream, &LaunchOrder::encode(spec));
    match notice(&mut agent, stream) {
        Notice::Failed { failure } => assert!(failure.message.contains("end"), "{failure:?}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_command_tells_its_output_and_its_end() {
    let mut agent = Agent::start();
    let (stream, answer) = agent.ask(&sh("read x; echo got $x; echo oh >&2; exit 3", None));
    assert_eq!(answer, Ok(Answer::Open));
    agent.send(stream, b"it\n");
    let records = agent.records(stream);
    assert_eq!(text(&records, Stream::Stdout), "got it\n");
    assert_eq!(text(&records, Stream::Stderr), "oh\n");
    assert_eq!(records.last(), Some(&Record::Exit(CommandExit::Code(3))));
    let (stream, _) = agent.ask(&sh("cat | wc -c; kill -9 $$", None));
    agent.send(stream, &vec![b'x'; 1_000_000]);
    agent.end(stream);
    let records = agent.records(stream);
    assert_eq!(text(&records, Stream::Stdout), "1000000\n");
    assert_eq!(records.last(), Some(&Record::Exit(CommandExit::Signal(9))));
    let mut missing = sh("", None);
    if let Request::Exec { argv, .. } = &mut missing {
        argv[0] = "no-such-program".into();
    }
    let failure = agent.ask(&missing).1.expect_err("none");
    assert_eq!(failure.kind, FailureKind::NotFound);
}

#[test]
fn a_command_ends_with_its_time_its_stream_and_its_agent() {
    let mut agent = Agent::start();
    let (stream, _) = agent.ask(&sh("sleep 1000 & sleep 1000", Some(100)));
    let records = agent.records(stream);
    assert_eq!(records, [Record::Exit(CommandExit::TimedOut)]);
    let child = |agent: &mut Agent| {
        let (stream, _) = agent.ask(&sh("sleep 1000 & echo $!; wait", None));
        let bytes = agent.data(stream).expect("no failure").expect("its number");
        let said = String::from_utf8_lossy(&bytes[21..]).trim().to_owned();
        (stream, PathBuf::from(format!("/proc/{said}")))
    };
    // A zombie is gone too: whoever reaps orphans here may be slow.
    let is_gone = |process: &PathBuf| {
        let stat = std::fs::read_to_string(process.join("stat")).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ")
    };
    let (stream, process) = child(&mut agent);
    agent.give_up(stream);
    eventually("it is killed with its stream", || is_gone(&process));
    let (_, process) = child(&mut agent);
    agent.close();
    assert_eq!(agent.ended().code(), Some(0));
    eventually("it is killed with the agent", || is_gone(&process));
}

#[test]
fn a_stream_leads_to_a_tcp_address() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let to = listener.local_addr().expect("bound");
    let request = Request::Tcp {
        address: to.ip(),
        port: to.port(),
    };
    let mut agent = Agent::start();
    let (stream, answer) = agent.ask(&request);
    assert_eq!(answer, Ok(Answer::Open));
    agent.send(stream, b"there");
    agent.end(stream);
    let (mut served, _) = listener.accept().expect("carried");
    let mut all = String::new();
    served.read_to_string(&mut all).expect("to the end");
    assert_eq!(all, "there");
    served.write_all(b"back").expect("open");
    drop(served);
    assert_eq!(agent.data(stream), Ok(Some(b"back".to_vec())));
    assert_eq!(agent.data(stream), Ok(None));
    drop(listener);
    let failure = agent.ask(&request).1.expect_err("nobody listens");
    assert_eq!(failure.kind, FailureKind::Refused);
}

#[test]
fn a_stream_leads_to_a_socket_of_the_host() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("engine.sock");
    let request = Request::Unix { path: path.clone() };
    let mut agent = Agent::start();
    let failure = agent.ask(&request).1.expect_err("there is none");
    assert_eq!(failure.kind, FailureKind::NotFound);
    let listener = UnixListener::bind(&path).expect("free");
    let (stream, answer) = agent.ask(&request);
    assert_eq!(answer, Ok(Answer::Open));
    agent.send(stream, b"there");
    agent.end(stream);
    let (mut served, _) = listener.accept().expect("carried");
    let mut all = String::new();
    served.read_to_string(&mut all).expect("to the end");
    assert_eq!(all, "there");
    served.write_all(b"back").expect("open");
    drop(served);
    assert_eq!(agent.data(stream), Ok(Some(b"back".to_vec())));
    assert_eq!(agent.data(stream), Ok(None));
    drop(listener);
    let failure = agent.ask(&request).1.expect_err("nobody listens");
    assert_eq!(failure.kind, FailureKind::Refused);
}

#[test]
fn a_file_is_there_whole_or_not_at_all() {
    let place = Place::new();
    let mut agent = Agent::start();
    let path = place.path().join("a/b/file");
    let content: Vec<u8> = (0..=255).cycle().take(700_000).collect();
    let sha256: String = Sha256::digest(&content)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let put = |sha256: &str, size| Request::Put {
        path: path.clone(),
        mode: 0o750,
        sha256: sha256.to_owned(),
        size,
    };
    let size = 700_000;
    let directory = path.parent().expect("has one").to_owned();
    let count = || std::fs::read_dir(&directory).expect("made").count();
    for (sha256, size) in [(&*"0".repeat(64), size), (&*sha256, size + 1)] {
        let (stream, answer) = agent.ask(&put(sha256, size));
        assert_eq!(answer, Ok(Answer::Open));
        agent.send(stream, &content);
        agent.end(stream);
        let failure = agent.data(stream).expect_err("refused");
        assert_eq!(failure.kind, FailureKind::Content);
        assert_eq!(count(), 0);
    }
    // Given up in the middle.
    let (stream, _) = agent.ask(&put(&sha256, size));
    agent.send(stream, &content[..1000]);
    agent.give_up(stream);
    eventually("nothing of it is left", || count() == 0);
    let (stream, _) = agent.ask(&put(&sha256, size));
    agent.send(stream, &content);
    agent.end(stream);
    assert_eq!(agent.data(stream), Ok(None));
    assert!(std::fs::read(&path).expect("there") == content);
    let mode = std::fs::metadata(&path)
        .expect("there")
        .permissions()
        .mode();
    assert_eq!((mode & 0o7777, count()), (0o750, 1));
}

#[test]
fn a_reader_of_logs_that_is_stuck_holds_up_no_order() {
    let place = Place::new();
    let mut agent = Agent::start();
    let spec = place.script("i=0; while :; do echo line $i; i=$((i+1)); done");
    let (stream, _) = start(&mut agent, &place, &spec);
    let log = Request::Log {
        dir: place.log_dir(),
        attempt: 1,
        since_ns: None,
        follow: true,
    };
    let (logs, answer) = agent.ask(&log);
    assert_eq!(answer, Ok(Answer::Open));
    // More is written than the stream may hold, and nobody takes it.
    eventually("there is much to read", || {
        place.output(Stream::Stdout).len() > 1_000_000
    });
    agent.send(stream, &protocol::encode(protocol::Request::Kill));
    let exit = exited(&mut agent, stream);
    assert_eq!(exit.signal, Some(Signal::KILL));
    agent.give_up(logs);
    let whole = Request::Log {
        dir: place.log_dir(),
        attempt: 1,
        since_ns: None,
        follow: false,
    };
    let (logs, _) = agent.ask(&whole);
    let records = agent.records(logs);
    assert!(matches!(
        records.first(),
        Some(Record::Begin { attempt: 1, .. })
    ));
    assert!(matches!(
        records.last(),
        Some(Record::End { attempt: 1, .. })
    ));
    assert!(text(&records, Stream::Stdout).into_bytes() == place.output(Stream::Stdout));
}

#[test]
fn what_makes_no_sense_is_refused_or_ends_the_agent() {
    let mut agent = Agent::start();
    for request in [b"{\"request\":\"fly\"}".as_slice(), b"\xff\xff", b""] {
        let stream = agent.open_raw(request);
        let failure = agent.answer(stream).expect_err("refused");
        assert_eq!(failure.kind, FailureKind::Request);
    }
    agent.ping();
    for hostile in [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        vec![0xff; 100_000],
        vec![0; 9],
        {
            let mut never = Vec::new();
            encode(&mut never, 7, Kind::Data, b"x");
            never
        },
    ] {
        let mut agent = Agent::start();
        agent.write(&hostile);
        assert_eq!(agent.ended().code(), Some(65));
    }
}

#[test]
fn many_streams_leave_nothing_open() {
    let place = Place::new();
    let mut agent = Agent::start();
    let fds = format!("/proc/{}/fd", agent.child.id());
    let count = || std::fs::read_dir(&fds).expect("procfs").count();
    let before = count();
    let spec = place.script("sleep 1000");
    let (first, _) = start(&mut agent, &place, &spec);
    let run_dir = run_dir(&place, &spec);
    for _ in 0..50 {
        let (stream, _) = agent.ask(&Request::Connect {
            run_dir: run_dir.clone(),
        });
        agent.give_up(stream);
        let (stream, _) = agent.ask(&sh("true", None));
        agent.records(stream);
        agent.end(stream);
    }
    agent.send(first, &protocol::encode(protocol::Request::Kill));
    while agent.data(first).expect("no failure").is_some() {}
    agent.end(first);
    eventually("all is closed", || count() == before);
}

#[test]
fn the_program_tells_its_version() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_service-shim"))
        .arg("--version")
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        said,
        format!("harness-shim {}\n", env!("CARGO_PKG_VERSION"))
    );
}
