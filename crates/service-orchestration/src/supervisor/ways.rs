//! What must be found out and made on hosts before a unit is launched: whether one reaches another, a mesh or ways where none leads,
//! free ports.
//!
//! Owns: which of that an attempt needs, and what came of it. Reaches no host: a [`Carrier`] does.

use std::net::SocketAddr;
use std::sync::Arc;

use futures::future::join_all;
use service_registry::{Detour, HostId, Sight};

use super::address::{key, wants_choice};
use super::hosts::{call_of_target, host_of};
use super::inbox::AttemptNews;
use super::turn::{Reporter, Supervisor};
use super::units::UnitEntry;
use crate::executors::{Carrier, HostCall, Joining, LaunchError, MeshCall, Passage};
use crate::model::Index;
use crate::spec::{Protocol, TargetKind, UnitKind};

/// One thing that is missing.
#[derive(Debug)]
pub(super) enum Errand {
    /// Does one host reach another where both are said to be on one LAN?
    Look {
        from: HostEnd,
        to: HostEnd,
        at: Vec<std::net::IpAddr>,
    },
    /// No LAN joins two hosts that are on one network of their stack.
    Mesh(MeshCall),
    /// Nothing leads there by itself.
    Carry { detour: Detour, passage: Passage },
    /// The port at this place of the unit's definition shall be chosen.
    Port {
        position: u32,
        host: HostCall,
        protocol: Protocol,
        taken: Vec<u16>,
    },
}

/// A host, as the registry knows it and as it is reached.
#[derive(Clone, Debug)]
pub(super) struct HostEnd {
    id: HostId,
    call: Option<HostCall>,
}

/// What came of an errand.
#[derive(Debug)]
pub(crate) enum Done {
    Seen(HostId, HostId, Sight),
    Meshed(MeshCall, Joining),
    Carried(Detour, SocketAddr),
    Port(u32, u16),
}

impl Supervisor {
    /// Whoever reaches other hosts, if anybody does.
    pub(super) fn carrier(&self) -> Option<Arc<dyn Carrier>> {
        self.setting.executors.get(TargetKind::Remote)?.carrier()
    }

    /// What is missing before a unit can be told where others are, as far as that is known by now.
    pub(super) fn errands(&self, unit: Index) -> Vec<Errand> {
        let entry = self.units.get(unit);
        let mut errands = self.ports_to_choose(entry);
        for dependency in &entry.described().dependencies {
            let instances = self.units.instances(&entry.id.stack, &dependency.unit);
            let other = instances.first().map(|index| self.units.get(*index));
            if let Some(other) = other.filter(|other| other.spec.kind == UnitKind::Service) {
                errands.extend(self.ways_to(entry, other));
            }
        }
        errands
    }

    fn ports_to_choose(&self, entry: &UnitEntry) -> Vec<Errand> {
        let Some(host) = call_of(entry) else {
            return Vec::new();
        };
        let is_beside = |other: &&UnitEntry| host_of(other) == host_of(entry);
        let beside = self.units.all().filter(is_beside);
        let taken: Vec<u16> = beside.flat_map(UnitEntry::ports_of_machine).collect();
        let ports = (0u32..).zip(&entry.described().ports);
        let missing = ports.filter(|(position, port)| {
            wants_choice(port) && !entry.facts.chosen_ports.contains_key(position)
        });
        // One at a time: what is chosen is taken then.
        let next = missing.map(|(position, port)| Errand::Port {
            position,
            host: host.clone(),
            protocol: port.protocol,
            taken: taken.clone(),
        });
        next.take(1).collect()
    }

    /// What is missing for one unit to reach another.
    fn ways_to(&self, asker: &UnitEntry, other: &UnitEntry) -> Vec<Errand> {
        let from = self.place_of(asker);
        let Some(entry) = self.told_of(other) else {
            return Vec::new();
        };
        let [near, far] = [from.host(), entry.place.host()];
        if near == far || !self.hosts.are_known(near, far) {
            return Vec::new();
        }
        let ends = [(asker, near), (other, far)].map(|(unit, id)| HostEnd {
            id: id.clone(),
            call: call_of(unit),
        });
        let at = self.hosts.to_look_at(near, far);
        let [from_end, to_end] = ends;
        if !at.is_empty() {
            return vec![Errand::Look {
                from: from_end,
                to: to_end,
                at,
            }];
        }
        let instance_id = asker.facts.instance_id.as_deref().unwrap_or_default();
        if let Some(call) = self.mesh_call(asker, &entry, &from)
            && !self.hosts.is_settled(&call, instance_id)
        {
            return vec![Errand::Mesh(call)];
        }
        let protocols = other.numbered_ports().map(|(_, port, _)| port.protocol);
        let protocols = protocols.chain(std::iter::repeat(Protocol::Tcp));
        let each = self.registry.detours(&entry, &from).into_iter();
        each.zip(protocols)
            .filter(|(_, protocol)| *protocol == Protocol::Tcp)
            .filter_map(|(detour, _)| detour)
            .filter(|detour| !self.hosts.is_carried(detour, instance_id))
            .map(|detour| Errand::Carry {
                passage: Passage {
                    from: from_end.call.clone(),
                    to: to_end.call.clone(),
                    target: detour.target,
                },
                detour,
            })
            .collect()
    }

    /// What others are told of a unit, or will be.
    fn told_of(&self, other: &UnitEntry) -> Option<Arc<service_registry::Entry>> {
        let best = self.registry.best(&key(&other.id).service);
        best.or_else(|| Some(self.listing(other)?.entry))
    }

    /// Errands were run for a unit.
    pub(super) fn errands_done(&mut self, unit: Index, done: Vec<Done>) {
        let entry = self.units.get_mut(unit);
        let instance_id = entry.facts.instance_id.clone().unwrap_or_default();
        for one in done {
            match one {
                Done::Seen(from, to, sight) => self.hosts.seen(from, to, sight),
                Done::Meshed(call, joining) => {
                    self.hosts.meshed(call, joining, instance_id.clone());
                }
                Done::Carried(detour, listen) => {
                    self.hosts.carried(detour, listen, instance_id.clone());
                }
                Done::Port(position, port) => {
                    let entry = self.units.get_mut(unit);
                    entry.facts.chosen_ports.insert(position, port);
                }
            }
        }
        self.registry.set_topology(self.hosts.topology());
    }

    /// What was carried for an earlier daemon's attempts is carried on. Blocks.
    pub(super) fn resume_ways(&mut self) {
        let Some(carrier) = self.carrier() else {
            return;
        };
        for one in futures_lite::future::block_on(carrier.resume()) {
            let id = |call: &Option<HostCall>| {
                call.as_ref()
                    .map_or_else(HostId::local, |call| HostId::new(&call.name))
            };
            let detour = Detour {
                from: id(&one.passage.from),
                to: id(&one.passage.to),
                target: one.passage.target,
            };
            self.hosts.carried(detour, one.listen, one.instance_id);
        }
        for pair in futures_lite::future::block_on(carrier.joined()) {
            self.hosts.joined(pair);
        }
        self.registry.set_topology(self.hosts.topology());
    }

    /// An attempt is over: its ways are, too.
    pub(super) fn release_ways(&mut self, instance_id: &str) {
        if self.hosts.release(instance_id) {
            self.registry.set_topology(self.hosts.topology());
        }
        if let Some(carrier) = self.carrier() {
            self.cleaner.release(carrier, instance_id.to_owned());
        }
    }
}

/// Runs errands, and reports what came of them. Those that listen for seconds to what may be silent do that at once, the others
/// one after the other: each takes a port.
pub(super) async fn run(
    carrier: Arc<dyn Carrier>,
    instance_id: String,
    errands: Vec<Errand>,
    reporter: Reporter,
) {
    let listens = |errand: &Errand| matches!(errand, Errand::Look { .. } | Errand::Mesh(_));
    let (listening, others): (Vec<_>, Vec<_>) = errands.into_iter().partition(listens);
    let each = listening
        .into_iter()
        .map(|errand| run_one(&*carrier, &instance_id, errand));
    let done = async {
        // To their ends: what was begun for one is known by its answer.
        let mut done = join_all(each)
            .await
            .into_iter()
            .collect::<Result<Vec<Done>, LaunchError>>()?;
        for errand in others {
            done.push(run_one(&*carrier, &instance_id, errand).await?);
        }
        Ok(done)
    };
    let done: Result<_, LaunchError> = done.await;
    reporter.report(match done {
        Ok(done) => AttemptNews::Errands(done),
        Err(error) => AttemptNews::NotLaunched(error),
    });
}

async fn run_one(
    carrier: &dyn Carrier,
    instance_id: &str,
    errand: Errand,
) -> Result<Done, LaunchError> {
    Ok(match errand {
        Errand::Look { from, to, at } => {
            let sight = carrier.look(from.call.as_ref(), to.call.as_ref(), &at);
            Done::Seen(from.id, to.id, sight.await?)
        }
        Errand::Mesh(call) => {
            let joining = carrier.join(&call).await?;
            Done::Meshed(call, joining)
        }
        Errand::Carry { detour, passage } => {
            let listen = carrier.carry(instance_id, &passage).await?;
            Done::Carried(detour, listen)
        }
        Errand::Port {
            position,
            host,
            protocol,
            taken,
        } => Done::Port(position, carrier.free_port(&host, protocol, &taken).await?),
    })
}

/// The login of the host that a unit runs on; none on this machine.
fn call_of(unit: &UnitEntry) -> Option<HostCall> {
    call_of_target(&unit.described().target)
}
