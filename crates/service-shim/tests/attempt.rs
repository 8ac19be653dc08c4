//! One attempt from launch to exit record, with the real program.

mod common;

use common::{Place, Shim, eventually, marked, stop};
use service_shim::log::Stream;
use service_shim::protocol::{LaunchOrder, Notice, Request, StartFailureKind};
use service_shim::{Escalation, Identity, RawString, Signal, StopPolicy, StopScope};

#[test]
fn the_exit_code_and_all_output_are_kept() {
    let place = Place::new();
    let mut spec = place.script("echo out; echo err >&2; echo $FOO; exit 37");
    spec.env
        .push(("FOO".into(), RawString::from_bytes(vec![b'x', 0xff, b'y'])));
    let (mut shim, identity) = place.started(&spec);
    let exit = shim.exited();
    assert_eq!(
        (exit.code, exit.signal, exit.exit_unknown),
        (Some(37), None, false)
    );
    assert_eq!(exit.pid, Some(identity.pid));
    assert_eq!(exit.stop, None);
    assert_eq!(place.output(Stream::Stdout), b"out\nx\xffy\n");
    assert_eq!(place.output(Stream::Stderr), b"err\n");
    assert_eq!(shim.run_dir().exit().expect("readable"), Some(exit));
    assert!(shim.child.wait().expect("own child").success());
    assert!(!identity.is_alive());
}

#[test]
fn a_signal_that_ended_it_is_reported_as_one() {
    let place = Place::new();
    let (mut shim, _) = place.started(&place.script("kill -SEGV $$"));
    let exit = shim.exited();
    assert_eq!(
        (exit.code, exit.signal.map(Signal::number)),
        (None, Some(11))
    );
}

#[test]
fn what_cannot_be_started_says_why() {
    let place = Place::new();
    let mut cases = Vec::new();
    cases.push((
        place.program("no-such-program", &[]),
        StartFailureKind::NotFound,
    ));
    let plain = place.path().join("plain");
    std::fs::write(&plain, "text").expect("own directory");
    cases.push((
        place.program(plain.to_str().expect("text"), &[]),
        StartFailureKind::Permission,
    ));
    let mut spec = place.program("true", &[]);
    spec.cwd = Some("/no/such/place".into());
    cases.push((spec, StartFailureKind::WorkingDirectory));
    let mut spec = place.program("true", &[]);
    spec.user = Some("nobody-of-that-name".into());
    cases.push((spec, StartFailureKind::User));
    cases.push((place.program("true", &["a\0b"]), StartFailureKind::Order));
    for (spec, expected) in cases {
        let mut shim = place.launch(&spec);
        match shim.next() {
            Some(Notice::Failed { failure }) => {
                assert_eq!(failure.kind, expected, "{}", failure.message)
            }
            other => panic!("{spec:?}: {other:?}"),
        }
        let exit = shim.run_dir().exit().expect("readable").expect("written");
        assert_eq!(exit.failure.map(|failure| failure.kind), Some(expected));
    }
}

#[test]
fn secrets_never_touch_the_disk_or_an_argument_of_the_shim() {
    let place = Place::new();
    let mut spec = place.program("sleep", &["60"]);
    spec.env.push(("PASSWORD".into(), "canary-7f3a".into()));
    let (shim, _) = place.started(&spec);
    let shim_args = std::fs::read(format!("/proc/{}/cmdline", shim.child.id())).expect("procfs");
    let shim_env = std::fs::read(format!("/proc/{}/environ", shim.child.id())).expect("procfs");
    assert!(!String::from_utf8_lossy(&shim_args).contains("canary"));
    assert!(!String::from_utf8_lossy(&shim_env).contains("canary"));
    for entry in std::fs::read_dir(&shim.run)
        .expect("run directory")
        .flatten()
    {
        if entry.file_type().expect("a file").is_file() {
            let text = std::fs::read(entry.path()).expect("readable");
            assert!(
                !String::from_utf8_lossy(&text).contains("canary"),
                "{:?}",
                entry.file_name()
            );
        }
        let mode = std::os::unix::fs::MetadataExt::mode(&entry.metadata().expect("a file"));
        assert!(
            mode & 0o077 == 0 || entry.file_type().is_ok_and(|kind| kind.is_dir()),
            "{:?}",
            entry.file_name()
        );
    }
}

#[test]
fn a_second_start_in_the_same_directory_is_refused() {
    let place = Place::new();
    let spec = place.program("sleep", &["60"]);
    let (mut shim, identity) = place.started(&spec);
    for _ in 0..2 {
        let mut second = Shim::spawn("run", &shim.run);
        second.write(&LaunchOrder::encode(spec.clone()));
        match second.next() {
            Some(Notice::Failed { failure }) => assert_eq!(failure.kind, StartFailureKind::Locked),
            other => panic!("{other:?}"),
        }
        assert_eq!(second.child.wait().expect("own child").code(), Some(100));
        std::mem::forget(second);
        assert!(identity.is_alive());
        // The second time round the lock is the service's alone.
        if shim.child.try_wait().expect("own child").is_none() {
            shim.kill_shim();
        }
    }
    let _adopted = shim.adopt();
}

#[test]
fn an_adopter_leaves_a_served_attempt_alone() {
    let place = Place::new();
    let (shim, _) = place.started(&place.program("sleep", &["60"]));
    let mut second = shim.adopt();
    assert!(
        matches!(second.next(), Some(Notice::Failed { failure }) if failure.kind == StartFailureKind::Locked)
    );
    assert_eq!(second.child.wait().expect("own child").code(), Some(100));
    std::mem::forget(second);
}

#[test]
fn another_process_with_the_same_number_is_not_taken_for_the_service() {
    let place = Place::new();
    let (mut shim, identity) = place.started(&place.program("sleep", &["60"]));
    let imposter = Identity {
        start_ticks: identity.start_ticks - 1,
        ..identity.clone()
    };
    assert!(identity.is_alive() && !imposter.is_alive());
    shim.kill_shim();
    let text = serde_json::to_vec(&imposter).expect("json");
    std::fs::write(shim.run.join("identity.json"), text).expect("own file");
    let mut adopted = shim.adopt();
    let exit = adopted.exited();
    assert!(exit.exit_unknown, "{exit:?}");
    eventually("what carries the marker is ended", || {
        marked(&exit.instance_id).is_empty()
    });
}

#[test]
fn stdin_is_written_to_the_end_and_closed() {
    let place = Place::new();
    let mut spec = place.program("cat", &[]);
    spec.stdin = true;
    let (mut shim, _) = place.started(&spec);
    let mut expected: Vec<u8> = Vec::new();
    for round in 0..40u8 {
        let data = vec![round.wrapping_mul(7); 20_000];
        expected.extend(&data);
        let answer = shim.ask(Request::Stdin {
            data: RawString::from_bytes(data),
        });
        assert_eq!(answer, Some(Notice::Done));
    }
    assert_eq!(shim.ask(Request::CloseStdin), Some(Notice::Done));
    assert_eq!(shim.exited().code, Some(0));
    assert!(place.output(Stream::Stdout) == expected);
}

#[test]
fn input_that_nobody_reads_is_refused_and_does_no_harm() {
    let place = Place::new();
    let mut spec = place.script("exec 0<&-; echo closed; sleep 1000");
    spec.stdin = true;
    let (mut shim, identity) = place.started(&spec);
    eventually("the input is closed", || {
        place.stdout_text().contains("closed")
    });
    let answer = shim.ask(Request::Stdin {
        data: "text".into(),
    });
    assert!(matches!(answer, Some(Notice::Refused { .. })), "{answer:?}");
    assert!(
        matches!(shim.ask(Request::Status), Some(Notice::Status(status)) if status.identity == Some(identity))
    );
}

#[test]
fn a_service_without_stdin_reads_the_end_at_once() {
    let place = Place::new();
    let (mut shim, _) = place.started(&place.program("cat", &[]));
    assert_eq!(shim.exited().code, Some(0));
}

#[test]
fn signals_and_status_reach_the_main_process() {
    let place = Place::new();
    let (mut shim, identity) = place
        .started(&place.script("trap 'echo usr1' USR1; echo up; while :; do sleep 0.05; done"));
    eventually("the trap is set", || place.stdout_text().contains("up"));
    let usr1: Signal = "USR1".parse().expect("a signal");
    assert_eq!(
        shim.ask(Request::Signal { signal: usr1 }),
        Some(Notice::Done)
    );
    eventually("the signal arrives", || {
        place.stdout_text().contains("usr1")
    });
    match shim.ask(Request::Status) {
        Some(Notice::Status(status)) => {
            assert_eq!(status.identity, Some(identity));
            assert_eq!(status.shim_pid, shim.child.id());
            assert!(!status.stopping);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn readiness_is_reported_and_remembered() {
    let place = Place::new();
    // What sd_notify does, in the shell's own words where possible.
    let python = "import os,socket,time\n\
        a=os.environ['NOTIFY_SOCKET']; a='\\0'+a[1:] if a[0]=='@' else a\n\
        s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM); s.connect(a)\n\
        s.send(b'STATUS=warming up'); s.send(b'READY=1\\nSTATUS=up'); time.sleep(60)";
    let mut spec = place.program("python3", &["-c", python]);
    spec.notify = true;
    let (mut shim, _) = place.started(&spec);
    let mut heard = Vec::new();
    while !heard.iter().any(|(ready, _)| *ready) {
        match shim.next() {
            Some(Notice::Notify(state)) => heard.push((state.ready, state.status)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(
        heard,
        [
            (false, Some("warming up".to_owned())),
            (true, Some("up".to_owned()))
        ]
    );
    shim.kill_shim();
    let mut adopted = shim.adopt();
    assert!(matches!(adopted.next(), Some(Notice::Started { .. })));
    match adopted.ask(Request::Status) {
        Some(Notice::Status(status)) => assert!(status.notify.ready),
        other => panic!("{other:?}"),
    }
}

#[test]
fn readiness_from_a_stranger_is_not_believed() {
    let place = Place::new();
    let mut spec = place.program("sleep", &["60"]);
    spec.notify = true;
    let (mut shim, _) = place.started(&spec);
    let socket = std::os::unix::net::UnixDatagram::unbound().expect("a socket");
    socket
        .send_to(b"READY=1", shim.run.join("notify.sock"))
        .expect("the shim listens");
    match shim.ask(Request::Status) {
        Some(Notice::Status(status)) => assert!(!status.notify.ready),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_polite_service_ends_when_asked_and_the_report_says_so() {
    let place = Place::new();
    let (mut shim, _) =
        place.started(&place.script("trap 'exit 5' INT; echo up; while :; do sleep 0.05; done"));
    eventually("the trap is set", || place.stdout_text().contains("up"));
    shim.write(&service_shim::protocol::encode(Request::Stop(StopPolicy {
        signal: Signal::INT,
        ..stop(5000)
    })));
    let exit = shim.exited();
    let report = exit.stop.expect("it was asked");
    assert_eq!((exit.code, report.requested), (Some(5), Some(Signal::INT)));
    assert!(
        report.escalation <= Escalation::TreeTerm,
        "a sleep may have been left"
    );
}

#[test]
fn a_whole_group_can_be_asked() {
    let place = Place::new();
    let script = "sh -c 'trap \"echo child; exit\" TERM; echo up; while :; do sleep 0.05; done' & trap 'wait; exit 3' TERM; wait; exit 9";
    let (mut shim, _) = place.started(&place.script(script));
    eventually("the trap is set", || place.stdout_text().contains("up"));
    shim.write(&service_shim::protocol::encode(Request::Stop(StopPolicy {
        scope: StopScope::Group,
        ..stop(5000)
    })));
    let exit = shim.exited();
    assert_eq!(exit.code, Some(3));
    assert!(place.stdout_text().contains("child"));
}

#[test]
fn a_deep_run_directory_is_no_problem() {
    let place = Place::new();
    let mut spec = place.program("true", &[]);
    spec.notify = true;
    let root = place.path().join("d".repeat(120)).join("e".repeat(120));
    let run = service_shim::RunDir::create(&root, &spec.instance_id).expect("a deep directory");
    let mut shim = Shim::spawn("run", run.path());
    shim.write(&LaunchOrder::encode(spec));
    assert_eq!(shim.exited().code, Some(0));
}
