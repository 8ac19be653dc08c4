//! Containers of one-off runs: made by the definition of a unit, begun by whoever asked, and never taken for the unit's own.
//!
//! Owns: what such a container has and has not of a unit's: no published port, no name that others on its network find it by,
//! no volume that is kept, an input, and labels that nothing finds who looks for units.

use container_engine::NetworkMode;

use super::identity::{ONE_OFF, one_off_labels, one_off_of};
use super::launch::{Launch, Trouble, refused};
use super::{DockerExecutor, Failure, Shared, gone_is_fine, name};
use crate::executors::{KnownOneOff, LaunchError, OneOffOrder, OneOffPlace};

/// Makes the container, and does not start it.
pub(super) async fn make(shared: &Shared, order: OneOffOrder) -> Result<OneOffPlace, LaunchError> {
    let launch = Launch::of(shared, &order.launch)?;
    let _busy = shared.busy.enter(&order.launch.unit);
    match create(&launch, &order).await {
        Ok(place) => Ok(place),
        Err(Trouble::Launch(error)) => Err(error),
        Err(Trouble::Engine(error) | Trouble::Again(error)) => Err(refused(&order.launch, error)),
    }
}

async fn create(launch: &Launch<'_>, order: &OneOffOrder) -> Result<OneOffPlace, Trouble> {
    launch.surroundings().await?;
    let (mut config, _) = launch.config().await?;
    let unit = &order.launch.unit;
    let known = KnownOneOff {
        id: order.launch.instance_id.clone(),
        unit: unit.clone(),
        holder: order.holder.clone(),
        grace_ms: u64::try_from(order.launch.stop.grace.as_millis()).unwrap_or(u64::MAX),
    };
    let own = order.launch.container.as_deref();
    let own = own.map(|own| own.labels.clone()).unwrap_or_default();
    config.labels = one_off_labels(&launch.home, &known, own);
    config.published_ports = Vec::new();
    if let NetworkMode::Networks(networks) = &mut config.network {
        for network in networks {
            network.aliases = Vec::new();
        }
    }
    config.tty = order.tty;
    config.open_stdin = true;
    let name = format!("{}-{}-run-{}", unit.stack, unit.name, known.id);
    let made = name::create(launch.engine, &launch.home, &name, &config).await;
    let id = made.map_err(|error| launch.unnamed(error))?;
    Ok(OneOffPlace::Container(id.as_str().to_owned()))
}

impl DockerExecutor {
    /// Ends a run, with everything that it brought.
    pub(super) async fn end_run(&self, id: &str) -> Result<(), Failure> {
        if !self.shared.home.is_known() {
            return Ok(());
        }
        let engine = self.shared.engine()?;
        let own = self.shared.home.filters()?.label(ONE_OFF, id);
        for container in engine.list(&own).await? {
            if container.status.is_alive() {
                gone_is_fine(engine.stop(&container.id, None).await)?;
            }
            gone_is_fine(engine.remove(&container.id, true, true).await)?;
            if let Some(known) = one_off_of(&container.labels) {
                self.close_ways(known.unit.stack.as_str()).await?;
            }
        }
        Ok(())
    }

    /// The runs of which there is a container.
    pub(super) async fn known_runs(&self) -> Result<Vec<KnownOneOff>, Failure> {
        if !self.shared.home.is_known() {
            return Ok(Vec::new());
        }
        let own = self.shared.home.filters()?.has_label(ONE_OFF);
        let all = self.shared.engine()?.list(&own).await?;
        let known = all.iter().filter_map(|one| one_off_of(&one.labels));
        Ok(known.collect())
    }
}
