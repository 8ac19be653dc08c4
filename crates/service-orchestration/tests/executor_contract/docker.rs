//! Containers of the engine that answers on this machine, with the fixture mounted into them.
//!
//! Owns: what differs. A container has its end told as one exit code, so a death by signal N is 128 + N. Its PID 1 takes
//! no signal that it does not ask for; as users do for such programs, the orders have a small init in front.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use container_engine::{ContainerSummary, Discovery, Engine, Filters};
use service_orchestration::ShimProgram;
use service_orchestration::config::{ServiceConfig, ServiceTarget};
use service_orchestration::executors::{
    ContainerOrder, DockerExecutor, LaunchOrder, ServiceExecutor,
};
use service_orchestration::logs::LogStore;
use service_orchestration::spec::{
    ContainerTarget, Log, Mount, Pull, Stop, TargetSpec, Template, UnitId,
};
use testkit::TempDir;

use crate::ground::{Ground, Plain, unit_of};

/// An image with a shell, and with the libraries that the fixture loads.
pub(crate) const IMAGE: &str = "harness-test/redis";

/// The engine, and an installation of its own that goes with this value, and all its containers with it.
pub(crate) struct ContainerGround {
    pub(crate) engine: Engine,
    place: TempDir,
    stack: String,
    logs: LogStore,
}

impl ContainerGround {
    pub(crate) fn new() -> Self {
        let place = testkit::temp_dir();
        let id = uuid::Uuid::new_v4().simple().to_string();
        Self {
            engine: Engine::discover(&Discovery::from_env()).expect("an engine, for these tests"),
            stack: format!("contract-{}", &id[..12]),
            logs: LogStore::new(place.path().join("log")),
            place,
        }
    }

    fn directory(&self) -> PathBuf {
        self.place.path().join("docker")
    }

    /// All containers that this installation has made.
    pub(crate) async fn containers(&self) -> Vec<ContainerSummary> {
        let Ok(home) = fs::read_to_string(self.directory().join("home")) else {
            return Vec::new();
        };
        let ours = Filters::all().label("org.harness.home", &home);
        self.engine.list(&ours).await.expect("the engine answers")
    }

    /// The container of this target, run with these words in front of an order.
    fn target(&self) -> ContainerTarget {
        let plain = self.place.path().join("plain");
        let mounts = [(testkit::fixture_path(), FIXTURE), (plain.as_path(), PLAIN)];
        let there = mounts.into_iter().filter(|(path, _)| path.exists());
        ContainerTarget {
            image: Some(Template::from(IMAGE)),
            pull: Pull::Never,
            mounts: there
                .map(|(path, inside)| format!("{}:{inside}:ro", path.display()))
                .map(|text| Mount::parse(&text).expect("a short form"))
                .collect(),
            // The fastest one; see the tests of stacks for those with addresses.
            network: Some("none".into()),
            ..ContainerTarget::default()
        }
    }
}

impl Ground for ContainerGround {
    fn unit(&self) -> UnitId {
        unit_of(&self.stack)
    }

    fn executor(&self) -> Arc<dyn ServiceExecutor> {
        let shim = ShimProgram::at(testkit::shim_path());
        let engine = self.engine.clone();
        let executor = DockerExecutor::with_engine(engine, self.directory(), shim);
        Arc::new(executor)
    }

    fn order(&self, command: &[&str]) -> LaunchOrder {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        LaunchOrder {
            unit: self.unit(),
            attempt: 1,
            instance_id: uuid::Uuid::new_v4().simple().to_string()[..12].to_owned(),
            target: TargetSpec::Docker(Box::new(ContainerTarget {
                // An init starts whatever it is told to, and fails inside.
                init: [FIXTURE, "/bin/sh"].contains(&command[0]),
                ..self.target()
            })),
            command: Vec::new(),
            container: Some(Box::new(ContainerOrder {
                image: Some(IMAGE.into()),
                entrypoint: Some(words(&command[..1])),
                command: Some(words(&command[1..])),
                labels: labels(),
                ..ContainerOrder::default()
            })),
            env: BTreeMap::new(),
            working_dir: "/".into(),
            log: Log::default(),
            log_dir: self.logs.directory(&self.unit()),
            log_totals: Vec::new(),
            stop: Stop {
                grace: Duration::from_millis(500),
                ..Stop::default()
            },
            notify: false,
            input: None,
        }
    }

    /// An embedder says an image and no command: the one that the image has is replaced.
    fn config(&self, command: &[&str]) -> ServiceConfig {
        let words: Vec<_> = command.iter().map(|word| format!("'{word}'")).collect();
        let script = AS_INIT.replace("COMMAND", &words.join(" "));
        let file = self.place.path().join("entrypoint");
        fs::write(&file, script).expect("the directory is ours");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("it is ours");
        let mounted = |path: &std::path::Path, at: &str| format!("{}:{at}:ro", path.display());
        ServiceConfig {
            // Containers of embedders are in one stack: their names tell them apart.
            name: format!("unit-{}", self.stack),
            target: ServiceTarget::Docker {
                image: IMAGE.into(),
                env: HashMap::new(),
                ports: vec![6379],
                volumes: vec![
                    mounted(testkit::fixture_path(), FIXTURE),
                    mounted(&file, "/usr/local/bin/entrypoint"),
                ],
            },
            dependencies: vec![],
            health_check: None,
        }
    }

    fn fixture(&self) -> &str {
        FIXTURE
    }

    fn directory(&self) -> &str {
        "/usr/bin"
    }

    fn put_plain_file(&self) -> String {
        let path = self.place.path().join("plain");
        fs::write(path, "#!/bin/sh\n").expect("the directory is ours");
        PLAIN.to_owned()
    }

    fn by_signal(&self, signal: i32) -> Plain {
        (Some(128 + signal), None, false)
    }

    fn as_user(&self, mut order: LaunchOrder, user: &str) -> LaunchOrder {
        let TargetSpec::Docker(target) = &mut order.target else {
            unreachable!("all orders here are for containers")
        };
        target.user = Some(user.into());
        order
    }

    /// Its number may be of another namespace; with its container, the kernel ends all that is in it.
    fn is_alive(&self, _pid: u32) -> bool {
        let all = async_io::block_on(self.containers());
        all.iter().any(|container| container.status.is_alive())
    }

    fn may_switch_user(&self) -> bool {
        true
    }

    fn logs(&self) -> &LogStore {
        &self.logs
    }
}

impl Drop for ContainerGround {
    fn drop(&mut self) {
        async_io::block_on(async {
            for container in self.containers().await {
                drop(self.engine.remove(&container.id, true, true).await);
            }
        });
    }
}

/// By which a run of the tests finds what one of them has left.
fn labels() -> BTreeMap<String, String> {
    let run = std::env::var("HARNESS_TEST_RUN").ok();
    let label = run.map(|run| ("harness-test.run".to_owned(), run));
    label.into_iter().collect()
}

const FIXTURE: &str = "/fixture";
const PLAIN: &str = "/plain";

/// Hands TERM on and ends as the command does.
const AS_INIT: &str = "#!/bin/sh
trap 'kill -TERM $child' TERM
COMMAND &
child=$!
wait $child
code=$?
while kill -0 $child 2> /dev/null; do
    wait $child
    code=$?
done
exit $code
";
