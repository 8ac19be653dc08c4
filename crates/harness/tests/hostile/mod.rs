//! A stranger, and a client with bad intentions, by hand: bytes over TLS without a library for the protocol.

#![allow(clippy::unwrap_used, reason = "a panic is the report of a test")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

pub(crate) type Stream = StreamOwned<ClientConnection, TcpStream>;

/// A connection that says nothing yet.
pub(crate) fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// The same from this address of the machine.
pub(crate) fn connect_from(source: [u8; 4], address: &str) -> TcpStream {
    use rustix::net::{AddressFamily, SocketType};
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    rustix::net::bind(&socket, &std::net::SocketAddr::from((source, 0))).unwrap();
    let address: std::net::SocketAddr = address.parse().unwrap();
    rustix::net::connect(&socket, &address).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// TLS with this client certificate, or with none; `trusted` holds the authority.
pub(crate) fn config(trusted: &Path, leaf: Option<&Path>, alpn: &[u8]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let authority = std::fs::read(trusted.join("ca.pem")).unwrap();
    roots
        .add(CertificateDer::from_pem_slice(&authority).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match leaf {
        None => builder.with_no_client_auth(),
        Some(leaf) => {
            let pem = std::fs::read(leaf).unwrap();
            let certificate = CertificateDer::from_pem_slice(&pem).unwrap();
            let key = PrivateKeyDer::from_pem_slice(&pem).unwrap();
            builder
                .with_client_auth_cert(vec![certificate], key)
                .unwrap()
        }
    };
    config.alpn_protocols = vec![alpn.to_vec()];
    Arc::new(config)
}

pub(crate) fn secure(config: &Arc<ClientConfig>, address: &str) -> Stream {
    let name = "127.0.0.1".try_into().unwrap();
    let connection = ClientConnection::new(Arc::clone(config), name).unwrap();
    StreamOwned::new(connection, connect(address))
}

/// Whether the server lets nobody in by this: it ends the connection, or answers with an error.
pub(crate) fn is_refused(stream: &mut Stream) -> bool {
    if stream.write_all(UPGRADE.as_bytes()).is_err() {
        return true;
    }
    let mut head = [0; 12];
    stream.read_exact(&mut head).is_err() || &head != b"HTTP/1.1 101"
}

/// A session of a client with a certificate, greeted.
pub(crate) fn session(config: &Arc<ClientConfig>, address: &str) -> Stream {
    let mut stream = secure(config, address);
    stream.write_all(UPGRADE.as_bytes()).unwrap();
    let mut head = Vec::new();
    let mut byte = [0; 1];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 101"));
    stream.write_all(&frame(0x81, HELLO.as_bytes())).unwrap();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).unwrap();
    stream
}

/// A masked frame.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..126 => bytes.push(0x80 | u8::try_from(short).unwrap()),
        long => {
            bytes.push(0xff);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}

/// Reads until the server has ended the connection. `false` when it does not.
pub(crate) fn is_ended(stream: &mut impl Read) -> bool {
    let mut buffer = [0; 65_536];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => {
                use std::io::ErrorKind::{TimedOut, WouldBlock};
                return !matches!(error.kind(), TimedOut | WouldBlock);
            }
        }
    }
}

const UPGRADE: &str = "GET /rpc HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: harness.1\r\n\r\n";
const HELLO: &str = r#"{"jsonrpc":"2.0","id":"h","method":"hello","params":{"protocol":{"min":1,"max":1},"program":"raw","version":"0"}}"#;
/// More than the daemon gives a stranger.
const PATIENCE: Duration = Duration::from_secs(30);
