//! What the hosts of a mesh say of it.
//!
//! Owns: the question to each of them. Changes nothing.

use std::collections::BTreeMap;

use chrono::DateTime;
use futures::future::join_all;
use harness_mesh::{Implementation, InterfaceStatus, NodeError};
use service_registry::HostId;
use service_registry::mesh::PublicKey;

use super::book::Mesh;
use super::ground::{Fault, Ground};
use super::keeper::Parts;
use super::turn::Turn;
use crate::report::{MeshHostStatus, MeshPairStatus, MeshPeerStatus, MeshStatus};

/// Asks all hosts of a mesh at once.
pub(super) async fn status(parts: &Parts, mesh: &Mesh) -> MeshStatus {
    let mut ground = Ground::default();
    let touched = mesh.touched();
    ground.reach(parts, mesh, &touched).await;
    let asked = ground.reached.iter().map(|(host, reached)| async move {
        let name = reached.node.interface().to_string();
        (host, name, reached.node.status().await)
    });
    let told: BTreeMap<_, _> = join_all(asked)
        .await
        .into_iter()
        .map(|(host, name, said)| (host, (name, said)))
        .collect();
    let owners = owners(mesh);
    let hosts = touched.iter().map(|host| {
        let mut status = blank(mesh, host);
        match (told.get(host), ground.failed.get(host)) {
            (Some((name, said)), _) => fill(&mut status, name, said, &owners),
            (None, Some(Fault::Away(reason) | Fault::Unable(reason))) => {
                status.problem = Some(reason.clone());
            }
            (None, None) => {}
        }
        status
    });
    MeshStatus {
        network: mesh.network.clone(),
        stack: mesh.stack.clone(),
        subnet: mesh
            .pool
            .as_ref()
            .map(|pool| pool.plan().network.to_string()),
        hosts: hosts.collect(),
        pairs: mesh
            .pairs
            .iter()
            .map(|(pair, stacks)| MeshPairStatus {
                hosts: pair.hosts().map(HostId::to_string),
                relay: mesh.relays.get(pair).map(HostId::to_string),
                stacks: stacks.iter().cloned().collect(),
            })
            .collect(),
    }
}

/// Whether a host that could be asked has lost its interface.
pub(super) fn has_hole(status: &MeshStatus) -> bool {
    let mut hosts = status.hosts.iter();
    hosts.any(|host| host.interface.is_some() && host.implementation.is_none())
}

/// Whose key each is, those that come included.
fn owners(mesh: &Mesh) -> BTreeMap<&PublicKey, &HostId> {
    let members = mesh.members.iter();
    members
        .flat_map(|(host, member)| {
            let next = member.turn.as_ref().map(Turn::key);
            member.key.iter().chain(next).map(move |key| (key, host))
        })
        .collect()
}

fn blank(mesh: &Mesh, host: &HostId) -> MeshHostStatus {
    let turn = mesh.members.get(host).and_then(|one| one.turn.as_ref());
    MeshHostStatus {
        host: host.to_string(),
        address: mesh.address(host),
        implementation: None,
        interface: None,
        port: None,
        key: None,
        next_key: turn.map(|turn| turn.key().to_string()),
        problem: None,
        peers: Vec::new(),
    }
}

fn fill(
    status: &mut MeshHostStatus,
    name: &str,
    said: &Result<Option<InterfaceStatus>, NodeError>,
    owners: &BTreeMap<&PublicKey, &HostId>,
) {
    let found = match said {
        Ok(Some(found)) => found,
        Ok(None) => {
            status.interface = Some(name.to_owned());
            status.problem = Some(format!(
                "its interface {name} was not there, and is made again"
            ));
            return;
        }
        Err(error) => {
            status.problem = Some(crate::error_chain(error));
            return;
        }
    };
    status.interface = Some(name.to_owned());
    let implementation = match found.implementation {
        Implementation::Kernel => "kernel",
        Implementation::Userspace => "userspace",
    };
    status.implementation = Some(implementation.to_owned());
    status.port = Some(found.port);
    status.key = Some(found.key.to_string());
    let seconds = |at: u64| DateTime::from_timestamp(i64::try_from(at).ok()?, 0);
    let peers = found.peers.iter().map(|(key, peer)| MeshPeerStatus {
        host: owners.get(key).map(ToString::to_string),
        endpoint: peer.endpoint,
        handshake_at: peer.handshake.and_then(seconds),
        received: peer.received,
        sent: peer.sent,
    });
    status.peers = peers.collect();
}
