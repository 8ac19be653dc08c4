//! A directory with a manager in it, and units that run the fixture.

use std::path::PathBuf;
use std::time::Duration;

use futures_lite::StreamExt;
use rustix::process::{Pid, Signal, kill_process};
use service_orchestration::logs::{LogQuery, LogStream};
use service_orchestration::manager::ManagerBuilder;
use service_orchestration::model::Goal;
use service_orchestration::report::{Event, EventKind, UnitStatus};
use service_orchestration::spec::*;
use service_orchestration::supervisor::{ApplyMode, Order, Subscribed, Waited};
use service_orchestration::{ServiceManager, ShimProgram};
use testkit::{TempDir, eventually_async, within};

/// How long anything may take that is not limited otherwise.
pub(crate) const SOON: Duration = Duration::from_secs(30);

pub(crate) const START: Order = Order::Start {
    no_dependencies: false,
    again: false,
};

/// A state directory.
pub(crate) struct Place {
    home: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self {
            home: testkit::temp_dir(),
        }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// A manager of it, not yet started.
    pub(crate) fn builder(&self) -> ManagerBuilder {
        builder(self.file("state"))
    }

    pub(crate) async fn manager(&self) -> ServiceManager {
        let starting = self.builder().start();
        let manager = within(SOON, "the manager", starting).await;
        manager.expect("the state is free")
    }
}

impl Drop for Place {
    /// Ends what a failed test left running.
    fn drop(&mut self) {
        let runs = std::fs::read_dir(self.file("state/run"));
        for run in runs.into_iter().flatten().flatten() {
            let marker = format!("HARNESS_INSTANCE_ID={}", run.file_name().display());
            for pid in testkit::processes_with_env(&marker) {
                let pid = Pid::from_raw(pid.cast_signed()).expect("a PID is positive");
                kill_process(pid, Signal::KILL).ok();
            }
        }
    }
}

pub(crate) fn builder(state: PathBuf) -> ManagerBuilder {
    ServiceManager::builder()
        .state_dir(state)
        .shim(ShimProgram::at(testkit::shim_path()))
}

pub(crate) fn stack_name() -> StackName {
    StackName::new("test").expect("a legal name")
}

pub(crate) fn name(text: &str) -> UnitName {
    UnitName::new(text).expect("a legal name")
}

pub(crate) fn text(path: &std::path::Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}

/// The fixture, run with these arguments.
pub(crate) fn service(unit: &str, arguments: &[&str]) -> ServiceSpec {
    let arguments = arguments.iter().map(|word| Template::from(*word));
    program(unit, text(testkit::fixture_path()), arguments)
}

/// A shell script; `$0` is the fixture.
pub(crate) fn shell(unit: &str, script: &str) -> ServiceSpec {
    let words = ["-c", script, text(testkit::fixture_path())];
    program(unit, "/bin/sh", words.map(Template::from))
}

pub(crate) fn program(
    unit: &str,
    program: &str,
    arguments: impl IntoIterator<Item = Template>,
) -> ServiceSpec {
    let target = TargetSpec::Process(ProcessTarget {
        program: program.into(),
        args: arguments.into_iter().collect(),
        ..ProcessTarget::default()
    });
    ServiceSpec::new(name(unit), UnitKind::Service, target)
}

/// What another unit, or the unit itself, is asked for.
pub(crate) fn of(unit: &str, attribute: Attribute) -> Part {
    Part::Reference(Reference {
        unit: name(unit),
        attribute,
    })
}

/// With a port that is picked.
pub(crate) fn with_port(mut spec: ServiceSpec) -> ServiceSpec {
    spec.ports.push(PortSpec::new(PortNumber::Auto));
    spec
}

/// Asked often, so that a test need not wait; never called unhealthy before it was healthy.
pub(crate) fn probe(action: ProbeAction) -> Probe {
    Probe {
        interval: Duration::from_millis(20),
        start_interval: Duration::from_millis(20),
        start_period: SOON,
        retries: 2,
        ..Probe::new(action)
    }
}

pub(crate) fn needs(mut spec: ServiceSpec, unit: &str, restart: bool) -> ServiceSpec {
    spec.dependencies.push(Dependency {
        unit: name(unit),
        gate: None,
        required: true,
        restart,
        origin: Origin::default(),
    });
    spec
}

pub(crate) fn stack(units: impl IntoIterator<Item = ServiceSpec>) -> StackSpec {
    StackSpec {
        inactive: std::collections::BTreeMap::new(),
        volumes: Default::default(),
        name: stack_name(),
        description: None,
        directory: "/".into(),
        files: vec![],
        sources: Default::default(),
        environment: service_orchestration::allowed_environment(std::env::vars()),
        networks: std::collections::BTreeMap::new(),
        units: units
            .into_iter()
            .map(|unit| (unit.name.clone(), unit))
            .collect(),
        log_total: None,
        secrets: Default::default(),
    }
}

/// Defines these units and orders them up.
pub(crate) async fn up(manager: &ServiceManager, units: impl IntoIterator<Item = ServiceSpec>) {
    let spec = stack(units);
    manager
        .apply(spec, ApplyMode::Replace)
        .await
        .expect("a good stack");
    manager
        .order(&stack_name(), &[], START)
        .await
        .expect("known units");
}

/// Stops everything, and ends the manager.
pub(crate) async fn down(manager: ServiceManager) {
    let stopping = manager.shutdown(false);
    within(SOON, "the end of all units", stopping).await;
}

pub(crate) async fn wait(manager: &ServiceManager, units: &[&str], goal: Goal) -> Waited {
    let units: Vec<_> = units.iter().map(|unit| name(unit)).collect();
    let stack = stack_name();
    let waiting = manager.wait(&stack, &units, goal, false);
    within(SOON, "the units to come so far", waiting)
        .await
        .expect("known units")
}

pub(crate) async fn reach(manager: &ServiceManager, units: &[&str], goal: Goal) {
    assert_eq!(wait(manager, units, goal).await, Waited::Reached);
}

pub(crate) async fn item(manager: &ServiceManager, unit: &str) -> UnitStatus {
    let status = manager.status(&stack_name()).await.expect("a known stack");
    let mut items = status.items.into_iter();
    items.find(|item| item.name == unit).expect("a known unit")
}

/// The process of a unit, once it is known: what it says can be read before the supervisor has heard of its start.
pub(crate) async fn pid(manager: &ServiceManager, unit: &str) -> u32 {
    let running = until(manager, unit, "it runs", |unit| unit.pid.is_some()).await;
    running.pid.expect("it runs on")
}

/// Waits until a unit stands so.
pub(crate) async fn until(
    manager: &ServiceManager,
    unit: &str,
    what: &str,
    stands: impl Fn(&UnitStatus) -> bool,
) -> UnitStatus {
    eventually_async(SOON, what, async || stands(&item(manager, unit).await)).await;
    item(manager, unit).await
}

/// The next event of this kind.
pub(crate) async fn event(events: &Subscribed, kind: EventKind) -> std::sync::Arc<Event> {
    let found = async {
        loop {
            let event = events.events.recv().await.expect("the manager lives");
            if event.event_type == kind {
                return event;
            }
        }
    };
    within(SOON, &kind.name(), found).await
}

pub(crate) fn kill(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(pid.cast_signed()).expect("a PID is positive");
    kill_process(pid, signal).expect("it lives");
}

/// The number that a unit told as `name number`; waits for it.
pub(crate) async fn told(manager: &ServiceManager, unit: &str, what: &str) -> u32 {
    let unit = UnitId::single(stack_name(), name(unit));
    let lines = manager.logs().open(&unit).follow(LogQuery::default());
    let numbers = lines.filter_map(|line| {
        let line = String::from_utf8(line.expect("a readable log").bytes).ok()?;
        line.strip_prefix(what)?.trim().parse().ok()
    });
    let first = async { std::pin::pin!(numbers).next().await };
    within(SOON, what, first).await.expect("a log has no end")
}

/// Everything that a unit wrote to one stream.
pub(crate) async fn written(manager: &ServiceManager, unit: &str, stream: LogStream) -> Vec<u8> {
    let unit = UnitId::single(stack_name(), name(unit));
    let query = LogQuery {
        stream: Some(stream),
        ..LogQuery::default()
    };
    let lines = manager.logs().open(&unit).read(query).await;
    let mut bytes = Vec::new();
    for line in lines.expect("a readable log") {
        assert_eq!(line.gap, None, "something is missing");
        bytes.extend_from_slice(&line.bytes);
        bytes.extend((!line.partial).then_some(b'\n'));
    }
    bytes
}
