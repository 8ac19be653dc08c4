//! What a container stands on: its network and its image.
//!
//! Owns: that both are there before it is made. What is made once is found again by its name and its labels.

use std::collections::BTreeMap;

use container_engine::{Engine, EngineError, Network, NetworkConfig};
use service_registry::Attachment;

use super::identity::{Home, STACK, network_labels, network_name};
use super::{Shared, image, refusal};
use crate::executors::{Ground, GroundOrder, LaunchError};
use crate::spec::{ContainerTarget, TargetSpec};

pub(super) async fn prepare(
    engine: &Engine,
    shared: &Shared,
    order: GroundOrder,
) -> Result<Ground, LaunchError> {
    let TargetSpec::Docker(target) = &order.target else {
        return Err(LaunchError::WrongTarget {
            executor: "DockerExecutor",
            target: order.target.kind(),
        });
    };
    let network = async {
        let _turn = shared.turn.lock().await;
        let found = network(engine, &shared.home, &order, target).await;
        found.map_err(|error| refusal(&order.unit, error))
    };
    // One after the other: an image that fails at once must not break off the making of a network, which the engine
    // would go on with unseen, beside a second one of the same name.
    let network = network.await?;
    image::ready(engine, &shared.images, &order, target).await?;
    let attached = network.map(|network| {
        let attachment = Attachment {
            ip: None,
            gateway: network.gateway,
        };
        (network.name, attachment)
    });
    Ok(Ground {
        networks: attached.into_iter().collect::<BTreeMap<_, _>>(),
        ..Ground::default()
    })
}

/// The network that the container will be on; none when it has the machine's own, or none at all.
async fn network(
    engine: &Engine,
    home: &Home,
    order: &GroundOrder,
    target: &ContainerTarget,
) -> Result<Option<Network>, EngineError> {
    match target.network.as_deref() {
        Some("host" | "none") => Ok(None),
        Some(name) => engine.network(name).await.map(Some),
        None => {
            let stack = order.unit.stack.as_str();
            let name = network_name(stack);
            match engine.network(&name).await {
                Err(EngineError::NotFound { .. }) => {}
                Err(EngineError::Refused { message, .. }) if message.contains("ambiguous") => {
                    return only_one(engine, home, stack).await;
                }
                found => return found.map(Some),
            }
            let config = NetworkConfig {
                labels: home
                    .id()
                    .map(|id| network_labels(&id, stack))
                    .unwrap_or_default(),
                ..NetworkConfig::default()
            };
            match engine.create_network(&name, &config).await {
                // Another unit of the stack was first.
                Ok(_) | Err(EngineError::NameTaken { .. } | EngineError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
            engine.network(&name).await.map(Some)
        }
    }
}

/// Whoever gives up a request to make a network does not know whether it is made: there may be two of one name, of which
/// containers can be on one only.
async fn only_one(
    engine: &Engine,
    home: &Home,
    stack: &str,
) -> Result<Option<Network>, EngineError> {
    let ours = home.filters().unwrap_or_default().label(STACK, stack);
    for network in engine.networks(&ours).await?.iter().skip(1) {
        match engine.remove_network(&network.id).await {
            Ok(()) | Err(EngineError::NotFound { .. } | EngineError::InUse { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    engine.network(&network_name(stack)).await.map(Some)
}
