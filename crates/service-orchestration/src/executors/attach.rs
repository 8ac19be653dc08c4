//! Programs on this machine that somebody else started: observed, never signalled.
//!
//! Owns: nothing. Stopping such a unit is letting go of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use command_executor::event::ProcessEventStream;
use command_executor::{
    AttachError, AttachedHandle, AttachedProcess, Attacher, LocalAttacher, ProcessIdentity, Target,
};

use super::{
    AdoptError, Adoption, AttemptControl, AttemptEvent, AttemptFacts, ControlError, LaunchError,
    LaunchOrder, RunningAttempt, ServiceExecutor, StopOrder, Ticket,
};
use super::{End, NetworkInfo, RunningService};
use crate::config::{ConfigError, ServiceConfig, ServiceTarget};
use crate::report::ExitInfo;
use crate::spec::{StackName, TargetKind, TargetSpec, UnitId, UnitName};

/// Observes programs on this machine that somebody else started.
#[derive(Clone, Copy, Debug, Default)]
pub struct AttachExecutor;

impl AttachExecutor {
    /// An executor for `process-attach`.
    pub fn new() -> Self {
        Self
    }

    async fn attach(&self, process: AttachedProcess) -> Result<Observed, AttachError> {
        let target = Target::AttachedProcess(process);
        let (_, handle) = LocalAttacher::new().attach(&target).await?;
        // Its output is not ours to read: only the handle is of use.
        Ok(Observed(Arc::new(handle)))
    }
}

fn not_attached(error: AttachError) -> LaunchError {
    LaunchError::NoSuchProcess(crate::error_chain(&error))
}

fn named(target: &TargetSpec) -> Result<AttachedProcess, LaunchError> {
    match target {
        TargetSpec::ProcessAttach { pid: Some(pid), .. } => Ok(AttachedProcess::Pid(*pid)),
        TargetSpec::ProcessAttach {
            pid: None,
            process_name: Some(name),
        } => Ok(AttachedProcess::Name(name.clone())),
        TargetSpec::ProcessAttach { .. } => Err(LaunchError::NoSuchProcess(
            "neither a PID nor a name says which process it is".into(),
        )),
        other => Err(LaunchError::WrongTarget {
            executor: "AttachExecutor",
            target: other.kind(),
        }),
    }
}

#[async_trait]
impl ServiceExecutor for AttachExecutor {
    fn kind(&self) -> TargetKind {
        TargetKind::ProcessAttach
    }

    async fn launch(&self, order: LaunchOrder) -> Result<Box<dyn RunningAttempt>, LaunchError> {
        let process = named(&order.target)?;
        let observed = self.attach(process).await.map_err(not_attached)?;
        Ok(Box::new(observed))
    }

    async fn adopt(&self, ticket: Ticket) -> Result<Adoption, AdoptError> {
        let gone = ExitInfo {
            exit_unknown: true,
            ..ExitInfo::default()
        };
        // Without an identity it was never attached to.
        let Some(details) = ticket.details else {
            return Ok(Adoption::NeverBegan);
        };
        let unclear = |source| AdoptError {
            unit: ticket.unit,
            instance_id: ticket.instance_id,
            source,
        };
        let identity: ProcessIdentity = match serde_json::from_value(details) {
            Ok(identity) => identity,
            Err(error) => return Err(unclear(error.into())),
        };
        match self.attach(AttachedProcess::Identity(identity)).await {
            Ok(observed) => Ok(Adoption::Alive(Box::new(observed))),
            Err(AttachError::Ended { .. } | AttachError::NoSuchProcess { .. }) => {
                Ok(Adoption::Ended(gone))
            }
            // It could not be looked at: that is no end.
            Err(error) => Err(unclear(error.into())),
        }
    }

    async fn forget(&self, _instance_id: &str) {}

    async fn known(&self) -> BTreeSet<String> {
        BTreeSet::new()
    }

    async fn start(&self, config: ServiceConfig) -> Result<RunningService, LaunchError> {
        let name = UnitName::new(config.name.as_str()).map_err(ConfigError::from)?;
        let ServiceTarget::ProcessAttach { .. } = &config.target else {
            return Err(LaunchError::WrongTarget {
                executor: "AttachExecutor",
                target: config.to_spec()?.target.kind(),
            });
        };
        let process = named(&config.to_spec()?.target)?;
        let observed = self.attach(process).await.map_err(not_attached)?;
        let facts = observed.facts();
        let stack = StackName::new("default").expect("`default` is a legal name");
        Ok(RunningService {
            id: crate::host::instance_id(),
            name: config.name,
            pid: facts.pid,
            container_id: None,
            network_info: Some(NetworkInfo::loopback()),
            start_time: chrono::Utc::now(),
            attempt: 1,
            unit: UnitId::single(stack, name),
            log_dir: std::path::PathBuf::new(),
            control: None,
            end: End::of(Box::new(observed)),
        })
    }

    async fn stop(&self, _service: &RunningService) -> Result<ExitInfo, ControlError> {
        Err(ControlError::Attached)
    }

    async fn stream_events(
        &self,
        service: &RunningService,
    ) -> Result<ProcessEventStream, LaunchError> {
        let pid = service
            .pid
            .ok_or_else(|| LaunchError::NoSuchProcess("it has no PID".into()))?;
        let target = Target::AttachedProcess(AttachedProcess::Pid(pid));
        match LocalAttacher::new().attach(&target).await {
            Ok((events, _)) => Ok(events),
            Err(error) => Err(LaunchError::NoSuchProcess(crate::error_chain(&error))),
        }
    }
}

/// A process under observation.
#[derive(Clone, Debug)]
struct Observed(Arc<dyn AttachedHandle>);

#[async_trait]
impl RunningAttempt for Observed {
    fn facts(&self) -> AttemptFacts {
        let identity = self.0.identity();
        AttemptFacts {
            pid: Some(identity.pid),
            ticket: Some(serde_json::json!(identity)),
            ..AttemptFacts::default()
        }
    }

    fn control(&self) -> Arc<dyn AttemptControl> {
        Arc::new(HandsOff)
    }

    async fn next(&mut self) -> AttemptEvent {
        loop {
            match self.0.wait().await {
                Ok(exit) => {
                    return AttemptEvent::Exited(ExitInfo {
                        exit_code: exit.code(),
                        signal: exit.signal(),
                        exit_unknown: exit == command_executor::Exit::Unknown,
                        ..ExitInfo::default()
                    });
                }
                // That is no end: it is waited for again.
                Err(error) => {
                    tracing::error!(error = %crate::error_chain(&error), "an observed process cannot be waited for");
                    async_io::Timer::after(PAUSE).await;
                }
            }
        }
    }
}

/// Between waiting for a process in vain and once more.
const PAUSE: std::time::Duration = std::time::Duration::from_secs(1);

/// An observed process is never signalled.
#[derive(Clone, Copy, Debug)]
struct HandsOff;

#[async_trait]
impl AttemptControl for HandsOff {
    async fn stop(&self, _stop: &StopOrder) -> Result<(), ControlError> {
        Err(ControlError::Attached)
    }

    async fn kill(&self) -> Result<(), ControlError> {
        Err(ControlError::Attached)
    }

    async fn signal(&self, _number: i32) -> Result<(), ControlError> {
        Err(ControlError::Attached)
    }
}
