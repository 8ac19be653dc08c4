//! How an attempt is made to run, by type of target.
//!
//! Owns: the contract between the supervisor and whatever runs a program. A new kind of target is one file here and one
//! line in `Executors::local`. Executors keep no maps: what an attempt needs to be controlled travels with it.

mod alone;
mod attach;
mod carrier;
mod contract;
mod copy;
mod docker;
mod end;
mod fault;
mod input;
mod installation;
mod one_off;
mod order;
mod process;
mod reading;
mod remote;
mod running;
mod shimmed;

pub(crate) use alone::stream_events;
pub use attach::AttachExecutor;
pub use carrier::{Carried, Carrier, Joining, MeshCall, MeshHost, MeshPair, Passage};
use contract::NoControl;
pub use contract::{
    Adoption, AttemptControl, AttemptEvent, AttemptFacts, HostFacts, RunningAttempt,
    ServiceExecutor, Started,
};
pub use docker::{
    DockerAttachExecutor, DockerExecutor, DockerFleet, FleetAttachExecutor, engine_socket,
};
pub(crate) use docker::{ENGINES, network_name};
pub(crate) use end::End;
pub use fault::{AdoptError, ControlError, LaunchError, LeftoverError, OneOffError};
pub use input::{Input, InputGiver, input};
pub use one_off::{KnownOneOff, OneOffOrder, OneOffPlace, ProgramFile};
pub use order::{
    Activity, CheckOrder, ContainerOrder, Forward, Ground, GroundOrder, InsideCommand, InsideEnd,
    LaunchOrder, Making, OwnCheck, OwnHealth, PortOrder, Progress, StopOrder, Ticket,
};
pub use process::ProcessExecutor;
pub use remote::{HostCall, HostDirectory, HostRefusal, KnownHost, SshExecutor};
pub use running::{NetworkInfo, RunningService};

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::spec::TargetKind;

/// The executors that a supervisor has, by type of target.
#[derive(Clone, Debug, Default)]
pub struct Executors {
    by_kind: BTreeMap<TargetKind, Arc<dyn ServiceExecutor>>,
}

impl Executors {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// Those that run on this machine: programs, and containers where there is an engine.
    pub fn local(process: ProcessExecutor, docker: DockerExecutor) -> Self {
        Self::new()
            .with(process)
            .with(AttachExecutor::new())
            .with(docker.attaching())
            .with(docker)
    }

    /// With this one too; it replaces another of the same kind.
    #[must_use]
    pub fn with(mut self, executor: impl ServiceExecutor + 'static) -> Self {
        self.by_kind.insert(executor.kind(), Arc::new(executor));
        self
    }

    /// With all of these too; each replaces another of its kind.
    #[must_use]
    pub fn with_all(mut self, others: Self) -> Self {
        self.by_kind.extend(others.by_kind);
        self
    }

    /// All of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<dyn ServiceExecutor>> {
        self.by_kind.values()
    }

    /// The one for this type of target.
    pub fn get(&self, kind: TargetKind) -> Option<&Arc<dyn ServiceExecutor>> {
        self.by_kind.get(&kind)
    }
}
