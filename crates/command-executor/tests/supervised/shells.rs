//! Services that a shell keeps where no shim runs: dash, bash and busybox ash, as children of the test. What a host that is
//! reached by SSH adds to it is tried in `tests/ssh`.

use std::path::Path;
use std::time::Duration;

use command_executor::agent::{HostLink, ShAgent};
use command_executor::supervised::{
    Adopted, ControlError, LaunchError, Shore, SupervisedLaunch, adopt, launch,
};
use futures_lite::{FutureExt, future};
use service_shim::agent::record::Record;
use service_shim::log::Stream;
use service_shim::{Escalation, Identity, ProcessRef, RunDir, Signal, StartFailureKind};

use super::shells_asked as asked;
use super::{Place, WithStdin, adopted, exit_of, in_time, start, stop};

/// What is tried with each of them.
pub(crate) const TESTS: &[(&str, fn())] = &[
    ("by_sh_runs_to_its_end", || {
        in_time(with_each(runs_to_its_end))
    }),
    ("by_sh_words_and_environment_are_exact", || {
        in_time(with_each(words_and_environment_are_exact))
    }),
    ("by_sh_what_cannot_start_says_why", || {
        in_time(with_each(what_cannot_start_says_why))
    }),
    ("by_sh_outlives_its_owner", || {
        in_time(with_each(outlives_its_owner))
    }),
    ("by_sh_a_signal_that_ends_it_is_told", || {
        in_time(with_each(a_signal_that_ends_it_is_told))
    }),
    ("by_sh_deaf_ones_are_ended", || {
        in_time(with_each(deaf_ones_are_ended))
    }),
    ("by_sh_leftovers_are_ended", || {
        in_time(with_each(leftovers_are_ended))
    }),
    ("by_sh_the_death_of_the_runner_costs_only_the_code", || {
        in_time(with_each(the_death_of_the_runner_costs_only_the_code))
    }),
    ("by_sh_what_was_never_launched_has_ended", || {
        in_time(with_each(what_was_never_launched_has_ended))
    }),
    (
        "by_sh_a_number_that_was_used_again_is_nobody_of_ours",
        || in_time(with_each(a_number_that_was_used_again_is_nobody_of_ours)),
    ),
    ("by_sh_output_is_exact_and_is_told_again", || {
        in_time(with_each(asked::output_is_exact_and_is_told_again))
    }),
    ("by_sh_requests_are_answered", || {
        in_time(with_each(asked::requests_are_answered))
    }),
    ("by_sh_the_death_of_the_shell_is_mended", || {
        in_time(with_each(asked::the_death_of_the_shell_is_mended))
    }),
    ("by_sh_nothing_is_started_twice", || {
        let all = SHELLS.map(asked::nothing_is_started_twice);
        in_time(async { drop(futures::future::join_all(all).await) })
    }),
];

/// The shells of this machine.
pub(crate) const SHELLS: [&[&str]; 3] = [&["dash"], &["bash"], &["busybox", "ash"]];

/// A host that this shell serves, with a home of its own.
pub(crate) async fn host(shell: &[&str], home: &Path) -> HostLink {
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
pub(crate) async fn told(host: &HostLink, place: &Place, since_ns: Option<u64>) -> Vec<Record> {
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

pub(crate) fn output(records: &[Record], side: Stream) -> Vec<u8> {
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

pub(crate) async fn wait_for(host: &HostLink, place: &Place, text: &[u8]) {
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

    let mut order = place.script("exec sleep 1000");
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
        let process = start(place.script("exec sleep 1000"), &shore).await;
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
