//! Services behind an agent, which is a child of the test and no other host: what may break is the same.

use std::time::Duration;

use command_executor::agent::{HostLink, HostState, LocalAgent, PutError, PutFile};
use command_executor::supervised::{
    Adopted, LaunchError, Shore, SupervisedEvent, SupervisedProcess, adopt, launch,
};
use futures_lite::future;
use service_shim::agent::record::CommandExit;
use service_shim::{ExitRecord, ProcessRef, Signal};

use super::forward::{order, ready, target};
use super::{Place, WithStdin, exit_of, kill_shim, start, stop};

/// A host that is reached by an agent of this program.
pub(crate) async fn host() -> HostLink {
    let own = std::env::current_exe().expect("procfs");
    let host = HostLink::new(LocalAgent::embedded_in(own));
    host.reached().await;
    host
}

pub(crate) async fn shore() -> Shore {
    host().await.into()
}

/// Kills the agent of the moment.
fn kill_agent(host: &HostLink) {
    if let Ok(agent) = host.agent()
        && let Ok(Some(process)) = ProcessRef::capture(agent.hello().pid)
    {
        process.signal(Signal::KILL).expect("own");
    }
}

/// Its end, whatever happens to the way to it.
async fn end_of(process: &mut SupervisedProcess) -> (ExitRecord, Vec<&'static str>) {
    let mut told = Vec::new();
    loop {
        match process.next_event().await {
            SupervisedEvent::Exited(exit) => return (exit, told),
            SupervisedEvent::Unwatched(_) => told.push("unwatched"),
            SupervisedEvent::Watched => told.push("watched"),
            _ => {}
        }
    }
}

pub(crate) async fn readiness() {
    let place = Place::new();
    let (target, listen) = target();
    let order = order(&place, listen, target.local_addr().expect("bound"));
    let shore = shore().await;
    let mut process = start(order, &shore).await;
    ready(&mut process).await;
    let run_dir = process.run_dir().to_owned();
    drop(process);
    // It is told again to whoever adopts it.
    let mut process = super::adopted(&run_dir, &shore).await;
    ready(&mut process).await;
    process.control().stop(stop(5000)).await.expect("alive");
    assert_eq!(exit_of(&mut process).await.signal, Some(Signal::TERM));
}

pub(crate) async fn agent_dies() {
    let place = Place::new();
    let host = host().await;
    let changes = host.subscribe();
    let script = place.script("read x; exit 5").with_stdin();
    let mut process = start(script, &host.clone().into()).await;
    let control = process.control();
    let murder = async {
        for _ in 0..3 {
            kill_agent(&host);
            while !matches!(changes.recv().await, Ok(HostState::Unreachable(_))) {}
            while !matches!(changes.recv().await, Ok(HostState::Reached(_))) {}
        }
        control.write_stdin(b"go\n").await.expect("it reads");
    };
    let ((exit, told), ()) = future::zip(end_of(&mut process), murder).await;
    assert_eq!(exit.code, Some(5));
    assert!(told.contains(&"unwatched"), "{told:?}");
}

pub(crate) async fn agent_and_shim_die() {
    let place = Place::new();
    let host = host().await;
    let script = "i=0; while [ $i -lt 100 ]; do i=$((i+1)); echo line $i; sleep 0.02; done; exit 9";
    let mut process = start(place.script(script), &host.clone().into()).await;
    let run_dir = process.run_dir().to_owned();
    let murder = async {
        for round in 0..4 {
            let _ = host.reached().await;
            kill_agent(&host);
            if round % 2 == 0 {
                kill_shim(&run_dir).await;
            }
        }
    };
    let ((exit, _), ()) = future::zip(end_of(&mut process), murder).await;
    assert_eq!((exit.code, exit.exit_unknown), (Some(9), false));
    let expected: String = (1..=100).map(|i| format!("line {i}\n")).collect();
    assert_eq!(String::from_utf8_lossy(&place.output()), expected);
}

/// The agent is killed at another moment of each start. Each service counts how often it was started.
pub(crate) async fn dies_while_starting() {
    let rounds = (0..30_u64).map(|round| dies_after(Duration::from_micros(100 + round * 150)));
    let unclear: usize = futures::future::join_all(rounds).await.into_iter().sum();
    eprintln!("{unclear} of 30 starts were unclear");
}

async fn dies_after(time: Duration) -> usize {
    let place = Place::new();
    let host = host().await;
    let shore: Shore = host.clone().into();
    let count = place.dir.join("count");
    let order = place.script(&format!("echo started >> {}; exit 3", count.display()));
    let run_dir = order.run_dir();
    let kill = async {
        smol::Timer::after(time).await;
        kill_agent(&host);
    };
    let (launched, ()) = future::zip(launch(order, &shore), kill).await;
    let times = || std::fs::read_to_string(&count).map_or(0, |text| text.lines().count());
    let is_unclear = match launched {
        Ok(mut process) => {
            assert_eq!(end_of(&mut process).await.0.code, Some(3));
            assert_eq!(times(), 1);
            0
        }
        Err(LaunchError::Unclear(_)) => {
            let _ = host.reached().await;
            match adopt(&run_dir, &shore).await.expect("it is reached") {
                Adopted::Alive(mut process) => {
                    assert_eq!(end_of(&mut process).await.0.code, Some(3));
                    assert_eq!(times(), 1);
                }
                Adopted::Ended(exit) if exit.code == Some(3) => assert_eq!(times(), 1),
                Adopted::Ended(exit) => {
                    assert!(exit.exit_unknown && exit.pid.is_none(), "{exit:?}");
                    assert_eq!(times(), 0);
                }
            }
            1
        }
        Err(error) => panic!("{error:?}"),
    };
    let _ = host.reached().await;
    shore.remove(&run_dir).await.expect("removed");
    is_unclear
}

pub(crate) async fn requests() {
    let host = host().await;
    let agent = host.agent().expect("reached");
    let facts = agent.facts().await.expect("told");
    assert!(!facts.hostname.is_empty());
    let argv = ["sh", "-c", "cat; echo err >&2; exit 4"].map(Into::into);
    let env = vec![("PATH".into(), "/usr/bin:/bin".into())];
    let command = agent
        .exec(argv.to_vec(), env, None, None)
        .await
        .expect("runs");
    command.write(&vec![b'x'; 600_000]).await.expect("it reads");
    let (output, exit) = command.complete(1_000_000).await.expect("told");
    assert_eq!(exit, CommandExit::Code(4));
    assert_eq!((output[0].len(), &*output[1]), (600_000, &b"err\n"[..]));
    let place = Place::new();
    let path = place.dir.join("bin/file");
    let content = vec![7; 700_000];
    let sha256 = service_shim::agent::sha256(&content);
    agent
        .put(&path, 0o700, &sha256, &content)
        .await
        .expect("put");
    assert!(std::fs::read(&path).expect("there") == content);
    let wrong = "0".repeat(64);
    let error = agent
        .put(&path, 0o700, &wrong, b"x")
        .await
        .expect_err("wrong");
    assert!(error.to_string().contains("hash"), "{error}");

    // From a file, and as many bytes as there are.
    let source = place.dir.join("source");
    std::fs::write(&source, &content).expect("written");
    let order = |sha256, size| PutFile {
        to: &path,
        mode: 0o600,
        sha256,
        size,
    };
    let open = || std::fs::File::open(&source).expect("there");
    let mut told = Vec::new();
    agent
        .put_file(order(&sha256, 700_000), open(), |sent| told.push(sent))
        .await
        .expect("put");
    assert!(std::fs::read(&path).expect("there") == content);
    assert_eq!((told.len(), told.last()), (11, Some(&700_000)));
    let error = agent.put_file(order(&sha256, 700_001), open(), |_| {});
    assert!(matches!(error.await, Err(PutError::Read(_))));
    // Refused before its first byte: no disk has so much room.
    let error = agent.put_file(order(&sha256, u64::MAX / 4), open(), |_| {});
    assert!(matches!(error.await, Err(PutError::Stream(_))));
    let directory = path.parent().expect("has one");
    let count = || std::fs::read_dir(directory).expect("there").count();
    testkit::eventually_blocking(Duration::from_secs(10), "nothing is left of them", || {
        count() == 1
    });
}
