//! What a forwarder is called with: where to listen, and where to carry connections to.
//!
//! Owns: which pairs of addresses are refused. Touches nothing of the machine.

use std::ffi::OsString;
use std::net::SocketAddr;

/// From where to where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) listen: SocketAddr,
    pub(super) to: SocketAddr,
}

/// Why a call is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum OrderError {
    /// Too few arguments, or too many.
    #[error(
        "usage: forward LISTEN TO, each an address with a port (172.18.0.1:5432, [fd00::1]:5432)"
    )]
    Usage,
    /// Names are not looked up: what they mean may change.
    #[error("`{0}` is not an address with a port, such as 172.18.0.1:5432 or [fd00::1]:5432")]
    NotAnAddress(String),
    /// It would let in whoever reaches any address of this machine.
    #[error("`{0}` stands for every address of this machine; give the one to listen on")]
    ListensEverywhere(SocketAddr),
    /// There is no such place to connect to.
    #[error("`{0}` is no address to connect to")]
    Nowhere(SocketAddr),
    /// Nobody could learn which port it is.
    #[error("`{0}` has no port")]
    NoPort(SocketAddr),
    /// Every connection would make another one.
    #[error("`{0}` cannot be forwarded to itself")]
    Itself(SocketAddr),
}

impl Order {
    pub(super) fn parse(args: &[OsString]) -> Result<Order, OrderError> {
        let [listen, to] = args else {
            return Err(OrderError::Usage);
        };
        let (listen, to) = (address(listen)?, address(to)?);
        if listen.ip().to_canonical().is_unspecified() {
            return Err(OrderError::ListensEverywhere(listen));
        }
        // The kernel takes it for loopback; in an order it is a mistake.
        if to.ip().to_canonical().is_unspecified() {
            return Err(OrderError::Nowhere(to));
        }
        if let Some(without) = [listen, to].into_iter().find(|addr| addr.port() == 0) {
            return Err(OrderError::NoPort(without));
        }
        let is_same_ip = listen.ip().to_canonical() == to.ip().to_canonical();
        if is_same_ip && listen.port() == to.port() {
            return Err(OrderError::Itself(listen));
        }
        Ok(Order { listen, to })
    }
}

fn address(text: &OsString) -> Result<SocketAddr, OrderError> {
    let parsed = text.to_str().and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| OrderError::NotAnAddress(text.to_string_lossy().into_owned()))
}

#[cfg(test)]
mod tests {
    use super::{Order, OrderError};

    fn parse(args: &[&str]) -> Result<Order, OrderError> {
        let args: Vec<_> = args.iter().map(Into::into).collect();
        Order::parse(&args)
    }

    #[test]
    fn two_addresses_are_an_order() {
        for (listen, to) in [
            ("172.18.0.1:5432", "127.0.0.1:5432"),
            ("[fd00::1]:80", "[::1]:8080"),
            ("[fe80::1%3]:80", "127.0.0.1:80"),
            // As on a machine where one program has both ports.
            ("127.0.0.1:81", "127.0.0.1:80"),
        ] {
            let order = parse(&[listen, to]).expect(listen);
            assert_eq!(
                (order.listen.to_string(), order.to.to_string()),
                (listen.to_owned(), to.to_owned())
            );
        }
    }

    #[test]
    fn nothing_listens_beyond_what_was_asked() {
        for everywhere in ["0.0.0.0:80", "[::]:80", "[::ffff:0.0.0.0]:80"] {
            let refused = parse(&[everywhere, "127.0.0.1:80"]);
            assert!(
                matches!(refused, Err(OrderError::ListensEverywhere(_))),
                "{everywhere}: {refused:?}"
            );
        }
    }

    #[test]
    fn a_call_that_makes_no_sense_says_which_part() {
        assert_eq!(parse(&["127.0.0.1:80"]), Err(OrderError::Usage));
        let cases = [
            ("bridge:80", "127.0.0.1:80", "`bridge:80` is not an address"),
            ("127.0.0.1", "127.0.0.1:80", "`127.0.0.1` is not an address"),
            ("127.0.0.2:0", "127.0.0.1:80", "`127.0.0.2:0` has no port"),
            ("127.0.0.2:80", "127.0.0.1:0", "`127.0.0.1:0` has no port"),
            ("127.0.0.2:80", "[::]:80", "`[::]:80` is no address"),
            ("127.0.0.1:80", "[::ffff:127.0.0.1]:80", "to itself"),
        ];
        for (listen, to, expected) in cases {
            let error = parse(&[listen, to]).expect_err(listen).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
