//! Single services, for embedders who have no stack file.
//!
//! Owns: nothing. All of them are units of one stack, `default`.

use std::net::{IpAddr, Ipv4Addr};

use command_executor::event::ProcessEventStream;

use super::ServiceManager;
use crate::config::{ConfigError, ServiceConfig};
use crate::executors::{End, LaunchError, NetworkInfo, RunningService};
use crate::model::Goal;
use crate::report::{Blocked, UnitStatus};
use crate::spec::{StackName, StackSpec, UnitId, UnitName};
use crate::supervisor::{ApplyError, ApplyMode, Order, OrderError, Request, RunFacts, Waited};

/// Why a service could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// It is described in a way that none can be.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// It was not taken over; [`ApplyError::UnknownDependency`] names what it needs and nobody knows.
    #[error(transparent)]
    Definition(#[from] ApplyError),
    /// The order was refused.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// It cannot come up, or something it needs cannot.
    #[error("`{}` cannot come up: `{}`: {}", .0.name, .0.culprit, .0.reason)]
    Blocked(Blocked),
}

impl ServiceManager {
    /// Starts a service, and first what it needs; returns when it runs.
    ///
    /// What it needs must have been started by this manager before. Called again for a service that runs by the same
    /// config, it changes nothing; with another config it is restarted by that one.
    ///
    /// # Errors
    /// [`StartError`]. The service may have been defined then; it is not running.
    ///
    /// # Cancellation
    /// Dropping the future leaves the service on its way up.
    pub async fn start_service(
        &self,
        name: &str,
        config: ServiceConfig,
    ) -> Result<RunningService, StartError> {
        let mut unit = config.to_spec()?;
        unit.name = UnitName::new(name).map_err(ConfigError::from)?;
        let name = unit.name.clone();
        let (stack, order) = (
            own_stack(),
            Order::Start {
                no_dependencies: false,
                again: true,
            },
        );
        self.apply(one_unit(&stack, unit), ApplyMode::Extend)
            .await?;
        let names = [name];
        self.order(&stack, &names, order).await?;
        if let Waited::Never(mut blocked) = self.wait(&stack, &names, Goal::Launched, false).await?
        {
            let first = blocked.swap_remove(0);
            return Err(StartError::Blocked(first));
        }
        let [name] = names;
        let id = UnitId::single(stack, name);
        let answer = self.ask(|reply| Request::Running { unit: id, reply }).await;
        let facts = answer.unwrap_or(Err(OrderError::Ended))?;
        Ok(running_service(facts))
    }

    /// Stops a service and returns when no process of it is left.
    ///
    /// # Errors
    /// [`OrderError::Needed`] when services that run need it; [`OrderError::UnknownUnit`].
    pub async fn stop_service(&self, name: &str) -> Result<(), OrderError> {
        let stack = own_stack();
        let names = [legal(name)?];
        let order = Order::Stop {
            with_dependents: false,
            force: false,
            grace: None,
        };
        self.order(&stack, &names, order).await?;
        self.wait(&stack, &names, Goal::Stopped, false).await?;
        Ok(())
    }

    /// How a service stands.
    ///
    /// # Errors
    /// [`OrderError::UnknownUnit`].
    pub async fn get_service_status(&self, name: &str) -> Result<UnitStatus, OrderError> {
        let items = self.list_services().await?;
        let found = items.into_iter().find(|item| item.name == name);
        found.ok_or_else(|| unknown(name))
    }

    /// How all services stand.
    ///
    /// # Errors
    /// [`OrderError::Ended`].
    pub async fn list_services(&self) -> Result<Vec<UnitStatus>, OrderError> {
        match self.status(&own_stack()).await {
            Ok(status) => Ok(status.items),
            // No service was started yet.
            Err(OrderError::UnknownStack { .. }) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Everything that a run of a service has said and will say, from its first byte, and its end.
    ///
    /// # Errors
    /// [`LaunchError::Log`] when its output cannot be read.
    pub async fn stream_events(
        &self,
        service: &RunningService,
    ) -> Result<ProcessEventStream, LaunchError> {
        crate::executors::stream_events(service).await
    }
}

/// A run, as embedders hold it.
fn running_service(facts: RunFacts) -> RunningService {
    let ip = facts
        .address
        .map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address| address.ip());
    RunningService {
        id: facts.instance_id,
        name: facts.unit.local_name(),
        pid: facts.pid,
        container_id: facts.container_id,
        network_info: Some(NetworkInfo {
            ip,
            ports: facts.ports,
            hostname: ip.to_string(),
        }),
        start_time: facts.started_at,
        attempt: facts.attempt,
        unit: facts.unit,
        log_dir: facts.log_dir,
        control: facts.control,
        end: End::told(facts.end),
    }
}

fn own_stack() -> StackName {
    StackName::new("default").expect("`default` is a legal name")
}

/// A stack of one unit, in the surroundings of this process.
fn one_unit(stack: &StackName, unit: crate::spec::ServiceSpec) -> StackSpec {
    StackSpec {
        name: stack.clone(),
        description: None,
        directory: crate::host::own_directory(),
        files: Vec::new(),
        sources: Default::default(),
        environment: crate::host::own_environment(),
        networks: std::collections::BTreeMap::new(),
        units: [(unit.name.clone(), unit)].into(),
        inactive: [].into(),
        log_total: None,
        volumes: Default::default(),
        secrets: Default::default(),
    }
}

fn legal(name: &str) -> Result<UnitName, OrderError> {
    UnitName::new(name).map_err(|_| unknown(name))
}

fn unknown(name: &str) -> OrderError {
    OrderError::UnknownUnit {
        stack: own_stack().to_string(),
        unit: name.to_owned(),
        similar: None,
    }
}
