//! Programs behind an agent: of this machine, where everything can be seen; and of a host that SSH reaches.
//!
//! The hosts of `docker-test-env/hosts` have this machine's programs at the same places, so the same orders are given to both.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use command_executor::agent::{AgentLink, HostLink, LocalAgent};
use service_orchestration::config::{ServiceConfig, ServiceTarget};
use service_orchestration::executors::{
    HostCall, HostDirectory, HostRefusal, InsideCommand, InsideEnd, KnownHost, LaunchError,
    LaunchOrder, ServiceExecutor, SshExecutor,
};
use service_orchestration::logs::{LogStore, LogStream};
use service_orchestration::spec::{
    Log, ProcessTarget, RemoteRun, RemoteTarget, Stop, TargetSpec, Template, UnitId,
};
use service_shim::agent::record::CommandExit;
use testkit::{TempDir, within};

use crate::ground::*;

/// One host, with a home that goes with it, and the logs here.
pub(crate) struct HostGround {
    place: TempDir,
    logs: LogStore,
    link: HostLink,
    /// Whether its processes have other numbers there, and its files are other ones.
    is_far: bool,
    launched: Mutex<Vec<String>>,
}

/// Knows the one host.
#[derive(Clone, Debug)]
struct One(HostLink);

#[async_trait]
impl HostDirectory for One {
    async fn find(&self, call: &HostCall) -> Result<KnownHost, HostRefusal> {
        match call.name.as_str() {
            "there" => Ok(KnownHost {
                link: self.0.clone(),
                address: None,
                port: 22,
                jump: None,
            }),
            other => Err(HostRefusal {
                reason: format!("there is no host `{other}`: `harness host add {other}`"),
            }),
        }
    }
}

impl HostGround {
    pub(crate) fn behind_an_agent() -> Self {
        let place = testkit::temp_dir();
        let agent = LocalAgent::at(testkit::shim_path()).with_home(place.path().join("home"));
        Self::with(place, HostLink::new(agent), false)
    }

    fn with(place: TempDir, link: HostLink, is_far: bool) -> Self {
        Self {
            logs: LogStore::new(place.path().join("log")),
            place,
            link,
            is_far,
            launched: Mutex::default(),
        }
    }

    #[cfg(feature = "ssh-tests")]
    pub(crate) fn over_ssh() -> Self {
        use command_executor::agent::SshAgent;
        use command_executor::ssh::{SshConnection, SshHost};

        let hosts = testkit::Hosts::shared();
        let place = testkit::temp_dir();
        let host = SshHost::new("there")
            .and_then(|host| host.with_address(hosts.address("host1")))
            .and_then(|host| host.with_user("root"))
            .and_then(|host| host.with_identity(hosts.directory().join("id_ed25519")))
            .expect("a host");
        let known = hosts.directory().join("known_hosts");
        let directory = place.path().join("ssh");
        let prepared = SshConnection::prepare(host, directory, known);
        let connection = async_io::block_on(prepared).expect("it is one");
        let agent = SshAgent::new(connection, testkit::shim_path());
        let link = HostLink::new(agent);
        // A debug build takes its time to be brought there, longer than a launch waits.
        drop(async_io::block_on(link.reached()));
        Self::with(place, link, true)
    }

    /// Does something there that a test needs to know at once.
    fn ask<T>(&self, ask: impl AsyncFnOnce(AgentLink) -> T) -> T {
        async_io::block_on(async { ask(self.link.reached().await).await })
    }
}

impl Ground for HostGround {
    fn unit(&self) -> UnitId {
        unit_of("contract")
    }

    fn executor(&self) -> Arc<dyn ServiceExecutor> {
        let directory = self.place.path().join("remote");
        Arc::new(SshExecutor::in_directory(directory, One(self.link.clone())))
    }

    fn order(&self, command: &[&str]) -> LaunchOrder {
        let id = uuid::Uuid::new_v4().simple().to_string()[..12].to_owned();
        let launched = self.launched.lock();
        launched.expect("no test panics here").push(id.clone());
        let templates = |words: &[&str]| words.iter().map(|word| Template::from(*word)).collect();
        LaunchOrder {
            unit: self.unit(),
            attempt: 1,
            instance_id: id,
            target: TargetSpec::Remote(RemoteTarget {
                host: "there".into(),
                user: None,
                port: None,
                ssh_key: None,
                run: RemoteRun::Program(ProcessTarget {
                    program: command[0].into(),
                    args: templates(&command[1..]),
                    ..ProcessTarget::default()
                }),
            }),
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            container: None,
            env: BTreeMap::from([("PATH".into(), "/usr/bin:/bin".into())]),
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

    fn config(&self, command: &[&str]) -> ServiceConfig {
        ServiceConfig {
            name: "unit".into(),
            target: ServiceTarget::RemoteLan {
                host: "there".into(),
                user: "root".into(),
                binary: command[0].into(),
                args: command[1..].iter().map(|word| (*word).to_owned()).collect(),
            },
            dependencies: vec![],
            health_check: None,
        }
    }

    fn fixture(&self) -> &str {
        testkit::fixture_path().to_str().expect("a UTF-8 path")
    }

    fn directory(&self) -> &str {
        "/usr/bin"
    }

    fn put_plain_file(&self) -> String {
        let path = match self.is_far {
            true => format!("/root/plain-{}", uuid::Uuid::new_v4().simple()).into(),
            false => self.place.path().join("plain"),
        };
        let text = b"#!/bin/sh\n";
        let sha256 = service_shim::agent::sha256(text);
        let put = self.ask(async |agent| agent.put(&path, 0o600, &sha256, text).await);
        put.expect("the directory is ours");
        path.to_str().expect("a UTF-8 path").to_owned()
    }

    fn by_signal(&self, signal: i32) -> Plain {
        (None, Some(signal), false)
    }

    fn as_user(&self, mut order: LaunchOrder, user: &str) -> LaunchOrder {
        if let TargetSpec::Remote(RemoteTarget {
            run: RemoteRun::Program(target),
            ..
        }) = &mut order.target
        {
            target.user = Some(user.into());
        }
        order
    }

    fn is_alive(&self, pid: u32) -> bool {
        if !self.is_far {
            return testkit::alive(pid);
        }
        let script = format!("grep -q '^State:.[^ZX]' /proc/{pid}/status");
        let ran = self.ask(async |agent| {
            let argv = ["/bin/sh", "-c", &script].map(Into::into).to_vec();
            let env = vec![("PATH".into(), "/usr/bin:/bin".into())];
            agent.exec(argv, env, None, None).await?.complete(0).await
        });
        ran.expect("the host is there").1 == CommandExit::Code(0)
    }

    fn may_switch_user(&self) -> bool {
        rustix::process::geteuid().is_root() && Path::new("/bin/sh").exists()
    }

    fn logs(&self) -> &LogStore {
        &self.logs
    }
}

impl Drop for HostGround {
    /// Ends what a failed test left running, and the connection.
    fn drop(&mut self) {
        end_all(&mut self.launched);
        async_io::block_on(self.link.close());
    }
}

pub(crate) async fn the_environment_is_what_is_ordered_and_a_home(ground: &HostGround) {
    let (id, environment) = super::launching::environment_of_one(ground).await;
    let home = ground.link.reached().await.hello().home.clone();
    let home = format!("HOME={}", home.display());
    let marker = format!("HARNESS_INSTANCE_ID={id}");
    assert_eq!(
        environment,
        [
            "GREETING=two words = one",
            &marker,
            &home,
            "PATH=/usr/bin:/bin"
        ]
    );
}

pub(crate) async fn a_directory_of_its_own_is_where_it_runs(ground: &HostGround) {
    let mut said = Vec::new();
    for (attempt, directory) in [(1, ""), (2, "data")] {
        let mut order = shell(ground, "pwd; ls -ld . | cut -c1-10");
        order.attempt = attempt;
        order.working_dir = directory.into();
        let mut running = launch(ground, order).await;
        assert_eq!(plain(&end_of(&mut *running).await), code(0));
        let all = String::from_utf8(written(ground, LogStream::Stdout).await).expect("text");
        said = all.lines().map(str::to_owned).collect();
    }
    let home = ground.link.reached().await.hello().home.clone();
    let state = home.join(".local/state/harness");
    assert!(
        said[0].starts_with(&state.display().to_string()),
        "{said:?}"
    );
    assert!(said[0].ends_with("/work/contract/unit"), "{said:?}");
    assert_eq!(said[2], format!("{}/data", said[0]));
    assert_eq!((&*said[1], &*said[3]), ("drwx------", "drwx------"));
}

pub(crate) async fn a_command_beside_it_is_run_to_its_end_or_ended_when_its_time_is_over(
    ground: &HostGround,
) {
    let mut attempt = launch(ground, fixture(ground, &["hold"])).await;
    told(ground, &mut *attempt, "pid").await;
    let control = attempt.control();
    let run = async |script: &str, timeout: Duration| {
        let command = InsideCommand {
            words: ["/bin/sh", "-c", script].map(str::to_owned).into(),
            env: BTreeMap::from([("GREETING".to_owned(), "hello".to_owned())]),
            timeout,
        };
        let ran = within(SOON, script, control.run_inside(command)).await;
        ran.expect("the host is there")
    };
    let said = run("echo $GREETING; exit 3", SOON).await;
    let output = b"hello\n".to_vec();
    assert_eq!(said, InsideEnd::Exited { code: 3, output });
    let late = run("sleep 1000", Duration::from_millis(100)).await;
    assert_eq!(late, InsideEnd::TimedOut);
    control.kill().await.expect("it runs");
    end_of(&mut *attempt).await;
}

pub(crate) async fn a_host_that_is_not_known_is_refused_with_what_to_do(ground: &HostGround) {
    let mut order = fixture(ground, &["hold"]);
    if let TargetSpec::Remote(target) = &mut order.target {
        target.host = "elsewhere".into();
    }
    let executor = ground.executor();
    match executor.launch(order).await.map(drop) {
        Err(LaunchError::NotRunnable { reason, .. }) => {
            assert!(reason.contains("harness host add elsewhere"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    assert!(executor.known().await.is_empty());
}
