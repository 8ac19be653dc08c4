//! Where the daemon listens.
//!
//! Owns: which addresses are allowed, and what happens when the usual port is busy.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use async_net::TcpListener;

use super::DaemonError;

/// Where to listen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Listen {
    /// 127.0.0.1:9443, or a free port when that one is busy.
    #[default]
    Usual,
    /// This address and no other; port 0 is any free one.
    At(SocketAddr),
}

/// Why a text is no address to listen on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is no address to listen on: write it as 127.0.0.1:9443, [::1]:9443 or localhost:9443; port 0 is any free one"
)]
pub struct ListenParseError {
    text: String,
}

impl FromStr for Listen {
    type Err = ListenParseError;

    fn from_str(text: &str) -> Result<Self, ListenParseError> {
        let parsed = match text.strip_prefix("localhost:") {
            Some(port) => port
                .parse()
                .ok()
                .map(|port| SocketAddr::new(LOOPBACK, port)),
            None => text.parse().ok(),
        };
        parsed.map(Self::At).ok_or_else(|| ListenParseError {
            text: text.to_owned(),
        })
    }
}

impl Listen {
    /// Binds the address. Nobody is accepted yet.
    pub(super) async fn bind(
        self,
        allow_remote: bool,
    ) -> Result<(TcpListener, SocketAddr), DaemonError> {
        let (address, fallback) = match self {
            Self::Usual => (USUAL, Some(SocketAddr::new(LOOPBACK, 0))),
            Self::At(address) => (address, None),
        };
        if !allow_remote && !address.ip().to_canonical().is_loopback() {
            return Err(DaemonError::NotLoopback { address });
        }
        let bound = match (TcpListener::bind(address).await, fallback) {
            (Err(error), Some(free)) if error.kind() == io::ErrorKind::AddrInUse => {
                tracing::info!(%address, "the usual port is busy: any free one is used");
                TcpListener::bind(free).await
            }
            (bound, _) => bound,
        };
        bound
            .and_then(|listener| {
                // The library asks for 128: a burst of strangers would have others wait for their second try, a second later.
                rustix::net::listen(&listener, BACKLOG)?;
                Ok(listener)
            })
            .and_then(|listener| listener.local_addr().map(|address| (listener, address)))
            .map_err(|source| DaemonError::Listen { address, source })
    }
}

/// Connections that the system takes for us while we are at work; it may be bounded lower (net.core.somaxconn).
const BACKLOG: i32 = 4096;
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const USUAL: SocketAddr = SocketAddr::new(LOOPBACK, 9443);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_names_refused() {
        assert_eq!(
            "localhost:0".parse(),
            Ok(Listen::At(SocketAddr::new(LOOPBACK, 0)))
        );
        assert!("[::1]:9443".parse::<Listen>().is_ok());
        for text in ["", "9443", "example.org:9443", "127.0.0.1", "localhost:x"] {
            let error = text.parse::<Listen>().expect_err("no address");
            assert!(error.to_string().contains("write it as"), "{error}");
        }
    }

    #[test]
    fn an_address_that_others_can_reach_must_be_asked_for() {
        async_io::block_on(async {
            let everywhere = Listen::At("0.0.0.0:0".parse().expect("an address"));
            assert!(matches!(
                everywhere.bind(false).await,
                Err(DaemonError::NotLoopback { .. })
            ));
            everywhere.bind(true).await.expect("asked for");
        });
    }

    #[test]
    fn a_busy_port_that_was_asked_for_is_an_error() {
        async_io::block_on(async {
            let any: Listen = "127.0.0.1:0".parse().expect("an address");
            let (_listener, address) = any.bind(false).await.expect("a free port");
            assert!(matches!(
                Listen::At(address).bind(false).await,
                Err(DaemonError::Listen { .. })
            ));
        });
    }
}
