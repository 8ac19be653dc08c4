//! What a stop promises: the signal asked for, the time allowed, and nothing left.

use std::time::{Duration, Instant};

use service_orchestration::executors::StopOrder;
use service_orchestration::logs::LogStream;
use service_orchestration::spec::StopScope;

use testkit::within;

use crate::ground::*;

const INT: i32 = 2;
const TERM: i32 = 15;
const KILL: i32 = 9;
const USR1: i32 = 10;

pub(crate) async fn a_polite_service_ends_by_the_signal_it_wants(ground: &dyn Ground) {
    let order = fixture(ground, &["signals", "--exit-on", "INT"]);
    let mut attempt = launch(ground, order).await;
    told(ground, &mut *attempt, "ready").await;
    attempt
        .control()
        .stop(&politely(INT, SOON))
        .await
        .expect("it runs");
    let exit = end_of(&mut *attempt).await;
    assert_eq!(plain(&exit), code(0));
    let stop = exit.stop.expect("it was stopped");
    assert_eq!((stop.escalation.as_str(), stop.leftover_count), ("none", 0));
    let said = written(ground, LogStream::Stdout).await;
    assert!(
        said.ends_with(b"\nsignal INT\n"),
        "{}",
        String::from_utf8_lossy(&said)
    );
}

pub(crate) async fn a_deaf_service_is_killed_after_its_grace(ground: &dyn Ground) {
    let mut attempt = launch(ground, fixture(ground, &["ignore-term"])).await;
    told(ground, &mut *attempt, "pid").await;
    let grace = Duration::from_millis(300);
    let asked = Instant::now();
    attempt
        .control()
        .stop(&politely(TERM, grace))
        .await
        .expect("it runs");
    let exit = end_of(&mut *attempt).await;
    let took = asked.elapsed();
    assert!(took >= grace, "{took:?}");
    assert_eq!(plain(&exit), ground.by_signal(KILL));
    assert_eq!(exit.stop.expect("it was stopped").escalation, "killed");
}

pub(crate) async fn a_stop_of_all_asks_every_process(ground: &dyn Ground) {
    let script = "trap 'wait; exit 5' TERM; \"$0\" signals & wait";
    let fixture = ground.fixture();
    let order = ground.order(&["/bin/sh", "-c", script, fixture]);
    let mut attempt = launch(ground, order).await;
    told(ground, &mut *attempt, "ready").await;
    let stop = StopOrder {
        scope: StopScope::Group,
        ..politely(TERM, SOON)
    };
    attempt.control().stop(&stop).await.expect("it runs");
    let exit = end_of(&mut *attempt).await;
    assert_eq!(
        plain(&exit),
        code(5),
        "its main process waited for the other"
    );
    let said = written(ground, LogStream::Stdout).await;
    assert!(said.ends_with(b"\nsignal TERM\n"));
}

pub(crate) async fn a_kill_ends_the_whole_tree_at_once(ground: &dyn Ground) {
    let mut attempt = launch(ground, fixture(ground, &["tree"])).await;
    let (child, grandchild) = (
        told(ground, &mut *attempt, "child").await,
        told(ground, &mut *attempt, "grandchild").await,
    );
    attempt.control().kill().await.expect("it runs");
    assert_eq!(plain(&end_of(&mut *attempt).await), ground.by_signal(KILL));
    for pid in [pid_of(&*attempt), child, grandchild] {
        assert!(!ground.is_alive(pid), "{pid} is left");
    }
}

pub(crate) async fn a_grandchild_that_left_its_session_is_gone_after_the_stop(ground: &dyn Ground) {
    for quiet in [&[][..], &["--quiet"]] {
        let order = fixture(ground, &[&["daemonize", "--stay"], quiet].concat());
        let id = order.instance_id.clone();
        let mut attempt = launch(ground, order).await;
        let orphan = orphan_of(ground, &id, pid_of(&*attempt)).await;
        let grace = Duration::from_millis(500);
        attempt
            .control()
            .stop(&politely(TERM, grace))
            .await
            .expect("it runs");
        let exit = end_of(&mut *attempt).await;
        assert!(!ground.is_alive(orphan));
        let stop = exit.stop.expect("it was stopped");
        assert_eq!(
            (stop.escalation.as_str(), stop.leftover_count),
            ("killed", 1),
            "{stop:?}"
        );
        assert_eq!(stop.leftovers, ["fixture"], "the report names it");
        ground.executor().forget(&id).await;
    }
}

pub(crate) async fn what_a_service_leaves_behind_is_ended_before_its_end_is_told(
    ground: &dyn Ground,
) {
    let script = "setsid sleep 1000 > /dev/null 2>&1 & echo orphan $!";
    let mut attempt = launch(ground, shell(ground, script)).await;
    let exit = end_of(&mut *attempt).await;
    let orphan = within(SOON, "orphan", logged(ground, "orphan")).await;
    assert!(!ground.is_alive(orphan));
    assert_eq!(plain(&exit), code(0), "the end is the main process's own");
    assert_eq!(exit.stop.expect("something was left").leftover_count, 1);
}

pub(crate) async fn one_signal_is_sent_to_the_main_process_and_nothing_else(ground: &dyn Ground) {
    let order = fixture(ground, &["signals", "--exit-on", "TERM"]);
    let mut attempt = launch(ground, order).await;
    told(ground, &mut *attempt, "ready").await;
    let control = attempt.control();
    for number in [USR1, TERM] {
        control.signal(number).await.expect("it runs");
        if number == USR1 {
            said(ground, &mut *attempt, "signal USR1").await;
        }
    }
    let exit = end_of(&mut *attempt).await;
    assert_eq!((plain(&exit), exit.stop), (code(0), None), "it is no stop");
    let said = written(ground, LogStream::Stdout).await;
    assert!(said.ends_with(b"\nsignal USR1\nsignal TERM\n"));
}

pub(crate) async fn stopping_what_has_ended_is_no_error(ground: &dyn Ground) {
    let mut attempt = launch(ground, fixture(ground, &["exit", "4"])).await;
    let control = attempt.control();
    let first = end_of(&mut *attempt).await;
    control
        .stop(&politely(TERM, SOON))
        .await
        .expect("it is as asked");
    control.kill().await.expect("it is as asked");
    assert_eq!(end_of(&mut *attempt).await, first);
}

/// The process of this attempt that is not its main one; waits until there is exactly one, and it is deaf.
async fn orphan_of(ground: &dyn Ground, id: &str, main: u32) -> u32 {
    let marker = format!("HARNESS_INSTANCE_ID={id}");
    let others = || {
        let all = testkit::processes_with_env(&marker).into_iter();
        all.filter(|pid| *pid != main && ground.is_alive(*pid))
            .collect::<Vec<_>>()
    };
    let alone = || matches!(others().as_slice(), [orphan] if is_deaf(*orphan));
    testkit::eventually(SOON, "the orphan is alone with the main process", alone).await;
    others()[0]
}

/// Whether it has come as far as to ignore TERM.
fn is_deaf(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    let name = status.lines().next().unwrap_or_default();
    ignored.is_some_and(|mask| mask & (1 << (TERM - 1)) != 0) && name.ends_with("fixture")
}
