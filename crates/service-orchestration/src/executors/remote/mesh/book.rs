//! A mesh, as it is known between two rounds.
//!
//! Owns: who is joined for whom, who has which address, and what is known of the hosts. Reaches nobody, and keeps nothing by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::num::NonZeroU16;

use service_registry::mesh::{MeshRequest, Node, Pair, PublicKey};
use service_registry::pool::{Allocation, Holder, Pool, PoolPlan, Standing};
use service_registry::{HostId, Network, Sight, Topology};

use super::super::directory::HostCall;
use super::file::{AddressRecord, HostRecord, PairRecord, Record, RelayRecord, SightRecord};
use super::turn::Turn;
use crate::executors::{MeshHost, MeshPair};
use crate::spec::StackName;

/// A mesh.
#[derive(Clone, Debug)]
pub(super) struct Mesh {
    /// Whose network it was made for.
    pub(super) stack: StackName,
    pub(super) network: String,
    /// Where its addresses come from, once that is known.
    pub(super) pool: Option<Pool>,
    pub(super) members: BTreeMap<HostId, Member>,
    /// Who needs each other, and which stacks want it.
    pub(super) pairs: BTreeMap<Pair, BTreeSet<StackName>>,
    pub(super) relays: BTreeMap<Pair, HostId>,
    pub(super) sights: BTreeMap<(HostId, HostId), Sight>,
}

/// A host that is part of it, or can be.
#[derive(Clone, Debug, Default)]
pub(super) struct Member {
    pub(super) call: Option<HostCall>,
    pub(super) may_relay: bool,
    /// Whether something of the mesh may be there.
    pub(super) is_touched: bool,
    pub(super) port: Option<NonZeroU16>,
    pub(super) key: Option<PublicKey>,
    /// Its key is being changed.
    pub(super) turn: Option<Turn>,
    /// Where it was last.
    pub(super) at: Vec<IpAddr>,
}

impl Mesh {
    pub(super) fn new(stack: StackName, network: String) -> Self {
        Self {
            stack,
            network,
            pool: None,
            members: BTreeMap::new(),
            pairs: BTreeMap::new(),
            relays: BTreeMap::new(),
            sights: BTreeMap::new(),
        }
    }

    /// What tells it from any other mesh of this installation.
    pub(super) fn name(stack: &StackName, network: &str) -> String {
        format!("{stack}/{network}")
    }

    /// These hosts can be part of it, by the stack file of now.
    pub(super) fn admit(&mut self, hosts: &BTreeMap<HostId, MeshHost>) {
        for (id, host) in hosts {
            let member = self.members.entry(id.clone()).or_default();
            member.call.clone_from(&host.call);
            member.may_relay = host.may_relay;
        }
        // What is on the others is removed when they are reached.
        self.members
            .retain(|id, member| member.is_touched || hosts.contains_key(id));
        for (id, member) in &mut self.members {
            member.may_relay &= hosts.contains_key(id);
        }
    }

    /// The stack needs none of the pairs that are not among these hosts. Whether anything changes by that.
    pub(super) fn release(&mut self, stack: &StackName, but: &BTreeMap<HostId, MeshHost>) -> bool {
        let mut changed = false;
        self.pairs.retain(|pair, stacks| {
            let stays = pair.hosts().iter().all(|host| but.contains_key(*host));
            if !stays {
                changed |= stacks.remove(stack);
            }
            !stacks.is_empty()
        });
        changed
    }

    /// The hosts that the pairs need, without those that carry for them.
    pub(super) fn ends(&self) -> BTreeSet<HostId> {
        let ends = self.pairs.keys().flat_map(|pair| pair.hosts());
        ends.cloned().collect()
    }

    /// The hosts on which something may be.
    pub(super) fn touched(&self) -> BTreeSet<HostId> {
        let touched = self.members.iter().filter(|(_, one)| one.is_touched);
        touched.map(|(host, _)| host.clone()).collect()
    }

    pub(super) fn address(&self, host: &HostId) -> Option<IpAddr> {
        self.pool.as_ref()?.address(&Holder::Host(host.clone()))
    }

    /// Two with their addresses.
    pub(super) fn at(&self, pair: &Pair) -> Option<[(HostId, IpAddr); 2]> {
        let [one, other] = pair.hosts();
        Some([
            (one.clone(), self.address(one)?),
            (other.clone(), self.address(other)?),
        ])
    }

    /// Whether the stack needs any of it.
    pub(super) fn serves(&self, stack: &StackName) -> bool {
        self.pairs.values().any(|stacks| stacks.contains(stack))
    }

    /// Who is joined, for whoever routes.
    pub(super) fn joined(&self) -> Vec<MeshPair> {
        let pair = |(pair, stacks): (&Pair, &BTreeSet<StackName>)| {
            Some(MeshPair {
                ends: self.at(pair)?,
                stacks: stacks.clone(),
            })
        };
        self.pairs.iter().filter_map(pair).collect()
    }

    /// It is somewhere else now: what was seen of it holds no more.
    pub(super) fn found_at(&mut self, host: &HostId, at: &[IpAddr]) {
        let Some(member) = self.members.get_mut(host).filter(|one| one.at != at) else {
            return;
        };
        member.at = at.to_vec();
        self.sights
            .retain(|(from, to), _| from != host && to != host);
    }

    /// Nothing of it is there any more.
    pub(super) fn left(&mut self, host: &HostId) {
        if let Some(member) = self.members.get_mut(host) {
            (member.is_touched, member.port) = (false, None);
            (member.key, member.turn) = (None, None);
        }
        if let Some(pool) = &mut self.pool {
            pool.release(&Holder::Host(host.clone()));
        }
    }

    /// What a plan is made of: the pairs of which both ends are known.
    pub(super) fn request(&self) -> MeshRequest {
        let node = |(host, member): (&HostId, &Member)| {
            let node = Node {
                address: self.address(host)?,
                key: member.node_key()?,
                port: member.port?,
                may_relay: member.may_relay,
            };
            Some((host.clone(), node))
        };
        let nodes: BTreeMap<HostId, Node> = self.members.iter().filter_map(node).collect();
        let is_known = |pair: &&Pair| pair.hosts().iter().all(|host| nodes.contains_key(*host));
        let seen = self.sights.iter();
        let topology = seen.fold(Topology::new(), |topology, ((from, to), sight)| {
            topology.with_sight(from.clone(), to.clone(), *sight)
        });
        MeshRequest {
            pairs: self.pairs.keys().filter(is_known).cloned().collect(),
            relays: self.relays.clone(),
            topology,
            nodes,
        }
    }

    pub(super) fn record(&self) -> Record {
        let texts = |pair: &Pair| pair.hosts().map(HostId::to_string);
        let kept = self.pool.iter().flat_map(Pool::allocations);
        Record {
            stack: self.stack.clone(),
            network: self.network.clone(),
            subnet: self
                .pool
                .as_ref()
                .map(|pool| pool.plan().network.to_string()),
            hosts: self
                .members
                .iter()
                .map(|(host, member)| (host.to_string(), member.record()))
                .collect(),
            pairs: self
                .pairs
                .iter()
                .map(|(pair, stacks)| PairRecord {
                    hosts: texts(pair),
                    stacks: stacks.clone(),
                })
                .collect(),
            relays: self
                .relays
                .iter()
                .map(|(pair, relay)| RelayRecord {
                    hosts: texts(pair),
                    relay: relay.to_string(),
                })
                .collect(),
            sights: self
                .sights
                .iter()
                .map(|((from, to), sight)| SightRecord {
                    from: from.to_string(),
                    to: to.to_string(),
                    at: match sight {
                        Sight::Answers(at) => Some(*at),
                        Sight::Silent => None,
                    },
                })
                .collect(),
            addresses: kept.filter_map(|one| address(&one)).collect(),
        }
    }

    /// The mesh of a record. What does not fit together in it is left out: its hosts are asked again.
    pub(super) fn recalled(record: Record) -> Self {
        let mut mesh = Self::new(record.stack, record.network);
        let subnet: Option<Network> = record.subnet.and_then(|text| text.parse().ok());
        let kept: Vec<Allocation> = record.addresses.into_iter().map(allocation).collect();
        mesh.pool = subnet.and_then(|subnet| {
            let plan = PoolPlan::new(mesh.network.clone(), subnet);
            Pool::restore(plan, &kept).ok()
        });
        let members = record.hosts.into_iter();
        mesh.members = members
            .map(|(host, record)| (HostId::new(host), Member::recalled(record)))
            .collect();
        let two = |[one, other]: [String; 2]| Pair::new(HostId::new(one), HostId::new(other));
        let pairs = record.pairs.into_iter();
        mesh.pairs = pairs
            .filter_map(|one| Some((two(one.hosts)?, one.stacks)))
            .collect();
        let relays = record.relays.into_iter();
        mesh.relays = relays
            .filter_map(|one| Some((two(one.hosts)?, HostId::new(one.relay))))
            .collect();
        let sights = record.sights.into_iter();
        mesh.sights = sights
            .map(|SightRecord { from, to, at }| {
                let sight = at.map_or(Sight::Silent, Sight::Answers);
                ((HostId::new(from), HostId::new(to)), sight)
            })
            .collect();
        mesh
    }
}

impl Member {
    fn record(&self) -> HostRecord {
        HostRecord {
            call: self.call.clone(),
            may_relay: self.may_relay,
            is_touched: self.is_touched,
            port: self.port.map(NonZeroU16::get),
            key: self.key.as_ref().map(PublicKey::to_string),
            turn: self.turn.as_ref().map(Turn::record),
            at: self.at.clone(),
        }
    }

    fn recalled(record: HostRecord) -> Self {
        Self {
            call: record.call,
            may_relay: record.may_relay,
            is_touched: record.is_touched,
            port: record.port.and_then(NonZeroU16::new),
            key: record.key.and_then(|text| text.parse().ok()),
            turn: record.turn.and_then(Turn::recalled),
            at: record.at,
        }
    }
}

fn address(one: &Allocation) -> Option<AddressRecord> {
    match &one.holder {
        Holder::Host(host) => Some(AddressRecord {
            host: host.to_string(),
            address: one.address,
            is_held: one.standing == Standing::Held,
        }),
        Holder::Instance(_) => None,
    }
}

fn allocation(record: AddressRecord) -> Allocation {
    Allocation {
        holder: Holder::Host(HostId::new(record.host)),
        address: record.address,
        standing: match record.is_held {
            true => Standing::Held,
            false => Standing::Released,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::file::TurnRecord;
    use super::*;

    #[test]
    fn a_mesh_is_the_same_once_it_was_kept() {
        let id = HostId::new;
        let pair = Pair::new(id("a"), id("b")).expect("two");
        let mut mesh = Mesh::new(StackName::new("shop").expect("a name"), "wg".into());
        let plan = PoolPlan::new("wg", "10.42.0.0/24".parse().expect("a network"));
        let mut pool = Pool::new(plan).expect("a pool");
        for host in ["a", "gone", "b"] {
            let address = pool.allocate(&Holder::Host(id(host)));
            address.expect("there are enough");
        }
        pool.release(&Holder::Host(id("gone")));
        mesh.pool = Some(pool);
        let host = MeshHost {
            call: None,
            may_relay: true,
        };
        mesh.admit(&[(id("a"), host.clone()), (id("b"), host)].into());
        let key = format!("{}=", "A".repeat(43));
        for member in mesh.members.values_mut() {
            (member.port, member.is_touched) = (NonZeroU16::new(51820), true);
            member.key = key.parse().ok();
            member.turn = Turn::recalled(TurnRecord {
                to: key.clone(),
                is_known: true,
            });
            member.at = vec![[192, 0, 2, 1].into()];
        }
        mesh.pairs.insert(pair.clone(), [mesh.stack.clone()].into());
        mesh.relays.insert(pair.clone(), id("c"));
        mesh.sights.insert((id("a"), id("b")), Sight::Silent);
        let record = mesh.record();
        let text = serde_json::to_string(&record).expect("it can be written");
        let read: Record = serde_json::from_str(&text).expect("it can be read");
        let again = Mesh::recalled(read);
        assert_eq!(again.record(), record);
        assert_eq!(again.joined(), mesh.joined());
        assert_eq!(again.address(&id("b")), Some([10, 42, 0, 3].into()));
        assert_eq!(again.touched(), [id("a"), id("b")].into());
        assert!(mesh.release(&mesh.stack.clone(), &BTreeMap::new()));
        assert!(mesh.pairs.is_empty());
    }
}
