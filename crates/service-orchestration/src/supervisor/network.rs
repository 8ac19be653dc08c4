//! The networks of containers, where somebody else has a hand in them.
//!
//! Owns: what is said of one that is off its network, or that no way leads from to a container of somebody else, and that it is listed where it is reached now.

use std::collections::BTreeMap;

use service_registry::Attachment;

use super::turn::Supervisor;
use super::units::UnitEntry;
use crate::model::{Attempt, Effect, Index};
use crate::spec::TargetKind;

impl Supervisor {
    /// What is said of a unit that runs and needs a container of somebody else to which no way leads.
    pub(super) fn without_way(&self, entry: &UnitEntry) -> Option<String> {
        if !self.world.unit(entry.index).state.is_active() {
            return None;
        }
        let needed = entry.described().dependencies.iter();
        let mut needed = needed.filter_map(|dependency| {
            let instances = self.units.instances(&entry.id.stack, &dependency.unit);
            Some(self.units.get(*instances.first()?))
        });
        let is_apart = |other: &&UnitEntry| {
            other.described().target.kind() == TargetKind::DockerAttach
                && self.world.unit(other.index).published
                && self.locate(entry, other).is_none()
        };
        let (unit, other) = (
            entry.id.local_name(),
            needed.find(is_apart)?.id.local_name(),
        );
        Some(format!(
            "no way leads from it to `{other}`, and it is told no address of that: `harness net why {unit} {other}` says what helps"
        ))
    }

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
