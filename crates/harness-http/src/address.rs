//! Where a server is, and the way there.
//!
//! Owns: what a usable URL is. Never sends a request.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use async_net::TcpStream;
use async_net::unix::UnixStream;
use futures::{AsyncRead, AsyncWrite};
use hyper::Uri;

use crate::client::Deadline;
use crate::error::{HttpError, Step};
use crate::name::resolve;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A TCP port.
    Tcp {
        /// A name or an address, IPv6 without brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// A unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A URL this client can ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpUrl {
    /// Where to connect.
    pub address: Address,
    /// What the `Host` header says.
    pub host: String,
    /// What to ask for: path and query.
    pub path: String,
}

impl HttpUrl {
    /// Reads `http://host[:port][/path][?query]`. A fragment is dropped; a user or password is refused.
    ///
    /// # Errors
    /// [`HttpError::Url`]; [`HttpError::Https`] for `https://`.
    pub fn parse(url: &str) -> Result<Self, HttpError> {
        let refused = |reason| HttpError::Url {
            url: url.to_owned(),
            reason,
        };
        let uri: Uri = url.parse().map_err(|_| refused("it cannot be read"))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => {
                return Err(HttpError::Https {
                    url: url.to_owned(),
                });
            }
            Some(_) => return Err(refused("only http is spoken")),
            None => return Err(refused("it must begin with http://")),
        }
        let authority = uri.authority().ok_or_else(|| refused("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(refused(
                "a user or password in it would show in logs: use a header",
            ));
        }
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']');
        if host.is_empty() {
            return Err(refused("it names no host"));
        }
        let port = match authority.as_str().strip_prefix(authority.host()) {
            Some("" | ":") | None => 80,
            Some(rest) => rest[1..]
                .parse()
                .map_err(|_| refused("its port is no number up to 65535"))?,
        };
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        // `http://host?query` has no path; the request line needs one.
        let path = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("/{path}")
        };
        let address = Address::Tcp {
            host: host.to_owned(),
            port,
        };
        Ok(Self {
            address,
            host: authority.as_str().to_owned(),
            path,
        })
    }
}

/// A stream to a server.
pub(crate) trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for S {}

/// Connects, trying each address of a name in turn.
pub(crate) async fn connect(
    address: &Address,
    deadline: &Deadline,
) -> Result<Box<dyn ByteStream>, HttpError> {
    match address {
        Address::Tcp { host, port } => {
            let addresses = deadline
                .bound(Step::Resolve, resolve_host(host, *port))
                .await?;
            Ok(Box::new(
                deadline
                    .bound(Step::Connect, open(address, &addresses))
                    .await?,
            ))
        }
        Address::Unix(path) => {
            let open = async {
                let opened = UnixStream::connect(path).await;
                opened.map_err(|source| HttpError::Socket {
                    path: path.clone(),
                    source,
                })
            };
            Ok(Box::new(deadline.bound(Step::Connect, open).await?))
        }
    }
}

async fn resolve_host(host: &str, port: u16) -> Result<Vec<SocketAddr>, HttpError> {
    resolve(host, port)
        .await
        .map_err(|source| HttpError::Resolve {
            host: host.to_owned(),
            source,
        })
}

async fn open(address: &Address, candidates: &[SocketAddr]) -> Result<TcpStream, HttpError> {
    let opened = async {
        let stream = TcpStream::connect(candidates).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    };
    opened.await.map_err(|source| HttpError::Connect {
        address: address.to_string(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> (String, String, String) {
        let url = HttpUrl::parse(url).unwrap_or_else(|error| panic!("{error}"));
        (url.address.to_string(), url.host, url.path)
    }

    fn expect(url: &str, address: &str, host: &str, path: &str) {
        assert_eq!(
            parsed(url),
            (address.to_owned(), host.to_owned(), path.to_owned()),
            "{url}"
        );
    }

    #[test]
    fn urls_are_taken_apart() {
        expect("http://localhost", "localhost:80", "localhost", "/");
        expect(
            "http://127.0.0.1:8080/health?full=1#top",
            "127.0.0.1:8080",
            "127.0.0.1:8080",
            "/health?full=1",
        );
        expect("http://[::1]:8080/x", "[::1]:8080", "[::1]:8080", "/x");
        expect("http://[fe80::1]/", "[fe80::1]:80", "[fe80::1]", "/");
        expect(
            "HTTP://Example.COM:81",
            "Example.COM:81",
            "Example.COM:81",
            "/",
        );
        expect("http://host?q=1", "host:80", "host", "/?q=1");
    }

    #[test]
    fn unusable_urls_are_refused_with_the_reason() {
        for url in [
            "",
            "localhost:80/x",
            "/health",
            "http://",
            "http:///x",
            "ftp://host/",
            "http://user:pw@host/",
        ] {
            assert!(
                matches!(HttpUrl::parse(url), Err(HttpError::Url { .. })),
                "{url}"
            );
        }
        for url in [
            "http://host:99999/",
            "http://host:x/",
            "http://[::1/",
            "http://ho st/",
        ] {
            assert!(
                matches!(HttpUrl::parse(url), Err(HttpError::Url { .. })),
                "{url}"
            );
        }
        assert!(matches!(
            HttpUrl::parse("https://host/"),
            Err(HttpError::Https { .. })
        ));
    }
}
