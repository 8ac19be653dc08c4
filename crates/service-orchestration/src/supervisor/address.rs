//! Where units are: what they publish, and what others are told of them.
//!
//! Owns: the way from a specification to an entry of the registry, the choice of free ports, and the values of
//! references. The routes are the registry's.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use service_registry::{
    Endpoint, Entry, HostId, Incarnation, InstanceKey, LoopbackPool, Place, Readiness, Resolved,
    ServiceKey,
};

use super::hosts::host_of;
use super::turn::Supervisor;
use super::units::UnitEntry;
use crate::executors::LaunchError;
use crate::model::Index;
use crate::spec::{
    Attribute, NetworkKind, PortNumber, PortSpec, Protocol, Reference, StackName, StackSpec,
    TargetKind, TargetSpec, UnitId, UnitKind,
};
use crate::store::StackRecord;

impl Supervisor {
    /// Gives the local services of a stack addresses of their own, where its network has some to give.
    pub(super) fn assign_addresses(&mut self, stack: &StackSpec) {
        let network = stack
            .networks
            .iter()
            .find(|(_, network)| network.kind == NetworkKind::Local && network.subnet.is_some());
        let Some((name, network)) = network else {
            return;
        };
        let Some(Ok(subnet)) = network.subnet.as_deref().map(str::parse) else {
            tracing::error!(stack = %stack.name, network = name, "the network's subnet cannot be used");
            return;
        };
        if self
            .units
            .pool(&stack.name)
            .is_none_or(|pool| pool.subnet() != subnet)
        {
            self.units
                .set_pool(stack.name.clone(), LoopbackPool::new(subnet));
        }
        let local: Vec<UnitId> = self
            .units
            .of_stack(&stack.name)
            .filter(|entry| {
                entry.spec.target.kind() == TargetKind::Process
                    && entry.spec.kind == UnitKind::Service
            })
            .filter(|entry| {
                entry
                    .spec
                    .network
                    .as_ref()
                    .is_none_or(|chosen| chosen == name)
            })
            .map(|entry| entry.id.clone())
            .collect();
        let pool = self.units.pool_mut(&stack.name).expect("it was set above");
        for id in local {
            if let Err(error) = pool.allocate(&key(&id)) {
                tracing::error!(unit = %id, error = %crate::error_chain(&error), "no address for it");
            }
        }
    }

    /// What is kept of a stack, into the next write.
    pub(super) fn record_stack(&mut self, name: &StackName) {
        let record = self.units.stack(name).map(|spec| StackRecord {
            spec: spec.as_ref().clone(),
            loopback: self.units.pool(name).map(LoopbackPool::save),
            secrets: self.units.secrets(name).clone(),
        });
        self.keeper.batch().stacks.insert(name.clone(), record);
    }

    /// Chooses a free port for each that the unit wants chosen and does not have yet.
    ///
    /// The port is free when it is chosen; another program may take it before the unit does.
    pub(super) fn choose_ports(&mut self, unit: Index) -> Result<(), LaunchError> {
        let entry = self.units.get(unit);
        let missing: Vec<(u32, Protocol)> = (0u32..)
            .zip(&entry.described().ports)
            .filter(|(position, port)| {
                wants_choice(port) && !entry.facts.chosen_ports.contains_key(position)
            })
            .map(|(position, port)| (position, port.protocol))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        // What another unit was given need not be in use yet.
        let mut taken: BTreeSet<u16> = self
            .units
            .all()
            .filter(|other| host_of(other).is_none())
            .flat_map(UnitEntry::ports_of_machine)
            .collect();
        for (position, protocol) in missing {
            let free = free_port(&taken, protocol).map_err(|source| LaunchError::Machine {
                program: self.units.get(unit).id.local_name(),
                source: source.into(),
            })?;
            taken.insert(free);
            let facts = &mut self.units.get_mut(unit).facts;
            facts.chosen_ports.insert(position, free);
        }
        Ok(())
    }

    /// What a unit publishes of itself.
    pub(super) fn entry_of(&self, entry: &UnitEntry, readiness: Readiness) -> Entry {
        let key = key(&entry.id);
        let place = self.place_of(entry);
        let own = self
            .units
            .pool(&entry.id.stack)
            .and_then(|pool| pool.lease(&key));
        Entry {
            key,
            incarnation: Incarnation(self.world.unit(entry.index).attempt.0),
            ip: match &place {
                Place::Host(host) if *host == HostId::local() => {
                    IpAddr::V4(own.unwrap_or(Ipv4Addr::LOCALHOST))
                }
                // On another machine it is there for others: nobody there would reach it otherwise.
                _ => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            },
            place,
            endpoints: entry
                .numbered_ports()
                .map(|(position, port, number)| Endpoint {
                    published: entry.published(position, port),
                    ..endpoint(entry, port.name.clone(), number)
                })
                .collect(),
            readiness,
        }
    }

    /// Where a unit runs. Of a container that does not run yet, the way out is known and its own address is not.
    pub(super) fn place_of(&self, entry: &UnitEntry) -> Place {
        match &entry.described().target {
            TargetSpec::Docker(target) if !target.is_on_host() => Place::Container {
                host: host_of(entry).unwrap_or_else(HostId::local),
                networks: entry.facts.networks.clone(),
            },
            TargetSpec::DockerAttach { .. } if !entry.facts.is_on_host => Place::Container {
                host: host_of(entry).unwrap_or_else(HostId::local),
                networks: entry.facts.networks.clone(),
            },
            _ => host_of(entry).map_or_else(Place::local, Place::Host),
        }
    }

    /// Where another unit is, as seen from the place of the one who asks. Whoever speaks of itself is told what it
    /// listens on.
    pub(super) fn locate(&self, asker: &UnitEntry, other: &UnitEntry) -> Option<Resolved> {
        if asker.index == other.index {
            let own = self.own_listing(other);
            return self.registry.reach(own.entry, &Place::local()).ok();
        }
        self.locate_from(&self.place_of(asker), other)
    }

    /// Where a unit is, as seen from a place.
    pub(super) fn locate_from(&self, from: &Place, other: &UnitEntry) -> Option<Resolved> {
        let best = self.registry.best(&key(&other.id).service);
        let entry = best.or_else(|| Some(self.foreseen(other)?.entry))?;
        self.registry.reach(entry, from).ok()
    }

    /// What is known of this very instance: what it has published, else what it will.
    pub(super) fn listing(&self, unit: &UnitEntry) -> Option<Listing> {
        let published = self.registry.instance(&key(&unit.id));
        let published = published.map(|entry| Listing {
            entry,
            is_published: true,
        });
        published.or_else(|| self.foreseen(unit))
    }

    /// What a unit is to itself: it listens where it is.
    pub(super) fn own_listing(&self, unit: &UnitEntry) -> Listing {
        let entry = self.entry_of(unit, Readiness::Running);
        let own = Entry {
            // On another machine it is told the address by which others reach it there. In a container there, it is told what a
            // container is told here.
            ip: match entry.place {
                Place::Host(_) => self.host_address(unit).unwrap_or(entry.ip),
                _ => entry.ip,
            },
            place: Place::local(),
            endpoints: unit
                .ports()
                .into_iter()
                .map(|(name, port)| endpoint(unit, name, port))
                .collect(),
            ..entry
        };
        Listing {
            entry: Arc::new(own),
            is_published: self.registry.instance(&key(&unit.id)).is_some(),
        }
    }

    /// What a unit will publish is known before it does, as far as it does not depend on how it comes to run.
    fn foreseen(&self, unit: &UnitEntry) -> Option<Listing> {
        let foreseeable = matches!(
            unit.described().target.kind(),
            TargetKind::Process
                | TargetKind::ProcessAttach
                | TargetKind::Docker
                | TargetKind::Remote
        );
        foreseeable.then(|| Listing {
            entry: Arc::new(self.entry_of(unit, Readiness::Running)),
            is_published: false,
        })
    }

    /// The value of a reference, as seen from the unit that asks.
    pub(super) fn value_of(
        &self,
        asker: &UnitEntry,
        reference: &Reference,
    ) -> Result<String, LaunchError> {
        let refuse = |reason: &str| LaunchError::Unresolved {
            reference: reference.to_string(),
            reason: reason.to_owned(),
        };
        let instances = self.units.instances(&asker.id.stack, &reference.unit);
        let other = instances
            .first()
            .ok_or_else(|| refuse("there is no such unit"))?;
        let other = self.units.get(*other);
        if let Attribute::Output(_) = reference.attribute {
            return Err(refuse("tasks of this program have no outputs"));
        }
        let resolved = self
            .locate(asker, other)
            .ok_or_else(|| refuse("it has published no address yet"))?;
        let value = match &reference.attribute {
            Attribute::Ip | Attribute::Host => Some(resolved.ip().to_string()),
            Attribute::Port => resolved.port().map(|port| port.to_string()),
            Attribute::NamedPort(name) => resolved.named_port(name).map(|port| port.to_string()),
            Attribute::Addr => resolved.addr(),
            Attribute::Url => resolved.url(),
            Attribute::Output(_) => None,
        };
        value.ok_or_else(|| refuse("it has no such port"))
    }

    /// The variables that a unit is given about what it needs.
    pub(super) fn variables_of(&self, asker: &UnitEntry) -> BTreeMap<String, String> {
        let mut variables = BTreeMap::new();
        for dependency in &asker.described().dependencies {
            let instances = self.units.instances(&asker.id.stack, &dependency.unit);
            let Some(other) = instances.first().map(|index| self.units.get(*index)) else {
                continue;
            };
            if other.spec.kind == UnitKind::Service
                && let Some(resolved) = self.locate(asker, other)
            {
                variables.extend(resolved.variables(dependency.unit.as_str()));
            }
        }
        variables
    }

    /// The ports of a unit as this machine reaches them, by name; an unnamed one under the number that the unit itself
    /// knows it by.
    pub(super) fn ports_of(&self, entry: &UnitEntry) -> BTreeMap<String, u16> {
        let Some(resolved) = self.locate_from(&Place::local(), entry) else {
            return BTreeMap::new();
        };
        let protocols = entry.numbered_ports().map(|(_, port, _)| port.protocol);
        let protocols = protocols.chain(std::iter::repeat(Protocol::Tcp));
        let named = |((endpoint, way), protocol): ((&Endpoint, SocketAddr), Protocol)| {
            let unnamed = || match protocol {
                Protocol::Tcp => endpoint.port.to_string(),
                Protocol::Udp => format!("{}/udp", endpoint.port),
            };
            (endpoint.name.clone().unwrap_or_else(unnamed), way.port())
        };
        resolved.endpoints().zip(protocols).map(named).collect()
    }

    /// Where a unit can be reached from this machine: `ip:port`.
    pub(super) fn address_of(&self, entry: &UnitEntry) -> Option<String> {
        self.locate_from(&Place::local(), entry)?.addr()
    }
}

/// What is known of where a unit is reached.
#[derive(Clone, Debug)]
pub(super) struct Listing {
    pub(super) entry: Arc<Entry>,
    /// Whether it is in the registry; else it is what will be.
    pub(super) is_published: bool,
}

/// A port of a unit. One that is asked for its health by HTTP speaks HTTP.
fn endpoint(unit: &UnitEntry, name: Option<String>, number: u16) -> Endpoint {
    let mut endpoint = Endpoint::new(name, number);
    if endpoint.scheme.is_none() && unit.speaks_http(number) {
        endpoint.scheme = Some("http".into());
    }
    endpoint
}

/// A port that nobody listens on, and none of these.
fn free_port(taken: &BTreeSet<u16>, protocol: Protocol) -> io::Result<u16> {
    // Those that are refused stay bound meanwhile, so that each is offered once.
    let mut refused = Vec::new();
    loop {
        let (socket, port) = bound(protocol)?;
        if !taken.contains(&port) {
            return Ok(port);
        }
        refused.push(socket);
    }
}

/// A socket at a free port of loopback, and that port.
fn bound(protocol: Protocol) -> io::Result<(OwnedFd, u16)> {
    let anywhere = (Ipv4Addr::LOCALHOST, 0);
    match protocol {
        Protocol::Tcp => {
            let listener = TcpListener::bind(anywhere)?;
            let port = listener.local_addr()?.port();
            Ok((listener.into(), port))
        }
        Protocol::Udp => {
            let socket = UdpSocket::bind(anywhere)?;
            let port = socket.local_addr()?.port();
            Ok((socket.into(), port))
        }
    }
}

/// Whether a port's number is to be chosen: its own, or that at which a container's is published.
pub(super) fn wants_choice(port: &PortSpec) -> bool {
    let published = port.published.map(|published| published.port);
    port.port == PortNumber::Auto || published == Some(PortNumber::Auto)
}

/// The registry's name for a unit.
pub(super) fn key(id: &UnitId) -> InstanceKey {
    ServiceKey::new(id.stack.as_str(), id.name.as_str()).instance(id.replica)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_port_is_free_for_what_is_spoken_on_it() {
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let (held, port) = bound(protocol).expect("a port is free");
            let own = (Ipv4Addr::LOCALHOST, port);
            let is_taken = match protocol {
                Protocol::Tcp => TcpListener::bind(own).is_err(),
                Protocol::Udp => UdpSocket::bind(own).is_err(),
            };
            assert!(is_taken, "{protocol:?}");
            drop(held);
            let free = free_port(&BTreeSet::from([port]), protocol).expect("a port is free");
            assert_ne!(free, port);
        }
    }
}
