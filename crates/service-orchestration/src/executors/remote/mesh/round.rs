//! One round: the hosts of a mesh are asked, a plan is made, and carried out.
//!
//! Owns: the order of these. What a host is told is on the disk here before. A host that cannot be asked keeps what it has, and is
//! asked again once it is back.

use std::collections::{BTreeMap, BTreeSet};

use command_executor::blocking;
use futures::future::join_all;
use harness_mesh::{Carried, MeshNode, MeshSecret, carry_out};
use service_registry::mesh::{self, MeshPlan, Pair, PairWay};
use service_registry::{HostId, Network};

use super::book::Mesh;
use super::file;
use super::ground::{Fault, Ground};
use super::keeper::Parts;
use super::turn::Turn;
use super::{address, proof, turn};
use crate::executors::Joining;
use crate::spec::StackName;

/// What is wanted of a round beside making sure of what there is.
#[derive(Debug, Default)]
pub(super) struct Wish {
    pub(super) pairs: BTreeMap<Pair, BTreeSet<StackName>>,
    pub(super) subnet: Option<Network>,
    /// The networks of other meshes.
    pub(super) others: Vec<Network>,
    /// Whether its hosts shall have new keys.
    pub(super) rotate: bool,
}

/// What came of a pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Done(Joining),
    /// A host cannot be asked now.
    Away(HostId, String),
    /// The network cannot be what its file says.
    Refused(String),
}

/// What came of a round.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) outcomes: BTreeMap<Pair, Outcome>,
    /// The hosts that answered, whatever they could not do: asking them again would come to the same.
    pub(super) reached: BTreeSet<HostId>,
    /// Why others took no part.
    pub(super) faults: BTreeMap<HostId, String>,
    /// The hosts that have made a new key.
    pub(super) turning: BTreeSet<HostId>,
}

/// Makes the mesh what it shall be, with those who are to be joined.
pub(super) async fn round(parts: &Parts, stem: &str, mesh: &mut Mesh, wish: &Wish) -> Round {
    let mut ground = Ground::default();
    let result = made(parts, stem, mesh, wish, &mut ground).await;
    let outcomes = result.unwrap_or_else(|reason| {
        mesh.pairs.retain(|pair, _| !wish.pairs.contains_key(pair));
        let refused = |pair: &Pair| (pair.clone(), Outcome::Refused(reason.clone()));
        if wish.pairs.is_empty() {
            tracing::warn!(stack = %mesh.stack, network = mesh.network, reason, "a mesh is not made sure of");
        }
        wish.pairs.keys().map(refused).collect()
    });
    let mut faults = BTreeMap::new();
    for (host, fault) in &ground.failed {
        let (Fault::Away(reason) | Fault::Unable(reason)) = fault;
        tracing::warn!(%host, reason, "a host takes no part in its mesh now");
        faults.insert(host.clone(), reason.clone());
    }
    Round {
        outcomes,
        reached: ground.answered().cloned().collect(),
        faults,
        turning: ground.turning,
    }
}

async fn made(
    parts: &Parts,
    stem: &str,
    mesh: &mut Mesh,
    wish: &Wish,
    ground: &mut Ground,
) -> Result<BTreeMap<Pair, Outcome>, String> {
    let mut outcomes = BTreeMap::new();
    let wanted = wish.pairs.keys().flat_map(|pair| pair.hosts()).cloned();
    let mut hosts: BTreeSet<HostId> = mesh.ends();
    hosts.extend(mesh.touched());
    hosts.extend(wanted);
    ground.reach(parts, mesh, &hosts).await;
    for (host, reached) in ground.able() {
        mesh.found_at(host, &reached.at);
    }
    // Before there are pairs, a subnet may change.
    let ends: Vec<HostId> = hosts.iter().cloned().collect();
    let known = |mesh: &Mesh| -> Vec<HostId> {
        let able = ends.iter().filter(|host| mesh.members.contains_key(*host));
        able.cloned().collect()
    };
    if !wish.pairs.is_empty() {
        let (hosts, home) = (known(mesh), home(parts)?);
        address::assign(&home, mesh, wish.subnet, &wish.others, ground, &hosts)?;
    }
    let mut open = wish.pairs.clone();
    ask(parts, stem, mesh, ground, &ends).await?;
    settle_faults(&mut open, ground, &mut outcomes);
    mesh.pairs.extend(open.clone());

    let both = |pair: &Pair| {
        let [one, other] = pair.hosts().map(HostId::clone);
        [(one.clone(), other.clone()), (other, one)]
    };
    let ways: Vec<_> = mesh.pairs.keys().flat_map(both).collect();
    ground.look(parts, mesh, ways).await;
    relays(parts, stem, mesh, ground, wish).await?;

    if wish.rotate {
        next_keys(mesh, ground).await;
    }
    let secret = secret_of(parts, stem).await?;
    let mut plan = planned(mesh)?;
    mesh.relays = plan.relays();
    keep(parts, stem, mesh).await?;
    if open.is_empty() {
        begin_anew(mesh, ground, &plan).await;
    }
    let mut carried = act(mesh, ground, &plan, &secret).await;
    if turn::go_on(mesh, &plan, &done(&carried)) {
        plan = planned(mesh)?;
        keep(parts, stem, mesh).await?;
        let removed = std::mem::take(&mut carried.removed);
        carried = act(mesh, ground, &plan, &secret).await;
        carried.removed.extend(removed);
    }
    turn::settle(mesh, &done(&carried));
    let proofs = open.keys().map(|pair| async {
        let reason = match missing(pair, &plan, ground, &carried) {
            None => proof::joined(parts, mesh, ground, &plan, pair).await.err(),
            some => some,
        };
        (pair.clone(), reason)
    });
    let proofs = join_all(proofs).await;
    settle(mesh, ground, &carried);
    let mut apart = false;
    for (pair, reason) in proofs {
        let outcome = match reason {
            None => mesh
                .at(&pair)
                .map(|ends| Outcome::Done(Joining::Joined(ends))),
            Some(reason) => {
                apart = true;
                mesh.pairs.remove(&pair);
                Some(Outcome::Done(Joining::Apart(reason)))
            }
        };
        if let Some(outcome) = outcome {
            outcomes.insert(pair, outcome);
        }
    }
    if apart {
        // What was made for those who are not joined is taken back.
        let plan = planned(mesh)?;
        mesh.relays = plan.relays();
        let carried = act(mesh, ground, &plan, &secret).await;
        settle(mesh, ground, &carried);
    }
    keep(parts, stem, mesh).await?;
    Ok(outcomes)
}

/// Asks hosts for their keys and ports. That something is there is noted before.
async fn ask(
    parts: &Parts,
    stem: &str,
    mesh: &mut Mesh,
    ground: &mut Ground,
    hosts: &[HostId],
) -> Result<(), String> {
    let needed = mesh.ends();
    for host in hosts {
        if let Some(member) = mesh
            .members
            .get_mut(host)
            .filter(|_| ground.reached.contains_key(host))
        {
            member.is_touched = true;
        }
    }
    keep(parts, stem, mesh).await?;
    let asked = ground.able().filter(|(host, _)| hosts.contains(host));
    let asked = asked.map(|(host, reached)| async {
        let port = mesh.members.get(host).and_then(|member| member.port);
        let answer = async {
            let key = reached.node.public_key().await?;
            let port = match port {
                Some(port) => port,
                None => reached.node.free_port(&[]).await?,
            };
            Ok::<_, harness_mesh::NodeError>((key, port))
        };
        (host.clone(), answer.await)
    });
    for (host, answer) in join_all(asked).await {
        match (answer, mesh.members.get_mut(&host)) {
            (Ok((key, port)), Some(member)) => {
                (member.key, member.port) = (Some(key), Some(port));
            }
            (Ok(_), None) => {}
            (Err(error), _) => {
                if !needed.contains(&host) {
                    mesh.left(&host);
                }
                ground.fail(host, Fault::from(&error));
            }
        }
    }
    Ok(())
}

/// Has the hosts make the keys that they are going to use.
async fn next_keys(mesh: &mut Mesh, ground: &mut Ground) {
    let touched = mesh.touched();
    let able = ground.able().filter(|(host, _)| touched.contains(*host));
    let asked =
        able.map(|(host, reached)| async { (host.clone(), reached.node.next_public_key().await) });
    for (host, answer) in join_all(asked).await {
        match (answer, mesh.members.get_mut(&host)) {
            (Ok(key), Some(member)) => {
                member.turn.get_or_insert(Turn::to(key));
                ground.turning.insert(host);
            }
            (Ok(_), None) => {}
            (Err(error), _) => ground.fail(host, Fault::from(&error)),
        }
    }
}

/// Has those begin anew that open a tunnel to a host which has lost its side of it: it was booted, or somebody removed its interface.
async fn begin_anew(mesh: &Mesh, ground: &Ground, plan: &MeshPlan) {
    let touched = mesh.touched();
    let able: Vec<_> = ground
        .able()
        .filter(|(host, _)| touched.contains(*host))
        .collect();
    let asked = able
        .iter()
        .map(|(host, reached)| async { (*host, reached.node.status().await) });
    let said = join_all(asked).await.into_iter();
    let lost: BTreeSet<&HostId> = said
        .filter(|(_, said)| matches!(said, Ok(None)))
        .map(|(host, _)| host)
        .collect();
    let each = able.iter().map(|(host, reached)| {
        let peers = plan.hosts.get(*host).map(|own| &own.peers);
        let peers = peers
            .into_iter()
            .flatten()
            .filter(|(_, peer)| lost.contains(&peer.host));
        reached.node.forget(peers.map(|(key, _)| key))
    });
    for forgotten in join_all(each).await {
        if let Err(error) = forgotten {
            // What follows says so, too, if it lasts.
            tracing::warn!(
                error = crate::error_chain(&error),
                "a tunnel is not begun anew"
            );
        }
    }
}

fn done(carried: &Carried) -> BTreeSet<HostId> {
    carried.done.keys().cloned().collect()
}

/// What is wanted of hosts that take no part comes to nothing.
fn settle_faults(
    open: &mut BTreeMap<Pair, BTreeSet<StackName>>,
    ground: &Ground,
    outcomes: &mut BTreeMap<Pair, Outcome>,
) {
    open.retain(|pair, _| {
        let mut faults = pair.hosts().into_iter();
        let fault = faults.find_map(|host| Some((host, ground.failed.get(host)?)));
        let Some((host, fault)) = fault else {
            return true;
        };
        let outcome = match fault {
            Fault::Away(reason) => Outcome::Away(host.clone(), reason.clone()),
            Fault::Unable(reason) => Outcome::Done(Joining::Apart(reason.clone())),
        };
        outcomes.insert(pair.clone(), outcome);
        false
    });
}

/// Where neither of two reaches the other, those who may carry for them are asked, too.
async fn relays(
    parts: &Parts,
    stem: &str,
    mesh: &mut Mesh,
    ground: &mut Ground,
    wish: &Wish,
) -> Result<(), String> {
    let plan = planned(mesh)?;
    let parted = plan
        .ways
        .iter()
        .filter(|(_, way)| matches!(way, PairWay::Nothing | PairWay::Relay(_)));
    let ends: BTreeSet<HostId> = parted
        .filter(|(pair, _)| !mesh.relays.contains_key(*pair))
        .flat_map(|(pair, _)| pair.hosts().map(HostId::clone))
        .collect();
    if ends.is_empty() {
        return Ok(());
    }
    let able = mesh.members.iter().filter(|(_, member)| member.may_relay);
    let able: BTreeSet<HostId> = able.map(|(host, _)| host.clone()).collect();
    ground.reach(parts, mesh, &able).await;
    for (host, reached) in ground.able() {
        mesh.found_at(host, &reached.at);
    }
    let hosts: Vec<HostId> = able.iter().cloned().collect();
    let home = home(parts)?;
    address::assign(&home, mesh, wish.subnet, &wish.others, ground, &hosts)?;
    ask(parts, stem, mesh, ground, &hosts).await?;
    let each = |end: &HostId| -> Vec<(HostId, HostId)> {
        let others = able.iter().filter(|host| *host != end);
        others
            .flat_map(|host| [(end.clone(), host.clone()), (host.clone(), end.clone())])
            .collect()
    };
    let ways: Vec<_> = ends.iter().flat_map(each).collect();
    ground.look(parts, mesh, ways).await;
    Ok(())
}

fn planned(mesh: &Mesh) -> Result<MeshPlan, String> {
    mesh::plan(&mesh.request()).map_err(|error| error.to_string())
}

async fn act(mesh: &Mesh, ground: &Ground, plan: &MeshPlan, secret: &MeshSecret) -> Carried {
    let touched = mesh.touched();
    let nodes: Vec<&MeshNode> = ground
        .reached
        .iter()
        .filter(|(host, _)| touched.contains(*host))
        .map(|(_, reached)| &reached.node)
        .collect();
    carry_out(plan, nodes, secret).await
}

/// Notes what is gone, and who could not do it.
fn settle(mesh: &mut Mesh, ground: &mut Ground, carried: &Carried) {
    for host in &carried.removed {
        mesh.left(host);
    }
    for (host, error) in &carried.failed {
        ground.fail(host.clone(), Fault::Unable(crate::error_chain(error)));
    }
}

/// Why two that were planned are not joined, as far as that is known by now.
fn missing(pair: &Pair, plan: &MeshPlan, ground: &Ground, carried: &Carried) -> Option<String> {
    let way = plan.ways.get(pair)?;
    let relay = match way {
        PairWay::Lan | PairWay::Nothing => return Some(way.to_string()),
        PairWay::Tunnel | PairWay::OpenedBy(_) => None,
        PairWay::Relay(relay) => Some(relay),
    };
    let mut hosts = pair.hosts().into_iter().chain(relay);
    hosts.find_map(|host| {
        if let Some(error) = carried.failed.get(host) {
            return Some(crate::error_chain(error));
        }
        let (Fault::Away(reason) | Fault::Unable(reason)) = ground.failed.get(host)?;
        Some(reason.clone())
    })
}

/// What tells this installation from others.
fn home(parts: &Parts) -> Result<String, String> {
    let home = parts.home.id();
    home.map_err(|error| format!("the identity of this installation cannot be read: {error}"))
}

async fn secret_of(parts: &Parts, stem: &str) -> Result<MeshSecret, String> {
    let (directory, stem) = (parts.directory.clone(), stem.to_owned());
    let secret = blocking::unblock(move || file::secret(&directory, &stem)).await;
    secret.map_err(|error| format!("the secret of the mesh cannot be kept: {error}"))
}

/// Keeps what is known of the mesh; on the disk when this returns.
pub(super) async fn keep(parts: &Parts, stem: &str, mesh: &Mesh) -> Result<(), String> {
    let (directory, stem, record) = (parts.directory.clone(), stem.to_owned(), mesh.record());
    let kept = blocking::unblock(move || file::keep(&directory, &stem, &record)).await;
    kept.map_err(|error| format!("what is known of the mesh cannot be kept: {error}"))
}

/// Where its addresses come from.
pub(super) fn network_of(mesh: &Mesh) -> Option<Network> {
    mesh.pool.as_ref().map(|pool| pool.plan().network)
}
