//! Reaching a host, and what is known of it then.
//!
//! Owns: how long is waited for it, and what its state means to whoever wants something of it now.

use std::sync::Arc;
use std::time::Duration;

use async_io::Timer;
use command_executor::agent::{
    AgentLink, ConnectError, HostLink, HostState, RequestError, StreamError,
};
use futures_lite::future;
use service_registry::{DefaultRoute, HostId, HostNet, Interface, InterfaceAddress, InterfaceKind};
use service_shim::agent::protocol::Facts;

use super::directory::KnownHost;
use crate::executors::HostFacts;

/// Why a host does not do what is wanted now.
#[derive(Debug, thiserror::Error)]
pub(in crate::executors) enum ReachError {
    /// Later it may.
    #[error(transparent)]
    Away(RequestError),
    /// Not before somebody has done something.
    #[error("{host} cannot be used{}", hint(source))]
    Closed {
        host: String,
        #[source]
        source: Arc<ConnectError>,
    },
}

fn hint(source: &ConnectError) -> String {
    source
        .hint()
        .map_or_else(String::new, |hint| format!(" ({hint})"))
}

/// The agent of the moment. A host that is being connected for the first time is waited for a little, and one that is away is tried
/// at once.
pub(super) async fn agent(link: &HostLink) -> Result<AgentLink, ReachError> {
    if let HostState::Unreachable(error) = link.state()
        && !matches!(*error, ConnectError::Connecting)
    {
        // Whoever asks has a reason to.
        link.hurry();
    }
    agent_of_now(link).await
}

/// The same for who asks again and again: a host that is away is tried in its own time.
pub(in crate::executors) async fn agent_of_now(link: &HostLink) -> Result<AgentLink, ReachError> {
    if let HostState::Unreachable(error) = link.state()
        && matches!(*error, ConnectError::Connecting)
    {
        first_answer(link).await;
    }
    let away = match link.agent() {
        Ok(agent) => return Ok(agent),
        Err(error) => error,
    };
    match link.state() {
        HostState::Unreachable(source) if !source.is_passing() => Err(ReachError::Closed {
            host: link.name().to_owned(),
            source,
        }),
        _ => Err(ReachError::Away(away)),
    }
}

/// Waits until the first attempt to connect has come to something.
async fn first_answer(link: &HostLink) {
    let changes = link.subscribe();
    let answered = async {
        while let Ok(HostState::Unreachable(error)) = changes.recv().await
            && matches!(*error, ConnectError::Connecting)
        {}
    };
    let late = async {
        Timer::after(PATIENCE).await;
    };
    future::or(answered, late).await;
}

/// What is known of a host once it is reached.
pub(super) async fn facts(
    name: &str,
    host: &KnownHost,
    agent: &AgentLink,
) -> Result<HostFacts, RequestError> {
    let there = agent.facts().await;
    let there = there.map_err(|error: StreamError| host.link.explain(error))?;
    let here = command_executor::blocking::unblock(service_shim::agent::facts).await;
    Ok(HostFacts {
        host: HostId::new(name),
        address: host.address,
        net: HostNet {
            jump: host.jump.as_deref().map(HostId::new),
            ..net(&there)
        },
        here: net(&here),
    })
}

/// What the facts say of a host's network.
pub(super) fn net(facts: &Facts) -> HostNet {
    let up = facts.interfaces.iter().filter(|interface| interface.up);
    let interfaces = up.map(|interface| {
        let addresses = interface.addresses.iter();
        Interface {
            name: interface.name.clone(),
            kind: kind(&interface.name, facts),
            addresses: addresses
                .map(|(ip, prefix)| InterfaceAddress {
                    ip: *ip,
                    prefix: *prefix,
                })
                .collect(),
        }
    });
    let default = facts.routes.iter().find(|route| route.to.1 == 0);
    HostNet {
        interfaces: interfaces.collect(),
        default_route: default.map(|route| DefaultRoute {
            interface: route.interface.clone(),
            gateway: route.gateway,
        }),
        ..HostNet::default()
    }
}

/// By the names that the kernel and the engines give. What the rest of the network goes through leads outward, however it
/// is called.
fn kind(name: &str, facts: &Facts) -> InterfaceKind {
    let begins = |with: &[&str]| with.iter().any(|with| name.starts_with(with));
    let is_default = facts
        .routes
        .iter()
        .any(|route| route.to.1 == 0 && route.interface == name);
    if name == "lo" {
        InterfaceKind::Inward
    } else if begins(&["wg", "tun", "tap", "ppp"]) || is_of_mesh(name) {
        InterfaceKind::Tunnel
    } else if !is_default && begins(&["docker", "br-", "veth", "virbr", "cni", "podman", "lxc"]) {
        InterfaceKind::Inward
    } else {
        InterfaceKind::Outward
    }
}

/// Whether a mesh of this program, of whichever installation, has made it.
fn is_of_mesh(name: &str) -> bool {
    let rest = name.strip_prefix("hm").filter(|rest| rest.len() == 10);
    rest.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// A login takes 0.2 s; over a slow line, and with the program brought there, longer. Who cannot wait asks again.
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use service_shim::agent::protocol::{Interface as Found, Route};

    use super::*;

    #[test]
    fn engines_bridges_are_of_the_host_alone_unless_all_goes_through_them() {
        let found = |name: &str| Found {
            name: name.to_owned(),
            up: name != "down",
            addresses: vec![([10, 0, 0, 5].into(), 24)],
        };
        let default = |interface: &str| Route {
            to: ([0, 0, 0, 0].into(), 0),
            gateway: Some([10, 0, 0, 1].into()),
            interface: interface.to_owned(),
        };
        let facts = Facts {
            interfaces: [
                "br-1",
                "br-lan",
                "down",
                "eth0",
                "hm0123456789",
                "lo",
                "wg0",
            ]
            .map(found)
            .into(),
            routes: vec![default("br-lan")],
            ..Facts::default()
        };
        let net = net(&facts);
        let kinds: Vec<_> = net
            .interfaces
            .iter()
            .map(|one| (&*one.name, one.kind))
            .collect();
        assert_eq!(
            kinds,
            [
                ("br-1", InterfaceKind::Inward),
                ("br-lan", InterfaceKind::Outward),
                ("eth0", InterfaceKind::Outward),
                ("hm0123456789", InterfaceKind::Tunnel),
                ("lo", InterfaceKind::Inward),
                ("wg0", InterfaceKind::Tunnel),
            ]
        );
        assert_eq!(net.default_route.expect("one").interface, "br-lan");
    }
}
