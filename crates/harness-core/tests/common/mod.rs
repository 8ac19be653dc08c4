//! A daemon in a directory of its own, and stacks of real programs.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test program uses a part of it, and none exports it"
)]

pub mod discovery;
pub mod enrolled;

use std::path::Path;
use std::time::Duration;

use futures_lite::future;
use harness_core::daemon::Listen;
use harness_core::protocol::{Mode, StartParams, StopParams, WaitGoal, WaitParams};
use harness_core::{BaseDaemon, DaemonError, DaemonHandle, Dirs, HarnessClient};
use service_orchestration::report::UnitStatus;
use service_orchestration::spec::{
    ProcessTarget, ServiceSpec, StackName, StackSpec, TargetSpec, Template, UnitKind, UnitName,
};
use testkit::TempDir;

pub const SOON: Duration = Duration::from_secs(20);

/// A home for a daemon.
pub struct Home {
    pub directory: TempDir,
    pub dirs: Dirs,
}

impl Home {
    pub fn new() -> Self {
        let directory = testkit::temp_dir();
        let dirs = Dirs::under(directory.path().join("home"));
        Self { directory, dirs }
    }

    pub async fn build(&self) -> Result<BaseDaemon, DaemonError> {
        BaseDaemon::builder()
            .dirs(self.dirs.clone())
            .listen(any_port())
            .build()
            .await
    }

    /// Runs `work` beside a daemon of this home, which is ended afterwards.
    pub async fn with_daemon<F: Future>(&self, work: impl FnOnce(DaemonHandle) -> F) -> F::Output {
        let daemon = self.build().await.expect("a daemon");
        let handle = daemon.handle();
        let ending = handle.clone();
        let work = async {
            let client = testkit::eventually_async(SOON, "the daemon answers", || async {
                HarnessClient::connect(&self.dirs).await.is_ok()
            });
            client.await;
            let output = work(handle).await;
            testkit::within(SOON, "the end of the daemon", ending.shutdown(false)).await;
            output
        };
        let (ran, output) = future::zip(daemon.run(), work).await;
        ran.expect("an orderly end");
        output
    }

    pub async fn client(&self) -> HarnessClient {
        HarnessClient::connect(&self.dirs)
            .await
            .expect("a daemon that answers")
    }

    pub fn endpoint_file(&self) -> std::path::PathBuf {
        self.dirs.state().join("daemon.json")
    }
}

pub fn any_port() -> Listen {
    "127.0.0.1:0".parse().expect("an address")
}

pub fn name(text: &str) -> StackName {
    StackName::new(text).expect("a legal name")
}

pub fn unit(text: &str) -> UnitName {
    UnitName::new(text).expect("a legal name")
}

/// A stack of services that are shell scripts.
pub fn stack(stack: &str, directory: &Path, scripts: &[(&str, &str)]) -> StackSpec {
    let service = |(service, script): &(&str, &str)| {
        let target = ProcessTarget {
            program: Template::literal("/bin/sh"),
            args: vec![Template::literal("-c"), Template::literal(*script)],
            ..ProcessTarget::default()
        };
        (
            unit(service),
            ServiceSpec::new(
                unit(service),
                UnitKind::Service,
                TargetSpec::Process(target),
            ),
        )
    };
    StackSpec {
        inactive: std::collections::BTreeMap::new(),
        volumes: Default::default(),
        name: name(stack),
        description: None,
        directory: directory.to_owned(),
        files: Vec::new(),
        sources: Default::default(),
        environment: [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into(),
        networks: Default::default(),
        units: scripts.iter().map(service).collect(),
        log_total: None,
        secrets: Default::default(),
    }
}

pub fn start(stack: StackSpec) -> StartParams {
    StartParams {
        stack: Box::new(stack),
        mode: Mode::Replace,
        units: Vec::new(),
        no_deps: false,
        again: false,
        secrets: Default::default(),
    }
}

pub fn wait(stack: &str, goal: WaitGoal) -> WaitParams {
    WaitParams {
        stack: name(stack),
        units: Vec::new(),
        goal,
        any: false,
        ordered_down: false,
    }
}

pub async fn start_and_wait(client: &HarnessClient, spec: StackSpec) {
    let stack = spec.name.to_string();
    client.start(&start(spec)).await.expect("started");
    client
        .wait(&wait(&stack, WaitGoal::Running))
        .await
        .expect("running");
}

pub async fn stop_and_wait(client: &HarnessClient, stack: &str) {
    client
        .stop(&StopParams::all(name(stack)))
        .await
        .expect("ordered down");
    client
        .wait(&wait(stack, WaitGoal::Stopped))
        .await
        .expect("stopped");
}

pub async fn status_of(client: &HarnessClient, stack: &str, unit: &str) -> UnitStatus {
    let status = client.status(&name(stack)).await.expect("a status");
    status
        .items
        .into_iter()
        .find(|item| item.name == unit)
        .expect("a unit of the stack")
}
