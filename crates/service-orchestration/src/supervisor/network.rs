//! What others do to the networks of containers.
//!
//! Owns: what is said of one that is off its network, and that it is listed where it is reached now.

use std::collections::BTreeMap;

use service_registry::Attachment;

use super::turn::Supervisor;
use super::units::UnitEntry;
use crate::model::{Attempt, Effect, Index};

impl Supervisor {
    /// It is on these networks now, and not on the one that it was made for.
    pub(super) fn networked(
        &mut self,
        unit: Index,
        attempt: Attempt,
        networks: BTreeMap<String, Attachment>,
        missing: Option<String>,
    ) {
        let entry = self.units.get_mut(unit);
        entry.facts.networks = networks;
        if let Some(network) = &missing {
            tracing::warn!(unit = %entry.id, network, "somebody else has taken it off its network");
        }
        entry.facts.off_network = missing;
        if self.world.unit(unit).published {
            self.perform(Effect::Publish(unit, attempt));
        }
    }
}

/// What is said of a unit whose container is not on the network that it was made for.
pub(super) fn off(entry: &UnitEntry) -> Option<String> {
    let network = entry.facts.off_network.as_ref()?;
    let unit = entry.id.local_name();
    Some(format!(
        "somebody else has taken it off its network `{network}`, where nobody reaches it now: `harness restart {unit}` puts it back"
    ))
}
