//! The question whether a connection is accepted.
//!
//! Owns: one attempt to connect. Nothing is sent.

use std::io;

use async_net::TcpStream;
use rustix::io::Errno;

use super::Answer;
use super::dial::FarPort;

#[derive(Clone, Debug)]
pub(crate) struct TcpQuestion {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The same, where no way leads to it from here.
    pub(crate) far: Option<FarPort>,
}

impl TcpQuestion {
    pub(crate) async fn ask(&self) -> Answer {
        if let Some(far) = &self.far {
            return match far.connect().await {
                Ok(_) => Answer::Good,
                Err(answer) => answer,
            };
        }
        match self.connect().await {
            Ok(stream) if is_own_end(&stream) => Answer::bad(format!("nobody listens on {self}")),
            Ok(_) => Answer::Good,
            Err(error) => not_connected(&format!("cannot connect to {self}"), &error),
        }
    }
}

impl TcpQuestion {
    async fn connect(&self) -> io::Result<TcpStream> {
        let addresses = harness_http::resolve(&self.host, self.port).await?;
        TcpStream::connect(addresses.as_slice()).await
    }
}

impl std::fmt::Display for TcpQuestion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// What an error on the way to the unit says: most about the unit, some only about us.
pub(crate) fn not_connected(what: &str, error: &io::Error) -> Answer {
    let ours = [
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOBUFS,
        Errno::NOMEM,
        Errno::ADDRNOTAVAIL,
    ];
    let reason = format!("{what}: {error}");
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(errno) if ours.contains(&errno) => Answer::unknown(reason),
        Some(_) | None => Answer::bad(reason),
    }
}

/// Connecting to a free port of the ephemeral range can, by chance, connect a socket to itself.
fn is_own_end(stream: &TcpStream) -> bool {
    matches!((stream.local_addr(), stream.peer_addr()), (Ok(own), Ok(peer)) if own == peer)
}
