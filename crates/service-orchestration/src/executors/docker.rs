//! Containers: those that we create, and those of others that we observe.
//!
//! Owns: how an attempt becomes a container and is found again. Labels say whose a container is, the engine has its output
//! and its exit code; which run of a container that is kept an attempt is stands in a record. See the ADRs on containers.

mod attach;
mod attempt;
mod bell;
mod busy;
mod check;
mod control;
mod create;
mod fleet;
mod forward;
mod ground;
mod hub;
mod identity;
mod image;
mod image_turns;
mod keep;
mod launch;
mod name;
mod one_off;
mod others;
mod past;
mod port;
mod pump;
mod record;
mod rejoin;
mod site;
mod starts;
mod steps;
mod sweep;
mod tail;
mod tool;
mod volume;

pub use attach::DockerAttachExecutor;
pub(crate) use fleet::ENGINES;
pub use fleet::{DockerFleet, FleetAttachExecutor, engine_socket};
pub(crate) use identity::network_name;

use async_channel::Receiver;
use async_lock::Mutex;
use async_trait::async_trait;
use command_executor::event::ProcessEventStream;
use command_executor::supervised::ShimProgram;
use container_engine::{
    ContainerId, ContainerStatus, ContainerSummary, Discovery, Engine, EngineError,
};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use self::attempt::RunningContainer;
use self::busy::Busy;
use self::forward::Forwarders;
use self::hub::Hub;
use self::identity::Home;
use self::image_turns::ImageTurns;
use self::pump::Output;
use self::record::Records;
use self::site::{Site, There};
use self::starts::Starts;
use super::fault::Failure;
use super::{
    AdoptError, Adoption, AttemptEvent, ControlError, Ground, GroundOrder, KnownOneOff,
    LaunchError, LaunchOrder, LeftoverError, OneOffError, OneOffOrder, OneOffPlace, RunningAttempt,
    RunningService, ServiceExecutor, Started, Ticket, alone,
};
use crate::config::ServiceConfig;
use crate::report::ExitInfo;
use crate::spec::{StackName, TargetKind, TargetSpec, UnitId};

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
    /// The machine that it is on.
    site: Site,
    hub: Hub,
    starts: Arc<Starts>,
    home: Home,
    records: Records,
    busy: Busy,
    forwarders: Forwarders,
    images: ImageTurns,
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
        let homes = [directory.clone(), directory.join(HOSTS)].map(Home::at);
        let starts = Arc::new(Starts::new(homes));
        let shared = Shared {
            engine,
            site: Site::Here,
            hub: Hub::new(Arc::clone(&starts)),
            starts,
            forwarders: Forwarders::here(directory.join("forward"), shim),
            records: Records::at(directory.join("runs")),
            busy: Busy::default(),
            images: ImageTurns::default(),
            home: Home::at(directory),
            turn: Mutex::new(()),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The same by the engine of a host, with what is kept of that in a directory of its own. The engine's command line gets there
    /// by a socket.
    fn on(&self, there: There, directory: &Path, socket: &Path) -> Self {
        // One of its own: without containers here, this machine's engine is asked for nothing.
        let home = self.shared.home.directory().join(HOSTS);
        let name = there.name().to_owned();
        let cli = Engine::at_socket(socket).cli();
        let engine = Engine::over(name, cli, Arc::new(there.clone()));
        let starts = Arc::clone(&self.shared.starts);
        let shared = Shared {
            engine: OnceLock::from(engine),
            hub: Hub::new(Arc::clone(&starts)),
            starts,
            forwarders: Forwarders::there(there.clone(), Home::at(home.clone())),
            records: Records::at(directory.join("runs")),
            busy: Busy::default(),
            images: ImageTurns::default(),
            home: Home::at(home),
            turn: Mutex::new(()),
            site: Site::There(there),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Observes the containers of others by the same engine.
    pub fn attaching(&self) -> DockerAttachExecutor {
        DockerAttachExecutor::new(Arc::clone(&self.shared))
    }

    /// Whether its engine does, and on which host.
    async fn answers(&self, unit: &UnitId) -> Result<(), LaunchError> {
        self.shared.site.facts(unit).await?;
        let engine = self.shared.engine();
        let engine = engine.map_err(|error| refusal(unit, error))?;
        let told = engine.capabilities().await;
        told.map(drop).map_err(|error| refusal(unit, error))
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

    async fn adopt_container(&self, ticket: &Ticket) -> Result<Adoption, Failure> {
        if !self.shared.home.is_known() {
            return Ok(Adoption::NeverBegan);
        }
        let engine = self.shared.engine()?;
        let record = self.shared.records.read(&ticket.instance_id).await?;
        let before_ended_ns = record.as_ref().and_then(|record| record.before_ended_ns);
        let (id, output, before_ns) = match record {
            Some(record) => (
                ContainerId::new(record.container.as_str()),
                Output::recorded(record.clone(), ticket.attempt),
                record.before_ns,
            ),
            None => {
                let Some(found) = self.find(&ticket.instance_id).await? else {
                    return Ok(match ticket.details {
                        Some(_) => Adoption::Ended(removed_unseen(ticket)),
                        // Whoever launched it died before anything of it was made.
                        None => Adoption::NeverBegan,
                    });
                };
                if found.status == ContainerStatus::Created {
                    // We died between making and starting it.
                    gone_is_fine(engine.remove(&found.id, false, true).await)?;
                    return Ok(Adoption::NeverBegan);
                }
                let output = Output::of(&found.labels, ticket.attempt)
                    .ok_or("its labels do not say where its output is kept")?;
                (found.id, output, None)
            }
        };
        // From here on nothing is missed: the first thing that is heard is to look again.
        let heard = self.shared.hub.listen(engine, id.clone());
        let seen = match engine.inspect(&id).await {
            Err(EngineError::NotFound { .. }) => {
                return Ok(Adoption::Ended(removed_unseen(ticket)));
            }
            seen => seen?,
        };
        let is_alive = seen.state.status.is_alive();
        if !is_alive && seen.state.started_ns == before_ns {
            // We died before we started it.
            return Ok(Adoption::NeverBegan);
        }
        let check = check::find(engine, &seen).await;
        let (engine, finished_ns) = (engine.clone(), seen.state.finished_ns);
        let attempt = RunningContainer::new(engine, seen, heard, Some(output), before_ns);
        let mut attempt = attempt.with_check(check.known());
        let host = self.shared.site.facts(&ticket.unit).await?;
        attempt = attempt.on(&self.shared.site, host);
        if before_ended_ns.is_some_and(|before| before != finished_ns) {
            attempt.has_ended_since(finished_ns);
        }
        if is_alive && !attempt.is_over() {
            return Ok(Adoption::Alive(Box::new(attempt)));
        }
        loop {
            match attempt.next().await {
                AttemptEvent::Exited(exit) => return Ok(Adoption::Ended(exit)),
                AttemptEvent::Unreachable(reason) => return Err(reason.into()),
                AttemptEvent::Notified { .. }
                | AttemptEvent::Reached
                | AttemptEvent::Paused
                | AttemptEvent::Networks { .. }
                | AttemptEvent::Resumed
                | AttemptEvent::Checked => {}
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
        let host = self.shared.site.facts(&order.unit).await?;
        let ground = ground::prepare(engine, &self.shared, order).await?;
        Ok(Ground { host, ..ground })
    }

    async fn launch(&self, order: LaunchOrder) -> Result<Box<dyn RunningAttempt>, LaunchError> {
        launch::launch(&self.shared, order).await
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

    async fn forget_unit(&self, unit: &UnitId) {
        if !self.shared.home.is_known() {
            return;
        }
        if let Err(error) = self.forget_kept(|other| other == unit).await {
            let error = crate::error_chain(&*error.0);
            tracing::warn!(unit = %unit, error, "its container is left behind");
        }
    }

    async fn forget_units_except(&self, known: &BTreeSet<UnitId>) {
        if !self.shared.home.is_known() {
            return;
        }
        if let Err(error) = self.forget_kept(|unit| !known.contains(unit)).await {
            let error = crate::error_chain(&*error.0);
            tracing::warn!(error, "whether containers were left behind is not known");
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

    async fn volumes_of_others(&self, stack: &StackName) -> Vec<String> {
        let (Ok(engine), Ok(home)) = (self.shared.engine(), self.shared.home.id()) else {
            return Vec::new();
        };
        let found = others::volumes(engine, &home, stack).await;
        found.unwrap_or_else(|error| {
            tracing::warn!(
                error = crate::error_chain(&error),
                "which volumes of others are left is not known"
            );
            Vec::new()
        })
    }

    fn starts(&self) -> Option<Receiver<Started>> {
        Some(self.shared.starts.listen())
    }

    async fn runs(&self, unit: &UnitId) -> bool {
        let (Ok(engine), Ok(home)) = (self.shared.engine(), self.shared.home.id()) else {
            return false;
        };
        let found = engine.list(&identity::of_unit(&home, unit)).await;
        found.is_ok_and(|all| all.iter().any(|container| container.status.is_alive()))
    }

    async fn provide(&self, order: GroundOrder) -> Result<(), LaunchError> {
        let TargetSpec::Docker(target) = &order.target else {
            return Ok(());
        };
        let engine = self.shared.engine();
        let engine = engine.map_err(|error| refusal(&order.unit, error))?;
        image::ready(engine, &self.shared.images, &order, target).await
    }

    async fn make_one_off(&self, order: OneOffOrder) -> Result<OneOffPlace, LaunchError> {
        one_off::make(&self.shared, order).await
    }

    async fn end_one_off(&self, id: &str) -> Result<(), OneOffError> {
        let ended = self.end_run(id).await;
        ended.map_err(|error| OneOffError(error.0))
    }

    async fn one_offs(&self) -> Result<Vec<KnownOneOff>, OneOffError> {
        let found = self.known_runs().await;
        found.map_err(|error| OneOffError(error.0))
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

/// The end of an attempt whose container is not there. Its id is known once it runs; without, it may never have been made.
fn removed_unseen(ticket: &Ticket) -> ExitInfo {
    ExitInfo {
        exit_unknown: true,
        detail: ticket.details.is_some().then(|| REMOVED_UNSEEN.to_owned()),
        ..ExitInfo::default()
    }
}

/// What is kept of hosts, below what is kept of this machine.
const HOSTS: &str = "hosts";

/// Why an end is known of which nothing else is.
const REMOVED_UNSEEN: &str = "its container was removed while the daemon did not run";
