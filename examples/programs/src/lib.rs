//! What the programs of the example stacks share: a tiny HTTP server and client, and just enough of three protocols.
//!
//! Owns: nothing that a real program should copy. The examples need programs that build with the toolchain alone, so
//! each module speaks the smallest part of its protocol that the examples use, on blocking sockets.

pub mod http;
pub mod json;
pub mod lines;
pub mod postgres;
pub mod redis;

use std::io;

/// The address that an orchestrator put into this variable.
///
/// # Errors
/// When the variable is not set: the error names it, because that is what is wrong.
pub fn address_from(variable: &str) -> io::Result<String> {
    std::env::var(variable)
        .map_err(|_| io::Error::new(io::ErrorKind::NotFound, format!("{variable} is not set")))
}

/// The loopback address with the port that was picked for this program (`PORT`).
///
/// # Errors
/// When `PORT` is not set.
pub fn own_address() -> io::Result<String> {
    Ok(format!("127.0.0.1:{}", address_from("PORT")?))
}
