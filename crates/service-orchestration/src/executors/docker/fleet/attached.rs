//! Containers of others, here and on hosts: observed, never stopped.
//!
//! Owns: which of them is on which host, noted as for our own. How one is observed is the same everywhere: see
//! [`DockerAttachExecutor`].

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use command_executor::event::ProcessEventStream;

use super::super::{DockerAttachExecutor, machine};
use super::slips::HostSlips;
use super::{DockerFleet, Host, host_of};
use crate::config::ServiceConfig;
use crate::executors::{
    AdoptError, Adoption, ControlError, Ground, GroundOrder, LaunchError, LaunchOrder,
    RunningAttempt, RunningService, ServiceExecutor, Ticket,
};
use crate::report::ExitInfo;
use crate::spec::{TargetKind, TargetSpec};

/// Observes containers that somebody else created, by the engine of this machine and those of hosts.
#[derive(Clone, Debug)]
pub struct FleetAttachExecutor {
    fleet: DockerFleet,
    here: DockerAttachExecutor,
    slips: HostSlips,
}

impl DockerFleet {
    /// Observes the containers of others by the same engines.
    pub fn attaching(&self) -> FleetAttachExecutor {
        FleetAttachExecutor {
            here: self.here.attaching(),
            slips: HostSlips::at(self.fleet.directory.join("attached")),
            fleet: self.clone(),
        }
    }
}

impl FleetAttachExecutor {
    fn host(&self, target: &TargetSpec) -> Option<Arc<Host>> {
        host_of(target).map(|name| self.fleet.host(name))
    }
}

#[async_trait]
impl ServiceExecutor for FleetAttachExecutor {
    fn kind(&self) -> TargetKind {
        TargetKind::DockerAttach
    }

    /// A host is reached first: which ways lead to it is known then.
    fn needs_ground(&self, target: &TargetSpec) -> bool {
        host_of(target).is_some()
    }

    async fn prepare(&self, order: GroundOrder) -> Result<Ground, LaunchError> {
        let Some(host) = self.host(&order.target) else {
            return self.here.prepare(order).await;
        };
        let facts = host.docker.shared.site.facts(&order.unit).await?;
        Ok(Ground {
            host: facts,
            ..Ground::default()
        })
    }

    async fn launch(&self, order: LaunchOrder) -> Result<Box<dyn RunningAttempt>, LaunchError> {
        let Some(host) = self.host(&order.target) else {
            return self.here.launch(order).await;
        };
        let instance_id = order.instance_id.clone();
        let kept = self.slips.keep(&instance_id, host.there.name()).await;
        kept.map_err(|error| machine(&order.unit, error))?;
        let launched = host.docker.attaching().launch(order).await;
        if launched.is_err() {
            self.slips.remove(&instance_id).await;
        }
        launched
    }

    async fn until_it_comes(&self, target: &TargetSpec) {
        match self.host(target) {
            None => self.here.until_it_comes(target).await,
            Some(host) => host.docker.attaching().until_it_comes(target).await,
        }
    }

    async fn adopt(&self, ticket: Ticket) -> Result<Adoption, AdoptError> {
        let name = match self.slips.find(&ticket.instance_id).await {
            Ok(None) => return self.here.adopt(ticket).await,
            Ok(Some(name)) => name,
            Err(unreadable) => {
                return Err(AdoptError {
                    unit: ticket.unit,
                    instance_id: ticket.instance_id,
                    source: unreadable.into(),
                });
            }
        };
        let host = self.fleet.host(&name);
        self.fleet.until_worth_asking(&ticket, &host).await;
        let instance_id = ticket.instance_id.clone();
        let found = host.docker.attaching().adopt(ticket).await;
        self.fleet.asked(&instance_id, found.is_ok());
        found
    }

    async fn forget(&self, instance_id: &str) {
        self.slips.remove(instance_id).await;
    }

    async fn known(&self) -> BTreeSet<String> {
        self.slips.all().await
    }

    async fn start(&self, config: ServiceConfig) -> Result<RunningService, LaunchError> {
        self.here.start(config).await
    }

    async fn stop(&self, service: &RunningService) -> Result<ExitInfo, ControlError> {
        self.here.stop(service).await
    }

    async fn stream_events(
        &self,
        service: &RunningService,
    ) -> Result<ProcessEventStream, LaunchError> {
        self.here.stream_events(service).await
    }
}
