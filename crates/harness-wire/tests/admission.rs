//! Who gets in, and who does not.

#![allow(clippy::unwrap_used, reason = "a panic is the report of a test")]

mod support;

use std::time::{Duration, SystemTime};

use async_net::TcpStream;
use futures::{AsyncReadExt, AsyncWriteExt};
use harness_wire::client::ConnectStep;
use harness_wire::server::HelloError;
use harness_wire::{
    AcceptError, Client, ClientTls, ConnectError, ConnectOptions, Hello, Limits, Refusal, Role,
    VersionRange,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use support::{Installation, accept, beside, listen, options, quick, refused, run};

/// Connects with `tls` to a server of `installation`; returns what either side says.
async fn attempt(
    installation: &Installation,
    tls: &ClientTls,
    options: &ConnectOptions,
) -> (Result<(), AcceptError>, Result<(), ConnectError>) {
    let (listener, address) = listen().await;
    let acceptor = installation.acceptor();
    let server = async {
        let (mut session, _) = accept(&listener, &acceptor).await?;
        futures_lite::future::poll_once(session.next_request()).await;
        Ok(())
    };
    let client = async {
        let address = address.to_string();
        Client::connect(&address, tls, options).await.map(|_| ())
    };
    futures::join!(server, client)
}

#[test]
fn a_client_of_the_installation_is_admitted_and_named() {
    run(async {
        let installation = Installation::new();
        let tls = installation
            .pki
            .client_config("ci", Role::Operator, SystemTime::now())
            .unwrap();
        let (listener, address) = listen().await;
        let acceptor = installation.acceptor();
        let server = async {
            let (mut session, identity) = accept(&listener, &acceptor).await.unwrap();
            futures_lite::future::poll_once(session.next_request()).await;
            assert_eq!(session.agreed().peer.program, "test-client");
            identity
        };
        let address = address.to_string();
        let options = options();
        let (identity, client) = futures::join!(server, Client::connect(&address, &tls, &options));
        let (client, _driver) = client.unwrap();
        assert_eq!(
            (identity.name.as_str(), identity.role),
            ("ci", Role::Operator)
        );
        assert_eq!(identity.fingerprint.len(), 64);
        assert_eq!(client.agreed().protocol, 1);
        assert!(client.agreed().peer_has("logs"));
    });
}

#[test]
fn names_of_the_loopback_lead_to_the_server_too() {
    run(async {
        let installation = Installation::new();
        let tls = installation.client_tls();
        let (listener, address) = listen().await;
        let acceptor = installation.acceptor();
        let address = format!("localhost:{}", address.port());
        let options = options();
        let server = async {
            let (mut session, _) = accept(&listener, &acceptor).await.unwrap();
            session.next_request().await.map(|_| ())
        };
        let (client, driver) = beside(server, Client::connect(&address, &tls, &options))
            .await
            .unwrap();
        drop((client, driver));
    });
}

#[test]
fn a_client_of_another_installation_is_refused_on_both_sides() {
    run(async {
        let (ours, theirs) = (Installation::new(), Installation::new());
        let (server, client) = attempt(&ours, &theirs.client_tls(), &options()).await;
        assert!(matches!(server, Err(AcceptError::Tls(_))), "{server:?}");
        assert!(
            matches!(client, Err(ConnectError::Refused { .. })),
            "{client:?}"
        );
    });
}

/// A client that trusts our authority but shows a certificate that another one has signed.
#[test]
fn a_foreign_certificate_is_refused_by_the_server() {
    run(async {
        let (ours, theirs) = (Installation::new(), Installation::new());
        theirs.client_tls();
        let tls = mixed(&ours, &theirs, "client-owner.pem");
        let (server, client) = attempt(&ours, &tls, &options()).await;
        assert!(matches!(server, Err(AcceptError::Tls(_))), "{server:?}");
        assert!(
            matches!(client, Err(ConnectError::Refused { .. })),
            "{client:?}"
        );
    });
}

#[test]
fn a_server_certificate_does_not_make_a_client() {
    run(async {
        let ours = Installation::new();
        ours.acceptor();
        let tls = mixed(&ours, &ours, "server.pem");
        let (server, client) = attempt(&ours, &tls, &options()).await;
        assert!(matches!(server, Err(AcceptError::Tls(_))), "{server:?}");
        assert!(client.is_err(), "{client:?}");
    });
}

#[test]
fn an_expired_certificate_is_refused() {
    run(async {
        let ours = Installation::new();
        let long_ago = SystemTime::now() - Duration::from_secs(200 * 24 * 60 * 60);
        let tls = ours
            .pki
            .client_config("old", Role::Admin, long_ago)
            .unwrap();
        let (server, client) = attempt(&ours, &tls, &options()).await;
        assert!(matches!(server, Err(AcceptError::Tls(_))), "{server:?}");
        assert!(
            matches!(client, Err(ConnectError::Refused { .. })),
            "{client:?}"
        );
    });
}

fn mixed(trusted: &Installation, shown: &Installation, leaf: &str) -> ClientTls {
    let read = |installation: &Installation, file: &str| {
        std::fs::read(installation.directory.path().join("pki").join(file)).unwrap()
    };
    let leaf = read(shown, leaf);
    ClientTls::new(
        CertificateDer::from_pem_slice(&read(trusted, "ca.pem")).unwrap(),
        CertificateDer::from_pem_slice(&leaf).unwrap(),
        PrivateKeyDer::from_pem_slice(&leaf).unwrap(),
    )
    .unwrap()
}

/// A stream that has come through TLS by hand, as a stranger might build it. `None` when the handshake failed.
async fn raw_tls(
    installation: &Installation,
    address: std::net::SocketAddr,
    alpn: &[u8],
    has_certificate: bool,
) -> Option<futures_rustls::client::TlsStream<TcpStream>> {
    installation.client_tls();
    let read =
        |file: &str| std::fs::read(installation.directory.path().join("pki").join(file)).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(&read("ca.pem")).unwrap())
        .unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots);
    let leaf = read("client-owner.pem");
    let mut config = if has_certificate {
        let certificate = CertificateDer::from_pem_slice(&leaf).unwrap();
        builder
            .with_client_auth_cert(
                vec![certificate],
                PrivateKeyDer::from_pem_slice(&leaf).unwrap(),
            )
            .unwrap()
    } else {
        builder.with_no_client_auth()
    };
    if !alpn.is_empty() {
        config.alpn_protocols = vec![alpn.to_vec()];
    }
    let stream = TcpStream::connect(address).await.unwrap();
    let connector = futures_rustls::TlsConnector::from(std::sync::Arc::new(config));
    connector
        .connect(ServerName::try_from("127.0.0.1").unwrap(), stream)
        .await
        .ok()
}

/// What the server says to a stranger that did `act` after TCP.
async fn server_verdict<F: Future>(
    installation: &Installation,
    act: impl FnOnce(std::net::SocketAddr) -> F,
) -> (AcceptError, F::Output) {
    let (listener, address) = listen().await;
    let acceptor = installation
        .acceptor()
        .with_limits(quick(Limits::default()));
    let (server, output) = futures::join!(accept(&listener, &acceptor), act(address));
    (server.map(|_| ()).expect_err("a stranger got in"), output)
}

#[test]
fn a_client_without_a_certificate_is_refused_and_told_so() {
    run(async {
        let ours = Installation::new();
        let (verdict, read) = server_verdict(&ours, async |address| {
            let mut stream = raw_tls(&ours, address, b"harness/1", false)
                .await
                .expect("TLS 1.3 ends early for clients");
            stream.read(&mut [0; 1]).await
        })
        .await;
        assert!(matches!(verdict, AcceptError::Tls(_)), "{verdict:?}");
        assert!(
            read.unwrap_err()
                .to_string()
                .contains("CertificateRequired")
        );
    });
}

#[test]
fn another_application_protocol_is_refused() {
    run(async {
        let ours = Installation::new();
        let (verdict, stream) = server_verdict(&ours, async |address| {
            raw_tls(&ours, address, b"h2", true).await
        })
        .await;
        assert!(
            matches!(verdict, AcceptError::Tls(_)) && stream.is_none(),
            "{verdict:?}"
        );
        let (verdict, _) = server_verdict(&ours, async |address| {
            raw_tls(&ours, address, b"", true).await
        })
        .await;
        assert!(matches!(verdict, AcceptError::Protocol), "{verdict:?}");
    });
}

/// A ClientHello of TLS 1.2: no extension offers 1.3. The bytes are spelled out because no library here can say it.
#[test]
fn tls_1_2_is_refused() {
    run(async {
        let ours = Installation::new();
        let (verdict, answer) = server_verdict(&ours, async |address| {
            let mut hello = vec![3, 3];
            hello.extend([7; 32]);
            hello.push(0);
            hello.extend([0, 2, 0xc0, 0x2b]); // ECDHE-ECDSA-AES128-GCM-SHA256
            hello.extend([1, 0]);
            let extensions = [
                0, 10, 0, 4, 0, 2, 0, 23, // groups: P-256
                0, 13, 0, 4, 0, 2, 4, 3, // signatures: ECDSA-P256-SHA256
            ];
            hello.extend([0, extensions.len() as u8]);
            hello.extend(extensions);
            let mut record = vec![
                22,
                3,
                1,
                0,
                hello.len() as u8 + 4,
                1,
                0,
                0,
                hello.len() as u8,
            ];
            record.extend(hello);
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(&record).await.unwrap();
            let mut answer = [0; 7];
            stream.read_exact(&mut answer).await.unwrap();
            answer
        })
        .await;
        assert!(matches!(verdict, AcceptError::Tls(_)), "{verdict:?}");
        assert_eq!(
            answer,
            [21, 3, 3, 0, 2, 2, 70],
            "the fatal alert `protocol version`"
        );
    });
}

#[test]
fn a_client_that_says_nothing_is_dropped_after_the_deadline() {
    run(async {
        let ours = Installation::new();
        let (verdict, read) = server_verdict(&ours, async |address| {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.read(&mut [0; 1]).await
        })
        .await;
        assert!(
            matches!(verdict, AcceptError::TimedOut { .. }),
            "{verdict:?}"
        );
        assert!(matches!(read, Ok(0) | Err(_)));
        let (verdict, _) = server_verdict(&ours, async |address| {
            let mut stream = raw_tls(&ours, address, b"harness/1", true).await.unwrap();
            stream
                .write_all(b"GET /rpc HTTP/1.1\r\nHost: ")
                .await
                .unwrap();
            stream.read(&mut [0; 1]).await
        })
        .await;
        assert!(
            matches!(verdict, AcceptError::TimedOut { .. }),
            "half a request: {verdict:?}"
        );
    });
}

/// Sends an upgrade request with these headers and returns the verdict and the status line.
async fn upgrade(path: &str, headers: &str) -> (AcceptError, String) {
    let ours = Installation::new();
    server_verdict(&ours, async |address| {
        let mut stream = raw_tls(&ours, address, b"harness/1", true).await.unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut status = vec![0; 12];
        stream.read_exact(&mut status).await.unwrap();
        String::from_utf8(status).unwrap()
    })
    .await
}

#[test]
fn web_pages_and_rebound_names_are_refused() {
    let subprotocol = "Sec-WebSocket-Protocol: harness.1\r\n";
    let cases = [
        (
            "/rpc",
            format!("Host: localhost\r\nOrigin: https://evil.example\r\n{subprotocol}"),
            "403",
        ),
        (
            "/rpc",
            format!("Host: localhost\r\nOrigin: null\r\n{subprotocol}"),
            "403",
        ),
        (
            "/rpc",
            format!("Host: evil.example\r\n{subprotocol}"),
            "403",
        ),
        (
            "/rpc",
            format!("Host: localhost\r\nHost: evil.example\r\n{subprotocol}"),
            "403",
        ),
        ("/rpc", subprotocol.to_owned(), "403"),
        ("/", format!("Host: localhost\r\n{subprotocol}"), "404"),
        ("/rpc", "Host: 127.0.0.1:9443\r\n".to_owned(), "400"),
    ];
    run(async {
        for (path, headers, status) in cases {
            let (verdict, answer) = upgrade(path, &headers).await;
            assert_eq!(answer, format!("HTTP/1.1 {status}"), "{headers}");
            let AcceptError::Refused(refusal) = verdict else {
                panic!("{headers}: {verdict:?}")
            };
            let is_expected = match refusal {
                Refusal::Origin { .. } => headers.contains("Origin"),
                Refusal::Host { .. } => status == "403",
                Refusal::Path { .. } => status == "404",
                Refusal::Subprotocol => status == "400",
                other => panic!("{other:?}"),
            };
            assert!(is_expected, "{headers}");
        }
    });
}

#[test]
fn no_common_version_is_told_by_both_sides() {
    run(async {
        let ours = Installation::new();
        let mut options = options();
        options.hello.protocol = VersionRange { min: 7, max: 9 };
        let (server, client) = attempt(&ours, &ours.client_tls(), &options).await;
        assert!(
            matches!(
                server,
                Err(AcceptError::Hello(HelloError::Incompatible { .. }))
            ),
            "{server:?}"
        );
        match client.unwrap_err() {
            ConnectError::Incompatible { ours, theirs, .. } => {
                assert_eq!(
                    (ours, theirs),
                    (VersionRange { min: 7, max: 9 }, VersionRange::CURRENT)
                );
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn nobody_there_and_somebody_silent_are_told_apart() {
    run(async {
        let ours = Installation::new();
        let tls = ours.client_tls();
        let (listener, address) = listen().await;
        let mut options = ConnectOptions::new(Hello::new("test", "1"));
        options.limits = quick(options.limits);
        let silent = refused(Client::connect(&address.to_string(), &tls, &options).await);
        assert!(
            matches!(
                silent,
                ConnectError::TimedOut {
                    step: ConnectStep::Handshake,
                    ..
                }
            ),
            "{silent:?}"
        );
        drop(listener);
        let absent = refused(Client::connect(&address.to_string(), &tls, &options).await);
        assert!(
            matches!(absent, ConnectError::Unreachable { .. }),
            "{absent:?}"
        );
        let nonsense = refused(Client::connect("nonsense", &tls, &options).await);
        assert!(
            matches!(nonsense, ConnectError::Address { .. }),
            "{nonsense:?}"
        );
    });
}

#[test]
fn a_plain_http_server_is_called_foreign() {
    run(async {
        let ours = Installation::new();
        let (listener, address) = listen().await;
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 64];
            let _ = stream.read(&mut request).await;
            stream
                .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                .await
                .unwrap();
            stream
        };
        let address = address.to_string();
        let (tls, options) = (ours.client_tls(), options());
        let (_stream, client) = futures::join!(server, Client::connect(&address, &tls, &options));
        let error = refused(client);
        assert!(matches!(error, ConnectError::Foreign { .. }), "{error:?}");
    });
}
