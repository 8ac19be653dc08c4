//! Listening on the one address.
//!
//! Owns: the listener's options, which every accepted connection inherits, and what to say when it cannot be had.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use rustix::net::sockopt;

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub(super) enum BindError {
    /// Another program has it.
    #[error("{address} is in use")]
    InUse {
        address: SocketAddr,
        source: io::Error,
    },
    /// The machine does not have the address, or not any more.
    #[error("{address} is not an address of this machine")]
    NotHere {
        address: SocketAddr,
        source: io::Error,
    },
    /// Anything else, such as a port that needs a privilege.
    #[error("{address} cannot be listened on")]
    Refused {
        address: SocketAddr,
        source: io::Error,
    },
}

/// A listener that does not block.
pub(super) fn listen(address: SocketAddr) -> Result<TcpListener, BindError> {
    prepared(address).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse { address, source },
        io::ErrorKind::AddrNotAvailable => BindError::NotHere { address, source },
        _ => BindError::Refused { address, source },
    })
}

fn prepared(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    sockopt::set_tcp_nodelay(&listener, true)?;
    // A container that is cut off its network says no goodbye. The kernel asks; we sleep on.
    sockopt::set_socket_keepalive(&listener, true)?;
    sockopt::set_tcp_keepidle(&listener, KEEPALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(&listener, KEEPALIVE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(&listener, KEEPALIVE_COUNT)?;
    // The standard library waits for 128 at most, fewer than may come when a stack starts.
    rustix::net::listen(&listener, BACKLOG)?;
    Ok(listener)
}

// Silence of two minutes: far above any hiccup of a bridge, far below what a database lets idle.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEPALIVE_COUNT: u32 = 4;
// The kernel's own default limit (net.core.somaxconn).
const BACKLOG: i32 = 4096;
