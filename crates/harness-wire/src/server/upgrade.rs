//! The HTTP request that becomes a WebSocket: what it must say, and what is not let in.
//!
//! Owns: the check of origin, host, path and subprotocol. Never looks at a certificate: TLS is done when this begins.

use std::collections::BTreeSet;

use async_tungstenite::WebSocketStream;
use async_tungstenite::tungstenite::handshake::server::{
    ErrorResponse, Request as Upgrade, Response,
};
use async_tungstenite::tungstenite::http::header::{
    HOST, HeaderName, ORIGIN, SEC_WEBSOCKET_PROTOCOL,
};
use async_tungstenite::tungstenite::http::{HeaderValue, StatusCode};

use super::acceptor::AcceptError;
use crate::limits::Limits;
use crate::link::{self, Transport};
use crate::pki::ServerNames;

/// What was wrong with an upgrade request. Browsers meet the first two.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A web page sent it.
    #[error("the origin `{origin}` is not allowed")]
    Origin {
        /// The page's origin.
        origin: String,
    },
    /// It was sent to a name this server does not have, as after DNS rebinding.
    #[error("`{host}` is not a name of this server")]
    Host {
        /// The name.
        host: String,
    },
    /// There is nothing at this path.
    #[error("there is nothing at `{path}`")]
    Path {
        /// The path.
        path: String,
    },
    /// It did not ask for the subprotocol.
    #[error("the subprotocol `harness.1` was not asked for")]
    Subprotocol,
}

/// What an upgrade is checked against.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub(super) origins: BTreeSet<String>,
    pub(super) names: ServerNames,
}

impl Rules {
    /// Answers the upgrade request.
    pub(super) async fn upgrade(
        &self,
        stream: Transport,
        limits: &Limits,
    ) -> Result<WebSocketStream<Transport>, AcceptError> {
        let mut refusal = None;
        let config = link::socket_config(limits);
        // The type of the refusal is the library's, and large.
        #[allow(
            clippy::result_large_err,
            reason = "the type of the error is the library's"
        )]
        let check = |request: &Upgrade, response: Response| match self.check(request) {
            Ok(()) => Ok(admitted(response)),
            Err((status, reason)) => {
                let response = refused(status, &reason);
                refusal = Some(reason);
                Err(response)
            }
        };
        let upgraded =
            async_tungstenite::accept_hdr_async_with_config(stream, check, Some(config)).await;
        match (upgraded, refusal) {
            (_, Some(refusal)) => Err(refusal.into()),
            (upgraded, None) => upgraded.map_err(|error| AcceptError::Upgrade(Box::new(error))),
        }
    }

    fn check(&self, request: &Upgrade) -> Result<(), (StatusCode, Refusal)> {
        let header = |name: HeaderName| {
            request
                .headers()
                .get(name)
                .map(|value| String::from_utf8_lossy(value.as_bytes()))
        };
        if let Some(origin) = header(ORIGIN)
            && !self.origins.contains(origin.as_ref())
        {
            return Err((
                StatusCode::FORBIDDEN,
                Refusal::Origin {
                    origin: origin.into_owned(),
                },
            ));
        }
        // The name alone decides: a page that rebinds its own name to this address keeps its own name here, while the
        // port differs honestly behind a tunnel. Two headers are as bad as a wrong one.
        let host = header(HOST).unwrap_or_default();
        if request.headers().get_all(HOST).iter().count() != 1
            || !self.names.contains(without_port(&host))
        {
            return Err((
                StatusCode::FORBIDDEN,
                Refusal::Host {
                    host: host.into_owned(),
                },
            ));
        }
        if request.uri().path() != PATH {
            return Err((
                StatusCode::NOT_FOUND,
                Refusal::Path {
                    path: request.uri().path().to_owned(),
                },
            ));
        }
        let asked = header(SEC_WEBSOCKET_PROTOCOL).unwrap_or_default();
        if !asked.split(',').any(|name| name.trim() == SUBPROTOCOL) {
            return Err((StatusCode::BAD_REQUEST, Refusal::Subprotocol));
        }
        Ok(())
    }
}

fn admitted(mut response: Response) -> Response {
    response.headers_mut().insert(
        SEC_WEBSOCKET_PROTOCOL,
        HeaderValue::from_static(SUBPROTOCOL),
    );
    response
}

fn refused(status: StatusCode, reason: &Refusal) -> ErrorResponse {
    let mut response = ErrorResponse::new(Some(format!("{reason}\n")));
    *response.status_mut() = status;
    response
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        // The colons of a bare IPv6 address are none; one with a port is in brackets.
        Some((name, port))
            if port.bytes().all(|byte| byte.is_ascii_digit())
                && (!name.contains(':') || name.ends_with(']')) =>
        {
            name
        }
        Some(_) | None => host,
    }
}

/// Where the protocol is served.
pub(crate) const PATH: &str = "/rpc";
/// The WebSocket subprotocol both sides must name.
pub(crate) const SUBPROTOCOL: &str = "harness.1";
#[cfg(test)]
mod tests {
    use super::without_port;

    #[test]
    fn the_port_is_told_from_the_address() {
        assert_eq!(without_port("localhost:9443"), "localhost");
        assert_eq!(without_port("[::1]:9443"), "[::1]");
        assert_eq!(without_port("[::1]"), "[::1]");
        assert_eq!(without_port("::1"), "::1");
        assert_eq!(without_port("127.0.0.1"), "127.0.0.1");
    }
}
