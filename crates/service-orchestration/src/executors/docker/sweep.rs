//! Clearing away: containers, networks and volumes that nobody needs any more.
//!
//! Owns: what of ours is litter. A container that is kept for its unit is none while the unit is known; one that runs is
//! none ever, but where its whole stack goes.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use async_io::Timer;
use container_engine::{ContainerSummary, Engine, EngineError, Filters, Timeouts};

use super::identity::{self, instance_of, unit_of};
use super::{DockerExecutor, Failure, gone_is_fine, volume};
use crate::spec::{StackName, UnitId};

impl DockerExecutor {
    /// What is left of an attempt whose end is kept: its record, and its container, unless that is kept for the next.
    pub(super) async fn forget_attempt(&self, instance_id: &str) -> Result<(), Failure> {
        let record = self.shared.records.read(instance_id).await?;
        let stack = if let Some(record) = record {
            self.shared.records.remove(instance_id).await?;
            Some(record.stack)
        } else {
            let engine = self.shared.engine()?;
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
            gone_is_fine(engine.remove(&container.id, false, true).await)?;
            container.labels.get(identity::STACK).cloned()
        };
        match stack {
            Some(stack) => self.close_ways(&stack).await,
            None => Ok(()),
        }
    }

    /// Ends the forwarders of a stack that has nothing running any more, and nothing on its way up.
    pub(super) async fn close_ways(&self, stack: &str) -> Result<(), Failure> {
        let filters = self.shared.home.filters()?.label(identity::STACK, stack);
        let _turn = self.shared.turn.lock().await;
        let is_launching = || self.shared.busy.is_any(|unit| unit.stack.as_str() == stack);
        let all = self.shared.engine()?.list(&filters).await?;
        let mut alive = all.iter().filter(|container| container.status.is_alive());
        if alive.next().is_none() && !is_launching() {
            self.shared.forwarders.end(stack).await;
        }
        Ok(())
    }

    /// Removes the containers, and the volumes without a name, of units that are gone.
    pub(super) async fn forget_kept(
        &self,
        is_gone: impl Fn(&UnitId) -> bool,
    ) -> Result<(), Failure> {
        let engine = self.quick()?;
        let ours = self.shared.home.filters()?;
        let is_litter = |unit: &UnitId| {
            is_gone(unit) && !self.shared.busy.is_any(|launching| launching == unit)
        };
        for container in engine.list(&ours).await? {
            let is_kept = instance_of(&container.labels).is_none();
            let is_theirs = unit_of(&container.labels).is_some_and(|unit| is_litter(&unit));
            if is_kept && is_theirs && !container.status.is_alive() {
                gone_is_fine(engine.remove(&container.id, false, true).await)?;
            }
        }
        for volume in engine.volumes(&ours.has_label(volume::UNNAMED)).await? {
            if unit_of(&volume.labels).is_some_and(|unit| is_litter(&unit)) {
                match engine.remove_volume(&volume.name).await {
                    Err(EngineError::InUse { .. }) => {}
                    removed => gone_is_fine(removed)?,
                }
            }
        }
        Ok(())
    }

    pub(super) async fn forget_whole(
        &self,
        stack: &StackName,
        volumes: bool,
    ) -> Result<Vec<String>, Failure> {
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
        remove_all(engine, &filters).await?;
        self.shared.forwarders.end(stack.as_str()).await;
        for network in engine.networks(&filters).await? {
            gone_is_fine(engine.remove_network(&network.id).await)?;
        }
        let mut removed = Vec::new();
        for volume in engine.volumes(&filters).await? {
            let is_unnamed = volume.labels.contains_key(volume::UNNAMED);
            if volumes || is_unnamed {
                gone_is_fine(engine.remove_volume(&volume.name).await)?;
            }
            if volumes && !is_unnamed {
                removed.push(volume.name);
            }
        }
        Ok(removed)
    }

    /// The attempts of which something is kept.
    pub(super) async fn instances(&self) -> Result<BTreeSet<String>, Failure> {
        let mut instances: BTreeSet<String> = self.shared.records.all().collect();
        let all = self.quick()?.list(&self.shared.home.filters()?).await?;
        if !all.is_empty() {
            self.shared.hub.attend(self.shared.engine()?);
        }
        let alive = all.iter().filter(|container| container.status.is_alive());
        let alive = alive.inspect(|container| self.shared.starts.tell(&container.labels, None));
        let stacks = alive.filter_map(|container| container.labels.get(identity::STACK));
        let stacks = stacks.cloned().collect();
        let _turn = self.shared.turn.lock().await;
        self.shared.forwarders.end_except(stacks).await;
        instances.extend(
            all.iter()
                .filter_map(|container| instance_of(&container.labels)),
        );
        Ok(instances)
    }

    /// The engine, for whom a start of the daemon waits.
    fn quick(&self) -> Result<Engine, EngineError> {
        Ok(self.shared.engine()?.with_timeouts(Timeouts {
            connect: AT_START,
            look: AT_START,
            ..Timeouts::default()
        }))
    }
}

/// Removes containers, and waits until none is left.
async fn remove_all(engine: &Engine, filters: &Filters) -> Result<(), EngineError> {
    let until = Instant::now() + REMOVAL;
    loop {
        // A removal that is under way is told to be, and holds the network until it is done.
        let left: Vec<ContainerSummary> = engine.list(filters).await?;
        for container in &left {
            if container.status.is_alive() {
                // Somebody else has started it: no unit of the stack runs.
                gone_is_fine(engine.stop(&container.id, None).await)?;
            }
            gone_is_fine(engine.remove(&container.id, false, true).await)?;
        }
        if left.is_empty() || Instant::now() >= until {
            return Ok(());
        }
        Timer::after(BETWEEN_LOOKS).await;
    }
}

/// How long the removal of a dead container may take.
const REMOVAL: Duration = Duration::from_secs(30);

/// Between two looks whether it is gone.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// How long a start of the daemon waits for an engine that does not answer.
const AT_START: Duration = Duration::from_secs(2);
