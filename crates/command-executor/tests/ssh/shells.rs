//! Services on real hosts, kept by their own shells: what SSH adds to what `supervised` tries here.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use command_executor::agent::{ConnectError, HostAgent, HostLink, HostState, Runner, ShAgent};
use command_executor::supervised::{
    Shore, SupervisedEvent, SupervisedLaunch, SupervisedProcess, launch,
};
use futures_lite::future::block_on;
use service_shim::agent::record::Record;
use service_shim::{ExitRecord, LogPolicy, Signal, StopPolicy};
use testkit::{Hosts, eventually_async, within};

use crate::place::{Open, Place};

/// Longer than a login takes, and than a connection is given up after.
const LONG: Duration = Duration::from_secs(60);

/// `sh -c script` there; everything of it lies below what is named.
fn order(base: &str, script: &str) -> SupervisedLaunch {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(1);
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let instance_id = format!("{:06x}{:06x}", std::process::id(), number + 0x8000);
    let base = PathBuf::from(base).join(".local/state/harness/shells");
    SupervisedLaunch {
        run_root: base.join("run"),
        log: LogPolicy::new(base.join("log").join(&instance_id)),
        instance_id,
        attempt: 1,
        program: "/bin/sh".into(),
        args: vec!["-c".into(), script.into()],
        env: BTreeMap::from([(OsString::from("PATH"), OsString::from("/usr/bin:/bin"))]),
        cwd: Some("/".into()),
        user: None,
        group: None,
        stop: StopPolicy::default(),
        notify: false,
        stdin: false,
        cgroup: true,
    }
}

async fn end_of(process: &mut SupervisedProcess) -> ExitRecord {
    let heard = async {
        loop {
            if let SupervisedEvent::Exited(exit) = process.next_event().await {
                return exit;
            }
        }
    };
    within(LONG, "its end", heard).await
}

async fn output(host: &HostLink, dir: &std::path::Path) -> String {
    let agent = host.reached().await;
    let mut log = agent
        .log(dir, 1, None, false)
        .await
        .expect("there is a log");
    let mut all = Vec::new();
    while let Some(record) = log.next().await.expect("it is told") {
        if let Record::Output { bytes, .. } = record {
            all.extend(bytes);
        }
    }
    String::from_utf8(all).expect("text")
}

/// Starts something that listens, asks for it from there, and stops it; and something that ends by itself.
async fn serves(host: &HostLink) {
    let hello = within(LONG, "the host", host.reached())
        .await
        .hello()
        .clone();
    assert!(!hello.weaker.is_empty(), "{hello:?}");
    let base = hello.base().to_str().expect("text").to_owned();
    let shore = Shore::from(host.clone());
    let agent = host.agent().expect("reached");
    let port = agent.free_port(false, &[]).await.expect("one is free");
    let script = format!(
        "echo up; exec {} serve {port}",
        testkit::fixture_path().display()
    );
    let script = order(&base, &script);
    let log = script.log.dir.clone();
    let mut process = launch(script, &shore).await.expect("it starts");
    let here = IpAddr::from([127, 0, 0, 1]);
    let listens = || async { agent.tcp(here, port).await.is_ok() };
    eventually_async(LONG, "it listens", listens).await;
    process
        .control()
        .stop(StopPolicy::default())
        .await
        .expect("alive");
    let exit = end_of(&mut process).await;
    assert!(
        exit.stop
            .is_some_and(|stop| stop.requested == Some(Signal::TERM))
    );
    agent.tcp(here, port).await.expect_err("nobody listens");
    assert!(output(host, &log).await.starts_with("up\n"));
    shore.remove(process.run_dir()).await.expect("ours");

    let mut process = launch(order(&base, "exit 7"), &shore)
        .await
        .expect("it starts");
    assert_eq!(end_of(&mut process).await.code, Some(7));
    shore.remove(process.run_dir()).await.expect("ours");
    assert!(!agent.facts().await.expect("told").interfaces.is_empty());
}

#[test]
fn every_shell_keeps_services_whatever_the_shell_of_the_login_is() {
    let place = Place::shared();
    for (user, shell) in [
        ("root", &["dash"][..]),
        ("dash", &["bash"]),
        ("ash", &["busybox", "ash"]),
    ] {
        let way = place.host("host1").with_user(user).expect("a user");
        let open = place.open(way);
        let host = HostLink::new(ShAgent::new(open.0.clone()).with_shell(shell));
        block_on(within(LONG, user, serves(&host)));
        block_on(host.close());
    }
}

/// More are asked for at once than a server takes sessions over a connection.
#[test]
fn thirty_commands_and_services_at_once_are_not_too_many() {
    let place = Place::shared();
    let open = place.near();
    let host = HostLink::new(ShAgent::new(open.0.clone()));
    block_on(within(LONG, "all of them", async {
        let agent = host.reached().await;
        let shore = Shore::from(host.clone());
        let command = |number: u32| {
            let agent = agent.clone();
            async move {
                let argv = vec![
                    "/bin/sh".into(),
                    "-c".into(),
                    format!("echo {number}").as_str().into(),
                ];
                let ran = agent
                    .exec(argv, Vec::new(), None, None)
                    .await
                    .expect("it runs");
                let ([said, _], _) = ran.complete(100).await.expect("it ends");
                assert_eq!(said, format!("{number}\n").into_bytes());
            }
        };
        let service = |number: u32| {
            let shore = shore.clone();
            async move {
                let order = order("/root", &format!("exit {number}"));
                let mut process = launch(order, &shore).await.expect("it starts");
                assert_eq!(end_of(&mut process).await.code, i32::try_from(number).ok());
                shore.remove(process.run_dir()).await.expect("ours");
            }
        };
        let commands = futures::future::join_all((0..30).map(command));
        let services = futures::future::join_all((0..30).map(service));
        futures::future::join(commands, services).await;
    }));
    block_on(host.close());
}

fn auto(open: &Open) -> HostLink {
    let shim = testkit::shim_path().to_owned();
    HostLink::new(HostAgent::new(open.0.clone(), Some(shim), Runner::Auto))
}

#[test]
fn a_home_where_nothing_may_be_executed_or_written_falls_back_by_itself() {
    let place = Place::with(Hosts::own(1, 0));
    let open = place.near();
    let with_shim = auto(&open);
    let hello = block_on(within(LONG, "the shim", with_shim.reached()))
        .hello()
        .clone();
    assert!(hello.weaker.is_empty(), "{hello:?}");
    block_on(with_shim.close());
    drop(open);

    let open = place.near();
    open.sh("mount --bind /root /root && mount -o remount,bind,noexec /root");
    let host = auto(&open);
    block_on(serves(&host));
    let hello = block_on(host.reached()).hello().clone();
    assert!(
        hello.weaker[0].contains("does not run there") || hello.weaker[0].contains("cannot bring"),
        "{hello:?}"
    );
    assert_eq!(hello.base(), std::path::Path::new("/root"));
    block_on(host.close());
    drop(open);

    let open = place.near();
    open.sh("mount -o remount,bind,ro,noexec /root");
    let host = auto(&open);
    block_on(serves(&host));
    let hello = block_on(host.reached()).hello().clone();
    assert_eq!(hello.base(), std::path::Path::new("/var/tmp/harness-0"));
    block_on(host.close());
    drop(open);

    let open = place.near();
    open.sh("for d in /var/tmp /tmp /dev/shm; do mount --bind $d $d && mount -o remount,bind,ro $d; done");
    let host = auto(&open);
    let changes = host.subscribe();
    let refused = async {
        loop {
            if let Ok(HostState::Unreachable(error)) = changes.recv().await
                && let ConnectError::Runner { said } = &*error
            {
                return said.clone();
            }
        }
    };
    let said = block_on(within(LONG, "the refusal", refused));
    assert!(
        said.contains("no directory there that can be written"),
        "{said}"
    );
    block_on(host.close());
}

#[test]
fn the_shell_goes_on_with_what_it_keeps_where_the_shim_would_run_now() {
    let place = Place::with(Hosts::own(1, 0));
    let open = place.near();
    let host = HostLink::new(ShAgent::new(open.0.clone()));
    let process = block_on(within(LONG, "a start", async {
        host.reached().await;
        let shore = Shore::from(host.clone());
        launch(order("/root", "sleep 1000"), &shore)
            .await
            .expect("it starts")
    }));
    let run_dir = process.run_dir().to_owned();
    drop(process);
    block_on(host.close());
    drop(open);
    let open = place.near();
    let host = auto(&open);
    block_on(within(LONG, "its end", async {
        let hello = host.reached().await.hello().clone();
        assert!(hello.weaker[0].contains("keeps services"), "{hello:?}");
        let shore = Shore::from(host.clone());
        let adopted = command_executor::supervised::adopt(&run_dir, &shore).await;
        let command_executor::supervised::Adopted::Alive(mut process) = adopted.expect("known")
        else {
            panic!("it runs");
        };
        process.control().kill().await.expect("alive");
        assert_eq!(end_of(&mut process).await.signal, Some(Signal::KILL));
        shore.remove(&run_dir).await.expect("ours");
    }));
    block_on(host.close());
}
