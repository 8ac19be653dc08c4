//! What a container's attempt makes of what it hears, one step after another.

use std::collections::BTreeMap;
use std::path::Path;

use async_channel::Sender;
use container_engine::{ContainerPort, ContainerState, ContainerStatus, Object};

use super::*;
use crate::executors::LaunchOrder;
use crate::spec::{
    Log, PortNumber, PortSpec, Protocol, Published, StackName, Stop, StopScope, TargetSpec, UnitId,
    UnitName,
};

fn container(status: ContainerStatus, exit_code: Option<i64>) -> Container {
    Container {
        id: ContainerId::new("0123"),
        name: "shop-db-1".into(),
        created_ns: None,
        state: ContainerState {
            status,
            pid: Some(7),
            exit_code,
            is_oom_killed: false,
            error: None,
            started_ns: None,
            finished_ns: Some(1_000),
            health: None,
        },
        image: String::new(),
        image_id: String::new(),
        labels: BTreeMap::new(),
        command: Vec::new(),
        tty: false,
        network_mode: "none".into(),
        networks: BTreeMap::new(),
        published_ports: Vec::new(),
        exposed_ports: Vec::new(),
        log_driver: "json-file".into(),
        restart_count: 0,
        mounts: BTreeMap::new(),
    }
}

fn running() -> Container {
    container(ContainerStatus::Running, None)
}

fn ended(code: i64) -> Step {
    looked(Ok(container(ContainerStatus::Exited, Some(code))))
}

fn looked(seen: Result<Container, EngineError>) -> Step {
    Step::Looked(Box::new(seen))
}

/// One that runs, on an engine that nobody can reach.
fn attempt(output: Option<Output>) -> (RunningContainer, Sender<Heard>) {
    let engine = Engine::at_socket(Path::new("/nonexistent/docker.sock"));
    let (telling, heard) = async_channel::unbounded();
    (
        RunningContainer::new(engine, running(), heard, output, None),
        telling,
    )
}

fn output(directory: &Path) -> Output {
    let stack = StackName::new("shop").expect("a legal name");
    Output::new(&LaunchOrder {
        unit: UnitId::single(stack, UnitName::new("db").expect("a legal name")),
        attempt: 1,
        instance_id: "0123456789ab".into(),
        target: TargetSpec::Docker(Box::default()),
        command: Vec::new(),
        container: None,
        env: BTreeMap::new(),
        working_dir: "/".into(),
        log: Log::default(),
        log_dir: directory.join("log"),
        log_totals: Vec::new(),
        stop: Stop::default(),
        notify: false,
        input: None,
    })
}

fn not_found() -> EngineError {
    EngineError::NotFound {
        object: Object::Engine,
    }
}

fn no_answer() -> EngineError {
    EngineError::TimedOut {
        object: Object::Engine,
        within: Duration::ZERO,
    }
}

#[test]
fn an_engine_that_is_away_is_told_once_and_so_is_its_return() {
    let (mut attempt, _telling) = attempt(None);
    let deaf = || Step::Heard(Some(Heard::Deaf("gone".into())));
    let told = attempt.digest(deaf());
    assert_eq!(told, Some(AttemptEvent::Unreachable("gone".into())));
    assert_eq!(attempt.digest(deaf()), None);
    assert_eq!(attempt.digest(looked(Err(no_answer()))), None);
    assert_eq!(attempt.digest(Step::Heard(Some(Heard::Listening))), None);
    assert!(attempt.looking.is_some(), "whoever listens again looks");
    let told = attempt.digest(looked(Ok(running())));
    assert_eq!(told, Some(AttemptEvent::Reached));
    assert_eq!(attempt.digest(looked(Ok(running()))), None);
    assert!(matches!(
        attempt.digest(deaf()),
        Some(AttemptEvent::Unreachable(_))
    ));
}

#[test]
fn an_end_that_was_missed_is_no_return_but_an_end() {
    let (mut attempt, _telling) = attempt(None);
    attempt.digest(Step::Heard(Some(Heard::Deaf("gone".into()))));
    assert_eq!(attempt.digest(ended(3)), None);
    attempt.judging = None;
    assert_eq!(attempt.digest(Step::Judged(Ok(Blame::Itself))), None);
    let told = async_io::block_on(attempt.next());
    assert!(
        matches!(&told, AttemptEvent::Exited(exit) if exit.exit_code == Some(3)),
        "{told:?}"
    );
}

#[test]
fn an_end_is_told_after_its_output_was_taken_to_the_last_of_it() {
    let place = tempfile::tempdir().expect("a directory");
    let (mut attempt, _telling) = attempt(Some(output(place.path())));
    assert!(attempt.pumping.is_some(), "its output is followed at once");
    attempt.digest(ended(0));
    attempt.finish();
    assert!(attempt.finishing.is_none(), "its output is still taken");
    // Whoever followed it may have been cut off by its end.
    attempt.pumping = None;
    attempt.digest(Step::Pumped(Ok(())));
    attempt.finish();
    assert!(attempt.pumping.is_some() && attempt.finishing.is_none());
    // An engine that does not answer now still has it.
    attempt.pumping = None;
    attempt.digest(Step::Pumped(Err(no_answer().into())));
    attempt.finish();
    assert!(attempt.pumping.is_some() && attempt.finishing.is_none());
    attempt.pumping = None;
    attempt.digest(Step::Pumped(Ok(())));
    let told = async_io::block_on(attempt.next());
    assert!(matches!(told, AttemptEvent::Exited(_)), "{told:?}");
}

#[test]
fn output_that_breaks_off_is_asked_for_again_once_it_is_seen_to_run() {
    let place = tempfile::tempdir().expect("a directory");
    let (mut attempt, _telling) = attempt(Some(output(place.path())));
    attempt.pumping = None;
    attempt.digest(Step::Pumped(Ok(())));
    assert!(attempt.looking.is_some() && attempt.pumping.is_none());
    attempt.digest(looked(Ok(running())));
    assert!(attempt.pumping.is_some());
}

#[test]
fn a_stop_asks_and_uses_force_after_its_grace() {
    let (mut attempt, _telling) = attempt(None);
    let stop = StopOrder {
        signal: Some(15),
        grace: Duration::from_secs(3600),
        scope: StopScope::Main,
    };
    attempt.digest(Step::Ordered(Order::Stop(stop)));
    assert!(attempt.signalling.is_some(), "it is asked");
    let ladder = attempt.ladder.as_ref().expect("a stop");
    assert!(!ladder.was_forced && ladder.force_at.is_some());
    attempt.signalling = None;
    attempt.digest(Step::GraceOver);
    assert!(attempt.signalling.is_some(), "force is used");
    let ladder = attempt.ladder.as_ref().expect("a stop");
    assert!(ladder.was_forced && ladder.force_at.is_some(), "and again");
    attempt.digest(ended(137));
    let exit = attempt.end.clone().expect("it has ended");
    assert_eq!(exit.stop.expect("it was stopped").escalation, "killed");
    assert!(attempt.ladder.is_none() && attempt.signalling.is_none());
}

#[test]
fn a_stop_without_a_signal_only_waits() {
    let (mut attempt, _telling) = attempt(None);
    let stop = StopOrder {
        signal: None,
        grace: Duration::from_secs(3600),
        scope: StopScope::Main,
    };
    attempt.digest(Step::Ordered(Order::Stop(stop)));
    assert!(attempt.signalling.is_none() && attempt.ladder.is_some());
    attempt.digest(ended(0));
    let exit = attempt.end.clone().expect("it has ended");
    assert_eq!(exit.stop.expect("it was stopped").escalation, "none");
}

#[test]
fn of_one_that_was_removed_is_known_what_was_heard_of_its_end() {
    for (heard, code, is_unknown) in [(Some(7), Some(7), false), (None, None, true)] {
        let (mut attempt, _telling) = attempt(None);
        if let Some(code) = heard {
            let died = ContainerAction::Die {
                exit_code: Some(code),
            };
            attempt.digest(Step::Heard(Some(Heard::Happened(died))));
        }
        attempt.digest(looked(Err(not_found())));
        let exit = attempt.end.clone().expect("it has ended");
        assert_eq!((exit.exit_code, exit.exit_unknown), (code, is_unknown));
        assert!(exit.detail.is_some(), "who is to blame");
    }
}

#[test]
fn what_its_engine_calls_unhealthy_is_looked_at_first_since_that_is_said_of_ends_too() {
    use container_engine::{Health, HealthStatus};
    let seen = |status| {
        let mut seen = running();
        seen.state.health = Some(Health {
            status,
            failing_streak: 0,
            last: None,
        });
        looked(Ok(seen))
    };
    let said = || {
        let action = ContainerAction::Health(HealthStatus::Unhealthy);
        Step::Heard(Some(Heard::Happened(action)))
    };
    let (mut attempt, _telling) = attempt(None);
    attempt.digest(seen(HealthStatus::Healthy));
    attempt.digest(said());
    assert!(attempt.looking.is_some() && !attempt.is_check_news);
    assert_eq!(attempt.health.get(), Some(HealthStatus::Healthy));
    attempt.digest(seen(HealthStatus::Unhealthy));
    assert!(attempt.is_check_news, "it runs, and is so");
    assert_eq!(attempt.health.get(), Some(HealthStatus::Unhealthy));
    let (mut ending, _telling) = super::tests::attempt(None);
    ending.digest(seen(HealthStatus::Healthy));
    ending.digest(said());
    ending.digest(ended(1));
    assert!(!ending.is_check_news, "it has ended, and nothing else");
}

#[test]
fn one_that_runs_again_before_anybody_looked_has_ended() {
    let since = |started_ns| {
        let mut seen = running();
        seen.state.started_ns = Some(started_ns);
        looked(Ok(seen))
    };
    let die = || ContainerAction::Die { exit_code: Some(9) };
    let happened = |action| Step::Heard(Some(Heard::Happened(action)));
    let heard = [vec![die(), ContainerAction::Start], vec![die()], Vec::new()];
    for (heard, code) in heard.into_iter().zip([Some(9), Some(9), None]) {
        let (mut attempt, _telling) = attempt(None);
        attempt.run_ns = Some(Some(500));
        attempt.digest(since(500));
        assert!(attempt.end.is_none(), "it is the run that began then");
        for action in heard {
            attempt.digest(happened(action));
        }
        attempt.digest(since(2_000));
        let exit = attempt.end.clone().expect("that run is over");
        assert_eq!((exit.exit_code, exit.exit_unknown), (code, code.is_none()));
        let ended = exit.ended_at.and_then(|at| at.timestamp_nanos_opt());
        assert_eq!(ended, Some(1_000));
    }
}

#[test]
fn an_end_that_nobody_watched_is_its_own_unless_its_engine_took_it_along() {
    for (blame, is_its_own) in [(Blame::Itself, true), (Blame::Engine, false)] {
        let (mut attempt, _telling) = attempt(None);
        attempt.digest(Step::Heard(Some(Heard::Deaf("gone".into()))));
        attempt.digest(ended(0));
        assert!(attempt.judging.is_some(), "the engine is asked");
        attempt.finish();
        assert!(attempt.finishing.is_none(), "and nothing is told before");
        attempt.judging = None;
        attempt.digest(Step::Judged(Err(no_answer())));
        assert!(attempt.judging.take().is_some(), "it is asked again");
        attempt.digest(Step::Judged(Ok(blame)));
        let exit = attempt.end.clone().expect("it has ended");
        assert_eq!(
            (exit.exit_code, exit.detail.is_none()),
            (Some(0), is_its_own)
        );
    }
}

#[test]
fn one_that_is_frozen_says_so_and_so_it_does_when_it_goes_on() {
    let (mut attempt, _telling) = attempt(None);
    let happened = |action| Step::Heard(Some(Heard::Happened(action)));
    assert_eq!(attempt.frozen_or_not(), None);
    attempt.digest(happened(ContainerAction::Pause));
    assert_eq!(attempt.frozen_or_not(), Some(AttemptEvent::Paused));
    assert_eq!(attempt.frozen_or_not(), None);
    attempt.digest(happened(ContainerAction::Unpause));
    assert_eq!(attempt.frozen_or_not(), Some(AttemptEvent::Resumed));
    // What was missed is seen by looking.
    attempt.digest(looked(Ok(container(ContainerStatus::Paused, None))));
    assert_eq!(attempt.frozen_or_not(), Some(AttemptEvent::Paused));
    attempt.digest(ended(137));
    assert_eq!(attempt.frozen_or_not(), None, "its end is what counts");
}

#[test]
fn a_removal_is_named_whether_it_is_seen_before_or_after_the_end() {
    let (mut early, _telling) = attempt(None);
    early.digest(looked(Ok(container(ContainerStatus::Removing, Some(137)))));
    let (mut late, _telling) = attempt(None);
    late.digest(ended(137));
    let destroyed = Heard::Happened(ContainerAction::Destroy);
    late.digest(Step::Heard(Some(destroyed)));
    for attempt in [early, late] {
        let exit = attempt.end.expect("it has ended");
        let detail = exit.detail.unwrap_or_default();
        assert!(detail.contains("removed by somebody else"), "{detail}");
        assert_eq!(exit.exit_code, Some(137));
    }
}

#[test]
fn one_that_is_observed_is_found_again_by_its_id_and_takes_no_orders() {
    let (attempt, _telling) = attempt(None);
    assert_eq!(attempt.facts().ticket, Some("0123".into()));
    assert!(attempt.control.orders.is_none());
}

#[test]
fn the_ports_of_a_container_are_those_that_its_engine_tells() {
    let port = |port, protocol| ContainerPort { port, protocol };
    let udp = container_engine::Protocol::Udp;
    let at = |container, host_ip: &str, host_port| container_engine::PublishedPort {
        container,
        host_ip: Some(host_ip.parse().expect("an address")),
        host_port,
    };
    let seen = Container {
        published_ports: vec![
            at(port(53, udp), "127.0.0.1", Some(40_053)),
            at(ContainerPort::tcp(80), "::", Some(40_080)),
            at(ContainerPort::tcp(80), "0.0.0.0", Some(40_080)),
            at(ContainerPort::tcp(81), "0.0.0.0", None),
        ],
        exposed_ports: vec![
            ContainerPort::tcp(22),
            ContainerPort::tcp(80),
            port(9, container_engine::Protocol::Sctp),
        ],
        network_mode: "host".into(),
        ..running()
    };
    let spec = |number, protocol, published: Option<(&str, u16)>| PortSpec {
        protocol,
        published: published.map(|(address, port)| Published {
            address: Some(address.parse().expect("an address")),
            port: PortNumber::Fixed(port),
        }),
        ..PortSpec::new(PortNumber::Fixed(number))
    };
    let told = facts(&seen);
    assert_eq!(
        told.ports,
        [
            spec(80, Protocol::Tcp, Some(("0.0.0.0", 40_080))),
            spec(53, Protocol::Udp, Some(("127.0.0.1", 40_053))),
            spec(22, Protocol::Tcp, None),
        ]
    );
    assert!(told.is_on_host);
}

#[test]
fn one_that_is_taken_off_its_network_says_so_once_and_so_when_it_is_back() {
    let (mut attempt, _telling) = attempt(None);
    let on = |networks: &[&str]| {
        let mut seen = running();
        seen.network_mode = "shop_default".into();
        let address = container_engine::NetworkAddress {
            network_id: "0123".into(),
            ip: None,
            gateway: None,
            aliases: Vec::new(),
        };
        seen.networks = networks
            .iter()
            .map(|name| ((*name).to_owned(), address.clone()))
            .collect();
        seen
    };
    let missing = |attempt: &mut RunningContainer, seen| {
        attempt.take_in(seen);
        match attempt.networks_or_not() {
            Some(AttemptEvent::Networks { missing, .. }) => Some(missing),
            _ => None,
        }
    };
    assert_eq!(missing(&mut attempt, on(&["shop_default"])), Some(None));
    let gone = Some(Some("shop_default".to_owned()));
    assert_eq!(missing(&mut attempt, on(&[])), gone);
    assert_eq!(missing(&mut attempt, on(&[])), None);
    assert_eq!(missing(&mut attempt, on(&["shop_default"])), Some(None));
    attempt.happened(ContainerAction::Die { exit_code: None });
    attempt.looking = None;
    attempt.take_in(container(ContainerStatus::Exited, Some(0)));
    attempt.network_changed();
    assert!(attempt.looking.is_none(), "an end takes it off, too");
}
