//! A tree that does everything to stay: deaf, double-forked, in sessions of its own. It must be gone in time.

mod common;

use std::process::Command;
use std::time::{Duration, Instant};

use common::{Place, Shim, eventually, is_root, marked, stop};
use service_shim::protocol::{self, LaunchOrder, Notice, Request};
use service_shim::{Escalation, LaunchSpec, Signal};

const DEAF: &str = "trap '' TERM INT HUP; \
    (setsid sh -c 'trap \"\" TERM INT HUP; (setsid sleep 1000 &); while :; do sleep 0.1; done' &); \
    echo up; while :; do sleep 0.1; done";

fn must_be_gone(place: &Place, mut shim: Shim, spec: &LaunchSpec) {
    eventually("three sessions run", || {
        let pids = marked(&spec.instance_id);
        let sessions = pids.iter().filter(|pid| leads_a_session(**pid)).count();
        place.stdout_text().contains("up") && sessions == 3
    });
    let begun = Instant::now();
    shim.write(&protocol::encode(Request::Stop(stop(500))));
    let exit = shim.exited();
    let took = begun.elapsed();
    assert!(took < Duration::from_millis(500 + 2000), "took {took:?}");
    assert!(
        took >= Duration::from_millis(500),
        "the grace was not kept: {took:?}"
    );
    assert_eq!(exit.signal, Some(Signal::KILL));
    let report = exit.stop.expect("it was asked");
    assert_eq!(
        (report.requested, report.escalation),
        (Some(Signal::TERM), Escalation::Killed)
    );
    assert!(report.leftovers.count >= 3, "{report:?}");
    assert!(
        report.leftovers.names.contains(&"sleep".to_owned()),
        "{report:?}"
    );
    assert!(marked(&spec.instance_id).is_empty());
}

fn leads_a_session(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(") ").next().unwrap_or_default().to_owned();
    after_name.split(' ').nth(3) == Some(&pid.to_string())
}

#[test]
fn a_deaf_tree_is_gone_without_a_cgroup() {
    let place = Place::new();
    let spec = place.script(DEAF);
    let (shim, _) = place.started(&spec);
    must_be_gone(&place, shim, &spec);
}

#[test]
fn a_deaf_tree_is_gone_with_a_cgroup_where_one_can_be_made() {
    let place = Place::new();
    let mut spec = place.script(DEAF);
    spec.cgroup = true;
    let (shim, identity) = place.started(&spec);
    let record = shim.run_dir().launch().expect("readable").expect("written");
    if let Some(cgroup) = &record.cgroup {
        let group =
            std::fs::read_to_string(format!("/proc/{}/cgroup", identity.pid)).expect("procfs");
        assert!(group.contains(&spec.instance_id), "{group}");
        assert!(cgroup.exists());
    }
    must_be_gone(&place, shim, &spec);
    assert!(
        record.cgroup.is_none_or(|cgroup| !cgroup.exists()),
        "the group is left behind"
    );
}

#[test]
fn a_deaf_tree_of_an_ordinary_user_is_gone() {
    if !is_root() {
        // Then every other test here is this one.
        return;
    }
    let place = Place::new();
    std::os::unix::fs::chown(place.path(), Some(NOBODY), Some(NOBODY)).expect("root");
    let mut spec = place.script(DEAF);
    spec.cgroup = true;
    let mut shim = launch_as_nobody(&place, &spec);
    match shim.next() {
        Some(Notice::Started { .. }) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(
        shim.run_dir()
            .launch()
            .expect("readable")
            .expect("written")
            .cgroup,
        None
    );
    must_be_gone(&place, shim, &spec);
}

#[test]
fn a_deaf_tree_is_gone_although_its_shim_was_killed() {
    let place = Place::new();
    let spec = place.script(DEAF);
    let (mut shim, _) = place.started(&spec);
    eventually("it is up", || place.stdout_text().contains("up"));
    shim.kill_shim();
    let mut adopted = shim.adopt();
    assert!(matches!(adopted.next(), Some(Notice::Started { .. })));
    must_be_gone(&place, adopted, &spec);
}

#[test]
fn leftovers_of_a_service_that_ended_by_itself_are_ended() {
    let place = Place::new();
    let spec = place.script("(setsid sleep 1000 &) ; exit 6");
    let (mut shim, _) = place.started(&spec);
    let exit = shim.exited();
    assert_eq!(exit.code, Some(6));
    let report = exit.stop.expect("something was left");
    assert_eq!(
        (report.requested, report.escalation),
        (None, Escalation::TreeTerm)
    );
    assert_eq!(report.leftovers.count, 1);
    assert!(marked(&spec.instance_id).is_empty());
}

#[test]
fn a_stopped_process_is_ended_too() {
    let place = Place::new();
    let spec = place.script("sleep 1000 & kill -STOP $!; exit 0");
    let (mut shim, _) = place.started(&spec);
    let begun = Instant::now();
    assert!(shim.exited().stop.is_some());
    assert!(begun.elapsed() < Duration::from_secs(3));
    assert!(marked(&spec.instance_id).is_empty());
}

#[test]
fn a_service_becomes_another_user_with_all_its_groups() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let mut spec = place.script("id -u; id -g; id -G; echo again > /dev/stdout; umask");
    spec.user = Some("nobody".to_owned());
    let (mut shim, _) = place.started(&spec);
    assert_eq!(shim.exited().code, Some(0));
    let text = place.stdout_text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines, ["65534", "65534", "65534", "again", "0022"]);
}

fn launch_as_nobody(place: &Place, spec: &LaunchSpec) -> Shim {
    let run =
        service_shim::RunDir::create(&place.path().join("run"), &spec.instance_id).expect("fresh");
    std::os::unix::fs::chown(run.path(), Some(NOBODY), Some(NOBODY)).expect("root");
    // The build directory may be closed to others; a copy in the test's place is not.
    let program = place.path().join("shim");
    std::fs::copy(env!("CARGO_BIN_EXE_service-shim"), &program).expect("the shim's program");
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(program);
    let mut shim = Shim::spawn_by(command, "run", run.path());
    shim.write(&LaunchOrder::encode(spec.clone()));
    shim
}

const NOBODY: u32 = 65534;
