//! Programs on this machine, each beside a shim.
//!
//! Owns: nothing while they run: the shim has their output, the run directory their identity. See
//! [`command_executor::supervised`].

mod one_off;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use command_executor::blocking;
use command_executor::event::ProcessEventStream;
use command_executor::supervised::{
    self, Adopted, ShimProgram, Shore, SupervisedEvent, SupervisedLaunch, SupervisedProcess,
};

use super::shimmed::{ShimControl, exit_info, launch_error, stop_policy};
use super::{
    AdoptError, Adoption, AttemptControl, AttemptEvent, AttemptFacts, ControlError, KnownOneOff,
    LaunchError, LaunchOrder, OneOffError, OneOffOrder, OneOffPlace, RunningAttempt,
    ServiceExecutor, Ticket,
};
use super::{RunningService, alone};
use crate::config::ServiceConfig;
use crate::report::ExitInfo;
use crate::spec::{TargetKind, TargetSpec};

/// Runs programs on this machine, each beside a shim that outlives us.
///
/// ```
/// use std::collections::HashMap;
/// use futures::StreamExt;
/// use service_orchestration::{ProcessExecutor, ServiceConfig, ServiceExecutor, ServiceTarget};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # smol::block_on(async {
/// let executor = ProcessExecutor::new();
/// let greeter = ServiceConfig {
///     name: "greeter".to_owned(),
///     target: ServiceTarget::Process {
///         binary: "echo".to_owned(),
///         args: vec!["hello".to_owned()],
///         env: HashMap::new(),
///         working_dir: None,
///     },
///     dependencies: vec![],
///     health_check: None,
/// };
/// let service = executor.start(greeter).await?;
/// let events: Vec<_> = executor.stream_events(&service).await?.collect().await;
/// let said: Vec<_> = events.iter().map(|event| event.data.as_str()).collect();
/// assert_eq!(said[1..], ["hello", "0"], "its output, and its exit code");
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ProcessExecutor {
    run_root: Arc<RunRoot>,
    shore: Shore,
}

/// Where run directories are made.
#[derive(Debug)]
enum RunRoot {
    /// Where somebody said.
    Given(PathBuf),
    /// In a private directory, which goes with us.
    Own(PathBuf),
}

impl RunRoot {
    fn path(&self) -> &Path {
        match self {
            Self::Given(path) | Self::Own(path) => path,
        }
    }
}

impl Drop for RunRoot {
    fn drop(&mut self) {
        if let Self::Own(path) = self {
            // What still runs keeps its directory's files open; what is left of an empty one is of no use.
            drop(std::fs::remove_dir_all(path));
        }
    }
}

impl Default for ProcessExecutor {
    fn default() -> Self {
        Self::new()
    }
}

impl ProcessExecutor {
    /// With run directories in a private temporary directory, which goes when the last clone of this value does.
    pub fn new() -> Self {
        Self {
            run_root: Arc::new(RunRoot::Own(crate::host::private_directory())),
            shore: ShimProgram::find().into(),
        }
    }

    /// With run directories below this one, which outlives us.
    pub fn in_directory(run_root: impl Into<PathBuf>, shim: ShimProgram) -> Self {
        Self {
            run_root: Arc::new(RunRoot::Given(run_root.into())),
            shore: shim.into(),
        }
    }

    /// Where run directories are made.
    pub fn run_root(&self) -> &Path {
        self.run_root.path()
    }
}

#[async_trait]
impl ServiceExecutor for ProcessExecutor {
    fn kind(&self) -> TargetKind {
        TargetKind::Process
    }

    async fn launch(&self, order: LaunchOrder) -> Result<Box<dyn RunningAttempt>, LaunchError> {
        let (unit, instance_id) = (order.unit.clone(), order.instance_id.clone());
        let launch = self.supervised_launch(order)?;
        let program = launch.program.to_string_lossy().into_owned();
        let process =
            supervised::launch(launch, &self.shore)
                .await
                .map_err(|error| match error {
                    supervised::LaunchError::Unclear(source) => LaunchError::Unclear(AdoptError {
                        unit,
                        instance_id,
                        source: source.into(),
                    }),
                    error => launch_error(program, error),
                })?;
        Ok(Box::new(ShimmedAttempt::new(process)))
    }

    async fn adopt(&self, ticket: Ticket) -> Result<Adoption, AdoptError> {
        let run_dir = self.run_root().join(&ticket.instance_id);
        match supervised::adopt(&run_dir, &self.shore).await {
            Ok(Adopted::Alive(process)) => {
                Ok(Adoption::Alive(Box::new(ShimmedAttempt::new(process))))
            }
            Ok(Adopted::Ended(exit)) => Ok(Adoption::Ended(exit_info(&exit))),
            Err(error) => Err(AdoptError {
                unit: ticket.unit,
                instance_id: ticket.instance_id,
                source: error.into(),
            }),
        }
    }

    async fn forget(&self, instance_id: &str) {
        let run_dir = self.run_root().join(instance_id);
        blocking::unblock(move || {
            if service_shim::shore::is_alive(&run_dir) {
                tracing::error!(path = %run_dir.display(), "a service runs that is not known: its run directory is left alone");
            } else if let Err(error) = service_shim::remove_run_dir(&run_dir) {
                tracing::warn!(path = %run_dir.display(), %error, "a run directory is left behind");
            }
        })
        .await;
    }

    async fn known(&self) -> BTreeSet<String> {
        let root = self.run_root().to_path_buf();
        blocking::unblock(move || {
            let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
            entries
                .filter_map(|entry| entry.file_name().into_string().ok())
                .filter(|name| service_shim::is_instance_id(name))
                .collect()
        })
        .await
    }

    async fn make_one_off(&self, order: OneOffOrder) -> Result<OneOffPlace, LaunchError> {
        one_off::make(self.run_root(), order).await
    }

    async fn end_one_off(&self, id: &str) -> Result<(), OneOffError> {
        one_off::end(self.run_root(), id).await
    }

    async fn one_offs(&self) -> Result<Vec<KnownOneOff>, OneOffError> {
        one_off::all(self.run_root()).await
    }

    async fn start(&self, config: ServiceConfig) -> Result<RunningService, LaunchError> {
        alone::start(self, self.run_root(), config).await
    }

    async fn stop(&self, service: &RunningService) -> Result<ExitInfo, ControlError> {
        alone::stop(service).await
    }

    async fn stream_events(
        &self,
        service: &RunningService,
    ) -> Result<ProcessEventStream, LaunchError> {
        alone::stream_events(service).await
    }
}

impl ProcessExecutor {
    fn supervised_launch(&self, order: LaunchOrder) -> Result<SupervisedLaunch, LaunchError> {
        let TargetSpec::Process(target) = &order.target else {
            return Err(LaunchError::WrongTarget {
                executor: "ProcessExecutor",
                target: order.target.kind(),
            });
        };
        let (program, args) =
            order
                .command
                .split_first()
                .ok_or_else(|| LaunchError::NotRunnable {
                    program: order.unit.local_name(),
                    reason: "its command is empty".into(),
                })?;
        let log = order.log_policy();
        Ok(SupervisedLaunch {
            run_root: self.run_root().to_path_buf(),
            instance_id: order.instance_id,
            attempt: order.attempt,
            program: find_program(program, order.env.get("PATH").map(String::as_str))?.into(),
            args: args.iter().map(Into::into).collect(),
            env: order
                .env
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            cwd: Some(order.working_dir),
            user: target.user.clone(),
            group: target.group.clone(),
            log,
            stop: stop_policy(Some(order.stop.signal), order.stop.grace, order.stop.scope),
            notify: order.notify,
            stdin: order.input.is_some(),
            cgroup: true,
        })
    }
}

/// The program of this name: itself when it has a slash, else the first executable one in PATH.
fn find_program(name: &str, path: Option<&str>) -> Result<PathBuf, LaunchError> {
    if name.contains('/') {
        return Ok(name.into());
    }
    let path = path.unwrap_or(DEFAULT_PATH);
    let candidates = path.split(':').filter(|directory| !directory.is_empty());
    let found = candidates
        .map(|directory| Path::new(directory).join(name))
        .find(|candidate| {
            candidate.is_file()
                && rustix::fs::access(candidate, rustix::fs::Access::EXEC_OK).is_ok()
        });
    found.ok_or_else(|| LaunchError::NotRunnable {
        program: name.to_owned(),
        reason: format!("no directory of PATH has such a program ({})", places(path)),
    })
}

/// The directories of a PATH, the first few by name.
fn places(path: &str) -> String {
    let all: Vec<&str> = path.split(':').filter(|place| !place.is_empty()).collect();
    match all.len() {
        0 => "PATH is empty".to_owned(),
        1..=NAMED_PLACES => all.join(", "),
        count => format!(
            "{} and {} more",
            all[..NAMED_PLACES].join(", "),
            count - NAMED_PLACES
        ),
    }
}

/// Enough to see whose PATH it is.
const NAMED_PLACES: usize = 3;

/// Where programs are looked for when the environment names no place: the default of POSIX shells.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// An attempt beside its shim.
struct ShimmedAttempt {
    process: SupervisedProcess,
    control: Arc<ShimControl>,
}

impl ShimmedAttempt {
    fn new(process: SupervisedProcess) -> Self {
        let control = Arc::new(ShimControl(process.control()));
        Self { process, control }
    }
}

#[async_trait]
impl RunningAttempt for ShimmedAttempt {
    fn facts(&self) -> AttemptFacts {
        AttemptFacts {
            pid: Some(self.process.pid()),
            ..AttemptFacts::default()
        }
    }

    fn control(&self) -> Arc<dyn AttemptControl> {
        self.control.clone()
    }

    async fn next(&mut self) -> AttemptEvent {
        loop {
            match self.process.next_event().await {
                SupervisedEvent::Notify(state) => {
                    return AttemptEvent::Notified {
                        ready: state.ready,
                        status: state.status,
                    };
                }
                SupervisedEvent::Exited(record) => return AttemptEvent::Exited(exit_info(&record)),
                SupervisedEvent::Unwatched(error) => {
                    let error = crate::error_chain(&error);
                    tracing::error!(
                        pid = self.process.pid(),
                        error,
                        "nobody watches the service: trying again"
                    );
                }
                // `Stopping`, and whatever a later shim may say besides.
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_told_without_the_whole_path() {
        let path = "/home/u/.cargo/bin:/usr/local/bin::/usr/bin:/bin:/opt/bin";
        let error = find_program("no-such-program", Some(path)).expect_err("there is none");
        assert_eq!(
            error.to_string(),
            "cannot run `no-such-program`: no directory of PATH has such a program \
             (/home/u/.cargo/bin, /usr/local/bin, /usr/bin and 2 more)"
        );
        assert_eq!(places("/bin"), "/bin");
        assert_eq!(places(":"), "PATH is empty");
    }
}
