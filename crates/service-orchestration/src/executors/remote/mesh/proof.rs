//! That two hosts are joined is seen, and not believed.
//!
//! Owns: the proof. One connects to the other through the tunnel; where nothing there takes connections, what came through
//! it is counted.

use std::time::{Duration, Instant};

use async_io::Timer;
use service_registry::mesh::{MeshPlan, Pair, PairWay};
use service_registry::{HostId, Sight};

use super::super::look::look;
use super::book::Mesh;
use super::ground::Ground;
use super::keeper::Parts;

/// Waits until the two are joined.
///
/// # Errors
/// As a sentence, what is missing after some time.
pub(super) async fn joined(
    parts: &Parts,
    mesh: &Mesh,
    ground: &Ground,
    plan: &MeshPlan,
    pair: &Pair,
) -> Result<(), String> {
    let [one, other] = pair.hosts();
    // Who opens it begins: the other has nobody to send to before.
    let (from, to) = match plan.ways.get(pair) {
        Some(PairWay::OpenedBy(opener)) if opener == other => (other, one),
        _ => (one, other),
    };
    let call = |host| mesh.members.get(host).and_then(|one| one.call.as_ref());
    let address = mesh.address(to).ok_or("it has no address")?;
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let seen = look(&*parts.hosts, call(from), call(to), &[address]).await;
        match seen {
            Ok(Sight::Answers(_)) => return Ok(()),
            Ok(Sight::Silent) if has_heard(ground, plan, from, to).await => return Ok(()),
            Ok(Sight::Silent) => drop(Timer::after(PAUSE).await),
            Err(error) => return Err(crate::error_chain(&error)),
        }
    }
    let port = plan.hosts.get(to).map_or(0, |own| own.port.get());
    Err(format!(
        "nothing comes through the tunnel from {from} to {to} within {} s: whether a firewall keeps UDP port {port} shut \
         is to be looked at first",
        PATIENCE.as_secs()
    ))
}

/// Whether something of the other came through the tunnel between the two, which only who has its key can send.
async fn has_heard(ground: &Ground, plan: &MeshPlan, from: &HostId, to: &HostId) -> bool {
    let key = plan.hosts.get(to).map(|own| &own.key);
    let (Some(reached), Some(key)) = (ground.reached.get(from), key) else {
        return false;
    };
    match reached.node.status().await {
        Ok(Some(status)) => status.peers.get(key).is_some_and(|peer| peer.received > 0),
        Ok(None) | Err(_) => false,
    }
}

/// Who opens a tunnel tries at once, and every five seconds after that.
const PATIENCE: Duration = Duration::from_secs(12);
const PAUSE: Duration = Duration::from_millis(100);
