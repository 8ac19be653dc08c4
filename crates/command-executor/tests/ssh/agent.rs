//! Services on real hosts, behind an agent: what is cut, killed and lost on the way.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use command_executor::agent::{HostLink, HostState, SshAgent};
use command_executor::supervised::{
    Adopted, LaunchError, Shore, SupervisedEvent, SupervisedLaunch, SupervisedProcess, adopt,
    launch,
};
use futures_lite::future::{self, block_on};
use service_shim::{ExitRecord, LogPolicy, StopPolicy};
use testkit::{Hosts, eventually_blocking, within};

use crate::place::{Open, Place};

/// Longer than a connection is given up after, and a way is found again.
const LONG: Duration = Duration::from_secs(90);

fn link(open: &Open) -> HostLink {
    HostLink::new(SshAgent::new(open.0.clone(), testkit::shim_path()))
}

/// `sh -c script` on a host; everything of it lies in the user's home there.
fn order(script: &str) -> SupervisedLaunch {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(1);
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let instance_id = format!("{:06x}{number:06x}", std::process::id());
    SupervisedLaunch {
        run_root: "/root/.local/state/harness/test/run".into(),
        log: LogPolicy::new(PathBuf::from("/root/logs").join(&instance_id)),
        instance_id,
        attempt: 1,
        program: "/bin/sh".into(),
        args: vec!["-c".into(), script.into()],
        env: BTreeMap::from([(OsString::from("PATH"), OsString::from("/usr/bin:/bin"))]),
        cwd: Some("/root".into()),
        user: None,
        group: None,
        stop: StopPolicy::default(),
        notify: false,
        stdin: true,
        cgroup: false,
    }
}

async fn until(process: &mut SupervisedProcess, is_it: impl Fn(&SupervisedEvent) -> bool) {
    let heard = async {
        loop {
            let event = process.next_event().await;
            if is_it(&event) {
                return;
            }
            assert!(!matches!(event, SupervisedEvent::Exited(_)), "{event:?}");
        }
    };
    within(LONG, "what is waited for", heard).await;
}

async fn end_of(process: &mut SupervisedProcess) -> ExitRecord {
    let ended = async {
        loop {
            if let SupervisedEvent::Exited(exit) = process.next_event().await {
                return exit;
            }
        }
    };
    within(LONG, "the end", ended).await
}

/// Waits for so long, and that nothing is told meanwhile.
async fn quiet_for(process: &mut SupervisedProcess, time: Duration) {
    let told = async { Some(process.next_event().await) };
    let rest = async {
        smol::Timer::after(time).await;
        None
    };
    let told = future::or(told, rest).await;
    assert!(told.is_none(), "{told:?}");
}

#[test]
fn the_program_is_brought_once_and_serves() {
    let place = Place::shared();
    for user in ["root", "dash", "ash"] {
        let open = place.open(place.host("host1").with_user(user).expect("a user"));
        block_on(async {
            let host = link(&open);
            let begun = Instant::now();
            within(LONG, "it is reached", host.reached()).await;
            eprintln!("{user}: first reached in {:?}", begun.elapsed());
            let shore = Shore::from(host.clone());
            let order = order("hostname; read x; exit 7");
            let log = order.log.dir.clone();
            let mut process = launch(order, &shore).await.expect("it starts");
            let run_dir = process.run_dir().to_owned();
            process.control().write_stdin(b"go\n").await.expect("reads");
            assert_eq!(end_of(&mut process).await.code, Some(7));
            let agent = host.agent().expect("reached");
            let mut records = agent.log(&log, 1, None, false).await.expect("a log");
            let mut said = Vec::new();
            while let Some(record) = records.next().await.expect("told") {
                if let service_shim::agent::record::Record::Output { bytes, .. } = record {
                    said.extend(bytes);
                }
            }
            assert_eq!(String::from_utf8_lossy(&said), "host1\n");
            shore.remove(&run_dir).await.expect("removed");
        });
        let programs = "stat -c %Y%n $HOME/.local/share/harness/bin/*/*";
        let before = open.sh(programs);
        block_on(async {
            let begun = Instant::now();
            within(LONG, "it is reached", link(&open).reached()).await;
            eprintln!("{user}: reached again in {:?}", begun.elapsed());
        });
        assert_eq!(open.sh(programs), before);
    }
}

#[test]
fn a_service_survives_partitions_and_is_watched_again() {
    let place = Place::with(Hosts::own(1, 0));
    let open = place.near();
    block_on(async {
        let host = link(&open);
        within(LONG, "it is reached", host.reached()).await;
        let shore = Shore::from(host.clone());
        let order = order("echo started >>/root/count; read x; exit 7");
        let mut process = launch(order, &shore).await.expect("it starts");
        place.hosts.act("cut", "host1", &[]);
        quiet_for(&mut process, Duration::from_secs(5)).await;
        place.hosts.act("heal", "host1", &[]);
        quiet_for(&mut process, Duration::from_secs(2)).await;
        let state = host.state();
        assert!(matches!(state, HostState::Reached(_)), "{state:?}");

        place.hosts.act("cut", "host1", &[]);
        let begun = Instant::now();
        until(&mut process, |event| {
            matches!(event, SupervisedEvent::Unwatched(_))
        })
        .await;
        eprintln!("given up after {:?}", begun.elapsed());
        let left = Duration::from_secs(20).saturating_sub(begun.elapsed());
        quiet_for(&mut process, left).await;
        place.hosts.act("heal", "host1", &[]);
        host.hurry();
        let begun = Instant::now();
        until(&mut process, |event| {
            matches!(event, SupervisedEvent::Watched)
        })
        .await;
        eprintln!(
            "watched again {:?} after the cable was back",
            begun.elapsed()
        );
        process.control().write_stdin(b"go\n").await.expect("reads");
        assert_eq!(end_of(&mut process).await.code, Some(7));
    });
    assert_eq!(open.sh("cat /root/count"), "started");
}

#[test]
fn a_service_survives_its_agent_and_sshd() {
    let place = Place::with(Hosts::own(1, 0));
    let open = place.near();
    block_on(async {
        let host = link(&open);
        within(LONG, "it is reached", host.reached()).await;
        let shore = Shore::from(host.clone());
        let order = order("echo started >>/root/count; read x; exit 7");
        let mut process = launch(order, &shore).await.expect("it starts");
        for murder in ["pkill -KILL -f '[h]arness-shim agent'", "pkill -KILL sshd"] {
            let agent = host.reached().await.hello().pid;
            // With sshd, the command that asks for it is gone too.
            let mut command = command_executor::Command::new("sh");
            command.args(["-c", murder]);
            drop(open.0.run(command).await);
            until(&mut process, |event| {
                matches!(event, SupervisedEvent::Watched)
            })
            .await;
            assert_ne!(host.reached().await.hello().pid, agent);
        }
        process.control().write_stdin(b"go\n").await.expect("reads");
        assert_eq!(end_of(&mut process).await.code, Some(7));
        let open = place.near();
        assert_eq!(open.sh("cat /root/count"), "started");
    });
}

/// What was written to a connection that is given up may arrive once the cable is back: it starts nothing then.
#[test]
fn a_cut_in_the_middle_of_a_start_starts_nothing_twice() {
    let place = Place::with(Hosts::own(3, 0));
    std::thread::scope(|scope| {
        for (name, delay_us) in [("host1", 0), ("host2", 4000), ("host3", 12_000)] {
            let place = &place;
            scope.spawn(move || cut_while_starting(place, name, Duration::from_micros(delay_us)));
        }
    });
}

fn cut_while_starting(place: &Place, name: &str, delay: Duration) {
    let open = place.open(place.host(name));
    let order = order("echo started >>/root/count; exit 3");
    let run_dir = order.run_dir();
    let times = || open.sh("cat /root/count 2>/dev/null | wc -l");
    block_on(async {
        let host = link(&open);
        within(LONG, "it is reached", host.reached()).await;
        let shore = Shore::from(host.clone());
        let cut = async {
            smol::Timer::after(delay).await;
            place.hosts.act("cut", name, &[]);
            // Longer than we wait, so that it is given up.
            smol::Timer::after(Duration::from_secs(20)).await;
            place.hosts.act("heal", name, &[]);
        };
        let (launched, ()) = future::zip(launch(order, &shore), cut).await;
        within(LONG, "it is reached again", host.reached()).await;
        let found = match launched {
            Ok(mut process) => Some(end_of(&mut process).await),
            Err(LaunchError::Unclear(error)) => {
                eprintln!("{name}: {error}");
                match adopt(&run_dir, &shore).await.expect("it is reached") {
                    Adopted::Alive(mut process) => Some(end_of(&mut process).await),
                    Adopted::Ended(exit) => Some(exit),
                }
            }
            Err(error) => panic!("{name}: {error:?}"),
        };
        let exit = found.expect("known");
        let expected = if exit.code == Some(3) { "1" } else { "0" };
        assert!(exit.code == Some(3) || exit.pid.is_none(), "{exit:?}");
        assert_eq!(times(), expected, "{name}: {exit:?}");
        shore.remove(&run_dir).await.expect("removed");
        // All that was under way has come by now, or never will.
        smol::Timer::after(Duration::from_secs(10)).await;
        assert_eq!(times(), expected, "{name}: {exit:?}");
    });
    eventually_blocking(LONG, "no shim waits for an order", || {
        open.sh("pgrep -f '[h]arness-shim run' || true").is_empty()
    });
}
