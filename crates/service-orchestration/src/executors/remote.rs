//! Programs on other hosts, each beside a shim there.
//!
//! Owns: how an order becomes an attempt on a host, and where it lies there. What reaches a host is in
//! [`command_executor::agent`]; which hosts there are, a [`HostDirectory`] knows. See the ADR on services on other hosts.

mod attempt;
mod carry;
mod control;
mod directory;
mod leftover;
mod look;
mod mesh;
mod mirror;
mod order;
mod packaged;
pub(super) mod reach;
mod slip;
mod ways;

pub use directory::{HostCall, HostDirectory, HostRefusal, KnownHost};
pub(super) use leftover::{Traces, remove_all};
pub(super) use order::root;
pub(super) use slip::{instances, read_one, remove_one, write};

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_io::Timer;
use async_trait::async_trait;
use command_executor::agent::AgentLink;
use command_executor::event::ProcessEventStream;
use command_executor::supervised::{self, Adopted, Shore};
use futures_lite::future;
use service_registry::HostId;

use self::attempt::RemoteAttempt;
use self::mesh::Meshes;
use self::order::Ordered;
use self::reach::ReachError;
use self::slip::Slips;
use self::ways::Ways;
use super::fault::Failure;
use super::installation::Installation;
use super::shimmed::launch_error;
use super::{
    AdoptError, Adoption, AttemptEvent, Carrier, ControlError, Ground, GroundOrder, HostFacts,
    LaunchError, LaunchOrder, LeftoverError, RunningAttempt, RunningService, ServiceExecutor,
    Ticket, alone,
};
use crate::config::ServiceConfig;
use crate::report::ExitInfo;
use crate::spec::{StackName, TargetKind, TargetSpec, UnitId};

/// Runs programs on hosts that SSH reaches, each beside a shim that outlives us and the connection.
#[derive(Clone, Debug)]
pub struct SshExecutor {
    hosts: Arc<dyn HostDirectory>,
    home: Arc<Installation>,
    slips: Slips,
    ways: Ways,
    meshes: Meshes,
    traces: Traces,
    /// Attempts that were looked for in vain. Behind a lock because each is looked for by a task of its own; held to look and
    /// to set.
    missed: Arc<Mutex<BTreeSet<String>>>,
}

impl SshExecutor {
    /// With what must be kept below this directory, which outlives us: who we are towards hosts, and which attempts are
    /// where. No host is asked for anything yet.
    pub fn in_directory(
        directory: impl Into<PathBuf>,
        hosts: impl HostDirectory + 'static,
    ) -> Self {
        let directory = directory.into();
        let home = Arc::new(Installation::at(directory.clone()));
        let hosts: Arc<dyn HostDirectory> = Arc::new(hosts);
        Self {
            meshes: Meshes::at(
                directory.join("mesh"),
                Arc::clone(&home),
                Arc::clone(&hosts),
            ),
            hosts,
            slips: Slips::at(directory.join("attempts")),
            ways: Ways::at(directory.join("ways")),
            traces: Traces::at(directory.join("stacks")),
            home,
            missed: Arc::default(),
        }
    }

    /// Where the packages of an installation lie on hosts, below the home of whoever logs in: the one whose executor is in this directory.
    ///
    /// # Errors
    /// When the identity of the installation can be neither read nor made.
    pub async fn packages_of(directory: impl Into<PathBuf>) -> std::io::Result<PathBuf> {
        let home = Installation::at(directory.into());
        home.make().await?;
        Ok(order::below_home(&home.id()?).join(packaged::PACKAGES))
    }

    /// The host of an order, reached.
    async fn reach(
        &self,
        unit: &UnitId,
        target: &TargetSpec,
    ) -> Result<(KnownHost, AgentLink, HostFacts), LaunchError> {
        let TargetSpec::Remote(target) = target else {
            return Err(LaunchError::WrongTarget {
                executor: "SshExecutor",
                target: target.kind(),
            });
        };
        reached(&*self.hosts, unit, &HostCall::of(target)).await
    }

    async fn found_again(&self, ticket: &Ticket) -> Result<Adoption, Failure> {
        let Some(slip) = self.slips.find(&ticket.instance_id).await? else {
            // It is kept before anything is asked of a host.
            return Ok(Adoption::NeverBegan);
        };
        let host = self.hosts.find(&slip.host).await?;
        let agent = match reach::agent(&host.link).await {
            Ok(agent) => agent,
            Err(error) if self.missed().insert(ticket.instance_id.clone()) => {
                return Err(error.into());
            }
            // Why it is away has been told, and whoever asks again wants to hear when it is back.
            Err(_) => host.link.reached().await,
        };
        self.missed().remove(&ticket.instance_id);
        let facts = reach::facts(&slip.host.name, &host, &agent).await?;
        let shore = Shore::host(host.link.clone());
        let mut attempt = match supervised::adopt(&slip.run_dir, &shore).await? {
            Adopted::Alive(process) => {
                let attempt = RemoteAttempt::running(host.link, &slip, process, facts);
                return Ok(Adoption::Alive(Box::new(attempt)));
            }
            Adopted::Ended(exit) => RemoteAttempt::ended(host.link, &slip, &exit, facts),
        };
        let ended = async {
            loop {
                if let AttemptEvent::Exited(exit) = attempt.next().await {
                    return Some(exit);
                }
            }
        };
        let late = async {
            Timer::after(AT_START).await;
            None
        };
        match future::or(ended, late).await {
            Some(exit) => Ok(Adoption::Ended(exit)),
            // Its output takes its time: that goes on where it can be waited for.
            None => Ok(Adoption::Alive(Box::new(attempt))),
        }
    }

    fn missed(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.missed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes what a stack has left on a host.
    async fn clear(&self, call: &HostCall, stack: &StackName, work: bool) -> Result<(), Failure> {
        let host = self.hosts.find(call).await?;
        let agent = reach::agent(&host.link).await?;
        let root = order::root(&self.home.id()?, agent.hello());
        leftover::remove(&agent, &root, stack, work).await?;
        Ok(())
    }

    async fn forget_attempt(&self, instance_id: &str) -> Result<(), Failure> {
        let Some(slip) = self.slips.find(instance_id).await? else {
            return Ok(());
        };
        let host = self.hosts.find(&slip.host).await?;
        reach::agent(&host.link).await?;
        let shore = Shore::host(host.link);
        if shore.is_alive(&slip.run_dir).await? {
            tracing::error!(
                host = slip.host.name,
                path = %slip.run_dir.display(),
                "a service runs there that is not known: it is left alone"
            );
            return Ok(());
        }
        shore.remove(&slip.run_dir).await?;
        self.slips.remove(instance_id).await;
        Ok(())
    }
}

#[async_trait]
impl ServiceExecutor for SshExecutor {
    fn kind(&self) -> TargetKind {
        TargetKind::Remote
    }

    /// Its host is reached first: what is told of its own address, it has to be told at its launch.
    fn needs_ground(&self, _target: &TargetSpec) -> bool {
        true
    }

    async fn prepare(&self, order: GroundOrder) -> Result<Ground, LaunchError> {
        let (.., facts) = self.reach(&order.unit, &order.target).await?;
        Ok(Ground {
            host: Some(Box::new(facts)),
            ..Ground::default()
        })
    }

    async fn launch(&self, order: LaunchOrder) -> Result<Box<dyn RunningAttempt>, LaunchError> {
        let (host, agent, facts) = self.reach(&order.unit, &order.target).await?;
        let (unit, instance_id) = (order.unit.clone(), order.instance_id.clone());
        let home = async {
            self.home.make().await?;
            self.home.id()
        };
        let home = home.await.map_err(|error| machine(&unit, error))?;
        let order = packaged::filled(order, &home, &host, &agent).await?;
        let Ordered { slip, launch } = order::translate(order, &home, agent.hello())?;
        let program = launch.program.to_string_lossy().into_owned();
        if order::is_ours(&slip, &home, agent.hello()) {
            order::make_directory(&agent, &slip.working_dir)
                .await
                .map_err(|error| not_reached(&unit, ReachError::Away(host.link.explain(error))))?;
        }
        let noted = async {
            self.traces.keep(&unit.stack, &slip.host).await?;
            self.slips.keep(&instance_id, &slip).await
        };
        noted.await.map_err(|error| machine(&unit, error))?;
        let shore = Shore::host(host.link.clone());
        let error = match supervised::launch(launch, &shore).await {
            Ok(process) => {
                let attempt = RemoteAttempt::running(host.link, &slip, process, facts);
                return Ok(Box::new(attempt));
            }
            Err(error) => error,
        };
        if let supervised::LaunchError::Unclear(source) = error {
            return Err(LaunchError::Unclear(AdoptError {
                unit,
                instance_id,
                source: source.into(),
            }));
        }
        // Nothing of it is there.
        self.slips.remove(&instance_id).await;
        Err(match error {
            supervised::LaunchError::Unreachable(error) => {
                not_reached(&unit, ReachError::Away(error))
            }
            error => launch_error(program, error),
        })
    }

    async fn adopt(&self, ticket: Ticket) -> Result<Adoption, AdoptError> {
        let found = self.found_again(&ticket).await;
        found.map_err(|error| AdoptError {
            unit: ticket.unit,
            instance_id: ticket.instance_id,
            source: error.0,
        })
    }

    async fn forget(&self, instance_id: &str) {
        if let Err(error) = self.forget_attempt(instance_id).await {
            let error = crate::error_chain(&*error.0);
            tracing::warn!(
                instance_id,
                error,
                "a run directory is left behind on its host"
            );
        }
    }

    async fn known(&self) -> BTreeSet<String> {
        self.slips.all().await
    }

    async fn forget_stack(
        &self,
        stack: &StackName,
        volumes: bool,
    ) -> Result<Vec<String>, LeftoverError> {
        let mut left = None;
        for call in self.traces.of(stack).await {
            if let Err(error) = self.clear(&call, stack, volumes).await {
                let reason = format!("its files on {} are left", call.name);
                left = Some(LeftoverError {
                    stack: stack.clone(),
                    source: format!("{reason}: {}", crate::error_chain(&*error.0)).into(),
                });
            }
        }
        if let Err(reason) = self.meshes.leave(stack).await {
            left = Some(LeftoverError {
                stack: stack.clone(),
                source: reason.into(),
            });
        }
        match left {
            Some(left) => Err(left),
            None => {
                // Without its volumes, what it has written stays, and may go another time.
                if volumes {
                    self.traces.forget(stack).await;
                }
                Ok(Vec::new())
            }
        }
    }

    fn carrier(&self) -> Option<Arc<dyn Carrier>> {
        Some(Arc::new(self.clone()))
    }

    async fn start(&self, config: ServiceConfig) -> Result<RunningService, LaunchError> {
        alone::start(self, self.home.directory(), config).await
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

/// A host, reached for a unit, and what is known of it then.
///
/// # Errors
/// [`LaunchError`]: it is not known, not to be used, or away.
pub(super) async fn reached(
    hosts: &dyn HostDirectory,
    unit: &UnitId,
    call: &HostCall,
) -> Result<(KnownHost, AgentLink, HostFacts), LaunchError> {
    if call.name == HostId::local().as_str() {
        let reason = "`local` is this machine: another host has another name".to_owned();
        return Err(not_runnable(unit, reason));
    }
    let found = hosts.find(call).await;
    let host = found.map_err(|refusal| not_runnable(unit, refusal.reason))?;
    let agent = reach::agent(&host.link).await;
    let agent = agent.map_err(|error| not_reached(unit, error))?;
    let facts = reach::facts(&call.name, &host, &agent).await;
    let facts = facts.map_err(|error| not_reached(unit, ReachError::Away(error)))?;
    Ok((host, agent, facts))
}

/// A host that is away has started nothing that is not found again: it is asked once more when it is back.
fn not_reached(unit: &UnitId, error: ReachError) -> LaunchError {
    match error {
        ReachError::Away(error) => LaunchError::Unreachable {
            unit: unit.local_name(),
            source: error.into(),
        },
        ReachError::Closed { .. } => not_runnable(unit, crate::error_chain(&error)),
    }
}

fn not_runnable(unit: &UnitId, reason: String) -> LaunchError {
    LaunchError::NotRunnable {
        program: unit.local_name(),
        reason,
    }
}

fn machine(
    unit: &UnitId,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> LaunchError {
    LaunchError::Machine {
        program: unit.local_name(),
        source: error.into(),
    }
}

/// Where programs are looked for when the environment names no place: the default of POSIX shells.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// How long a start of the daemon waits for the rest of the output of one that has ended.
const AT_START: Duration = Duration::from_secs(2);
