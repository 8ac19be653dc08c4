//! Supervised processes, with this very program as their shim: `main` is ours, and knows the few arguments that
//! `cargo test` and `cargo nextest` give.

#[path = "supervised/forward.rs"]
mod forward;
#[path = "supervised/loss.rs"]
mod loss;
#[path = "supervised/place.rs"]
mod place;
#[path = "supervised/remote.rs"]
mod remote;
#[path = "supervised/shells.rs"]
mod shells;
#[path = "supervised/shells_asked.rs"]
mod shells_asked;

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use command_executor::supervised::{
    Adopted, ControlError, LaunchError, ShimProgram, Shore, SupervisedEvent, SupervisedLaunch,
    SupervisedProcess, adopt, launch,
};
use futures_lite::{FutureExt, future};
use place::{Place, WithStdin};
use service_shim::{Escalation, ExitRecord, RunDir, StartFailureKind, StopPolicy};

fn main() {
    service_shim::run_if_asked();
    forward::launch_and_die_if_asked();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| args.iter().any(|arg| arg == flag);
    let wanted: Vec<&String> = args
        .iter()
        .filter(|arg| !arg.starts_with('-') && *arg != "terse")
        .collect();
    let is_wanted = |name: &str| match has("--exact") {
        true => wanted.iter().any(|want| *want == name),
        false => wanted.is_empty() || wanted.iter().any(|want| name.contains(want.as_str())),
    };
    let mut failed = 0;
    for (name, test) in shells::TESTS
        .iter()
        .chain(TESTS)
        .filter(|(name, _)| is_wanted(name) && !has("--ignored"))
    {
        if has("--list") {
            println!("{name}: test");
        } else if std::panic::catch_unwind(test).is_err() {
            println!("test {name} ... FAILED");
            failed += 1;
        } else {
            println!("test {name} ... ok");
        }
    }
    std::process::exit(if failed == 0 { 0 } else { 101 });
}

/// Runs a test under smol, and fails it when it takes longer than any sound machine needs.
fn in_time(test: impl Future<Output = ()>) {
    let late = async {
        smol::Timer::after(Duration::from_secs(60)).await;
        panic!("not done within a minute")
    };
    smol::block_on(futures_lite::future::or(test, late));
}

const TESTS: &[(&str, fn())] = &[
    ("a_service_runs_to_its_end_under_smol", || {
        in_time(runs_to_its_end(embedded().into()))
    }),
    ("a_service_runs_to_its_end_under_tokio", || {
        tokio_block_on(runs_to_its_end(embedded().into()))
    }),
    ("a_service_runs_to_its_end_on_a_thread", || {
        in_time(runs_to_its_end(ShimProgram::thread().into()))
    }),
    ("without_a_shim_nothing_is_left", || {
        in_time(missing_shim_leaves_nothing())
    }),
    ("what_cannot_start_leaves_nothing", || {
        in_time(refused_leaves_nothing(embedded().into()))
    }),
    ("a_service_outlives_its_owner_and_is_adopted", || {
        in_time(outlives_its_owner(embedded().into()))
    }),
    ("the_death_of_the_shim_goes_unnoticed", || {
        in_time(shim_dies(embedded().into()))
    }),
    ("a_service_whose_shim_died_can_be_stopped", || {
        in_time(stop_without_shim(embedded().into()))
    }),
    ("a_deaf_service_is_ended_through_any_control", || {
        in_time(deaf(embedded().into()))
    }),
    ("a_deaf_service_on_a_thread_is_ended_too", || {
        in_time(deaf(ShimProgram::thread().into()))
    }),
    ("input_is_written_and_closed", || {
        in_time(input(embedded().into()))
    }),
    ("no_event_is_lost_when_waiting_is_given_up", || {
        in_time(cancelled_waits(embedded().into()))
    }),
    ("what_was_never_launched_has_ended", || {
        in_time(never_launched(embedded().into()))
    }),
    ("both_dead_is_an_unknown_exit", || {
        in_time(both_dead(embedded().into()))
    }),
    ("a_hundred_start_at_once_and_leave_no_zombie", || {
        in_time(a_hundred(embedded().into()))
    }),
    (
        "a_forwarder_outlives_its_starter_and_is_ended_by_stop",
        || in_time(forward::outlives_its_starter()),
    ),
    ("a_forwarder_without_its_address_says_why", || {
        in_time(forward::says_why())
    }),
    ("output_outlives_shim_and_service", || {
        in_time(loss::output_outlives_shim_and_service())
    }),
    ("a_successor_for_an_order_is_no_zombie", || {
        in_time(loss::a_successor_for_an_order_is_no_zombie())
    }),
    ("on_a_host_a_service_runs_to_its_end", || {
        in_time(async { runs_to_its_end(remote::shore().await).await })
    }),
    ("on_a_host_a_service_runs_to_its_end_under_tokio", || {
        tokio_block_on(async { runs_to_its_end(remote::shore().await).await })
    }),
    ("on_a_host_what_cannot_start_leaves_nothing", || {
        in_time(async { refused_leaves_nothing(remote::shore().await).await })
    }),
    ("on_a_host_a_service_outlives_its_owner", || {
        in_time(async { outlives_its_owner(remote::shore().await).await })
    }),
    ("on_a_host_the_death_of_the_shim_goes_unnoticed", || {
        in_time(async { shim_dies(remote::shore().await).await })
    }),
    ("on_a_host_a_deaf_service_is_ended", || {
        in_time(async { deaf(remote::shore().await).await })
    }),
    ("on_a_host_input_is_written_and_closed", || {
        in_time(async { input(remote::shore().await).await })
    }),
    ("on_a_host_no_event_is_lost", || {
        in_time(async { cancelled_waits(remote::shore().await).await })
    }),
    ("on_a_host_what_was_never_launched_has_ended", || {
        in_time(async { never_launched(remote::shore().await).await })
    }),
    ("on_a_host_both_dead_is_an_unknown_exit", || {
        in_time(async { both_dead(remote::shore().await).await })
    }),
    ("on_a_host_a_hundred_start_at_once", || {
        in_time(async { a_hundred(remote::shore().await).await })
    }),
    ("on_a_host_readiness_is_told", || {
        in_time(remote::readiness())
    }),
    ("the_death_of_the_agent_is_told_and_mended", || {
        in_time(remote::agent_dies())
    }),
    ("the_deaths_of_agent_and_shim_lose_nothing", || {
        in_time(remote::agent_and_shim_die())
    }),
    (
        "an_agent_that_dies_in_the_middle_of_a_start_starts_nothing_twice",
        || in_time(remote::dies_while_starting()),
    ),
    ("what_a_host_does_is_asked_of_its_agent", || {
        in_time(remote::requests())
    }),
    // Last, for those after it would have its limit.
    ("services_begin_with_the_limit_we_began_with", || {
        in_time(loss::services_begin_with_the_limit_we_began_with())
    }),
];

async fn runs_to_its_end(shore: Shore) {
    let place = Place::new();
    let mut process = start(place.script("echo hello; exit 7"), &shore).await;
    assert!(process.pid() > 0);
    let exit = exit_of(&mut process).await;
    assert_eq!((exit.code, exit.pid), (Some(7), Some(process.pid())));
    assert_eq!(place.output(), b"hello\n");
    // Told again, not waited for in vain.
    assert_eq!(exit_of(&mut process).await, exit);
    assert!(matches!(
        process.control().kill().await,
        Err(ControlError::Ended(_))
    ));
    shore.remove(process.run_dir()).await.expect("ours");
}

async fn refused_leaves_nothing(shore: Shore) {
    let place = Place::new();
    let mut order = place.script("");
    order.program = "no-such-program".into();
    let run_dir = order.run_dir();
    match launch(order, &shore).await {
        Err(LaunchError::Refused {
            kind: StartFailureKind::NotFound,
            message,
        }) => {
            assert!(message.contains("no-such-program"), "{message}");
        }
        other => panic!("{other:?}"),
    }
    assert!(!run_dir.exists());
}

async fn missing_shim_leaves_nothing() {
    let place = Place::new();
    let missing = ShimProgram::at("/no/such/shim");
    let order = place.script("");
    let run_dir = order.run_dir();
    assert!(matches!(
        launch(order, &missing.into()).await,
        Err(LaunchError::Shim { .. })
    ));
    assert!(!run_dir.exists());
}

async fn outlives_its_owner(shore: Shore) {
    let place = Place::new();
    let process = start(place.script("echo up; read x; exit 4").with_stdin(), &shore).await;
    let (pid, run_dir) = (process.pid(), process.run_dir().to_owned());
    drop(process);
    let mut again = adopted(&run_dir, &shore).await;
    assert_eq!(again.pid(), pid);
    again
        .control()
        .write_stdin(b"go\n")
        .await
        .expect("it reads");
    assert_eq!(exit_of(&mut again).await.code, Some(4));
    match adopt(&run_dir, &shore).await {
        Ok(Adopted::Ended(exit)) => assert_eq!(exit.code, Some(4)),
        other => panic!("{other:?}"),
    }
}

async fn shim_dies(shore: Shore) {
    let place = Place::new();
    let script = "i=0; while [ $i -lt 60 ]; do i=$((i+1)); echo line $i; sleep 0.02; done; exit 9";
    let mut process = start(place.script(script), &shore).await;
    let run_dir = process.run_dir().to_owned();
    let killer = async {
        for _ in 0..5 {
            kill_shim(&run_dir).await;
            smol::Timer::after(Duration::from_millis(100)).await;
        }
    };
    let (exit, ()) = future::zip(exit_of(&mut process), killer).await;
    assert_eq!((exit.code, exit.exit_unknown), (Some(9), false));
    let expected: String = (1..=60).map(|i| format!("line {i}\n")).collect();
    assert_eq!(String::from_utf8_lossy(&place.output()), expected);
}

async fn stop_without_shim(shore: Shore) {
    let place = Place::new();
    let mut process = start(place.script("sleep 1000"), &shore).await;
    kill_shim(process.run_dir()).await;
    process
        .control()
        .stop(stop(2000))
        .await
        .expect("a new shim takes it");
    let exit = exit_of(&mut process).await;
    assert_eq!(
        exit.stop.map(|report| report.requested),
        Some(Some(service_shim::Signal::TERM))
    );
    // Both shims were our children, and the second was nobody's in particular: neither stays a zombie.
    while !zombies().is_empty() {
        smol::Timer::after(Duration::from_millis(2)).await;
    }
}

/// Children of this process that wait to be waited for.
fn zombies() -> Vec<String> {
    let own = std::process::id().to_string();
    let entries = std::fs::read_dir("/proc").expect("procfs").flatten();
    let stats = entries.filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok());
    let is_ours = |stat: &String| {
        let fields = stat.rsplit(')').next().unwrap_or_default();
        let fields: Vec<&str> = fields.split_whitespace().take(2).collect();
        fields == ["Z", own.as_str()]
    };
    stats.filter(is_ours).collect()
}

async fn deaf(shore: Shore) {
    let place = Place::new();
    let mut process = start(
        place.script("trap '' TERM; echo up; while :; do sleep 0.1; done"),
        &shore,
    )
    .await;
    place.wait_for(b"up\n").await;
    process
        .control()
        .clone()
        .stop(stop(100))
        .await
        .expect("alive");
    let exit = exit_of(&mut process).await;
    assert_eq!(exit.signal, Some(service_shim::Signal::KILL));
    assert_eq!(
        exit.stop.map(|report| report.escalation),
        Some(Escalation::Killed)
    );
}

async fn input(shore: Shore) {
    let place = Place::new();
    let mut process = start(place.program("cat").with_stdin(), &shore).await;
    let control = process.control();
    let text: Vec<u8> = (0..500_000u32).flat_map(u32::to_le_bytes).collect();
    control.write_stdin(&text).await.expect("it reads");
    control.close_stdin().await.expect("alive");
    assert_eq!(exit_of(&mut process).await.code, Some(0));
    assert!(place.output() == text);
}

async fn cancelled_waits(shore: Shore) {
    let place = Place::new();
    let mut process = start(place.script("sleep 0.2; exit 3"), &shore).await;
    let mut given_up = 0;
    let exit = loop {
        let wait = async { Some(process.next_event().await) };
        let give_up = async {
            smol::Timer::after(Duration::from_millis(3)).await;
            None
        };
        match wait.or(give_up).await {
            Some(SupervisedEvent::Exited(exit)) => break exit,
            Some(_) => {}
            None => given_up += 1,
        }
    };
    assert_eq!(exit.code, Some(3));
    assert!(given_up > 0);
}

async fn never_launched(shore: Shore) {
    let place = Place::new();
    let order = place.script("");
    for made in [false, true] {
        if made {
            RunDir::create(&order.run_root, &order.instance_id).expect("fresh");
        }
        match adopt(&order.run_dir(), &shore).await {
            Ok(Adopted::Ended(exit)) => assert!(exit.exit_unknown && exit.pid.is_none()),
            other => panic!("{other:?}"),
        }
    }
}

async fn both_dead(shore: Shore) {
    let place = Place::new();
    let process = start(place.script("sleep 1000"), &shore).await;
    let (pid, run_dir) = (process.pid(), process.run_dir().to_owned());
    drop(process);
    kill_shim(&run_dir).await;
    let service = service_shim::ProcessRef::capture(pid)
        .expect("procfs")
        .expect("it outlives its shim");
    service.signal(service_shim::Signal::KILL).expect("own");
    while service.identity().is_alive() || Path::new(&format!("/proc/{pid}")).exists() {
        smol::Timer::after(Duration::from_millis(2)).await;
    }
    match adopt(&run_dir, &shore).await {
        Ok(Adopted::Ended(exit)) => assert!(exit.exit_unknown && exit.code.is_none(), "{exit:?}"),
        other => panic!("{other:?}"),
    }
}

async fn a_hundred(shore: Shore) {
    let place = Place::new();
    let one = |order| async {
        let mut process = start(order, &shore).await;
        exit_of(&mut process).await.code
    };
    let codes = futures::future::join_all((0..100).map(|_| one(place.program("true")))).await;
    assert!(codes.iter().all(|code| *code == Some(0)), "{codes:?}");
    let own = std::process::id().to_string();
    let is_zombie = |stat: String| {
        let rest = stat.rsplit(')').next().unwrap_or_default().to_owned();
        let fields: Vec<&str> = rest.split_whitespace().collect();
        fields.first() == Some(&"Z") && fields.get(1) == Some(&own.as_str())
    };
    loop {
        let stats = std::fs::read_dir("/proc").expect("procfs").flatten();
        let zombies = stats
            .filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok())
            .filter(|stat| is_zombie(stat.clone()));
        if zombies.count() == 0 {
            break;
        }
        smol::Timer::after(Duration::from_millis(5)).await;
    }
}

async fn start(order: SupervisedLaunch, shore: &Shore) -> SupervisedProcess {
    launch(order, shore).await.expect("it starts")
}

async fn adopted(run_dir: &Path, shore: &Shore) -> SupervisedProcess {
    match adopt(run_dir, shore).await {
        Ok(Adopted::Alive(process)) => process,
        other => panic!("{other:?}"),
    }
}

async fn exit_of(process: &mut SupervisedProcess) -> ExitRecord {
    loop {
        match process.next_event().await {
            SupervisedEvent::Exited(exit) => return exit,
            SupervisedEvent::Unwatched(error) => panic!("{error}"),
            _ => {}
        }
    }
}

/// Kills whichever shim serves the attempt, once one does.
async fn kill_shim(run_dir: &Path) {
    let shim = shim_of(run_dir).await;
    shim.signal(service_shim::Signal::KILL).expect("own");
}

/// Whichever shim serves the attempt, once one does.
async fn shim_of(run_dir: &Path) -> service_shim::ProcessRef {
    use service_shim::protocol::{self, Notice, Request};
    use std::io::{BufRead, Write};
    loop {
        let stream = RunDir::open(run_dir).and_then(|run| run.connect());
        if let Ok(mut stream) = stream {
            let mut line = String::new();
            let asked = stream.write_all(&protocol::encode(Request::Status)).is_ok()
                && std::io::BufReader::new(&stream)
                    .read_line(&mut line)
                    .is_ok();
            if asked && let Ok(Notice::Status(status)) = protocol::decode(line.as_bytes()) {
                let shim = service_shim::ProcessRef::capture(status.shim_pid);
                return shim.expect("procfs").expect("it just answered");
            }
        }
        smol::Timer::after(Duration::from_millis(2)).await;
    }
}

fn stop(grace_ms: u64) -> StopPolicy {
    StopPolicy {
        grace: Duration::from_millis(grace_ms),
        ..StopPolicy::default()
    }
}

fn embedded() -> ShimProgram {
    ShimProgram::embedded_in(std::env::current_exe().expect("procfs"))
}

fn tokio_block_on(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .build()
        .expect("a runtime")
        .block_on(test);
}
