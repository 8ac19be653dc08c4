//! Telling how units reach each other, and why so.
//!
//! Owns: the answer to a question about addresses, and its sentences. It looks where launches look, so that what it says
//! is what units are told. Changes nothing, and looks at nothing outside: what listens is filled in by whoever may wait.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use service_registry::{
    Attachment, Endpoint, Entry, HostId, InstanceKey, Place, Reason, Registry, Resolved, RouteError,
};

use super::address::{Listing, key};
use super::container::{Ways, ways};
use super::hosts::host_of;
use super::turn::Supervisor;
use super::units::UnitEntry;
use crate::executors::{Forward, network_name};
use crate::report::{
    Carriage, NetAttachment, NetEndpoint, NetForwarder, NetName, NetNameBy, NetPlace, NetRefusal,
    NetUnit, NetView, PlaceKind, SCHEMA_VERSION,
};
use crate::spec::{Protocol, StackName, TargetKind, TargetSpec, UnitKind};
use crate::supervisor::NetError;

mod detour;
mod name;
#[cfg(test)]
mod tests;

impl Supervisor {
    /// How units are reached by one of them, or by this machine. Units are named as users do: `api`, `api/2`.
    pub(super) fn net(
        &self,
        stack: &StackName,
        asker: Option<&str>,
        wanted: Option<&str>,
    ) -> Result<NetView, NetError> {
        let asker = match asker {
            Some(text) => Some(self.meant(stack, text)?[0]),
            None => None,
        };
        let asked = match wanted {
            Some(text) => self.meant(stack, text)?,
            None => self.every(stack)?,
        };
        let from = asker.map_or_else(Place::local, |asker| self.place_to_be(asker));
        let items = asked.into_iter().map(|other| {
            let is_itself = asker.is_some_and(|asker| asker.index == other.index);
            let sight = Sight {
                asker,
                // Whoever speaks of itself is where it is.
                from: if is_itself {
                    Place::local()
                } else {
                    from.clone()
                },
                other,
                can_carry: self.carrier().is_some()
                    && self
                        .hosts
                        .are_known(from.host(), self.place_of(other).host()),
                place: is_placed(other).then(|| self.place_to_be(other)),
                listing: match is_itself {
                    true => Some(self.own_listing(other)),
                    false => self.listing(other),
                },
                is_told: self.told(other) == key(&other.id),
                apart: self.hosts.apart(from.host(), self.place_of(other).host()),
            };
            sight.look(&self.registry)
        });
        Ok(NetView {
            schema_version: SCHEMA_VERSION,
            stack: stack.clone(),
            asker: asker.map(|asker| asker.id.local_name()),
            items: items.collect(),
            from: net_place(&from),
        })
    }

    /// Where a unit is, or will be: on which network a container will be is known before it is made.
    fn place_to_be(&self, unit: &UnitEntry) -> Place {
        let mut place = self.place_of(unit);
        let own = match &unit.described().target {
            TargetSpec::Docker(target) => match target.network.as_deref() {
                Some("none") => None,
                Some(name) => Some(name.to_owned()),
                None => Some(network_name(unit.id.stack.as_str())),
            },
            _ => None,
        };
        if let (Place::Container { networks, .. }, Some(own)) = (&mut place, own)
            && networks.is_empty()
        {
            networks.insert(own, Attachment::default());
        }
        place
    }

    /// The instance of this unit's service that others are told of.
    fn told(&self, unit: &UnitEntry) -> InstanceKey {
        let best = self.registry.best(&key(&unit.id).service);
        best.map_or_else(
            || {
                let first = self.units.instances(&unit.id.stack, &unit.id.name);
                let first = first.first().map(|index| self.units.get(*index));
                key(&first.unwrap_or(unit).id)
            },
            |entry| entry.key.clone(),
        )
    }
}

/// One unit, and who looks at it from where.
#[derive(Debug)]
struct Sight<'a> {
    /// Absent: this machine.
    asker: Option<&'a UnitEntry>,
    from: Place,
    other: &'a UnitEntry,
    /// Where the other is, as far as that is known here.
    place: Option<Place>,
    /// Absent where nothing can be known before it runs.
    listing: Option<Listing>,
    is_told: bool,
    /// Whether what leads nowhere by itself can be carried by SSH.
    can_carry: bool,
    /// Why no mesh joins their hosts, where one was wanted.
    apart: Option<&'a str>,
}

impl Sight<'_> {
    fn look(&self, registry: &Registry) -> NetUnit {
        let entry = self.listing.as_ref().map(|listing| &listing.entry);
        let pending = self.pending();
        let resolved = match entry {
            _ if pending.is_some() => Err(pending.clone().expect("it was just looked at")),
            Some(entry) => registry
                .reach(Arc::clone(entry), &self.from)
                .map_err(|error| {
                    let carried = self.to_be_carried(registry, entry);
                    carried.unwrap_or_else(|| self.refusal(&error))
                }),
            None => Err(self.unknown()),
        };
        let found = resolved.as_ref().ok();
        // Only what is told of the whole unit is carried and named.
        let ways = found
            .filter(|_| self.is_of_container())
            .map(|resolved| ways(&self.from, self.other, resolved));
        let service = self.other.id.name.as_str();
        NetUnit {
            name: self.other.id.local_name(),
            kind: self.other.spec.kind,
            target: self.other.described().target.kind().to_string(),
            place: self.place.as_ref().map(net_place),
            published: self.listing.as_ref().is_some_and(|one| one.is_published),
            told: self.is_told,
            needed: self.is_needed(),
            listens: entry
                .map(|entry| entry.ip)
                .filter(|ip| !ip.is_unspecified()),
            address: found.and_then(|resolved| resolved.endpoints().next().map(|(_, at)| at)),
            ip: found.map(Resolved::ip),
            reason: found.map(|resolved| self.reason(resolved.route.reason)),
            refusal: resolved.as_ref().err().cloned(),
            endpoints: entry.map_or_else(Vec::new, |entry| {
                self.endpoints(entry, registry, ways.as_ref(), pending.as_ref())
            }),
            names: match pending {
                Some(_) => self.names_to_be(),
                None => self.names(found, ways.as_ref()),
            },
            variables: found
                .filter(|_| self.other.spec.kind == UnitKind::Service && self.is_told_anything())
                .map_or_else(BTreeMap::new, |resolved| resolved.variables(service)),
        }
    }

    /// Whether a container asks, on whatever network.
    fn is_of_container(&self) -> bool {
        let is_ours = |asker: &UnitEntry| asker.described().target.kind() == TargetKind::Docker;
        matches!(self.from, Place::Container { .. }) || self.asker.is_some_and(is_ours)
    }

    fn is_needed(&self) -> bool {
        self.asker.is_some_and(|asker| {
            let mut needed = asker.described().dependencies.iter();
            needed.any(|one| one.unit == self.other.id.name)
        })
    }

    /// Whether the asker is told of others at all; this machine is, as whoever asks for it wants to know.
    fn is_told_anything(&self) -> bool {
        self.asker.is_none_or(|asker| asker.described().inject)
    }

    fn endpoints(
        &self,
        entry: &Arc<Entry>,
        registry: &Registry,
        ways: Option<&Ways>,
        pending: Option<&NetRefusal>,
    ) -> Vec<NetEndpoint> {
        let protocols = self
            .other
            .numbered_ports()
            .map(|(_, port, _)| port.protocol);
        let protocols = protocols.chain(std::iter::repeat(Protocol::Tcp));
        let each = entry.endpoints.iter().zip(protocols).enumerate();
        each.map(|(position, (endpoint, protocol))| {
            let alone = Entry {
                endpoints: vec![endpoint.clone()],
                ..Entry::clone(entry)
            };
            let seen = registry.reach(Arc::new(alone), &self.from);
            let way = seen.as_ref().ok().filter(|_| pending.is_none());
            let refusal = || {
                let error = seen.as_ref().err()?;
                let carried = self.to_be_carried(registry, entry);
                Some(carried.unwrap_or_else(|| self.refusal(error)))
            };
            // That of another host only passes on what SSH carries, of which more is said.
            let is_here = *self.from.host() == HostId::local();
            let ways = ways.filter(|_| is_here);
            let forward = ways.and_then(|ways| *ways.forwards.get(position)?);
            NetEndpoint {
                protocol,
                address: way.and_then(|way| way.endpoints().next().map(|(_, at)| at)),
                url: way.and_then(Resolved::url),
                reason: way.map(|way| self.reason(way.route.reason)),
                refusal: pending.cloned().or_else(refusal),
                forwarder: match forward {
                    Some(Forward { listen, to }) => Some(NetForwarder {
                        listen,
                        to,
                        carriage: None,
                    }),
                    None => {
                        way.and_then(|way| detour::carried(registry, way, &self.from, endpoint))
                    }
                },
                ..net_endpoint(endpoint)
            }
        })
        .collect()
    }

    /// How a container will reach it, where both are known to be in reach of each other once they run, and an address is not.
    fn pending(&self) -> Option<NetRefusal> {
        let Place::Container { networks: own, .. } = &self.from else {
            return None;
        };
        let asker = self.asker?.id.local_name();
        let other = self.other.id.local_name();
        let names: Vec<String> = self.names_to_be().into_iter().map(|one| one.name).collect();
        let known_as = match names.first() {
            Some(name) => format!("by the name `{name}`"),
            None => "at its address".to_owned(),
        };
        let ports: Vec<String> = self
            .other
            .numbered_ports()
            .map(|(_, port, number)| match port.protocol {
                Protocol::Tcp => number.to_string(),
                Protocol::Udp => format!("{number}/udp"),
            })
            .collect();
        let at = match ports.as_slice() {
            [] => String::new(),
            ports => format!(", port {}", ports.join(", ")),
        };
        let (who, text) = match self.place.as_ref()? {
            Place::Container { networks, .. } => {
                let network = own.keys().find(|name| networks.contains_key(*name))?;
                if networks[network].ip.is_some() {
                    return None;
                }
                (
                    &other,
                    format!(
                        "`{other}` does not run yet; on the network {network}, `{asker}` will reach it {known_as}{at}"
                    ),
                )
            }
            Place::Host(_) => {
                let (network, _) = own.iter().next()?;
                if own.values().any(|one| one.gateway.is_some()) {
                    return None;
                }
                (
                    &asker,
                    format!(
                        "`{asker}` has not run yet; it will reach `{other}` by the gateway of the network {network}{at}"
                    ),
                )
            }
            _ => return None,
        };
        Some(NetRefusal {
            code: "not-started".into(),
            text,
            hint: format!("start `{who}`: the address is known once it runs"),
        })
    }

    /// By which names a container will find what does not run yet.
    fn names_to_be(&self) -> Vec<NetName> {
        let is_ours = |unit: &UnitEntry| unit.described().target.kind() == TargetKind::Docker;
        if !self.asker.is_some_and(is_ours) {
            return Vec::new();
        }
        let own = self.other.id.name.to_string();
        match &self.other.described().target {
            TargetSpec::Docker(target) if !target.is_on_host() => {
                let names = std::iter::once(own).chain(target.aliases.iter().cloned());
                names.map(alias).collect()
            }
            _ => {
                let is_in_file = self.is_needed() && self.other.spec.kind == UnitKind::Service;
                let name = NetName {
                    name: own,
                    by: NetNameBy::HostsFile,
                    ip: None,
                };
                is_in_file.then_some(name).into_iter().collect()
            }
        }
    }

    /// By which names a container finds it: those in its hosts file, and those that the engine resolves for it.
    fn names(&self, found: Option<&Resolved>, ways: Option<&Ways>) -> Vec<NetName> {
        let is_ours = self.asker.is_some_and(|asker| {
            asker.index != self.other.index && asker.described().target.kind() == TargetKind::Docker
        });
        let (Some(resolved), Some(ways), true) = (found, ways, is_ours) else {
            return Vec::new();
        };
        let own = self.other.id.name.to_string();
        if let Some(ip) = ways.host {
            let is_in_file = self.is_needed() && self.other.spec.kind == UnitKind::Service;
            let in_file = NetName {
                name: own,
                by: NetNameBy::HostsFile,
                ip: Some(ip),
            };
            return is_in_file.then_some(in_file).into_iter().collect();
        }
        debug_assert_eq!(resolved.route.reason, Reason::SharedNetwork);
        let aliases = match &self.other.described().target {
            TargetSpec::Docker(target) => target.aliases.as_slice(),
            _ => &[],
        };
        let names = std::iter::once(own).chain(aliases.iter().cloned());
        names.map(alias).collect()
    }

    /// Why there is no way, and what can be done.
    fn refusal(&self, error: &RouteError) -> NetRefusal {
        let other = self.other.id.local_name();
        let is_published = self.listing.as_ref().is_some_and(|one| one.is_published);
        let hint = match error {
            RouteError::OnlyLoopback { .. } => format!(
                "publish the port of `{other}` where others reach it (`ports: [\"0.0.0.0:8080:80\"]`), or put both on one network"
            ),
            RouteError::Unpublished { .. } if !is_published => format!(
                "start `{other}`: the address of a container is known once it runs; or publish its port (`ports`)"
            ),
            RouteError::Unpublished { .. } => {
                format!("publish the port of `{other}` (`ports`), or put both on one network")
            }
            RouteError::Unconnected { from, .. } => self.connection_hint(from),
            _ => String::new(),
        };
        NetRefusal {
            code: error.code().to_owned(),
            text: error.to_string(),
            hint,
        }
    }

    fn connection_hint(&self, from: &Place) -> String {
        let asker = self.asker.map(|asker| (asker, asker.id.local_name()));
        match (from, asker) {
            (Place::Container { networks, .. }, Some((asker, name))) if networks.is_empty() => {
                match &asker.described().target {
                    TargetSpec::Docker(target) if target.network.as_deref() == Some("none") => {
                        format!("`{name}` has no network: take `network: none` out of its target")
                    }
                    _ => {
                        format!("start `{name}`: the network of a container is known once it runs")
                    }
                }
            }
            _ if host_of(self.other).is_some() && !self.can_carry => {
                let other = self.other.id.local_name();
                format!("start `{other}`: what leads to its host is known once that was reached")
            }
            _ => "put both on one machine, or on one network".to_owned(),
        }
    }

    /// Nothing can be said of it yet.
    fn unknown(&self) -> NetRefusal {
        let other = self.other.id.local_name();
        NetRefusal {
            code: "not-published".into(),
            text: format!("`{other}` has published no address yet"),
            hint: format!(
                "start `{other}`: where something of the target `{}` is reached is known once it runs",
                self.other.described().target.kind()
            ),
        }
    }
}

/// Fills in what takes the connections that may need a forwarder.
pub(crate) fn see_forwarders(view: &mut NetView, listeners: &[SocketAddr]) {
    for forwarder in forwarders(view) {
        let mut taking = listeners
            .iter()
            .filter(|at| crate::listening::covers(**at, forwarder.listen));
        forwarder.carriage = Some(match taking.next() {
            // Programs listen at all addresses, or on loopback; a network's gateway is the forwarder's own.
            Some(at) if at.ip().is_unspecified() => Carriage::Direct,
            Some(_) => Carriage::Forwarder,
            None => Carriage::Planned,
        });
    }
}

/// The ways that may need a forwarder.
pub(crate) fn forwarders(view: &mut NetView) -> impl Iterator<Item = &mut NetForwarder> {
    let endpoints = view.items.iter_mut().flat_map(|unit| &mut unit.endpoints);
    let all = endpoints.filter_map(|endpoint| endpoint.forwarder.as_mut());
    // Those are of this machine, and what SSH carries is known.
    all.filter(|forwarder| forwarder.carriage.is_none())
}

/// Whether we know where it is at all: what runs elsewhere has no place here yet.
fn is_placed(unit: &UnitEntry) -> bool {
    matches!(
        unit.described().target.kind(),
        TargetKind::Process
            | TargetKind::ProcessAttach
            | TargetKind::Docker
            | TargetKind::DockerAttach
            | TargetKind::Remote
    )
}

fn alias(name: String) -> NetName {
    NetName {
        name,
        by: NetNameBy::NetworkAlias,
        ip: None,
    }
}

fn net_endpoint(endpoint: &Endpoint) -> NetEndpoint {
    NetEndpoint {
        name: endpoint.name.clone(),
        port: endpoint.port,
        protocol: Protocol::Tcp,
        published: endpoint.published,
        address: None,
        url: None,
        reason: None,
        refusal: None,
        forwarder: None,
    }
}

fn net_place(place: &Place) -> NetPlace {
    let networks = match place {
        Place::Container { networks, .. } => networks.clone(),
        _ => BTreeMap::new(),
    };
    let attachment = |(name, end): (String, service_registry::Attachment)| {
        let end = NetAttachment {
            ip: end.ip,
            gateway: end.gateway,
        };
        (name, end)
    };
    NetPlace {
        kind: match place {
            Place::Host(_) => PlaceKind::Host,
            Place::Container { .. } => PlaceKind::Container,
            _ => PlaceKind::Other,
        },
        host: place.host().to_string(),
        networks: networks.into_iter().map(attachment).collect(),
    }
}
