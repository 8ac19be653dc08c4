//! Containers that somebody else created: observed, never stopped.
//!
//! Owns: nothing. Stopping such a unit is letting go of it; what the container says stays with the engine.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use command_executor::event::ProcessEventStream;
use container_engine::{ContainerAction, ContainerId, EngineError};

use super::attempt::RunningContainer;
use super::hub::Heard;
use super::site::Site;
use super::{Shared, check, refusal};
use crate::config::ServiceConfig;
use crate::executors::fault::Failure;
use crate::executors::{
    AdoptError, Adoption, ControlError, LaunchError, LaunchOrder, RunningAttempt, RunningService,
    ServiceExecutor, Ticket, alone,
};
use crate::report::ExitInfo;
use crate::spec::{TargetKind, TargetSpec, UnitId};

/// Observes containers that somebody else created: [`DockerExecutor::attaching`](super::DockerExecutor::attaching).
#[derive(Clone, Debug)]
pub struct DockerAttachExecutor {
    shared: Arc<Shared>,
}

impl DockerAttachExecutor {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The container, when it runs.
    async fn observe(&self, name: &ContainerId) -> Result<Option<RunningContainer>, EngineError> {
        let engine = self.shared.engine()?;
        let seen = match engine.inspect(name).await {
            Ok(seen) => seen,
            Err(EngineError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        if !seen.state.status.is_alive() {
            return Ok(None);
        }
        // From here on nothing is missed: the first thing that is heard is to look again.
        let heard = self.shared.hub.listen(engine, seen.id.clone());
        let check = check::find(engine, &seen).await;
        let running = RunningContainer::new(engine.clone(), seen, heard, None, None);
        Ok(Some(running.with_check(check.known())))
    }

    /// The same, with what is known of the host that it is on.
    async fn seen(&self, unit: &UnitId, name: &str) -> Result<Option<RunningContainer>, Failure> {
        let host = self.shared.site.facts(unit).await?;
        let found = self.observe(&ContainerId::new(name)).await?;
        Ok(found.map(|running| running.on(&self.shared.site, host)))
    }
}

#[async_trait]
impl ServiceExecutor for DockerAttachExecutor {
    fn kind(&self) -> TargetKind {
        TargetKind::DockerAttach
    }

    async fn launch(&self, order: LaunchOrder) -> Result<Box<dyn RunningAttempt>, LaunchError> {
        let TargetSpec::DockerAttach { container, host } = &order.target else {
            return Err(LaunchError::WrongTarget {
                executor: "DockerAttachExecutor",
                target: order.target.kind(),
            });
        };
        if let (Some(host), Site::Here) = (host, &self.shared.site) {
            return Err(LaunchError::NotRunnable {
                program: order.unit.local_name(),
                reason: format!("the engine of {host} is not reached here: hosts are not known"),
            });
        }
        let facts = self.shared.site.facts(&order.unit).await?;
        let found = self.observe(&ContainerId::new(container.as_str())).await;
        match found.map_err(|error| refusal(&order.unit, error))? {
            Some(running) => Ok(Box::new(running.on(&self.shared.site, facts))),
            None => Err(LaunchError::NoSuchProcess(match host {
                None => format!("no container `{container}` runs on this engine"),
                Some(host) => format!("no container `{container}` runs on the engine of {host}"),
            })),
        }
    }

    async fn until_it_comes(&self, target: &TargetSpec) {
        if let (TargetSpec::DockerAttach { container, .. }, Ok(engine)) =
            (target, self.shared.engine())
        {
            let name = ContainerId::new(container.as_str());
            let heard = self.shared.hub.listen(engine, name);
            while let Ok(heard) = heard.recv().await {
                if heard == Heard::Happened(ContainerAction::Start) {
                    return;
                }
            }
        }
        std::future::pending().await
    }

    async fn adopt(&self, ticket: Ticket) -> Result<Adoption, AdoptError> {
        let gone = ExitInfo {
            exit_unknown: true,
            ..ExitInfo::default()
        };
        // Without an identity it was never attached to.
        let Some(id) = ticket.details.as_ref().and_then(|details| details.as_str()) else {
            return Ok(Adoption::NeverBegan);
        };
        match self.seen(&ticket.unit, id).await {
            Ok(Some(running)) => Ok(Adoption::Alive(Box::new(running))),
            Ok(None) => Ok(Adoption::Ended(ExitInfo {
                detail: Some("the container ended while the daemon did not run".into()),
                ..gone
            })),
            Err(error) => Err(AdoptError {
                unit: ticket.unit,
                instance_id: ticket.instance_id,
                source: error.0,
            }),
        }
    }

    async fn forget(&self, _instance_id: &str) {}

    async fn known(&self) -> BTreeSet<String> {
        BTreeSet::new()
    }

    async fn start(&self, config: ServiceConfig) -> Result<RunningService, LaunchError> {
        alone::start(self, self.shared.home.directory(), config).await
    }

    async fn stop(&self, _service: &RunningService) -> Result<ExitInfo, ControlError> {
        Err(ControlError::Attached)
    }

    async fn stream_events(
        &self,
        service: &RunningService,
    ) -> Result<ProcessEventStream, LaunchError> {
        alone::stream_events(service).await
    }
}
