//! Ports nobody listens on.

use std::net::{Ipv4Addr, TcpListener};

/// A TCP port that was free on 127.0.0.1 a moment ago.
///
/// The kernel hands out ports round robin, so two tests that run at the same time get different ones; where the
/// program can be told to listen on port 0 and print its choice, prefer that.
///
/// # Panics
/// When no port can be bound.
pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .expect("a loopback port can be bound")
        .port()
}
