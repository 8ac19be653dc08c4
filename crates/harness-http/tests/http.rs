//! The client against our server and against peers that misbehave.

#![allow(clippy::unwrap_used, reason = "a panic is the report of a test")]

mod support;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use async_net::TcpStream;
use async_net::unix::{UnixListener, UnixStream};
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use harness_http::{
    Address, Bytes, Connection, Excess, HttpError, Limits, Request, ServerLimits, StatusCode, Step,
    get, send, serve_connection,
};
use support::*;

#[test]
fn any_status_is_an_answer() {
    with_server(async |url: String, _| {
        let answer = get(&url, &Limits::default()).await.unwrap();
        assert_eq!(
            (answer.status(), answer.body().as_ref()),
            (StatusCode::OK, b"hello".as_slice())
        );
        let answer = get(&format!("{url}/missing?x=1"), &Limits::default())
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        assert_eq!(answer.body().as_ref(), b"GET /missing ");
    });
}

#[test]
fn one_connection_serves_many_requests() {
    with_server(async |_, address: SocketAddr| {
        let mut connection = Connection::new(TcpStream::connect(address).await.unwrap())
            .await
            .unwrap();
        for number in 0..50 {
            let posted = Request::post(format!("http://{address}/echo"))
                .body(Bytes::from(number.to_string()))
                .unwrap();
            let answer = connection
                .request(posted, &Limits::default())
                .await
                .unwrap();
            assert_eq!(
                answer.body().as_ref(),
                format!("POST /echo {number}").as_bytes()
            );
        }
        let chunked = connection
            .request(ask("/chunks"), &Limits::default())
            .await
            .unwrap();
        assert_eq!(chunked.body().as_ref(), b"one two three");
        let again = connection
            .request(ask("/"), &Limits::default())
            .await
            .unwrap();
        assert_eq!(again.body().as_ref(), b"hello");
    });
}

#[test]
fn a_connection_knows_when_the_server_has_closed_it() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let address = Address::Unix(path);
        let server = async {
            let (stream, _) = listener.accept().await.unwrap();
            let limits = ServerLimits::default();
            serve_connection(stream, &limits, handle).await.unwrap();
        };
        let client = async {
            let mut connection = Connection::open(&address, quick().timeout).await.unwrap();
            assert!(connection.is_open());
            for _ in 0..2 {
                connection.request(ask("/"), &quick()).await.unwrap();
                assert!(connection.is_open());
            }
            let last = Request::get("/").header("connection", "close");
            let last = last.body(Bytes::new()).unwrap();
            connection.request(last, &quick()).await.unwrap();
            assert!(!connection.is_open());
            let error = connection.request(ask("/"), &quick()).await.unwrap_err();
            assert!(matches!(error, HttpError::Spent), "{error:?}");
        };
        futures::join!(server, client);
        drop(listener);
        let error = Connection::open(&address, quick().timeout)
            .await
            .unwrap_err();
        assert!(matches!(error, HttpError::Socket { .. }), "{error:?}");
    });
}

#[test]
fn a_body_over_the_limit_is_refused_or_cut() {
    with_server(async |url: String, address: SocketAddr| {
        let error = get(&format!("{url}/big"), &Limits::default())
            .await
            .unwrap_err();
        assert!(
            matches!(error, HttpError::BodyTooLarge { limit: 65_536 }),
            "{error:?}"
        );
        // Nothing announces the length of this one.
        let small = Limits {
            max_body_bytes: 6,
            ..Limits::default()
        };
        let error = get(&format!("{url}/chunks"), &small).await.unwrap_err();
        assert!(
            matches!(error, HttpError::BodyTooLarge { limit: 6 }),
            "{error:?}"
        );
        let cut = Limits {
            excess: Excess::Cut,
            ..small
        };
        let answer = get(&format!("{url}/chunks"), &cut).await.unwrap();
        assert_eq!(answer.body().as_ref(), b"one tw");
        let mut connection = Connection::new(TcpStream::connect(address).await.unwrap())
            .await
            .unwrap();
        assert_eq!(
            connection
                .request(ask("/big"), &cut)
                .await
                .unwrap()
                .body()
                .as_ref(),
            b"xxxxxx"
        );
        let error = connection.request(ask("/"), &cut).await.unwrap_err();
        assert!(matches!(error, HttpError::Spent), "{error:?}");
        let exact = Limits {
            max_body_bytes: 100_000,
            ..Limits::default()
        };
        assert_eq!(
            get(&format!("{url}/big"), &exact)
                .await
                .unwrap()
                .body()
                .len(),
            100_000
        );
    });
}

#[test]
fn a_body_can_be_followed_as_it_comes() {
    with_server(async |_, address: SocketAddr| {
        let connection = Connection::new(TcpStream::connect(address).await.unwrap())
            .await
            .unwrap();
        let answer = connection
            .stream(ask("/endless"), Duration::from_secs(5))
            .await
            .unwrap();
        let mut body = answer.into_body();
        for _ in 0..5 {
            assert_eq!(body.next().await.unwrap().unwrap().as_ref(), b"tick\n");
        }
        drop(body);
        let connection = Connection::new(TcpStream::connect(address).await.unwrap())
            .await
            .unwrap();
        let answer = connection
            .stream(ask("/chunks"), Duration::from_secs(5))
            .await
            .unwrap();
        let pieces: Vec<_> = answer.into_body().map(Result::unwrap).collect().await;
        assert_eq!(pieces.concat(), b"one two three");
    });
}

#[test]
fn a_body_that_breaks_off_is_no_answer() {
    with_answer(
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        async |url: String| {
            let error = get(&url, &Limits::default()).await.unwrap_err();
            assert!(matches!(error, HttpError::Body(_)), "{error:?}");
        },
    );
}

#[test]
fn garbage_and_silence_are_told_apart() {
    with_answer(b"SSH-2.0-OpenSSH_9.2\r\n", async |url: String| {
        let error = get(&url, &Limits::default()).await.unwrap_err();
        assert!(matches!(error, HttpError::Garbage(_)), "{error:?}");
    });
    with_answer(b"", async |url: String| {
        let error = get(&url, &Limits::default()).await.unwrap_err();
        assert!(matches!(error, HttpError::NoAnswer(_)), "{error:?}");
    });
    with_answer(
        &[b"HTTP/1.1 200 OK\r\nX: ".as_slice(), &[b'x'; 200_000]].concat(),
        async |url: String| {
            let error = get(&url, &Limits::default()).await.unwrap_err();
            assert!(
                matches!(error, HttpError::Garbage(_)),
                "an endless head: {error:?}"
            );
        },
    );
}

#[test]
fn a_server_that_speaks_first_is_no_http_server() {
    run(async {
        let (listener, address) = listen().await;
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await;
        };
        let url = format!("http://{address}/");
        let error = beside(server, get(&url, &Limits::default()))
            .await
            .unwrap_err();
        assert!(matches!(error, HttpError::Garbage(_)), "{error:?}");
    });
}

#[test]
fn the_step_that_took_too_long_is_named() {
    run(async {
        let (listener, address) = listen().await;
        let started = Instant::now();
        let error = get(&format!("http://{address}/"), &quick())
            .await
            .unwrap_err();
        assert!(
            matches!(
                error,
                HttpError::TimedOut {
                    step: Step::Answer,
                    ..
                }
            ),
            "{error:?}"
        );
        assert!(started.elapsed() < Duration::from_secs(5));
        let server = async {
            // The first connection is the one that was given up above.
            let _given_up = listener.accept().await.unwrap();
            let (mut stream, _) = listener.accept().await.unwrap();
            assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
                .await
                .unwrap();
            std::future::pending::<()>().await;
        };
        let error = beside(server, get(&format!("http://{address}/"), &quick()))
            .await
            .unwrap_err();
        assert!(
            matches!(
                error,
                HttpError::TimedOut {
                    step: Step::Body,
                    ..
                }
            ),
            "{error:?}"
        );
    });
}

#[test]
fn nobody_there_and_no_such_name_are_told_apart() {
    run(async {
        let (listener, address) = listen().await;
        drop(listener);
        let error = get(&format!("http://{address}/"), &Limits::default())
            .await
            .unwrap_err();
        assert!(matches!(error, HttpError::Connect { .. }), "{error:?}");
        let error = get("http://no-such-host.invalid/", &Limits::default())
            .await
            .unwrap_err();
        assert!(
            matches!(
                error,
                HttpError::Resolve { .. }
                    | HttpError::TimedOut {
                        step: Step::Resolve,
                        ..
                    }
            ),
            "{error:?}"
        );
        let error = get("https://localhost/", &Limits::default())
            .await
            .unwrap_err();
        assert!(matches!(error, HttpError::Https { .. }), "{error:?}");
    });
}

#[test]
fn a_unix_socket_is_an_address_too() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("engine.sock");
        let address = Address::Unix(path.clone());
        let error = send(&address, ask("/"), &Limits::default())
            .await
            .unwrap_err();
        assert!(matches!(error, HttpError::Socket { .. }), "{error:?}");
        let limits = Limits::default();
        let listener = UnixListener::bind(&path).unwrap();
        let server = async {
            let (stream, _) = listener.accept().await.unwrap();
            serve_connection(stream, &ServerLimits::default(), handle)
                .await
                .unwrap();
        };
        let (answer, ()) = futures::join!(send(&address, ask("/version"), &limits), server);
        assert_eq!(answer.unwrap().body().as_ref(), b"GET /version ");
    });
}

#[test]
fn a_connection_can_be_taken_over() {
    run(async {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let server = async {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                theirs.read_exact(&mut byte).await.unwrap();
                head.push(byte[0]);
            }
            let answer = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nfirst ";
            theirs.write_all(answer).await.unwrap();
            let mut received = [0; 4];
            theirs.read_exact(&mut received).await.unwrap();
            theirs.write_all(&received).await.unwrap();
            theirs.close().await.unwrap();
        };
        let client = async {
            let connection = Connection::new(ours).await.unwrap();
            let attach = Request::post("/attach")
                .header("Connection", "Upgrade")
                .header("Upgrade", "tcp");
            let attach = attach.body(Bytes::new()).unwrap();
            let (_, mut stream) = connection
                .upgrade(attach, Duration::from_secs(5))
                .await
                .unwrap();
            stream.write_all(b"ping").await.unwrap();
            let mut received = String::new();
            stream.read_to_string(&mut received).await.unwrap();
            assert_eq!(received, "first ping");
        };
        futures::join!(server, client);
    });
    with_server(async |_, address: SocketAddr| {
        let connection = Connection::new(TcpStream::connect(address).await.unwrap())
            .await
            .unwrap();
        let error = connection
            .upgrade(ask("/"), Duration::from_secs(5))
            .await
            .unwrap_err();
        assert!(
            matches!(
                error,
                HttpError::NotUpgraded {
                    status: StatusCode::OK
                }
            ),
            "{error:?}"
        );
    });
}
