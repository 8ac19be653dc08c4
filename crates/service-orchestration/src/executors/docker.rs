//! Containers: those that we create, and those of others that we observe.
//!
//! Owns: how an attempt becomes a container and is found again. Keeps nothing about any of them: labels say whose a
//! container is, the engine has its output and its exit code. See the ADR on containers.

mod attach;
mod attempt;
mod control;
mod create;
mod forward;
mod ground;
mod hub;
mod identity;
mod image;
mod pump;
mod steps;
mod tool;

pub use attach::DockerAttachExecutor;
pub(crate) use identity::network_name;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_io::Timer;
use async_lock::Mutex;
use async_trait::async_trait;
use command_executor::event::ProcessEventStream;
use command_executor::supervised::ShimProgram;
use container_engine::{
    ContainerStatus, ContainerSummary, Discovery, Engine, EngineError, Timeouts,
};

use self::attempt::RunningContainer;
use self::forward::Forwarders;
use self::hub::Hub;
use self::identity::{Home, instance_of};
use super::{
    AdoptError, Adoption, AttemptEvent, ControlError, Ground, GroundOrder, LaunchError,
    LaunchOrder, LeftoverError, RunningAttempt, RunningService, ServiceExecutor, Ticket, alone,
};
use crate::config::ServiceConfig;
use crate::report::ExitInfo;
use crate::spec::{StackName, TargetKind, TargetSpec};

/// Runs containers, by the engine that docker's command line would talk to. They outlive us.
#[derive(Clone, Debug)]
pub struct DockerExecutor {
    shared: Arc<Shared>,
}

/// What managed and attached containers have in common.
#[derive(Debug)]
struct Shared {
    /// Looked for when it is needed, until it is found.
    engine: OnceLock<Engine>,
    hub: Hub,
    home: Home,
    forwarders: Forwarders,
    /// Taken by whoever makes or removes what containers share: networks, forwarders. It spans awaits by design: who comes
    /// second has to see what came of the first, and the engine lets two networks of one name come to be.
    turn: Mutex<()>,
}

impl DockerExecutor {
    /// With what must be kept below this directory, which outlives us: who we are towards the engine, and the
    /// forwarders that containers reach this machine by. The engine is not asked for anything yet.
    pub fn in_directory(directory: impl Into<PathBuf>, shim: ShimProgram) -> Self {
        Self::at(OnceLock::new(), directory, shim)
    }

    /// The same, by this engine.
    pub fn with_engine(engine: Engine, directory: impl Into<PathBuf>, shim: ShimProgram) -> Self {
        Self::at(OnceLock::from(engine), directory, shim)
    }

    fn at(engine: OnceLock<Engine>, directory: impl Into<PathBuf>, shim: ShimProgram) -> Self {
        let directory = directory.into();
        let shared = Shared {
            engine,
            hub: Hub::default(),
            forwarders: Forwarders::new(directory.join("forward"), shim),
            home: Home::at(directory),
            turn: Mutex::new(()),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Observes the containers of others by the same engine.
    pub fn attaching(&self) -> DockerAttachExecutor {
        DockerAttachExecutor::new(Arc::clone(&self.shared))
    }

    /// The container of an attempt.
    async fn find(&self, instance_id: &str) -> Result<Option<ContainerSummary>, Failure> {
        let engine = self.shared.engine()?;
        let filters = self
            .shared
            .home
            .filters()?
            .label(identity::INSTANCE, instance_id);
        Ok(engine.list(&filters).await?.into_iter().next())
    }

    async fn forget_attempt(&self, instance_id: &str) -> Result<(), Failure> {
        let Some(container) = self.find(instance_id).await? else {
            return Ok(());
        };
        if container.status.is_alive() {
            tracing::error!(
                container = container.name,
                "a container runs that is not known: it is left alone"
            );
            return Ok(());
        }
        let engine = self.shared.engine()?;
        gone_is_fine(engine.remove(&container.id, false, true).await)?;
        let Some(stack) = container.labels.get(identity::STACK) else {
            return Ok(());
        };
        let filters = self.shared.home.filters()?.label(identity::STACK, stack);
        let _turn = self.shared.turn.lock().await;
        if engine.list(&filters).await?.is_empty() {
            self.shared.forwarders.end(stack).await;
        }
        Ok(())
    }

    async fn forget_whole(&self, stack: &StackName, volumes: bool) -> Result<Vec<String>, Failure> {
        if !self.shared.home.is_known() {
            return Ok(Vec::new());
        }
        let engine = self.shared.engine()?;
        let _turn = self.shared.turn.lock().await;
        let filters = self
            .shared
            .home
            .filters()?
            .label(identity::STACK, stack.as_str());
        let until = Instant::now() + REMOVAL;
        loop {
            // A removal that is under way is told to be, and holds the network until it is done.
            let left = engine.list(&filters).await?;
            for container in &left {
                gone_is_fine(engine.remove(&container.id, false, true).await)?;
            }
            if left.is_empty() || Instant::now() >= until {
                break;
            }
            Timer::after(BETWEEN_LOOKS).await;
        }
        self.shared.forwarders.end(stack.as_str()).await;
        for network in engine.networks(&filters).await? {
            gone_is_fine(engine.remove_network(&network.id).await)?;
        }
        let mut removed = Vec::new();
        if volumes {
            for volume in engine.volumes(&filters).await? {
                gone_is_fine(engine.remove_volume(&volume.name).await)?;
                removed.push(volume.name);
            }
        }
        Ok(removed)
    }

    async fn instances(&self) -> Result<BTreeSet<String>, Failure> {
        let engine = self.shared.engine()?.with_timeouts(Timeouts {
            connect: AT_START,
            look: AT_START,
            ..Timeouts::default()
        });
        let all = engine.list(&self.shared.home.filters()?).await?;
        let stacks = all
            .iter()
            .filter_map(|container| container.labels.get(identity::STACK));
        let stacks = stacks.cloned().collect();
        let _turn = self.shared.turn.lock().await;
        self.shared.forwarders.end_except(stacks).await;
        Ok(all
            .iter()
            .filter_map(|container| instance_of(&container.labels))
            .collect())
    }

    async fn adopt_container(&self, ticket: &Ticket) -> Result<Adoption, Failure> {
        let unknown = ExitInfo {
            exit_unknown: true,
            ..ExitInfo::default()
        };
        if !self.shared.home.is_known() {
            return Ok(Adoption::Ended(unknown));
        }
        let Some(found) = self.find(&ticket.instance_id).await? else {
            // Its id is known once it runs; without, it may never have been made.
            return Ok(Adoption::Ended(ExitInfo {
                detail: ticket.details.is_some().then(|| REMOVED_UNSEEN.to_owned()),
                ..unknown
            }));
        };
        let engine = self.shared.engine()?;
        if found.status == ContainerStatus::Created {
            // We died between making and starting it.
            gone_is_fine(engine.remove(&found.id, false, true).await)?;
            return Ok(Adoption::Ended(unknown));
        }
        let output = pump::Output::of(&found.labels, ticket.attempt)
            .ok_or("its labels do not say where its output is kept")?;
        // From here on nothing is missed: the first thing that is heard is to look again.
        let heard = self.shared.hub.listen(engine, found.id.clone());
        let seen = engine.inspect(&found.id).await?;
        let is_alive = seen.state.status.is_alive();
        let mut attempt = RunningContainer::new(engine.clone(), seen, heard, Some(output));
        if is_alive {
            return Ok(Adoption::Alive(Box::new(attempt)));
        }
        loop {
            match attempt.next().await {
                AttemptEvent::Exited(exit) => return Ok(Adoption::Ended(exit)),
                AttemptEvent::Unreachable(reason) => return Err(reason.into()),
                AttemptEvent::Notified { .. }
                | AttemptEvent::Reached
                | AttemptEvent::Paused
                | AttemptEvent::Resumed => {}
            }
        }
    }
}

impl Shared {
    /// One that is not there now may be when it is asked for next.
    fn engine(&self) -> Result<&Engine, EngineError> {
        if let Some(engine) = self.engine.get() {
            return Ok(engine);
        }
        let found = Engine::discover(&Discovery::from_env())?;
        Ok(self.engine.get_or_init(|| found))
    }
}

#[async_trait]
impl ServiceExecutor for DockerExecutor {
    fn kind(&self) -> TargetKind {
        TargetKind::Docker
    }

    fn needs_ground(&self, _target: &TargetSpec) -> bool {
        true
    }

    async fn prepare(&self, order: GroundOrder) -> Result<Ground, LaunchError> {
        let engine = self
            .shared
            .engine()
            .map_err(|error| refusal(&order.unit, error))?;
        self.shared
            .home
            .make()
            .await
            .map_err(|error| machine(&order.unit, error))?;
        ground::prepare(engine, &self.shared, order).await
    }

    async fn launch(&self, order: LaunchOrder) -> Result<Box<dyn RunningAttempt>, LaunchError> {
        create::launch(&self.shared, order).await
    }

    async fn adopt(&self, ticket: Ticket) -> Result<Adoption, AdoptError> {
        let found = self.adopt_container(&ticket).await;
        found.map_err(|error| AdoptError {
            unit: ticket.unit,
            instance_id: ticket.instance_id,
            source: error.0,
        })
    }

    async fn forget(&self, instance_id: &str) {
        if !self.shared.home.is_known() {
            return;
        }
        if let Err(error) = self.forget_attempt(instance_id).await {
            let error = crate::error_chain(&*error.0);
            tracing::warn!(instance_id, error, "a container is left behind");
        }
    }

    async fn known(&self) -> BTreeSet<String> {
        if !self.shared.home.is_known() {
            return BTreeSet::new();
        }
        self.instances().await.unwrap_or_else(|error| {
            let error = crate::error_chain(&*error.0);
            tracing::warn!(error, "whether containers were left behind is not known");
            BTreeSet::new()
        })
    }

    async fn forget_stack(
        &self,
        stack: &StackName,
        volumes: bool,
    ) -> Result<Vec<String>, LeftoverError> {
        let outcome = self.forget_whole(stack, volumes).await;
        outcome.map_err(|error| LeftoverError {
            stack: stack.clone(),
            source: error.0,
        })
    }

    async fn start(&self, config: ServiceConfig) -> Result<RunningService, LaunchError> {
        alone::start(self, self.shared.home.directory(), config).await
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

/// Whatever went wrong, for callers who only pass it on.
#[derive(Debug)]
struct Failure(Box<dyn std::error::Error + Send + Sync>);

impl<E: Into<Box<dyn std::error::Error + Send + Sync>>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

/// What is gone already need not be removed.
fn gone_is_fine(removed: Result<(), EngineError>) -> Result<(), EngineError> {
    match removed {
        Err(EngineError::NotFound { .. } | EngineError::BeingRemoved { .. }) => Ok(()),
        other => other,
    }
}

/// An engine that gives no answer has made nothing that is not found again: it is asked once more when it is back.
fn refusal(unit: &crate::spec::UnitId, error: EngineError) -> LaunchError {
    match error.is_no_answer() {
        true => LaunchError::Unreachable {
            unit: unit.local_name(),
            source: error.into(),
        },
        false => machine(unit, error),
    }
}

fn machine(
    unit: &crate::spec::UnitId,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> LaunchError {
    LaunchError::Machine {
        program: unit.local_name(),
        source: error.into(),
    }
}

/// Why an end is known of which nothing else is.
const REMOVED_UNSEEN: &str = "its container was removed while the daemon did not run";

/// How long the removal of a dead container may take.
const REMOVAL: Duration = Duration::from_secs(30);

/// Between two looks whether it is gone.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// How long a start of the daemon waits for an engine that does not answer.
const AT_START: Duration = Duration::from_secs(2);
