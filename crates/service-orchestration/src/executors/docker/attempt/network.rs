//! The networks of a container that runs.
//!
//! Owns: what is told when somebody takes it off one, or puts it back. Connects nothing: that is for the next launch.

use std::collections::BTreeMap;

use container_engine::Container;
use service_registry::Attachment;

use super::RunningContainer;
use crate::executors::AttemptEvent;

/// The networks that a container is on, as far as others reach it there.
pub(super) fn of(seen: &Container) -> BTreeMap<String, Attachment> {
    if seen.network_mode == "host" {
        return BTreeMap::new();
    }
    let networks = seen.networks.iter().map(|(name, address)| {
        let attachment = Attachment {
            ip: address.ip,
            gateway: address.gateway,
        };
        (name.clone(), attachment)
    });
    networks.collect()
}

/// The network that it was made for, when it is not on it.
pub(super) fn missing(seen: &Container) -> Option<String> {
    let wanted = seen.network_mode.as_str();
    let is_own = matches!(wanted, "" | "host" | "none" | "default" | "bridge");
    // Of another container, or by podman's own means.
    if is_own || wanted.contains(':') || ["slirp4netns", "pasta", "private"].contains(&wanted) {
        return None;
    }
    let is_on = |(name, address): (&String, &container_engine::NetworkAddress)| {
        name == wanted || address.network_id.starts_with(wanted)
    };
    (!seen.networks.iter().any(is_on)).then(|| wanted.to_owned())
}

impl RunningContainer {
    /// Somebody has connected it to a network, or taken it off one; the latter is so at every end, too.
    pub(super) fn network_changed(&mut self) {
        if self.end.is_none() {
            self.look();
        }
    }

    /// Takes in on which networks it is.
    pub(super) fn take_in_networks(&mut self, seen: &Container) {
        let (networks, missing) = (of(seen), missing(seen));
        self.are_networks_new |= networks != self.facts.networks || missing != self.missing;
        (self.facts.networks, self.missing) = (networks, missing);
    }

    /// What is to be told of its networks.
    pub(super) fn networks_or_not(&mut self) -> Option<AttemptEvent> {
        let is_new = std::mem::take(&mut self.are_networks_new) && self.end.is_none();
        is_new.then(|| AttemptEvent::Networks {
            networks: self.facts.networks.clone(),
            missing: self.missing.clone(),
        })
    }
}
