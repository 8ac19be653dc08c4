//! The networks of a container that is started again.
//!
//! Owns: that it is on those that it was made for, whatever somebody did meanwhile. Never takes it off any.

use container_engine::{ContainerId, Engine, EngineError, NetworkMode};

/// Connects a container to those networks that it is not on.
pub(super) async fn networks(
    engine: &Engine,
    id: &ContainerId,
    wanted: &NetworkMode,
) -> Result<(), EngineError> {
    let NetworkMode::Networks(wanted) = wanted else {
        return Ok(());
    };
    let seen = engine.inspect(id).await?;
    for network in wanted {
        if !seen.networks.contains_key(&network.network) {
            tracing::warn!(container = %id, network = network.network, "somebody else has taken it off its network: it is put back");
            engine.connect_network(id, network).await?;
        }
    }
    Ok(())
}
