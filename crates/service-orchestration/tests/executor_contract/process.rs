//! Programs on this machine, beside a shim and on a thread.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex};

use service_orchestration::ShimProgram;
use service_orchestration::config::{ServiceConfig, ServiceTarget};
use service_orchestration::executors::{LaunchOrder, ProcessExecutor, ServiceExecutor};
use service_orchestration::logs::LogStore;
use service_orchestration::spec::{Log, ProcessTarget, Stop, TargetSpec, Template, UnitId};
use testkit::TempDir;

use crate::ground::{Ground, Plain, end_all, unit_of};

/// This machine, with run directories and logs in a directory that goes with it.
pub(crate) struct ProcessGround {
    place: TempDir,
    logs: LogStore,
    shim: ShimProgram,
    launched: Mutex<Vec<String>>,
}

impl ProcessGround {
    pub(crate) fn beside_a_shim() -> Self {
        Self::with(ShimProgram::at(testkit::shim_path()))
    }

    pub(crate) fn on_a_thread() -> Self {
        Self::with(ShimProgram::thread())
    }

    fn with(shim: ShimProgram) -> Self {
        let place = testkit::temp_dir();
        Self {
            logs: LogStore::new(place.path().join("log")),
            place,
            shim,
            launched: Mutex::default(),
        }
    }
}

impl Ground for ProcessGround {
    fn unit(&self) -> UnitId {
        unit_of("contract")
    }

    fn executor(&self) -> Arc<dyn ServiceExecutor> {
        let run_root = self.place.path().join("run");
        Arc::new(ProcessExecutor::in_directory(run_root, self.shim.clone()))
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
            target: TargetSpec::Process(ProcessTarget {
                program: command[0].into(),
                args: templates(&command[1..]),
                ..ProcessTarget::default()
            }),
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            container: None,
            env: BTreeMap::from([("PATH".into(), "/usr/bin:/bin".into())]),
            working_dir: "/".into(),
            log: Log::default(),
            log_dir: self.logs.directory(&self.unit()),
            log_totals: Vec::new(),
            stop: Stop {
                grace: std::time::Duration::from_millis(500),
                ..Stop::default()
            },
            notify: false,
            input: None,
        }
    }

    fn config(&self, command: &[&str]) -> ServiceConfig {
        ServiceConfig {
            name: "unit".into(),
            target: ServiceTarget::Process {
                binary: command[0].into(),
                args: command[1..].iter().map(|word| (*word).to_owned()).collect(),
                env: HashMap::new(),
                working_dir: None,
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
        let path = self.place.path().join("plain");
        std::fs::write(&path, "#!/bin/sh\n").expect("the directory is ours");
        path.to_str().expect("a UTF-8 path").to_owned()
    }

    fn by_signal(&self, signal: i32) -> Plain {
        (None, Some(signal), false)
    }

    fn as_user(&self, mut order: LaunchOrder, user: &str) -> LaunchOrder {
        let TargetSpec::Process(target) = &mut order.target else {
            unreachable!("all orders here are for processes")
        };
        target.user = Some(user.into());
        order
    }

    fn is_alive(&self, pid: u32) -> bool {
        testkit::alive(pid)
    }

    fn may_switch_user(&self) -> bool {
        rustix::process::geteuid().is_root() && Path::new("/bin/sh").exists()
    }

    fn logs(&self) -> &LogStore {
        &self.logs
    }
}

impl Drop for ProcessGround {
    /// Ends what a failed test left running.
    fn drop(&mut self) {
        end_all(&mut self.launched);
    }
}
