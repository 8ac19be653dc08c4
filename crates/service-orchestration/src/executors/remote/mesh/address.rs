//! The addresses of a mesh.
//!
//! Owns: which network they come from, and that no host has that network already.

use std::net::{IpAddr, Ipv4Addr};

use service_registry::pool::{Holder, Pool, PoolPlan};
use service_registry::{HostId, Network};

use super::book::Mesh;
use super::ground::Ground;

/// Gives each host that takes part an address of the mesh. `home` tells this installation from others.
///
/// # Errors
/// As a sentence, what is in the way, and what to do.
pub(super) fn assign(
    home: &str,
    mesh: &mut Mesh,
    wanted: Option<Network>,
    others: &[Network],
    ground: &Ground,
    hosts: &[HostId],
) -> Result<(), String> {
    let name = mesh.network.clone();
    if let Some(reason) = unlike(mesh, wanted) {
        return Err(reason);
    }
    let is_other = |pool: &Pool| wanted.is_some_and(|wanted| wanted != pool.plan().network);
    if mesh.pool.as_ref().is_none_or(is_other) {
        let network = match wanted {
            Some(network) => network,
            None => {
                // Two installations that begin at one moment do not see each other's.
                let whole = format!("{home}/{}", Mesh::name(&mesh.stack, &name));
                free(&whole, others, ground).ok_or_else(|| {
                    format!("no network for `{name}` is free on all of its hosts: say `subnet`")
                })?
            }
        };
        let pool = Pool::new(PoolPlan::new(name, network));
        mesh.pool = Some(pool.map_err(|error| error.to_string())?);
    }
    let pool = mesh.pool.as_mut().expect("it was just set");
    for (host, reached) in ground.able() {
        let fits = pool.plan().check(host, &reached.net.interfaces);
        fits.map_err(|error| error.to_string())?;
    }
    if let Some(other) = others
        .iter()
        .find(|other| other.overlaps(pool.plan().network))
    {
        return Err(format!(
            "{} of network `{}` overlaps {other} of another mesh: choose another subnet",
            pool.plan().network,
            mesh.network
        ));
    }
    for host in hosts {
        let address = pool.allocate(&Holder::Host(host.clone()));
        address.map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Why the addresses that services were told of cannot be of this network.
pub(super) fn unlike(mesh: &Mesh, wanted: Option<Network>) -> Option<String> {
    let own = mesh.pool.as_ref()?.plan().network;
    let is_like = wanted.is_none_or(|wanted| wanted == own) || mesh.pairs.is_empty();
    (!is_like).then(|| {
        format!(
            "the mesh of network `{}` has addresses of {own}, which services were told: \
             `harness down` removes it, and the next start has the new subnet",
            mesh.network
        )
    })
}

/// A network that none of these has: always the same one where it is free.
fn free(name: &str, others: &[Network], ground: &Ground) -> Option<Network> {
    let taken: Vec<Network> = ground
        .able()
        .flat_map(|(_, reached)| reached.taken.clone())
        .chain(others.iter().copied())
        .collect();
    let is_free = |network: &Network| !taken.iter().any(|one| one.overlaps(*network));
    let start = name.bytes().fold(0u16, |hash, byte| {
        hash.wrapping_mul(31).wrapping_add(byte.into())
    });
    (0..=u16::MAX)
        .map(|step| candidate(start.wrapping_add(step)))
        .find(is_free)
}

/// Networks of 254 hosts in 10.0.0.0/8, of which few machines have many.
fn candidate(number: u16) -> Network {
    let [third, fourth] = number.to_be_bytes();
    Network::around(IpAddr::V4(Ipv4Addr::new(10, third, fourth, 0)), 24)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::StackName;

    fn mesh() -> Mesh {
        Mesh::new(StackName::new("shop").expect("a name"), "wg".into())
    }

    #[test]
    fn a_network_is_chosen_once_and_that_of_another_mesh_is_left_alone() {
        let hosts = [HostId::new("a"), HostId::new("b")];
        let ground = Ground::default();
        let mut first = mesh();
        assign("home", &mut first, None, &[], &ground, &hosts).expect("one is free");
        let network = first.pool.as_ref().expect("it is set").plan().network;
        let mut second = mesh();
        assign("home", &mut second, None, &[network], &ground, &hosts).expect("one is free");
        let other = second.pool.as_ref().expect("it is set").plan().network;
        assert!(!network.overlaps(other));
        assign("home", &mut first, None, &[], &ground, &hosts).expect("it has them");
        let own = first.address(&hosts[0]).expect("it has one");
        assert!(network.contains(own));
        let refused = assign(
            "home",
            &mut mesh(),
            Some(network),
            &[network],
            &ground,
            &hosts,
        );
        assert!(refused.expect_err("it is taken").contains("another mesh"));
        let mut elsewhere = mesh();
        assign("other", &mut elsewhere, None, &[], &ground, &hosts).expect("one is free");
        let other = elsewhere.pool.as_ref().expect("it is set").plan().network;
        assert!(!network.overlaps(other), "installations differ");
    }
}
