//! Stacks of containers and processes on the engine that answers on this machine, through the manager.

#![cfg(feature = "docker-tests")]

mod behind;
mod keeping;
mod output;

use std::collections::BTreeMap;
use std::time::Duration;

use container_engine::{Discovery, Engine, Filters};
use service_orchestration::model::Goal;
use service_orchestration::report::UnitStatus;
use service_orchestration::spec::*;
use service_orchestration::supervisor::{ApplyMode, Order, Waited};
use service_orchestration::{ServiceManager, ShimProgram, Volumes};
use testkit::{TempDir, eventually_async, in_time};

const SOON: Duration = Duration::from_secs(60);

const START: Order = Order::Start {
    no_dependencies: false,
    again: false,
};

const STOP: Order = Order::Stop {
    with_dependents: true,
    force: false,
    grace: None,
};

/// An installation and a stack of its own, which go with this value and take with them whatever was made.
struct Yard {
    home: TempDir,
    engine: Engine,
    stack: StackName,
}

impl Yard {
    fn new() -> Self {
        let id = uuid::Uuid::new_v4().simple().to_string();
        Self {
            home: testkit::temp_dir(),
            engine: Engine::discover(&Discovery::from_env()).expect("an engine, for these tests"),
            stack: StackName::new(format!("stack-{}", &id[..12])).expect("a legal name"),
        }
    }

    async fn manager(&self) -> ServiceManager {
        let builder = ServiceManager::builder()
            .state_dir(self.home.path())
            .shim(ShimProgram::at(testkit::shim_path()));
        builder.start().await.expect("a private directory")
    }

    async fn up(&self, manager: &ServiceManager, units: Vec<ServiceSpec>) {
        let units = units.into_iter().map(|unit| (unit.name.clone(), unit));
        let spec = StackSpec {
            inactive: BTreeMap::new(),
            volumes: BTreeMap::from([("data".to_owned(), VolumeSpec::default())]),
            name: self.stack.clone(),
            description: None,
            directory: "/".into(),
            files: vec![],
            sources: Default::default(),
            environment: BTreeMap::from([("PATH".into(), "/usr/bin:/bin".into())]),
            networks: BTreeMap::new(),
            units: units.collect(),
            log_total: None,
            secrets: Default::default(),
        };
        let applied = manager.apply(spec, ApplyMode::Replace).await;
        applied.expect("a good stack");
        self.order(manager, &[], START).await;
    }

    async fn order(&self, manager: &ServiceManager, names: &[&str], order: Order) {
        let names: Vec<_> = names.iter().map(|text| name(text)).collect();
        let ordered = manager.order(&self.stack, &names, order).await;
        ordered.expect("known units");
    }

    async fn reach(&self, manager: &ServiceManager, names: &[&str], goal: Goal) {
        let names: Vec<_> = names.iter().map(|text| name(text)).collect();
        let waiting = manager.wait(&self.stack, &names, goal, false);
        let waited = in_time(SOON, waiting).await;
        let waited = waited.map(|waited| waited.expect("known units"));
        let status = manager.status(&self.stack).await;
        assert_eq!(waited, Some(Waited::Reached), "{status:#?}");
    }

    async fn item(&self, manager: &ServiceManager, unit: &str) -> UnitStatus {
        let status = manager.status(&self.stack).await.expect("a known stack");
        let found = status.items.into_iter().find(|item| item.name == unit);
        found.expect("a known unit")
    }

    /// What the engine has of the stack: containers, networks, volumes.
    async fn left(&self) -> [usize; 3] {
        let ours = Filters::all().label("org.harness.stack", self.stack.as_str());
        [
            self.engine.list(&ours).await.expect("an answer").len(),
            self.engine.networks(&ours).await.expect("an answer").len(),
            self.engine.volumes(&ours).await.expect("an answer").len(),
        ]
    }
}

impl Drop for Yard {
    fn drop(&mut self) {
        let ours = Filters::all().label("org.harness.stack", self.stack.as_str());
        async_io::block_on(async {
            for container in self.engine.list(&ours).await.unwrap_or_default() {
                drop(self.engine.remove(&container.id, true, true).await);
            }
            for network in self.engine.networks(&ours).await.unwrap_or_default() {
                drop(self.engine.remove_network(&network.id).await);
            }
            for volume in self.engine.volumes(&ours).await.unwrap_or_default() {
                drop(self.engine.remove_volume(&volume.name).await);
            }
        });
    }
}

fn name(text: &str) -> UnitName {
    UnitName::new(text).expect("a legal name")
}

fn words(words: &[&str]) -> Vec<Template> {
    words.iter().map(|word| Template::from(*word)).collect()
}

/// A process that runs this script.
fn shell(unit: &str, kind: UnitKind, script: &str) -> ServiceSpec {
    let target = TargetSpec::Process(ProcessTarget {
        program: "/bin/bash".into(),
        args: words(&[
            "-c",
            script,
            testkit::fixture_path().to_str().expect("UTF-8"),
        ]),
        ..ProcessTarget::default()
    });
    ServiceSpec::new(name(unit), kind, target)
}

fn container(unit: &str, kind: UnitKind, target: ContainerTarget) -> ServiceSpec {
    let target = ContainerTarget {
        pull: Pull::Never,
        ..target
    };
    let mut spec = ServiceSpec::new(name(unit), kind, TargetSpec::Docker(Box::new(target)));
    let run = std::env::var("HARNESS_TEST_RUN").ok();
    spec.labels = run
        .map(|run| ("harness-test.run".to_owned(), run))
        .into_iter()
        .collect();
    spec
}

/// Redis, reached from this machine at a port that is chosen, with what it keeps in a volume.
fn redis() -> ServiceSpec {
    let target = ContainerTarget {
        image: Some("harness-test/redis".into()),
        mounts: vec![Mount::parse("data:/data").expect("a short form")],
        ..ContainerTarget::default()
    };
    let mut spec = container("db", UnitKind::Service, target);
    spec.ports.push(PortSpec {
        published: Some(Published {
            address: None,
            port: PortNumber::Auto,
        }),
        ..PortSpec::new(PortNumber::Fixed(6379))
    });
    let command = words(&["redis-cli", "ping"]);
    spec.readiness = Some(Probe {
        interval: Duration::from_millis(200),
        start_interval: Duration::from_millis(200),
        start_period: SOON,
        ..Probe::new(ProbeAction::Command { command })
    });
    spec
}

fn needs(mut spec: ServiceSpec, other: &str, restart: bool) -> ServiceSpec {
    spec.dependencies.push(Dependency {
        unit: name(other),
        gate: None,
        required: true,
        restart,
        origin: Origin::default(),
    });
    spec
}

/// Asks the database at the address that is injected, and tells what it says.
const ASK: &str = "exec 3<>/dev/tcp/$DB_HOST/$DB_PORT; printf 'PING\\r\\n' >&3; read -r line <&3; echo \"$line\"; [ \"${line%?}\" = +PONG ]";

#[test]
fn a_process_finds_a_container_and_follows_its_restart_and_nothing_is_left() {
    async_io::block_on(async {
        let yard = Yard::new();
        let manager = yard.manager().await;
        let client = shell(
            "client",
            UnitKind::Service,
            &format!("{ASK} && exec sleep 1000"),
        );
        let task = shell("task", UnitKind::Task, ASK);
        let units = vec![redis(), needs(client, "db", true), needs(task, "db", false)];
        yard.up(&manager, units).await;
        yard.reach(&manager, &["db", "client"], Goal::Ready).await;
        yard.reach(&manager, &["task"], Goal::Ready).await;
        let before = yard.item(&manager, "db").await;
        let client = yard.item(&manager, "client").await;
        assert_eq!(yard.left().await, [1, 1, 1]);
        yard.order(&manager, &["db"], Order::Restart { grace: None })
            .await;
        eventually_async(SOON, "both run anew", async || {
            let (db, follower) = (
                yard.item(&manager, "db").await,
                yard.item(&manager, "client").await,
            );
            db.state == "ready"
                && db.started_at != before.started_at
                && follower.state == "ready"
                && follower.pid.is_some_and(|pid| Some(pid) != client.pid)
        })
        .await;
        let after = yard.item(&manager, "db").await;
        assert_eq!(after.address, before.address, "the port outside stays");
        yard.order(&manager, &[], STOP).await;
        yard.reach(&manager, &[], Goal::Stopped).await;
        assert_eq!(yard.left().await, [1, 1, 1], "its container is kept");
        let forgotten = manager.forget(&yard.stack, Volumes::Keep).await;
        forgotten.expect("all of it is down");
        assert_eq!(yard.left().await, [0, 0, 1], "volumes survive");
        let removed = manager.forget(&yard.stack, Volumes::Remove).await;
        let removed = removed.expect("volumes of what is forgotten can still go");
        assert_eq!((removed.len(), yard.left().await), (1, [0, 0, 0]));
        yard.up(&manager, vec![redis()]).await;
        yard.reach(&manager, &[], Goal::Ready).await;
        yard.order(&manager, &[], STOP).await;
        yard.reach(&manager, &[], Goal::Stopped).await;
        let forgotten = manager.forget(&yard.stack, Volumes::Remove).await;
        forgotten.expect("all of it is down");
        assert_eq!(
            yard.left().await,
            [0, 0, 0],
            "volumes go when it is said so"
        );
        manager.shutdown(false).await;
    });
}

#[test]
fn a_container_reaches_a_process_that_listens_on_loopback_only() {
    async_io::block_on(async {
        let yard = Yard::new();
        let manager = yard.manager().await;
        let mut api = shell("api", UnitKind::Service, "exec \"$0\" serve \"$PORT\"");
        api.ports.push(PortSpec::new(PortNumber::Auto));
        api.readiness = Some(Probe {
            interval: Duration::from_millis(100),
            start_interval: Duration::from_millis(100),
            start_period: SOON,
            ..Probe::new(ProbeAction::Log {
                pattern: "^listening ".into(),
            })
        });
        // By its name and by its address: both lead there.
        let ask = "wget -q -O - http://api:$API_PORT/ && wget -q -O - http://$API_ADDR/";
        let target = ContainerTarget {
            image: Some("harness-test/busybox".into()),
            entrypoint: Some(words(&["/bin/sh", "-c", ask])),
            ..ContainerTarget::default()
        };
        let worker = needs(container("worker", UnitKind::Task, target), "api", false);
        yard.up(&manager, vec![api, worker]).await;
        yard.reach(&manager, &["worker"], Goal::Ready).await;
        let forwarders = yard.home.path().to_str().expect("UTF-8").to_owned();
        yard.order(&manager, &[], STOP).await;
        yard.reach(&manager, &[], Goal::Stopped).await;
        let forgotten = manager.forget(&yard.stack, Volumes::Remove).await;
        forgotten.expect("all of it is down");
        manager.shutdown(false).await;
        assert_eq!(yard.left().await, [0, 0, 0]);
        assert_eq!(processes_of(&forwarders), Vec::<String>::new());
    });
}

/// The command lines of processes that name this directory: shims and forwarders of it.
fn processes_of(directory: &str) -> Vec<String> {
    let all = std::fs::read_dir("/proc").expect("processes");
    let lines = all.flatten().filter_map(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        line.contains(directory).then_some(line)
    });
    lines.collect()
}
