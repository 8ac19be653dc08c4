//! A client that writes bytes, and a server that echoes.

#![allow(clippy::unwrap_used, reason = "a panic is the report of a test")]

use std::net::SocketAddr;
use std::sync::Arc;

use async_net::TcpStream;
use futures::stream::FuturesUnordered;
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use futures_lite::{FutureExt, future};
use harness_wire::{Limits, Request};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;

use super::frames::LIMIT;
use crate::support::{Installation, listen};

pub(crate) type Stream = futures_rustls::client::TlsStream<TcpStream>;

pub(crate) fn config(installation: &Installation) -> Arc<rustls::ClientConfig> {
    installation.client_tls();
    let read =
        |file: &str| std::fs::read(installation.directory.path().join("pki").join(file)).unwrap();
    let leaf = read("client-owner.pem");
    let mut roots = rustls::RootCertStore::empty();
    let authority = CertificateDer::from_pem_slice(&read("ca.pem")).unwrap();
    roots.add(authority).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(
            vec![CertificateDer::from_pem_slice(&leaf).unwrap()],
            PrivateKeyDer::from_pem_slice(&leaf).unwrap(),
        )
        .unwrap();
    config.alpn_protocols = vec![b"harness/1".to_vec()];
    Arc::new(config)
}

pub(crate) async fn secure(config: &Arc<rustls::ClientConfig>, address: SocketAddr) -> Stream {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    futures_rustls::TlsConnector::from(Arc::clone(config))
        .connect("127.0.0.1".try_into().unwrap(), stream)
        .await
        .unwrap()
}

/// Sends a request and reads the head of the answer.
pub(crate) async fn http(stream: &mut Stream, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    let mut head = Vec::new();
    let mut byte = [0; 1];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).await.is_ok_and(|read| read > 0) {
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// One frame of the server; `None` at the end of the connection.
pub(crate) async fn receive(stream: &mut Stream) -> Option<(u8, Vec<u8>)> {
    let mut head = [0; 2];
    stream.read_exact(&mut head).await.ok()?;
    assert_eq!(head[1] & 0x80, 0, "a server never masks");
    let mut count = u64::from(head[1]);
    if count == 126 {
        let mut bytes = [0; 2];
        stream.read_exact(&mut bytes).await.ok()?;
        count = u64::from(u16::from_be_bytes(bytes));
    } else if count == 127 {
        let mut bytes = [0; 8];
        stream.read_exact(&mut bytes).await.ok()?;
        count = u64::from_be_bytes(bytes);
    }
    let mut payload = vec![0; count as usize];
    stream.read_exact(&mut payload).await.ok()?;
    Some((head[0], payload))
}

/// Runs `work` beside a server that echoes, and lets everybody in who is of the installation.
pub(crate) fn beside_a_server<F: Future<Output = ()>>(
    work: impl FnOnce(SocketAddr, Arc<rustls::ClientConfig>) -> F,
) {
    smol::block_on(async {
        let installation = Installation::new();
        let limits = Limits {
            max_message_bytes: LIMIT,
            max_frame_bytes: LIMIT,
            ..Limits::default()
        };
        let acceptor = installation.acceptor().with_limits(limits);
        let (listener, address) = listen().await;
        let config = config(&installation);
        let server = async {
            let mut sessions = FuturesUnordered::new();
            loop {
                let came = async { Some(listener.accept().await.unwrap().0) };
                let left = async {
                    match sessions.next().await {
                        Some(()) => None,
                        None => future::pending().await,
                    }
                };
                if let Some(stream) = left.or(came).await {
                    sessions.push(async {
                        if let Ok((session, _)) = acceptor.accept_tcp(stream).await {
                            let echo = |request: Request| async move {
                                request.responder.answer(request.params.parse::<Value>());
                            };
                            session.serve(echo).await;
                        }
                    });
                }
            }
        };
        work(address, config).or(server).await;
    });
}

pub(crate) const UPGRADE: &str = "GET /rpc HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: harness.1\r\n\r\n";
