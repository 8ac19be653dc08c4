//! Why a host is not part of a mesh.
//!
//! Owns: each reason, with what can be done about it.

use std::fmt;

use command_executor::agent::{RequestError, StreamError};
use service_registry::HostId;

/// Why something was not done on a host.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// It is out of reach.
    #[error(transparent)]
    Unreachable(RequestError),
    /// Its agent did not do it.
    #[error("the agent on {host} did not do it")]
    Agent {
        /// Which host.
        host: String,
        /// Why.
        source: StreamError,
    },
    /// No shell could be run on this machine.
    #[error("this machine did not do it")]
    Here(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It lacks what a mesh needs.
    #[error("{host} cannot be part of a mesh: {lack}")]
    Lacks {
        /// Which host.
        host: String,
        /// What it lacks.
        lack: Lack,
    },
    /// A step failed there.
    #[error("{host}: cannot {doing}: {said}")]
    Failed {
        /// Which host.
        host: String,
        /// What was to be done.
        doing: &'static str,
        /// What was said about it.
        said: String,
    },
}

/// A host, in a sentence.
pub(crate) fn named(host: &HostId) -> String {
    match *host == HostId::local() {
        true => "this machine".to_owned(),
        false => host.to_string(),
    }
}

/// What a host lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lack {
    /// The login is not root's.
    Root,
    /// The program `wg`.
    Wg,
    /// The program `ip`.
    Ip,
    /// WireGuard in the kernel, and `wireguard-go` beside it.
    WireGuard,
    /// The program `iptables`, without which a host that carries for others would carry anything.
    Iptables,
    /// Forwarding of IPv6, which can only be allowed for all interfaces at once: that is not for a mesh to do.
    Ipv6Forwarding,
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Root => {
                "interfaces are made by root: log in as root there (`harness host add --user root`), \
                 and run the daemon as root where it is this machine"
            }
            Self::Wg => "`wg` is not installed there (Debian: wireguard-tools)",
            Self::Ip => "`ip` is not installed there (Debian: iproute2)",
            Self::WireGuard => "its kernel has no WireGuard, and `wireguard-go` is not installed there",
            Self::Iptables => {
                "it is to carry for others, and `iptables`, which lets only those through, is not installed there"
            }
            Self::Ipv6Forwarding => {
                "it is to carry IPv6 for others, and forwards none: \
                 `sysctl -w net.ipv6.conf.all.forwarding=1` there, or use an IPv4 network"
            }
        })
    }
}
