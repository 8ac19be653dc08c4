//! What containers promise besides, and where they differ from processes.

use std::collections::BTreeMap;
use std::time::Duration;

use container_engine::{ContainerConfig, ContainerStatus, NetworkMode};
use service_orchestration::executors::{
    Adoption, AttemptEvent, ControlError, InsideCommand, InsideEnd, OwnHealth, RunningAttempt,
    Ticket,
};
use service_orchestration::logs::LogStream;
use service_orchestration::spec::{TargetSpec, Template};
use testkit::{eventually_async, within};

use crate::docker::{ContainerGround, IMAGE};
use crate::ground::*;

pub(crate) async fn the_environment_is_that_of_the_image_and_what_is_ordered(
    ground: &ContainerGround,
) {
    let mut order = shell(ground, "pwd; env; hostname");
    order
        .env
        .insert("GREETING".into(), "two words = one".into());
    let own = order.container.as_mut().expect("a container");
    own.working_dir = Some("/no/such/directory".into());
    end_of(&mut *launch(ground, order).await).await;
    let said = String::from_utf8(written(ground, LogStream::Stdout).await).expect("text");
    let mut lines: Vec<_> = said.lines().collect();
    let host = lines.pop().expect("the name of its machine");
    assert_eq!(lines.remove(0), "/no/such/directory", "the engine makes it");
    lines.retain(|line| !line.starts_with("SHLVL=") && !line.starts_with("PWD="));
    lines.sort_unstable();
    let expected = [
        "GREETING=two words = one",
        "HOME=/root",
        &format!("HOSTNAME={host}"),
        "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ];
    if is_podman(ground).await {
        // What it says of itself, whatever is ordered.
        lines.retain(|line| !["TERM=xterm", "container=podman"].contains(line));
    }
    assert_eq!(lines, expected);
}

pub(crate) async fn what_a_service_leaves_behind_goes_with_its_container(ground: &ContainerGround) {
    let mut attempt = launch(ground, fixture(ground, &["daemonize", "--stay"])).await;
    told(ground, &mut *attempt, "orphan").await;
    let stop = politely(15, SOON);
    attempt.control().stop(&stop).await.expect("it runs");
    let exit = end_of(&mut *attempt).await;
    assert_eq!(plain(&exit), ground.by_signal(15));
    let stop = exit.stop.expect("it was stopped");
    assert_eq!((stop.escalation.as_str(), stop.leftover_count), ("none", 0));
    assert!(!ground.is_alive(0));
}

pub(crate) async fn what_was_made_and_never_started_is_removed_when_it_is_looked_for(
    ground: &ContainerGround,
) {
    // What a daemon leaves that dies between the two: the same labels on a container that never ran.
    let order = fixture(ground, &["hold"]);
    let mut attempt = launch(ground, order.clone()).await;
    attempt.control().kill().await.expect("it runs");
    end_of(&mut *attempt).await;
    let [ended] = &ground.containers().await[..] else {
        panic!("one container")
    };
    let (id, labels) = (ended.id.clone(), ended.labels.clone());
    let removed = ground.engine.remove(&id, false, true).await;
    removed.expect("it has ended");
    let config = ContainerConfig {
        image: IMAGE.into(),
        labels,
        network: NetworkMode::None,
        ..ContainerConfig::default()
    };
    let name = format!("{}-unit-1", order.unit.stack);
    let made = ground.engine.create(&name, &config).await;
    made.expect("its name is free");
    let executor = ground.executor();
    assert!(executor.known().await.contains(&order.instance_id));
    let adopted = ground.executor().adopt(ticket(&order)).await;
    assert!(matches!(adopted, Ok(Adoption::NeverBegan)), "{adopted:?}");
    assert!(ground.containers().await.is_empty());
}

pub(crate) async fn what_somebody_removes_has_ended(ground: &ContainerGround) {
    let order = fixture(ground, &["hold"]);
    let mut attempt = launch(ground, order.clone()).await;
    told(ground, &mut *attempt, "pid").await;
    let facts = attempt.facts();
    let id = facts.container_id.expect("a container");
    let id = container_engine::ContainerId::new(id);
    let removed = ground.engine.remove(&id, true, true).await;
    removed.expect("it can be removed by force");
    let exit = end_of(&mut *attempt).await;
    // Who was quick enough has seen how it died: some engines ask before they kill.
    assert!(
        exit.exit_unknown || matches!(exit.exit_code, Some(137 | 143)),
        "{exit:?}"
    );
    // Of what is known to have run, no container is left.
    let ticket = Ticket {
        details: facts.ticket,
        ..ticket(&order)
    };
    match ground.executor().adopt(ticket).await {
        Ok(Adoption::Ended(exit)) => assert_eq!(plain(&exit), (None, None, true)),
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn bytes_that_are_no_utf8_are_kept_as_the_engine_keeps_them(
    ground: &ContainerGround,
) {
    let order = shell(ground, "printf 'Gr\\303\\274\\303\\237e \\377 end'");
    end_of(&mut *launch(ground, order).await).await;
    let said = written(ground, LogStream::Stdout).await;
    let expected: &[u8] = if is_podman(ground).await {
        b"Gr\xc3\xbc\xc3\x9fe \xff end"
    } else {
        "Grüße \u{fffd} end".as_bytes()
    };
    assert_eq!(said, expected, "{}", String::from_utf8_lossy(&said));
}

pub(crate) async fn readiness_is_not_told_by_sd_notify(ground: &ContainerGround) {
    let mut order = shell(ground, "echo \"${NOTIFY_SOCKET-none}\"");
    order.notify = true;
    let mut attempt = launch(ground, order).await;
    match within(SOON, "the end", attempt.next()).await {
        AttemptEvent::Exited(exit) => assert_eq!(plain(&exit), code(0)),
        event => panic!("{event:?}"),
    }
    assert_eq!(written(ground, LogStream::Stdout).await, b"none\n");
}

pub(crate) async fn a_command_inside_is_run_to_its_end_or_ended_when_its_time_is_over(
    ground: &ContainerGround,
) {
    let mut attempt = launch(ground, fixture(ground, &["hold"])).await;
    let control = attempt.control();
    let run = async |script: &str, timeout| {
        let command = InsideCommand {
            words: ["/bin/sh", "-c", script].map(str::to_owned).into(),
            env: BTreeMap::new(),
            timeout,
        };
        within(SOON, script, control.run_inside(command)).await
    };
    let exited = run("cat /proc/1/comm; echo oh >&2; exit 5", SOON).await;
    let exited = exited.expect("it runs");
    let InsideEnd::Exited { code, output } = exited else {
        panic!("{exited:?}")
    };
    let output = String::from_utf8(output).expect("text");
    // Of both kinds of engine, an init is the first process.
    let output = output.replace("podman-init", "docker-init");
    assert_eq!((code, output.as_str()), (5, "docker-init\noh\n"));
    let late = run("exec sleep 4321", Duration::from_millis(300)).await;
    assert_eq!(late.expect("it runs"), InsideEnd::TimedOut);
    if sees_processes_of(&*attempt) {
        let left = run("! pgrep -f 'sleep 4321'", SOON).await.expect("it runs");
        assert!(
            matches!(left, InsideEnd::Exited { code: 0, .. }),
            "{left:?}"
        );
    }
    control.kill().await.expect("it runs");
    end_of(&mut *attempt).await;
    let refused = run("true", SOON).await;
    assert!(
        matches!(refused, Err(ControlError::Unreached(_))),
        "{refused:?}"
    );
}

pub(crate) async fn its_own_check_is_told_as_the_engine_tells_it(ground: &ContainerGround) {
    let mut order = ground.order(&["app"]);
    let image = "harness-test/app";
    let TargetSpec::Docker(target) = &mut order.target else {
        panic!("a container")
    };
    target.image = Some(Template::from(image));
    order.container.as_mut().expect("a container").image = Some(image.into());
    let mut attempt = launch(ground, order).await;
    let control = attempt.control();
    let health = async || control.own_health().await.expect("the engine answers");
    // An engine that is told to run the check may find that nobody listens yet.
    assert!(health().await.is_some());
    // Its events are taken by whoever waits for the next one.
    let healthy = eventually_async(SOON, "it is healthy", async || {
        health().await == Some(OwnHealth::Healthy)
    });
    let told = async {
        assert_eq!(attempt.next().await, AttemptEvent::Checked);
        futures_lite::future::pending().await
    };
    futures_lite::future::or(healthy, told).await;
    control.kill().await.expect("it runs");
    end_of(&mut *attempt).await;
}

pub(crate) async fn one_without_a_check_has_no_health_of_its_own(ground: &ContainerGround) {
    let mut order = ground.order(&["sleep", "1000"]);
    let image = "harness-test/busybox";
    order.container.as_mut().expect("a container").image = Some(image.into());
    let mut attempt = launch(ground, order).await;
    let health = attempt.control().own_health().await;
    assert_eq!(health.expect("the engine answers"), None);
    attempt.control().kill().await.expect("it runs");
    end_of(&mut *attempt).await;
}

pub(crate) async fn one_that_runs_is_not_forgotten(ground: &ContainerGround) {
    let order = fixture(ground, &["hold"]);
    let mut attempt = launch(ground, order.clone()).await;
    ground.executor().forget(&order.instance_id).await;
    assert_eq!(
        ground.containers().await[0].status,
        ContainerStatus::Running
    );
    attempt.control().kill().await.expect("it runs");
    end_of(&mut *attempt).await;
    ground.executor().forget(&order.instance_id).await;
    assert!(ground.containers().await.is_empty(), "forgotten is removed");
}

pub(crate) async fn a_name_that_a_strangers_container_has_is_refused(ground: &ContainerGround) {
    let order = fixture(ground, &["hold"]);
    let stranger = ContainerGround::new();
    let mut theirs = stranger.order(&["/bin/sh", "-c", "exit 0"]);
    theirs.unit = order.unit.clone();
    end_of(&mut *launch(&stranger, theirs).await).await;
    let refused = refusal(ground, order).await;
    let said = service_orchestration::error_chain(&refused);
    assert!(said.contains("is taken"), "{said}");
    assert_eq!(stranger.containers().await.len(), 1, "it is left alone");
}

/// Whether the engine's process numbers are ours: then a command that is too slow can be ended.
fn sees_processes_of(attempt: &dyn RunningAttempt) -> bool {
    let id = attempt.facts().container_id.expect("a container");
    let cgroup = format!("/proc/{}/cgroup", pid_of(attempt));
    std::fs::read_to_string(cgroup).is_ok_and(|cgroup| cgroup.contains(&id))
}

async fn is_podman(ground: &ContainerGround) -> bool {
    let engine = ground.engine.info().await;
    engine.expect("the engine answers").is_podman
}
