//! The shim is killed again and again; the service and its output must not notice.

mod common;

use std::fmt::Write as _;
use std::time::Duration;

use common::{Place, entries, eventually, marked};
use service_shim::log::{Entry, Stream};
use service_shim::protocol::{self, Notice, Request};
use service_shim::{LogPolicy, ProcessRef, Signal};

#[test]
fn not_a_byte_is_lost_or_doubled_over_twenty_kills() {
    let place = Place::new();
    // Numbered lines at full speed on one stream, and a slow, torn line on the other.
    let script = "(i=0; while [ $i -lt 300 ]; do i=$((i+1)); printf 'err %d ' $i >&2; sleep 0.005; echo end >&2; done) & \
        i=0; while [ $i -lt 30 ]; do i=$((i+1)); seq 1 20000; sleep 0.05; done; wait; exit 21";
    let mut spec = place.script(script);
    spec.log = LogPolicy {
        max_segment_bytes: 1024 * 1024,
        max_segments: 1000,
        ..LogPolicy::new(place.log_dir())
    };
    let (mut shim, identity) = place.started(&spec);
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(60));
        shim.kill_shim();
        let mut next = shim.adopt();
        match next.next() {
            Some(Notice::Started { identity: found }) => assert_eq!(found, identity),
            other => panic!("{other:?}"),
        }
        // The old handle would end the service when dropped.
        std::mem::forget(std::mem::replace(&mut shim, next));
    }
    let exit = shim.exited();
    assert_eq!((exit.code, exit.exit_unknown), (Some(21), false));
    let mut expected = String::new();
    for number in 1..=20_000 {
        writeln!(expected, "{number}").expect("memory");
    }
    let expected = expected.repeat(30);
    assert!(
        place.output(Stream::Stdout) == expected.as_bytes(),
        "stdout differs"
    );
    let expected: String = (1..=300)
        .map(|number| format!("err {number} end\n"))
        .collect();
    assert_eq!(
        String::from_utf8_lossy(&place.output(Stream::Stderr)),
        expected
    );
    let gaps = entries(&place.log_dir())
        .into_iter()
        .filter(|entry| matches!(entry, Entry::Gap { .. }))
        .count();
    assert_eq!(gaps, 0);
}

#[test]
fn an_end_that_was_written_and_not_yet_named_is_found() {
    let place = Place::new();
    let (mut shim, _) = place.started(&place.script("exit 9"));
    let told = shim.exited();
    shim.child.wait().expect("own child");
    let run = shim.run_dir();
    // As if the shim had been killed between its last two steps.
    std::fs::rename(run.path().join("exit.json"), run.path().join("launch.json"))
        .expect("the end was recorded");
    assert_eq!(run.exit().expect("readable"), None);
    assert_eq!(shim.adopt().exited(), told);
    assert_eq!(run.exit().expect("readable"), Some(told));
}

#[test]
fn what_ended_while_nobody_looked_has_no_invented_code() {
    let place = Place::new();
    let mut spec = place.script("read x; exit 12");
    spec.stdin = true;
    let (mut shim, identity) = place.started(&spec);
    // Without a shim the service reads the end of its input, writes, and ends.
    shim.kill_shim();
    eventually("it has ended", || !identity.is_alive());
    let mut adopted = shim.adopt();
    let exit = adopted.exited();
    // Known only while nobody has reaped it; never guessed.
    assert!(
        exit.code == Some(12) || (exit.exit_unknown && exit.code.is_none()),
        "{exit:?}"
    );
}

#[test]
fn a_service_that_was_never_recorded_is_found_by_its_marker() {
    let place = Place::new();
    let (mut shim, identity) = place.started(&place.script("echo up; sleep 1000"));
    shim.kill_shim();
    // As if the shim had died between starting the service and writing down who it is.
    std::fs::remove_file(shim.run.join("identity.json")).expect("own file");
    let mut adopted = shim.adopt();
    match adopted.next() {
        Some(Notice::Started { identity: found }) => assert_eq!(found, identity),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_launch_that_never_began_has_ended() {
    let place = Place::new();
    let spec = place.program("true", &[]);
    let run =
        service_shim::RunDir::create(&place.path().join("run"), &spec.instance_id).expect("fresh");
    let mut shim = common::Shim::spawn("adopt", run.path());
    let exit = shim.exited();
    assert!(exit.exit_unknown && exit.pid.is_none(), "{exit:?}");
    assert_eq!(exit.instance_id, spec.instance_id);
}

#[test]
fn an_orphan_left_by_both_is_found_and_ended() {
    let place = Place::new();
    let (mut shim, identity) = place.started(&place.script("setsid sleep 1000 & echo up; wait"));
    // `setsid` forks, and is itself until it has become the program that it was asked to run.
    eventually("the orphan runs", || {
        let all = marked(&identity_marker(&shim));
        all.len() == 2 && all.iter().any(|pid| runs(*pid, "sleep"))
    });
    let instance_id = identity_marker(&shim);
    shim.kill_shim();
    let service = ProcessRef::open(&identity)
        .expect("procfs")
        .expect("it outlives its shim");
    service.signal(Signal::KILL).expect("own");
    eventually("it has ended", || !identity.is_alive());
    assert_eq!(marked(&instance_id).len(), 1, "the orphan goes on");
    let mut adopted = shim.adopt();
    let exit = adopted.exited();
    assert!(
        exit.exit_unknown || exit.signal == Some(Signal::KILL),
        "{exit:?}"
    );
    let report = exit.stop.expect("something was left");
    assert_eq!(
        (report.leftovers.count, report.leftovers.names),
        (1, vec!["sleep".to_owned()])
    );
    assert!(marked(&instance_id).is_empty());
}

#[test]
fn what_is_in_the_pipes_stays_while_somebody_holds_them() {
    let place = Place::new();
    let mut spec = place.script("read x; echo said at the last moment");
    spec.stdin = true;
    let (mut shim, identity) = place.started(&spec);
    let held = service_shim::RunDir::open(&shim.run)
        .expect("it is there")
        .hold_output();
    assert_eq!(held.len(), 2);
    // Without a shim the service reads the end of its input, writes, and ends: nobody of the two is left.
    shim.kill_shim();
    eventually("it has ended", || !identity.is_alive());
    let mut adopted = shim.adopt();
    adopted.exited();
    assert_eq!(place.output(Stream::Stdout), b"said at the last moment\n");
}

#[test]
fn nothing_of_a_cgroup_is_left_once_the_exit_is_recorded() {
    let place = Place::new();
    let (mut shim, _) = place.started(&place.script("exec sleep 1000"));
    let launch = service_shim::RunDir::open(&shim.run)
        .expect("it is there")
        .launch()
        .expect("it can be read")
        .expect("it was written");
    // Only now: the record of the end takes its place.
    shim.write(&protocol::encode(Request::Kill));
    shim.exited();
    // Where no group can be made, there was none.
    assert!(launch.cgroup.is_none_or(|group| !group.exists()));
}

fn identity_marker(shim: &common::Shim) -> String {
    shim.run
        .file_name()
        .expect("named by instance")
        .to_string_lossy()
        .into_owned()
}

/// Whether the program of this name is what the process runs.
fn runs(pid: u32, program: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == program)
}
