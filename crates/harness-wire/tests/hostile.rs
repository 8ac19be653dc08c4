//! What a peer that is in can do by sending nonsense: get an error, or be disconnected. Nothing else.

#![allow(clippy::unwrap_used, reason = "a panic is the report of a test")]

mod support;

use async_net::TcpStream;
use async_tungstenite::tungstenite::client::IntoClientRequest;
use async_tungstenite::tungstenite::http::HeaderValue;
use async_tungstenite::tungstenite::{Bytes, Message};
use async_tungstenite::{WebSocketStream, client_async};
use futures::{AsyncWriteExt, SinkExt, StreamExt};
use harness_wire::server::HelloError;
use harness_wire::{AcceptError, Limits, LinkError, Request, code};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::{Value, json};
use support::{Installation, accept, listen, run};

type Socket = WebSocketStream<futures_rustls::client::TlsStream<TcpStream>>;

const HELLO: &str = r#"{"jsonrpc":"2.0","id":"h","method":"hello","params":{"protocol":{"min":1,"max":1},"program":"raw","version":"0"}}"#;

/// A WebSocket by hand, with a certificate of the installation.
async fn raw_socket(installation: &Installation, address: std::net::SocketAddr) -> Socket {
    installation.client_tls();
    let read =
        |file: &str| std::fs::read(installation.directory.path().join("pki").join(file)).unwrap();
    let leaf = read("client-owner.pem");
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(&read("ca.pem")).unwrap())
        .unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
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
    let stream = TcpStream::connect(address).await.unwrap();
    let connector = futures_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let stream = connector
        .connect(ServerName::try_from("127.0.0.1").unwrap(), stream)
        .await
        .unwrap();
    let mut request = format!("wss://{address}/rpc")
        .into_client_request()
        .unwrap();
    request.headers_mut().insert(
        "Sec-WebSocket-Protocol",
        HeaderValue::from_static("harness.1"),
    );
    client_async(request, stream).await.unwrap().0
}

/// Runs `act` on a raw socket against an echoing server, then leaves; returns how the session ended, and the output.
async fn against_echo<T>(
    limits: Limits,
    act: impl AsyncFnOnce(&mut Socket) -> T,
) -> (LinkError, T) {
    let installation = Installation::new();
    let (listener, address) = listen().await;
    let acceptor = installation.acceptor().with_limits(limits);
    let server = async {
        let (session, _) = accept(&listener, &acceptor).await.unwrap();
        let echo = |request: Request| async move {
            request.responder.answer(request.params.parse::<Value>());
        };
        session.serve(echo).await
    };
    let client = async {
        let mut socket = raw_socket(&installation, address).await;
        socket.send(Message::text(HELLO)).await.unwrap();
        let answer = text(&mut socket).await;
        assert_eq!(answer["id"], "h", "ids are echoed: {answer}");
        act(&mut socket).await
    };
    futures::join!(server, client)
}

async fn text(socket: &mut Socket) -> Value {
    loop {
        match socket
            .next()
            .await
            .expect("an open connection")
            .expect("a message")
        {
            Message::Text(text) => return serde_json::from_str(&text).expect("JSON"),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

async fn ask(socket: &mut Socket, message: &str) -> Value {
    socket.send(Message::text(message)).await.unwrap();
    text(socket).await
}

#[test]
fn nonsense_is_answered_with_the_standard_codes_and_the_session_goes_on() {
    run(against_echo(
        Limits::default(),
        async |socket: &mut Socket| {
            let cases = [
                ("{", code::PARSE_ERROR, json!(null)),
                ("[]", code::INVALID_REQUEST, json!(null)),
                (
                    r#"[{"jsonrpc":"2.0","id":1,"method":"a"}]"#,
                    code::INVALID_REQUEST,
                    json!(null),
                ),
                (
                    r#"{"jsonrpc":"1.0","id":5,"method":"a"}"#,
                    code::INVALID_REQUEST,
                    json!(5),
                ),
                (
                    r#"{"jsonrpc":"2.0","id":6,"method":"hello"}"#,
                    code::INVALID_REQUEST,
                    json!(6),
                ),
                (
                    r#"{"jsonrpc":"2.0","id":99,"result":1}"#,
                    code::INVALID_REQUEST,
                    json!(99),
                ),
            ];
            for (message, code, id) in cases {
                let answer = ask(socket, message).await;
                assert_eq!(
                    (&answer["error"]["code"], &answer["id"]),
                    (&json!(code), &id),
                    "{message}"
                );
            }
            let deep = format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"a","params":{}{}}}"#,
                "[".repeat(500),
                "]".repeat(500)
            );
            assert_eq!(
                ask(socket, &deep).await["error"]["code"],
                code::INVALID_REQUEST
            );
            let cancelled_nothing =
                r#"{"jsonrpc":"2.0","method":"$/cancel","params":{"id":"unknown"}}"#;
            socket.send(Message::text(cancelled_nothing)).await.unwrap();
            let credit_for_nothing = r#"{"jsonrpc":"2.0","method":"$/credit","params":{"subscription":1,"items":4294967295}}"#;
            socket
                .send(Message::text(credit_for_nothing))
                .await
                .unwrap();
            let answer = ask(
                socket,
                r#"{"jsonrpc":"2.0","id":7,"method":"echo","params":[1]}"#,
            )
            .await;
            assert_eq!(answer, json!({"jsonrpc": "2.0", "id": 7, "result": [1]}));
        },
    ));
}

#[test]
fn a_binary_message_ends_the_session() {
    let (end, ()) = run(against_echo(
        Limits::default(),
        async |socket: &mut Socket| {
            socket
                .send(Message::Binary(Bytes::from_static(b"x")))
                .await
                .unwrap();
            while let Some(Ok(_)) = socket.next().await {}
        },
    ));
    assert!(matches!(end, LinkError::Binary), "{end:?}");
}

#[test]
fn a_length_of_a_gigabyte_is_refused_at_its_header() {
    let (end, ()) = run(against_echo(
        Limits::default(),
        async |socket: &mut Socket| {
            let mut header = vec![0x81, 0xff];
            header.extend((1_u64 << 30).to_be_bytes());
            header.extend([0; 4]);
            socket.get_mut().write_all(&header).await.unwrap();
            socket.get_mut().flush().await.unwrap();
            while let Some(Ok(_)) = socket.next().await {}
        },
    ));
    assert!(matches!(end, LinkError::TooLarge { .. }), "{end:?}");
}

#[test]
fn fragments_that_never_end_are_refused_at_the_limit() {
    let limits = Limits {
        max_message_bytes: 10_000,
        max_frame_bytes: 10_000,
        ..Limits::default()
    };
    let (end, ()) = run(against_echo(limits, async |socket: &mut Socket| {
        let fragment = |opcode: u8| {
            let mut frame = vec![opcode, 0x80 | 100, 0, 0, 0, 0];
            frame.extend([b'x'; 100]);
            frame
        };
        let mut is_open = socket.get_mut().write_all(&fragment(0x01)).await.is_ok();
        for _ in 0..1000 {
            is_open = is_open && socket.get_mut().write_all(&fragment(0x00)).await.is_ok();
        }
        let _ = socket.get_mut().flush().await;
        while let Some(Ok(_)) = socket.next().await {}
    }));
    assert!(
        matches!(end, LinkError::TooLarge { limit: 10_000 }),
        "{end:?}"
    );
}

#[test]
fn an_unmasked_frame_is_refused() {
    let (end, ()) = run(against_echo(
        Limits::default(),
        async |socket: &mut Socket| {
            socket
                .get_mut()
                .write_all(&[0x81, 2, b'{', b'}'])
                .await
                .unwrap();
            socket.get_mut().flush().await.unwrap();
            while let Some(Ok(_)) = socket.next().await {}
        },
    ));
    assert!(matches!(end, LinkError::Protocol(_)), "{end:?}");
}

#[test]
fn a_flood_of_pings_leaves_the_session_working() {
    run(against_echo(
        Limits::default(),
        async |socket: &mut Socket| {
            for _ in 0..20_000 {
                socket
                    .feed(Message::Ping(Bytes::from_static(b"!")))
                    .await
                    .unwrap();
                if let Some(message) = futures_lite::future::poll_once(socket.next()).await {
                    assert!(matches!(message, Some(Ok(Message::Pong(_)))), "{message:?}");
                }
            }
            let answer = ask(
                socket,
                r#"{"jsonrpc":"2.0","id":7,"method":"echo","params":[1]}"#,
            )
            .await;
            assert_eq!(answer["result"], json!([1]));
        },
    ));
}

/// What the server and the client see of a first message that is no greeting.
async fn greeting(message: &str) -> (AcceptError, Value) {
    let installation = Installation::new();
    let (listener, address) = listen().await;
    let acceptor = installation.acceptor();
    let client = async {
        let mut socket = raw_socket(&installation, address).await;
        let answer = ask(&mut socket, message).await;
        while let Some(Ok(_)) = socket.next().await {}
        answer
    };
    let (server, answer) = futures::join!(accept(&listener, &acceptor), client);
    (
        server.map(|_| ()).expect_err("no greeting, no session"),
        answer,
    )
}

#[test]
fn nothing_is_accepted_before_hello() {
    run(async {
        let (error, answer) = greeting(r#"{"jsonrpc":"2.0","id":1,"method":"status"}"#).await;
        assert!(
            matches!(error, AcceptError::Hello(HelloError::Unexpected(_))),
            "{error:?}"
        );
        assert_eq!(
            (&answer["error"]["code"], &answer["id"]),
            (&json!(code::HELLO_EXPECTED), &json!(1))
        );
        let (_, answer) = greeting("nonsense").await;
        assert_eq!(answer["error"]["code"], code::PARSE_ERROR);
        let (_, answer) =
            greeting(r#"{"jsonrpc":"2.0","id":1,"method":"hello","params":{"protocol":1}}"#).await;
        assert_eq!(answer["error"]["code"], code::INVALID_PARAMS);
        let (_, answer) =
            greeting(&HELLO.replace(r#""min":1,"max":1"#, r#""min":2,"max":3"#)).await;
        assert_eq!(answer["error"]["data"], json!({"min": 1, "max": 1}));
    });
}

/// More than the burst is read, only later: nothing is lost, and the time shows that it was held back.
#[test]
fn a_peer_that_sends_too_much_is_read_later() {
    let limits = Limits {
        messages_per_second: 1000,
        message_burst: 50,
        ..Limits::default()
    };
    let began = std::time::Instant::now();
    run(against_echo(limits, async |socket: &mut Socket| {
        for id in 0..200 {
            let question = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"echo","params":[1]}}"#);
            assert_eq!(ask(socket, &question).await["id"], id);
        }
    }));
    assert!(
        began.elapsed() >= std::time::Duration::from_millis(150),
        "150 messages beyond the burst take 150 ms at 1000 a second: {:?}",
        began.elapsed()
    );
}
