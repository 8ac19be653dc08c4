//! Services that a shell keeps where no shim runs: dash, bash and busybox ash, as children of the test. What a host that is
//! reached by SSH adds to it is tried in `tests/ssh`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use command_executor::agent::{HostLink, ShAgent};
use command_executor::supervised::{
    Adopted, ControlError, LaunchError, Shore, SupervisedEvent, SupervisedLaunch,
    SupervisedProcess, adopt, launch,
};
use futures_lite::{FutureExt, StreamExt, future};
use service_shim::agent::record::{CommandExit, Record};
use service_shim::log::Stream;
use service_shim::{
    Escalation, ExitRecord, Identity, ProcessRef, RunDir, Signal, StartFailureKind,
};

use super::{Place, WithStdin, adopted, exit_of, start, stop};

/// The shells of this machine.
pub(crate) const SHELLS: [&[&str]; 3] = [&["dash"], &["bash"], &["busybox", "ash"]];

/// A host that this shell serves, with a home of its own.
async fn host(shell: &[&str], home: &Path) -> HostLink {
    let host = HostLink::new(ShAgent::here(home).with_shell(shell));
    host.reached().await;
    host
}

/// Does the same with each shell, at once.
pub(crate) async fn with_each<F: Future<Output = ()>>(test: impl Fn(HostLink, Place) -> F) {
    let test = &test;
    let all = SHELLS.map(|shell| async move {
        let place = Place::new();
        let host = host(shell, &place.dir.join("home")).await;
        let run = std::panic::AssertUnwindSafe(test(host, place)).catch_unwind();
        if let Err(panic) = run.await {
            eprintln!("that was {shell:?}");
            std::panic::resume_unwind(panic);
        }
    });
    futures::future::join_all(all).await;
}

/// What an attempt wrote on a stream, as it is told to whoever asks; and whether its end was told.
async fn told(host: &HostLink, place: &Place, since_ns: Option<u64>) -> Vec<Record> {
    let agent = host.reached().await;
    let mut log = agent
        .log(&place.log_dir(), 1, since_ns, false)
        .await
        .expect("there is a log");
    let mut records = Vec::new();
    while let Some(record) = log.next().await.expect("it is told") {
        records.push(record);
    }
    records
}

fn output(records: &[Record], side: Stream) -> Vec<u8> {
    let mut all = Vec::new();
    for record in records {
        if let Record::Output { stream, bytes, .. } = record
            && *stream == side
        {
            all.extend_from_slice(bytes);
        }
    }
    all
}

async fn wait_for(host: &HostLink, place: &Place, text: &[u8]) {
    while output(&told(host, place, None).await, Stream::Stdout) != text {
        smol::Timer::after(Duration::from_millis(10)).await;
    }
}

/// Who is beside a service.
fn runner_of(run_dir: &Path) -> Option<ProcessRef> {
    let text = std::fs::read_to_string(run_dir.join("runner")).ok()?;
    let pid = text.split(' ').next()?.parse().ok()?;
    ProcessRef::capture(pid).ok()?
}

pub(crate) async fn runs_to_its_end(host: HostLink, place: Place) {
    let shore = Shore::from(host.clone());
    let mut process = start(place.script("echo hello; echo no >&2; exit 7"), &shore).await;
    assert!(process.pid() > 0);
    let exit = exit_of(&mut process).await;
    assert_eq!((exit.code, exit.pid), (Some(7), Some(process.pid())));
    assert_eq!(exit.stop, None);
    let records = told(&host, &place, None).await;
    assert_eq!(output(&records, Stream::Stdout), b"hello\n");
    assert_eq!(output(&records, Stream::Stderr), b"no\n");
    assert!(matches!(
        records.first(),
        Some(Record::Begin { attempt: 1, .. })
    ));
    assert!(matches!(
        records.last(),
        Some(Record::End { attempt: 1, .. })
    ));
    // Told again, not waited for in vain; and the same to whoever asks later.
    assert_eq!(exit_of(&mut process).await, exit);
    match adopt(process.run_dir(), &shore).await {
        Ok(Adopted::Ended(again)) => assert_eq!(again, exit),
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        process.control().kill().await,
        Err(ControlError::Ended(_))
    ));
    let root = process.run_dir().parent().expect("it has one").to_owned();
    assert_eq!(shore.list(&root).await.expect("listed").len(), 1);
    shore.remove(process.run_dir()).await.expect("ours");
    shore
        .remove(process.run_dir())
        .await
        .expect("gone is as good");
    assert!(shore.list(&root).await.expect("listed").is_empty());
}

/// Words and values that mean something to shells, which see them; and nothing but what is ordered in the environment.
pub(crate) async fn words_and_environment_are_exact(host: HostLink, place: Place) {
    let hard = [
        "a b",
        "$HOME `x` \\",
        "it's",
        "\"q\"",
        "",
        "-n",
        "*",
        "a\nb",
        "!x",
        "\u{e4}\u{ff}~",
    ];
    let mut order = place.program("python3");
    // It would set variables of its own.
    order.env.insert("PYTHONCOERCECLOCALE".into(), "0".into());
    let shown = "import os,sys; print([os.fsencode(a) for a in sys.argv[1:]]); print(sorted(os.environb.items()))";
    order.args = ["-c", shown].map(Into::into).into();
    order.args.extend(hard.map(Into::into));
    for (number, value) in hard.iter().enumerate() {
        order.env.insert(format!("V{number}").into(), value.into());
    }
    let expected_env: Vec<(String, String)> = {
        let mut env: Vec<(String, String)> = order
            .env
            .iter()
            .map(|(name, value)| {
                (
                    name.to_str().expect("text").into(),
                    value.to_str().expect("text").into(),
                )
            })
            .collect();
        env.push(("HARNESS_INSTANCE_ID".into(), order.instance_id.clone()));
        env.sort();
        env
    };
    let mut process = start(order, &host.clone().into()).await;
    assert_eq!(exit_of(&mut process).await.code, Some(0));
    let said = output(&told(&host, &place, None).await, Stream::Stdout);
    let mut lines = String::from_utf8(said).expect("text");
    let bytes = |text: &str| {
        let inner: String = text
            .bytes()
            .map(|byte| match byte {
                b'\\' => "\\\\".to_owned(),
                b'\n' => "\\n".to_owned(),
                0x20..=0x7e => char::from(byte).to_string(),
                _ => format!("\\x{byte:02x}"),
            })
            .collect();
        match text.contains('\'') && !text.contains('"') {
            true => format!("b\"{inner}\""),
            false => format!("b'{inner}'"),
        }
    };
    let words: Vec<String> = hard.iter().map(|word| bytes(word)).collect();
    let env: Vec<String> = expected_env
        .iter()
        .map(|(name, value)| format!("({}, {})", bytes(name), bytes(value)))
        .collect();
    let expected = format!("[{}]\n[{}]\n", words.join(", "), env.join(", "));
    assert_eq!(std::mem::take(&mut lines), expected);
}

pub(crate) async fn what_cannot_start_says_why(host: HostLink, place: Place) {
    let shore = Shore::from(host);
    let refused = async |order: SupervisedLaunch| {
        let run_dir = order.run_dir();
        let failed = match launch(order, &shore).await {
            Err(LaunchError::Refused { kind, message }) => (kind, message),
            other => panic!("{other:?}"),
        };
        assert!(!run_dir.exists());
        failed
    };
    let named = |program: &str| place.program(program);
    let (kind, message) = refused(named("no-such-program")).await;
    assert_eq!(kind, StartFailureKind::NotFound);
    assert!(message.contains("no-such-program"), "{message}");
    let (kind, _) = refused(named("/etc/passwd")).await;
    assert_eq!(kind, StartFailureKind::Permission);
    let mut order = named("true");
    order.cwd = Some("/no/such/directory".into());
    let (kind, message) = refused(order).await;
    assert_eq!(kind, StartFailureKind::WorkingDirectory);
    assert!(message.contains("/no/such/directory"), "{message}");
    // What a shell cannot do, it says before it does anything.
    let (kind, message) = refused(named("cat").with_stdin()).await;
    assert_eq!(kind, StartFailureKind::Order);
    assert!(message.contains("input"), "{message}");
    let mut order = named("true");
    order.notify = true;
    assert_eq!(refused(order).await.0, StartFailureKind::Order);
    let mut order = named("true");
    order.user = Some("nobody".to_owned());
    assert_eq!(refused(order).await.0, StartFailureKind::User);
    let mut order = named("true");
    order.env.insert("a.b".into(), "c".into());
    let (kind, message) = refused(order).await;
    assert_eq!(kind, StartFailureKind::Order);
    assert!(message.contains("a.b"), "{message}");
}

pub(crate) async fn outlives_its_owner(host: HostLink, place: Place) {
    let shore = Shore::from(host.clone());
    let go = place.dir.join("go");
    let script = format!(
        "echo up; while ! [ -e {} ]; do sleep 0.05; done; exit 4",
        go.display()
    );
    let process = start(place.script(&script), &shore).await;
    let (pid, run_dir) = (process.pid(), process.run_dir().to_owned());
    drop(process);
    host.close().await;
    drop((shore, host));
    // Whoever comes next is another program with another connection.
    let home = place.dir.join("home");
    let host = HostLink::new(ShAgent::here(&home));
    let shore = Shore::from(host.clone());
    host.reached().await;
    let mut again = adopted(&run_dir, &shore).await;
    assert_eq!(again.pid(), pid);
    assert!(shore.is_alive(&run_dir).await.expect("asked"));
    std::fs::write(&go, "").expect("written");
    assert_eq!(exit_of(&mut again).await.code, Some(4));
    assert!(!shore.is_alive(&run_dir).await.expect("asked"));
    wait_for(&host, &place, b"up\n").await;
}

pub(crate) async fn a_signal_that_ends_it_is_told(host: HostLink, place: Place) {
    let shore = Shore::from(host);
    for number in [2, 3, 9, 15, 10] {
        // Nothing is ignored that a service of a shell in the background would have ignored.
        let mut process = start(place.script("while :; do sleep 0.05; done"), &shore).await;
        process.control().signal(number).await.expect("alive");
        let exit = exit_of(&mut process).await;
        assert_eq!(exit.signal, Signal::from_number(number));
    }
}

pub(crate) async fn deaf_ones_are_ended(host: HostLink, place: Place) {
    let shore = Shore::from(host.clone());
    let script = "trap '' TERM; echo up; while :; do sleep 0.1; done";
    let mut process = start(place.script(script), &shore).await;
    wait_for(&host, &place, b"up\n").await;
    process.control().stop(stop(100)).await.expect("alive");
    let exit = exit_of(&mut process).await;
    assert_eq!(exit.signal, Some(Signal::KILL));
    let report = exit.stop.expect("it was asked");
    assert_eq!(report.requested, Some(Signal::TERM));
    assert_eq!(report.escalation, Escalation::Killed);
    assert!(report.took_ms.is_some_and(|took| took >= 90), "{report:?}");
}

/// A grandchild that went into a session of its own, with a clean environment's worst: neither is left.
pub(crate) async fn leftovers_are_ended(host: HostLink, place: Place) {
    let shore = Shore::from(host.clone());
    let script = "setsid sleep 1000 & env -i /bin/sh -c 'sleep 1001' & echo $!; sleep 0.3; exit 5";
    let mut process = start(place.script(script), &shore).await;
    let pid = process.pid();
    let exit = exit_of(&mut process).await;
    assert_eq!(exit.code, Some(5));
    let report = exit.stop.expect("something was left");
    assert_eq!(report.requested, None);
    assert!(report.leftovers.count >= 2, "{report:?}");
    let left = std::fs::read_dir("/proc").expect("procfs").flatten();
    for entry in left {
        if let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) {
            let rest = stat.rsplit(')').next().unwrap_or_default();
            let fields: Vec<&str> = rest.split_whitespace().take(4).collect();
            let is_left = fields[0] != "Z" && fields[3] == pid.to_string();
            assert!(!is_left, "{stat}");
        }
    }
}

/// The one beside a service is killed: the service goes on, loses no output, and can be ended. Only how it ended by itself is
/// not known then.
pub(crate) async fn the_death_of_the_runner_costs_only_the_code(host: HostLink, place: Place) {
    let shore = Shore::from(host.clone());
    let script = "i=0; while [ $i -lt 20 ]; do i=$((i+1)); echo line $i; sleep 0.03; done; exit 9";
    let mut process = start(place.script(script), &shore).await;
    let runner = runner_of(process.run_dir()).expect("it is there");
    runner.signal(Signal::KILL).expect("own");
    let exit = exit_of(&mut process).await;
    assert!(exit.exit_unknown && exit.code.is_none(), "{exit:?}");
    assert_eq!(exit.pid, Some(process.pid()));
    let expected: String = (1..=20).map(|i| format!("line {i}\n")).collect();
    let said = output(&told(&host, &place, None).await, Stream::Stdout);
    assert_eq!(String::from_utf8_lossy(&said), expected);

    let mut order = place.script("sleep 1000");
    order.attempt = 2;
    let mut process = start(order, &shore).await;
    let runner = runner_of(process.run_dir()).expect("it is there");
    runner.signal(Signal::KILL).expect("own");
    let control = process.control();
    let stopped = async { control.stop(stop(2000)).await.expect("another takes it") };
    let (exit, ()) = future::zip(exit_of(&mut process), stopped).await;
    let report = exit.stop.expect("it was asked");
    assert_eq!(report.requested, Some(Signal::TERM));
}

pub(crate) async fn what_was_never_launched_has_ended(host: HostLink, place: Place) {
    let shore = Shore::from(host);
    let order = place.script("");
    match adopt(&order.run_dir(), &shore).await {
        Ok(Adopted::Ended(exit)) => assert!(exit.exit_unknown && exit.pid.is_none()),
        other => panic!("{other:?}"),
    }
    // What a shim may be serving is left alone.
    RunDir::create(&order.run_root, &order.instance_id).expect("fresh");
    match adopt(&order.run_dir(), &shore).await {
        Err(error) => assert!(format!("{error:?}").contains("shim"), "{error:?}"),
        Ok(other) => panic!("{other:?}"),
    }
    shore.remove(&order.run_dir()).await.expect_err("not ours");
}

/// Somebody else has its number now, or the machine was started anew: it is not taken for the service.
pub(crate) async fn a_number_that_was_used_again_is_nobody_of_ours(host: HostLink, place: Place) {
    let shore = Shore::from(host);
    for is_reboot in [false, true] {
        let process = start(place.script("sleep 1000"), &shore).await;
        let run_dir = process.run_dir().to_owned();
        let service = ProcessRef::capture(process.pid())
            .expect("procfs")
            .expect("alive");
        drop(process);
        runner_of(&run_dir)
            .expect("there")
            .signal(Signal::KILL)
            .expect("own");
        service.signal(Signal::KILL).expect("own");
        // The test has the number, as far as what is written down goes.
        let own = ProcessRef::capture(std::process::id())
            .expect("procfs")
            .expect("we live");
        let Identity {
            boot_id,
            pid,
            start_ticks,
            ..
        } = own.identity().clone();
        let record = match is_reboot {
            true => format!("another-boot {pid} {start_ticks}\n"),
            false => format!("{boot_id} {pid} {}\n", start_ticks + 1),
        };
        std::fs::write(run_dir.join("identity"), record).expect("written");
        match adopt(&run_dir, &shore).await {
            Ok(Adopted::Ended(exit)) => assert!(exit.exit_unknown && exit.code.is_none()),
            Ok(Adopted::Alive(mut process)) => assert!(exit_of(&mut process).await.exit_unknown),
            Err(error) => panic!("{error:?}"),
        }
        assert!(own.is_alive());
    }
}

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
            let mut changes = std::pin::pin!(changes.clone());
            while !matches!(
                changes.next().await,
                Some(command_executor::agent::HostState::Unreachable(_))
            ) {}
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
