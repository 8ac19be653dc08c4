//! What is asked of a host that a shell serves, besides its services; and shells that die meanwhile.

use std::path::PathBuf;
use std::time::Duration;

use command_executor::agent::{HostLink, HostState};
use command_executor::supervised::{
    Adopted, LaunchError, Shore, SupervisedEvent, SupervisedProcess, adopt, launch,
};
use futures_lite::future;
use service_shim::agent::record::{CommandExit, Record};
use service_shim::log::Stream;
use service_shim::{ExitRecord, ProcessRef, Signal};

use super::shells::{host, output, told};
use super::{Place, exit_of, start};

/// Bytes that are no text, and more of them than are taken at once; told again to whoever comes later, and each once.
pub(crate) async fn output_is_exact_and_is_told_again(host: HostLink, place: Place) {
    let script = "i=0; while [ $i -lt 200 ]; do i=$((i+1)); printf '%s\\0\\377\\n' $i; printf 'e%s\\n' $i >&2; done; head -c 300000 /dev/zero";
    let mut process = start(place.script(script), &host.clone().into()).await;
    let agent = host.agent().expect("reached");
    let mut log = agent
        .log(&place.log_dir(), 1, None, true)
        .await
        .expect("a log");
    let mut records = Vec::new();
    while let Some(record) = log.next().await.expect("told") {
        records.push(record);
    }
    assert_eq!(exit_of(&mut process).await.code, Some(0));
    let mut expected: Vec<u8> = Vec::new();
    for number in 1..=200 {
        expected.extend_from_slice(format!("{number}\0").as_bytes());
        expected.extend_from_slice(b"\xff\n");
    }
    expected.extend(std::iter::repeat_n(0, 300_000));
    assert!(output(&records, Stream::Stdout) == expected);
    let errors: String = (1..=200).map(|number| format!("e{number}\n")).collect();
    assert_eq!(output(&records, Stream::Stderr), errors.as_bytes());
    assert_eq!(told(&host, &place, None).await, records);
    let times: Vec<u64> = records
        .iter()
        .filter_map(|record| match record {
            Record::Output { at_ns, .. } => Some(*at_ns),
            _ => None,
        })
        .collect();
    assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
    let middle = times[times.len() / 2];
    let later = told(&host, &place, Some(middle)).await;
    let wanted: Vec<Record> = records
        .iter()
        .filter(|record| match record {
            Record::Output { at_ns, .. } | Record::End { at_ns, .. } => *at_ns >= middle,
            _ => false,
        })
        .cloned()
        .collect();
    assert_eq!(later, wanted);
}

pub(crate) async fn requests_are_answered(host: HostLink, place: Place) {
    let agent = host.agent().expect("reached");
    let facts = agent.facts().await.expect("told");
    assert!(!facts.hostname.is_empty() && facts.memory_bytes > 1 << 20);
    assert!(!agent.hello().weaker.is_empty());
    let env = || {
        vec![
            ("PATH".into(), "/usr/bin:/bin".into()),
            ("SECRET".into(), "a'b".into()),
        ]
    };
    let argv = ["sh", "-c", "cat; echo \"err $SECRET\" >&2; exit 4"].map(Into::into);
    let command = agent
        .exec(argv.to_vec(), env(), None, None)
        .await
        .expect("runs");
    command.write(&vec![b'x'; 600_000]).await.expect("it reads");
    let (said, exit) = command.complete(1_000_000).await.expect("told");
    assert_eq!(exit, CommandExit::Code(4));
    assert_eq!((said[0].len(), &*said[1]), (600_000, &b"err a'b\n"[..]));
    let run = async |script: &str, timeout| {
        let argv = ["/bin/sh", "-c", script].map(Into::into).to_vec();
        let command = agent.exec(argv, env(), Some("/".into()), timeout).await;
        command.expect("runs").complete(1000).await.expect("told")
    };
    assert_eq!(
        run("pwd; kill -9 $$", None).await,
        ([b"/\n".to_vec(), Vec::new()], CommandExit::Signal(9))
    );
    let quick = Some(Duration::from_millis(200));
    let gone = place.dir.join("pid");
    let late = run(&format!("echo $$ >{}; sleep 1000", gone.display()), quick).await;
    assert_eq!(late.1, CommandExit::TimedOut);
    let pid = std::fs::read_to_string(&gone)
        .expect("it ran")
        .trim()
        .parse()
        .expect("a number");
    while ProcessRef::capture(pid)
        .expect("procfs")
        .is_some_and(|one| one.is_alive())
    {
        smol::Timer::after(Duration::from_millis(5)).await;
    }
    let port = agent.free_port(false, &[]).await.expect("one is free");
    let listener = std::net::TcpListener::bind(("127.0.0.1", port)).expect("it is free");
    assert_ne!(agent.free_port(false, &[]).await.expect("another"), port);
    let here = std::net::IpAddr::from([127, 0, 0, 1]);
    agent.tcp(here, port).await.expect("it listens");
    drop(listener);
    agent.tcp(here, port).await.expect_err("nobody listens");
    let path: PathBuf = place.dir.join("bin/a file");
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
    let count = || {
        std::fs::read_dir(place.dir.join("bin"))
            .expect("there")
            .count()
    };
    testkit::eventually_blocking(Duration::from_secs(10), "nothing is left of it", || {
        count() == 1
    });
}

/// The shell of the connection is killed again and again: what runs goes on, and what is asked for is asked for again.
pub(crate) async fn the_death_of_the_shell_is_mended(host: HostLink, place: Place) {
    let script = "i=0; while [ $i -lt 40 ]; do i=$((i+1)); echo line $i; sleep 0.03; done; exit 5";
    let mut process = start(place.script(script), &host.clone().into()).await;
    let changes = host.subscribe();
    let murder = async {
        for _ in 0..3 {
            let pid = host.reached().await.hello().pid;
            if let Ok(Some(shell)) = ProcessRef::capture(pid) {
                shell.signal(Signal::KILL).expect("own");
            }
            while !matches!(changes.recv().await, Ok(HostState::Unreachable(_))) {}
        }
    };
    let end = async {
        loop {
            if let SupervisedEvent::Exited(exit) = process.next_event().await {
                return exit;
            }
        }
    };
    let (exit, ()): (ExitRecord, ()) = future::zip(end, murder).await;
    assert_eq!((exit.code, exit.exit_unknown), (Some(5), false));
    let expected: String = (1..=40).map(|i| format!("line {i}\n")).collect();
    let said = output(&told(&host, &place, None).await, Stream::Stdout);
    assert_eq!(String::from_utf8_lossy(&said), expected);
}

/// The shell is killed at another moment of each start. Each service counts how often it was started.
pub(crate) async fn nothing_is_started_twice(shell: &'static [&'static str]) {
    let rounds =
        (0..12_u64).map(|round| dies_after(shell, Duration::from_micros(200 + round * 900)));
    futures::future::join_all(rounds).await;
}

async fn dies_after(shell: &[&str], time: Duration) {
    let place = Place::new();
    let host = host(shell, &place.dir.join("home")).await;
    let shore: Shore = host.clone().into();
    let count = place.dir.join("count");
    let order = place.script(&format!("echo started >> {}; exit 3", count.display()));
    let run_dir = order.run_dir();
    let kill = async {
        smol::Timer::after(time).await;
        if let Ok(agent) = host.agent()
            && let Ok(Some(shell)) = ProcessRef::capture(agent.hello().pid)
        {
            shell.signal(Signal::KILL).expect("own");
        }
    };
    let (launched, ()) = future::zip(launch(order, &shore), kill).await;
    let times = || std::fs::read_to_string(&count).map_or(0, |text| text.lines().count());
    let process: Option<SupervisedProcess> = match launched {
        Ok(process) => Some(process),
        Err(LaunchError::Unclear(_) | LaunchError::ShimDied { .. }) => {
            let _ = host.reached().await;
            match adopt(&run_dir, &shore).await.expect("it is reached") {
                Adopted::Alive(process) => Some(process),
                Adopted::Ended(exit) => {
                    let expected = usize::from(exit.pid.is_some());
                    assert_eq!(times(), expected, "{exit:?}");
                    None
                }
            }
        }
        Err(error) => panic!("{error:?}"),
    };
    if let Some(mut process) = process {
        loop {
            if let SupervisedEvent::Exited(exit) = process.next_event().await {
                assert_eq!(exit.code, Some(3));
                break;
            }
        }
        assert_eq!(times(), 1);
    }
}
