//! From a name to addresses.
//!
//! Owns: the thread on which the system looks a name up. It lives for one lookup: who asks is idle otherwise, and a
//! thread that stayed would have to be woken to learn that it may go.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::thread;

use futures::channel::oneshot;

/// The addresses of a host, in the order in which they are to be tried; at least one. An address stands for itself.
///
/// # Errors
/// What the system says of the name; [`io::ErrorKind::NotFound`] when it has no address.
///
/// # Cancellation
/// Safe. A lookup that nobody waits for any more ends when the system gives up.
pub async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let (sender, found) = oneshot::channel();
    let name = host.to_owned();
    thread::Builder::new()
        .name("harness-resolve".to_owned())
        .spawn(move || {
            let addresses = (name, port).to_socket_addrs();
            // Who asked may have stopped waiting.
            drop(sender.send(addresses.map(Iterator::collect)));
        })?;
    let found: Vec<SocketAddr> = found
        .await
        .unwrap_or_else(|_| Err(io::Error::other("the lookup has panicked")))?;
    if found.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            "the name has no address",
        ));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use futures_lite::future::block_on;

    use super::*;

    #[test]
    fn an_address_stands_for_itself_and_a_name_for_what_the_system_says() {
        let own = |host| block_on(resolve(host, 7)).expect("known to every system");
        assert_eq!(
            own("::1"),
            [SocketAddr::new([0, 0, 0, 0, 0, 0, 0, 1].into(), 7)]
        );
        let found = own("localhost");
        assert!(
            found
                .iter()
                .all(|address| address.ip().is_loopback() && address.port() == 7)
        );
        assert!(block_on(resolve("no such host", 7)).is_err());
    }
}
