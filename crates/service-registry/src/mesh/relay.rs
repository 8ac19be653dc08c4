//! Who carries for those of whom neither reaches the other.
//!
//! Owns: the choice. A relay is a node that both reach; one carries for a pair, and never over another relay, so that
//! there are no circles.

use std::collections::{BTreeMap, BTreeSet};

use super::request::{MeshRequest, Pair};
use crate::HostId;

/// A relay for each of the pairs that have one: what it has been if that still serves, else whoever serves the most of
/// the others, so that there are few tunnels. `tunnels` are those that there are anyway.
pub(super) fn choose(
    request: &MeshRequest,
    pairs: &BTreeSet<&Pair>,
    tunnels: &BTreeSet<Pair>,
) -> BTreeMap<Pair, HostId> {
    let mut tunnels = tunnels.clone();
    let mut chosen = BTreeMap::new();
    let mut open: BTreeMap<&Pair, BTreeSet<&HostId>> = BTreeMap::new();
    for &pair in pairs {
        let able = relays(request, pair);
        match request.relays.get(pair) {
            Some(kept) if able.contains(kept) => {
                tunnels.extend(legs(pair, kept));
                chosen.insert(pair.clone(), kept.clone());
            }
            Some(_) | None => {
                open.insert(pair, able);
            }
        }
    }
    open.retain(|_, able| !able.is_empty());
    while let Some(best) = best(&open, &tunnels).cloned() {
        open.retain(|&pair, able| {
            let is_served = able.contains(&best);
            if is_served {
                tunnels.extend(legs(pair, &best));
                chosen.insert(pair.clone(), best.clone());
            }
            !is_served
        });
    }
    chosen
}

/// The relay that serves the most pairs; of those, with the fewest new tunnels; of those, the first by its name.
fn best<'a>(
    open: &BTreeMap<&Pair, BTreeSet<&'a HostId>>,
    tunnels: &BTreeSet<Pair>,
) -> Option<&'a HostId> {
    let able: BTreeSet<&HostId> = open.values().flatten().copied().collect();
    able.into_iter().min_by_key(|relay| {
        let served = open.iter().filter(|(_, able)| able.contains(relay));
        let served: Vec<&Pair> = served.map(|(pair, _)| *pair).collect();
        let legs: BTreeSet<Pair> = served.iter().flat_map(|pair| legs(pair, relay)).collect();
        let new = legs.difference(tunnels).count();
        (std::cmp::Reverse(served.len()), new)
    })
}

/// The nodes that may carry for these two, because both reach them.
fn relays<'a>(request: &'a MeshRequest, pair: &Pair) -> BTreeSet<&'a HostId> {
    let able = |host: &HostId| {
        let ends = pair.hosts();
        !ends.contains(&host) && ends.iter().all(|end| request.endpoint(end, host).is_some())
    };
    let nodes = request.nodes.iter().filter(|(_, node)| node.may_relay);
    nodes
        .map(|(host, _)| host)
        .filter(|host| able(host))
        .collect()
}

/// The two tunnels of a pair over this relay.
fn legs(pair: &Pair, relay: &HostId) -> impl Iterator<Item = Pair> {
    pair.hosts()
        .into_iter()
        .filter_map(|end| Pair::new(end.clone(), relay.clone()))
}
