//! Containers of this machine's engine, and of those of hosts.
//!
//! Owns: which attempt is on which host, one small file for each that is on the disk before anything is asked of the host, and an
//! executor for each engine. What is done with an engine is the same everywhere: see [`DockerExecutor`].

mod attached;
mod relay;
mod slips;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_channel::Receiver;
use async_trait::async_trait;
use command_executor::event::ProcessEventStream;

pub use self::attached::FleetAttachExecutor;
use self::relay::Relay;
use self::slips::HostSlips;
use super::site::There;
use super::{DockerExecutor, Failure, HOSTS, machine};
use crate::config::ServiceConfig;
use crate::executors::remote::{HostCall, HostDirectory, Traces};
use crate::executors::{
    AdoptError, Adoption, ControlError, Ground, GroundOrder, KnownOneOff, LaunchError, LaunchOrder,
    LeftoverError, OneOffError, OneOffOrder, OneOffPlace, RunningAttempt, RunningService,
    ServiceExecutor, Started, Ticket,
};
use crate::report::ExitInfo;
use crate::spec::{StackName, TargetKind, TargetSpec, UnitId};

/// Runs containers, here and on hosts that SSH reaches. They outlive us and the connection.
#[derive(Clone, Debug)]
pub struct DockerFleet {
    here: DockerExecutor,
    fleet: Arc<Fleet>,
}

#[derive(Debug)]
struct Fleet {
    hosts: Arc<dyn HostDirectory>,
    slips: HostSlips,
    traces: Traces,
    /// Where what is kept of each host lies.
    directory: PathBuf,
    /// Where the sockets are that lead to engines of hosts.
    sockets: PathBuf,
    // A lock because each attempt is launched by a task of its own; held to look and to set.
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    engines: BTreeMap<String, Arc<Host>>,
    /// Attempts that were looked for in vain.
    missed: BTreeSet<String>,
}

/// A host's engine.
#[derive(Debug)]
struct Host {
    docker: DockerExecutor,
    there: There,
    /// What the engine's own command line connects to.
    _relay: Option<Relay>,
}

/// The socket by which the engine of a host is reached on this machine while the daemon uses it, below where runs lie.
pub fn engine_socket(run_dir: &Path, host: &str) -> PathBuf {
    socket(&run_dir.join(ENGINES), host)
}

fn socket(directory: &Path, host: &str) -> PathBuf {
    directory.join(format!("{}.sock", host.replace('/', "_")))
}

/// Where these sockets are, below where runs lie.
pub(crate) const ENGINES: &str = "engines";

impl DockerFleet {
    /// With the executor of this machine's engine, below whose directory notes are kept, and a directory that only we may enter
    /// for sockets. No host is asked for anything yet.
    pub fn new(
        here: DockerExecutor,
        hosts: Arc<dyn HostDirectory>,
        sockets: impl Into<PathBuf>,
    ) -> Self {
        let directory = here.shared.home.directory().join(HOSTS);
        let fleet = Fleet {
            hosts,
            slips: HostSlips::at(directory.join("attempts")),
            traces: Traces::at(directory.join("stacks")),
            directory,
            sockets: sockets.into(),
            known: Mutex::default(),
        };
        Self {
            here,
            fleet: Arc::new(fleet),
        }
    }

    /// The executor of the engine that this target is on.
    fn of(&self, target: &TargetSpec) -> DockerExecutor {
        match host_of(target) {
            None => self.here.clone(),
            Some(name) => self.host(name).docker.clone(),
        }
    }

    fn host(&self, name: &str) -> Arc<Host> {
        let mut known = self.known();
        let begin = || Arc::new(self.begin(name));
        Arc::clone(known.engines.entry(name.to_owned()).or_insert_with(begin))
    }

    fn begin(&self, name: &str) -> Host {
        let there = There::new(Arc::clone(&self.fleet.hosts), HostCall::named(name));
        let socket = socket(&self.fleet.sockets, name);
        let relay = Relay::at(&socket, there.clone());
        if let Err(error) = &relay {
            let path = socket.display();
            tracing::warn!(host = name, %path, %error, "the engine's command line is not led to this host");
        }
        let own = self.fleet.directory.join("on").join(name.replace('/', "_"));
        Host {
            docker: self.here.on(there.clone(), &own, &socket),
            there,
            _relay: relay.ok(),
        }
    }

    /// What is about to leave something on a host is noted first.
    async fn note(&self, unit: &UnitId, target: &TargetSpec) -> Result<(), LaunchError> {
        let Some(name) = host_of(target) else {
            return Ok(());
        };
        let kept = self
            .fleet
            .traces
            .keep(&unit.stack, &HostCall::named(name))
            .await;
        kept.map_err(|error| machine(unit, error))
    }

    /// The hosts that a stack has used.
    async fn hosts_of(&self, stack: &StackName) -> Vec<Arc<Host>> {
        let calls = self.fleet.traces.of(stack).await;
        calls.iter().map(|call| self.host(&call.name)).collect()
    }

    async fn adopt_there(&self, ticket: &Ticket, name: &str) -> Result<Adoption, Failure> {
        let host = self.host(name);
        self.until_worth_asking(ticket, &host).await;
        let found = host.docker.adopt_container(ticket).await;
        self.asked(&ticket.instance_id, found.is_ok());
        found
    }

    /// Returns at once the first time; after an attempt was looked for in vain, once its host is reached.
    async fn until_worth_asking(&self, ticket: &Ticket, host: &Host) {
        if self.known().missed.contains(&ticket.instance_id) {
            // Why it is away has been told, and whoever asks again wants to hear when it is back.
            host.there.until_reached().await;
        }
    }

    /// An attempt was looked for.
    fn asked(&self, instance_id: &str, was_told: bool) {
        let mut known = self.known();
        match was_told {
            true => known.missed.remove(instance_id),
            false => known.missed.insert(instance_id.to_owned()),
        };
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.fleet
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ServiceExecutor for DockerFleet {
    fn kind(&self) -> TargetKind {
        TargetKind::Docker
    }

    fn needs_ground(&self, target: &TargetSpec) -> bool {
        self.here.needs_ground(target)
    }

    async fn prepare(&self, order: GroundOrder) -> Result<Ground, LaunchError> {
        let docker = self.of(&order.target);
        // What has no engine has nothing that would have to be removed.
        docker.answers(&order.unit).await?;
        self.note(&order.unit, &order.target).await?;
        docker.prepare(order).await
    }

    async fn provide(&self, order: GroundOrder) -> Result<(), LaunchError> {
        self.of(&order.target).provide(order).await
    }

    async fn launch(&self, order: LaunchOrder) -> Result<Box<dyn RunningAttempt>, LaunchError> {
        let Some(name) = host_of(&order.target).map(str::to_owned) else {
            return self.here.launch(order).await;
        };
        let (unit, instance_id) = (order.unit.clone(), order.instance_id.clone());
        self.note(&unit, &order.target).await?;
        let kept = self.fleet.slips.keep(&instance_id, &name).await;
        kept.map_err(|error| machine(&unit, error))?;
        let launched = self.host(&name).docker.launch(order).await;
        if let Err(error) = &launched
            && !matches!(error, LaunchError::Unclear(_))
        {
            // Nothing of it runs, and labels tell whose it is.
            self.fleet.slips.remove(&instance_id).await;
        }
        launched
    }

    async fn adopt(&self, ticket: Ticket) -> Result<Adoption, AdoptError> {
        let error = |unit: &Ticket, source| AdoptError {
            unit: unit.unit.clone(),
            instance_id: unit.instance_id.clone(),
            source,
        };
        match self.fleet.slips.find(&ticket.instance_id).await {
            Ok(None) => self.here.adopt(ticket).await,
            Ok(Some(name)) => {
                let found = self.adopt_there(&ticket, &name).await;
                found.map_err(|failure| error(&ticket, failure.0))
            }
            Err(unreadable) => Err(error(&ticket, unreadable.into())),
        }
    }

    async fn forget(&self, instance_id: &str) {
        let Ok(Some(name)) = self.fleet.slips.find(instance_id).await else {
            return self.here.forget(instance_id).await;
        };
        match self.host(&name).docker.forget_attempt(instance_id).await {
            Ok(()) => self.fleet.slips.remove(instance_id).await,
            Err(error) => {
                let error = crate::error_chain(&*error.0);
                tracing::warn!(
                    instance_id,
                    host = name,
                    error,
                    "a container is left behind"
                );
            }
        }
    }

    async fn known(&self) -> BTreeSet<String> {
        let mut known = self.here.known().await;
        known.extend(self.fleet.slips.all().await);
        known
    }

    async fn forget_unit(&self, unit: &UnitId) {
        self.here.forget_unit(unit).await;
        for host in self.hosts_of(&unit.stack).await {
            host.docker.forget_unit(unit).await;
        }
    }

    /// Of this machine alone: who starts does not wait for hosts. What is left there goes with its stack.
    async fn forget_units_except(&self, known: &BTreeSet<UnitId>) {
        self.here.forget_units_except(known).await;
    }

    async fn forget_stack(
        &self,
        stack: &StackName,
        volumes: bool,
    ) -> Result<Vec<String>, LeftoverError> {
        let mut removed = self.here.forget_stack(stack, volumes).await?;
        for host in self.hosts_of(stack).await {
            let there = host.docker.forget_stack(stack, volumes).await?;
            let name = host.there.name();
            removed.extend(
                there
                    .into_iter()
                    .map(|volume| format!("{volume} of {name}")),
            );
        }
        // Without its volumes, they stay, and may go another time.
        if volumes {
            self.fleet.traces.forget(stack).await;
        }
        Ok(removed)
    }

    async fn volumes_of_others(&self, stack: &StackName) -> Vec<String> {
        self.here.volumes_of_others(stack).await
    }

    fn starts(&self) -> Option<Receiver<Started>> {
        self.here.starts()
    }

    async fn runs(&self, unit: &UnitId) -> bool {
        for host in self.hosts_of(&unit.stack).await {
            if host.docker.runs(unit).await {
                return true;
            }
        }
        self.here.runs(unit).await
    }

    async fn make_one_off(&self, order: OneOffOrder) -> Result<OneOffPlace, LaunchError> {
        self.here.make_one_off(order).await
    }

    async fn end_one_off(&self, id: &str) -> Result<(), OneOffError> {
        self.here.end_one_off(id).await
    }

    async fn one_offs(&self) -> Result<Vec<KnownOneOff>, OneOffError> {
        self.here.one_offs().await
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

/// The host that a container is on; none on this machine.
fn host_of(target: &TargetSpec) -> Option<&str> {
    match target {
        TargetSpec::Docker(target) => target.host.as_deref(),
        TargetSpec::DockerAttach { host, .. } => host.as_deref(),
        _ => None,
    }
}
