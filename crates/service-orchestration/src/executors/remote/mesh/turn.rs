//! Hosts that come to a new key.
//!
//! Owns: how far each has come, and when it may go on. First all that talk to a host learn its next key; it uses that once they
//! know it. A host that is away holds up those that talk to it, until it is back; nothing is parted by that.

use std::collections::{BTreeMap, BTreeSet};

use service_registry::HostId;
use service_registry::mesh::{MeshPlan, NodeKey, PublicKey};

use super::book::{Member, Mesh};
use super::file::TurnRecord;
use crate::report::{Rotation, RotationHeld};

/// A change of a key that has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    to: PublicKey,
    /// Whether all that talk to the host know that key: then it is the one to use.
    is_known: bool,
}

impl Turn {
    /// To the key that the host has made.
    pub(super) fn to(key: PublicKey) -> Self {
        Self {
            to: key,
            is_known: false,
        }
    }

    /// The key that comes.
    pub(super) fn key(&self) -> &PublicKey {
        &self.to
    }

    pub(super) fn record(&self) -> TurnRecord {
        TurnRecord {
            to: self.to.to_string(),
            is_known: self.is_known,
        }
    }

    /// What is no key is no turn: the host is asked again.
    pub(super) fn recalled(record: TurnRecord) -> Option<Self> {
        Some(Self {
            to: record.to.parse().ok()?,
            is_known: record.is_known,
        })
    }
}

impl Member {
    /// What others are to know of its key, once it has one.
    pub(super) fn node_key(&self) -> Option<NodeKey> {
        let own = self.key.clone()?;
        Some(match &self.turn {
            None => NodeKey::Steady(own),
            Some(turn) if turn.is_known || turn.to == own => NodeKey::Steady(turn.to.clone()),
            Some(turn) => NodeKey::Rotating {
                old: own,
                new: turn.to.clone(),
            },
        })
    }
}

/// A plan was carried out on these hosts: who may use the next key from now on. Whether anybody may, so that there is another plan.
pub(super) fn go_on(mesh: &mut Mesh, plan: &MeshPlan, done: &BTreeSet<HostId>) -> bool {
    let mut is_changed = false;
    for (host, member) in &mut mesh.members {
        let Some(turn) = member.turn.as_mut().filter(|turn| !turn.is_known) else {
            continue;
        };
        let mut others = plan.hosts.iter().filter(|(other, _)| *other != host);
        let knows = |interface: &service_registry::mesh::InterfacePlan| {
            let mut peers = interface.peers.iter();
            !peers.any(|(_, peer)| peer.host == *host) || interface.peers.contains_key(&turn.to)
        };
        let talks = |interface: &service_registry::mesh::InterfacePlan| {
            interface.peers.values().any(|peer| peer.host == *host)
        };
        if others.all(|(other, own)| knows(own) && (!talks(own) || done.contains(other))) {
            turn.is_known = true;
            is_changed = true;
        }
    }
    is_changed
}

/// A plan was carried out on these hosts: who has its new key.
pub(super) fn settle(mesh: &mut Mesh, done: &BTreeSet<HostId>) {
    for (_, member) in mesh
        .members
        .iter_mut()
        .filter(|(host, _)| done.contains(*host))
    {
        if let Some(turn) = member.turn.take_if(|turn| turn.is_known) {
            member.key = Some(turn.to);
        }
    }
}

/// How all of it stands, for whoever asked for it. The faults are those of hosts that took no part.
pub(super) fn told(
    mesh: &Mesh,
    asked: &BTreeSet<HostId>,
    faults: &BTreeMap<HostId, String>,
) -> Rotation {
    let mut told = Rotation::default();
    let away: Vec<String> = faults.keys().map(HostId::to_string).collect();
    for (host, member) in mesh.members.iter().filter(|(_, one)| one.is_touched) {
        let held = |reason| RotationHeld {
            host: host.to_string(),
            reason,
        };
        match (&member.turn, faults.get(host)) {
            (None, None) if asked.contains(host) => told.turned.push(host.to_string()),
            (None, fault) => {
                let reason = fault.cloned();
                let reason = reason.unwrap_or_else(|| "it could not be asked".to_owned());
                told.kept.push(held(reason));
            }
            (Some(_), Some(fault)) => told.waiting.push(held(fault.clone())),
            (Some(_), None) => {
                let reason = format!("its next key is not known yet on {}", away.join(", "));
                told.waiting.push(held(reason));
            }
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use service_registry::mesh::{Pair, plan};
    use service_registry::pool::{Holder, Pool, PoolPlan};
    use service_registry::{HostId, Sight};

    use super::*;
    use crate::spec::StackName;

    fn id(host: &str) -> HostId {
        HostId::new(host)
    }

    fn key(letter: char) -> PublicKey {
        let text = format!("{}=", String::from(letter).repeat(42) + "A");
        text.parse().expect("a key")
    }

    /// Two that talk to `hub`.
    fn mesh() -> Mesh {
        let mut mesh = Mesh::new(StackName::new("shop").expect("a name"), "wg".into());
        let plan = PoolPlan::new("wg", "10.42.0.0/24".parse().expect("a network"));
        let mut pool = Pool::new(plan).expect("a pool");
        for (host, letter) in [("hub", 'B'), ("one", 'C'), ("two", 'D')] {
            pool.allocate(&Holder::Host(id(host)))
                .expect("there is room");
            let member = Member {
                is_touched: true,
                port: std::num::NonZeroU16::new(51820),
                key: Some(key(letter)),
                ..Member::default()
            };
            mesh.members.insert(id(host), member);
        }
        mesh.pool = Some(pool);
        for host in ["one", "two"] {
            let pair = Pair::new(id("hub"), id(host)).expect("two");
            mesh.pairs.insert(pair, [mesh.stack.clone()].into());
            let at = Sight::Answers([192, 0, 2, 1].into());
            mesh.sights.insert((id(host), id("hub")), at);
        }
        mesh
    }

    fn all(hosts: &[&str]) -> BTreeSet<HostId> {
        hosts.iter().map(|host| id(host)).collect()
    }

    fn used(mesh: &Mesh, host: &str) -> PublicKey {
        plan(&mesh.request()).expect("a plan").hosts[&id(host)]
            .key
            .clone()
    }

    #[test]
    fn a_key_is_used_once_all_that_talk_to_its_host_know_it() {
        let mut mesh = mesh();
        for (host, letter) in [("hub", 'E'), ("one", 'F')] {
            let member = mesh.members.get_mut(&id(host)).expect("a member");
            member.turn = Some(Turn::to(key(letter)));
        }
        let first = plan(&mesh.request()).expect("a plan");
        assert_eq!(used(&mesh, "hub"), key('B'), "the old one");
        assert!(first.hosts[&id("two")].peers.contains_key(&key('E')));
        // `two` is away: `hub` has to wait, `one` has not.
        assert!(go_on(&mut mesh, &first, &all(&["hub", "one"])));
        assert_eq!(used(&mesh, "hub"), key('B'));
        assert_eq!(used(&mesh, "one"), key('F'));
        let away = [(id("two"), "silence".to_owned())].into();
        settle(&mut mesh, &all(&["hub", "one"]));
        let now = told(&mesh, &all(&["hub", "one"]), &away);
        assert_eq!(now.turned, ["one"]);
        assert_eq!(now.waiting[0].host, "hub");
        assert!(now.waiting[0].reason.contains("two"), "{now:?}");
        assert_eq!(
            (now.kept[0].host.as_str(), now.kept[0].reason.as_str()),
            ("two", "silence")
        );
        // It is back.
        let next = plan(&mesh.request()).expect("a plan");
        assert!(go_on(&mut mesh, &next, &all(&["hub", "one", "two"])));
        assert_eq!(used(&mesh, "hub"), key('E'));
        assert!(
            !go_on(&mut mesh, &next, &all(&["hub", "one", "two"])),
            "once"
        );
        settle(&mut mesh, &all(&["hub", "one", "two"]));
        assert!(mesh.members.values().all(|member| member.turn.is_none()));
        assert_eq!(mesh.members[&id("hub")].key, Some(key('E')));
    }

    #[test]
    fn a_host_that_has_its_next_key_already_is_believed() {
        let mut mesh = mesh();
        let member = mesh.members.get_mut(&id("hub")).expect("a member");
        member.key = Some(key('E'));
        member.turn = Some(Turn::to(key('E')));
        assert_eq!(used(&mesh, "hub"), key('E'));
    }
}
